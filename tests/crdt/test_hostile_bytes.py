"""Bytes made to split replicas: fuzzed entries and batches, and signatures on which libraries disagree (I4, I14)."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp
from nacl.exceptions import RuntimeError as SodiumError

from latticework.crdt import (
    LANE_DOCUMENTS,
    Body,
    Entry,
    Envelope,
    FraudKind,
    FraudProof,
    entry_id,
    read_batch,
    read_entry,
    read_proof,
    write_batch,
    write_entry,
)
from latticework.simnet.rng import KeyedRng
from latticework.wire import EntryId, Label, LogId, MalformedError, encode, verify_ed25519
from latticework.wire.signing import Ed25519Signer

from .world import SPACE

KEY: Final = Ed25519Signer(b"k" * 32)
L: Final = (1 << 252) + 27742317777372353535851937790883648493
TORSION: Final = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")
"""A point of order eight."""
IDENTITY: Final = b"\x01" + bytes(31)


def torsion(times: int) -> bytes:
    point = IDENTITY
    for _ in range(times % 8):
        point = crypto_core_ed25519_add(point, TORSION)
    return point


def add(one: bytes, other: bytes) -> bytes:
    return one if other == IDENTITY else crypto_core_ed25519_add(one, other)


def base_times(scalar: int) -> bytes:
    return crypto_scalarmult_ed25519_base_noclamp((scalar % L).to_bytes(32, "little"))


SECRET: Final = int.from_bytes(hashlib.sha512(b"secret").digest(), "little") % L


@dataclass(frozen=True)
class Twisted:
    """How a signature of `S = r + h a` is bent: torsion in A and R, a surplus of L in S, or another encoding."""

    name: str
    in_key: int = 0
    in_nonce: int | None = 0
    surplus: int = 0
    small_key: bytes | None = None
    nonce: bytes | None = None
    accepted: bool = False

    @property
    def public(self) -> bytes:
        return self.small_key or add(base_times(SECRET), torsion(self.in_key))

    def sign(self, message: bytes) -> bytes:
        """With `in_nonce` None, torsion in R that cancels that in `h A`, so the equation holds without cofactor."""
        for attempt in range(1, 500):
            nonce = int.from_bytes(hashlib.sha512(b"%d" % attempt + message).digest(), "little") % L
            for twist in range(8) if self.in_nonce is None else (self.in_nonce,):
                r = self.nonce or add(base_times(nonce), torsion(twist))
                h = int.from_bytes(hashlib.sha512(r + self.public + message).digest(), "little") % L
                cancels = (twist + h * self.in_key) % 8 == 0
                if self.in_nonce is None and (not cancels or twist == 0):
                    continue
                if self.in_nonce is not None and self.in_key and cancels:
                    continue
                secret = 0 if self.small_key else SECRET
                return r + ((nonce + h * secret) % L + self.surplus * L).to_bytes(32, "little")
        raise AssertionError("no such signature")


NON_CANONICAL: Final = bytes.fromhex("ec" + "ff" * 31)
CASES: Final = [
    Twisted("plain", accepted=True),
    Twisted("small A, R as S B", small_key=TORSION),
    Twisted("small A of order one", small_key=IDENTITY),
    Twisted("small R", nonce=TORSION),
    Twisted("3: mixed A and R, passes both equations", in_key=1, in_nonce=None, accepted=True),
    Twisted("4: mixed A, passes only with cofactor", in_key=1),
    Twisted("5: mixed A and R, passes only with cofactor", in_key=3, in_nonce=1),
    Twisted("mixed R alone", in_nonce=1),
    Twisted("6: S larger than L", surplus=1),
    Twisted("7: S much larger than L", surplus=7),
    Twisted("8: non-canonical R", nonce=NON_CANONICAL),
    Twisted("10: non-canonical A", small_key=NON_CANONICAL),
]


def entry_by(author: bytes, sign: Callable[[bytes], bytes], payload: bytes = b"x") -> Entry:
    body = Body(
        1,
        LogId(author),
        1,
        EntryId(b"p" * 32),
        (),
        9,
        LANE_DOCUMENTS,
        len(payload),
        hashlib.sha256(payload).digest(),
    )
    raw = encode(body)
    identifier = entry_id(SPACE, raw)
    return Entry(identifier, body, Envelope(raw, sign(Label.ENTRY_SIGNATURE.value + identifier), payload))


def verdicts(entry: Entry, other: Entry) -> dict[str, bool]:
    """Whether each way in takes the signature of `entry`; `other` is signed in the same way under the same number."""
    first, second = sorted((entry, other), key=lambda e: e.id)
    envelopes = first.envelope, second.envelope
    halves = [(e.body, e.signature) for e in envelopes]
    proof = encode(FraudProof(1, FraudKind.FORK, SPACE, *halves[0], *halves[1]))
    ways: dict[str, Callable[[], object]] = {
        "entry": lambda: read_entry(SPACE, encode(entry.envelope)),
        "batch": lambda: read_batch(SPACE, write_batch([entry])),
        "headers": lambda: read_batch(SPACE, write_batch([entry], payloads=False)),
        "chain": lambda: read_batch(SPACE, write_batch([entry]), chain=True),
        "proof": lambda: read_proof(SPACE, proof),
    }
    return {name: _taken(way) for name, way in ways.items()}


def _taken(way: Callable[[], object]) -> bool:
    try:
        way()
    except MalformedError:
        return False
    return True


@pytest.mark.unit
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_signature_at_the_edge_is_judged_alike_on_every_way_in(case: Twisted) -> None:
    entries = [entry_by(case.public, case.sign, payload) for payload in (b"one", b"other")]
    assert set(verdicts(entries[0], entries[1]).values()) == {case.accepted}
    assert case.public != base_times(SECRET) or case.in_key == 0
    message = Label.ENTRY_SIGNATURE.value + entries[0].id
    assert verify_ed25519(case.public, message, entries[0].envelope.signature) is case.accepted


class SpecCase(TypedDict):
    name: str
    public: str
    signature: str


def spec_cases() -> list[SpecCase]:
    path = Path(__file__).parent.parent / "vectors" / "wire-ed25519-speccheck.json"
    cases: list[SpecCase] = json.loads(path.read_text())["cases"]
    return cases


@pytest.mark.unit
@pytest.mark.parametrize("case", spec_cases(), ids=lambda case: case["name"])
def test_a_published_edge_signature_signs_no_entry_of_ours(case: SpecCase) -> None:
    """Their messages carry no label of ours; keys and signatures of the twelve go through every way in."""
    signature = bytes.fromhex(case["signature"])
    entries = [entry_by(bytes.fromhex(case["public"]), lambda _: signature, p) for p in (b"one", b"other")]
    assert set(verdicts(entries[0], entries[1]).values()) == {False}


@pytest.mark.unit
def test_the_binding_knows_the_point_of_order_eight() -> None:
    assert torsion(8) == IDENTITY == torsion(0)
    assert len({torsion(times) for times in range(8)}) == 8
    with pytest.raises((SodiumError, ValueError)):
        crypto_core_ed25519_add(b"\x02" + bytes(31), TORSION)


class Draws(Protocol):
    """A `random.Random`."""

    def randrange(self, stop: int) -> int: ...


def entries() -> list[Entry]:
    made: list[Entry] = []
    for seq in range(6):
        prev = made[-1].id if made else None
        deps = (EntryId(bytes([seq]) * 32),) if seq % 2 else ()
        made.append(
            write_entry(SPACE, KEY, seq=seq, prev=prev, deps=deps, hlc=seq + 1, lane=3, payload=b"payload %d" % seq)
        )
    return made


GOOD: Final = entries()
ENVELOPES: Final = [encode(entry.envelope) for entry in GOOD]
BATCHES: Final = [write_batch(GOOD), write_batch(GOOD, payloads=False), write_batch(GOOD[2:])]


def mutated(data: bytes, choose: Callable[[int], int]) -> bytes:
    """Bits flipped, bytes put in, cut out, copied from elsewhere."""
    changed = bytearray(data)
    for _ in range(1 + choose(3)):
        at, length = choose(len(changed) + 1), choose(9)
        match choose(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << choose(8)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = bytes(choose(256) for _ in range(length))
            case 3:
                start = choose(len(changed) + 1)
                changed[at : at + length] = changed[start : start + length]
            case _:
                changed[at : at + 1] = bytes([choose(256)])
    return bytes(changed)


def survives(data: bytes, choose: Callable[[int], int]) -> None:
    """Whatever comes is refused, or is exactly what an author signed."""
    known = {entry.id: entry for entry in GOOD}
    if choose(2):
        damaged = mutated(data, choose)
        try:
            taken = [read_entry(SPACE, damaged)]
        except MalformedError:
            return
    else:
        damaged = mutated(BATCHES[choose(len(BATCHES))], choose)
        try:
            taken = read_batch(SPACE, damaged).entries
        except MalformedError:
            return
    for entry in taken:
        assert known[entry.id].envelope.signature == entry.envelope.signature
        assert entry.envelope.payload in {None, known[entry.id].envelope.payload}


@pytest.mark.property
@given(st.sampled_from(ENVELOPES), st.randoms(use_true_random=False))
def test_fuzzed_entries_and_batches_crash_nothing_and_are_taken_only_as_signed(data: bytes, random: Draws) -> None:
    for _ in range(20):
        survives(data, random.randrange)


@pytest.mark.property
@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_a_million_fuzzed_entries_and_batches(seed: int) -> None:
    rng = KeyedRng(b"fuzz %d" % seed)
    pool = bytearray()

    def choose(below: int) -> int:
        if len(pool) < 4:
            pool.extend(rng.random_bytes(1 << 16))
        value = int.from_bytes(pool[-4:])
        del pool[-4:]
        return value % below

    for _ in range(100_000):
        survives(ENVELOPES[choose(len(ENVELOPES))], choose)
