"""Entries: exactly one encoding is accepted, and nothing in it can be changed unnoticed (I5, I14)."""

import hashlib
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import LANE_FILES, Body, Entry, Envelope, entry_id, read_entry, read_stored_entry, write_entry
from latticework.wire import EntryId, Label, LogId, MalformedError, SpaceId, encode
from latticework.wire.signing import Ed25519Signer

from .world import SPACE

SIGNER: Final = Ed25519Signer(b"k" * 32)
DEPS: Final = (EntryId(b"\1" * 32), EntryId(b"\2" * 32))


def made(seq: int = 1, payload: bytes = b"payload") -> Entry:
    prev = EntryId(b"p" * 32) if seq else None
    return write_entry(SPACE, SIGNER, seq=seq, prev=prev, deps=DEPS, hlc=7, lane=LANE_FILES, payload=payload)


ENTRY: Final = made()
DATA: Final = encode(ENTRY.envelope)


def resigned(body: bytes, payload: bytes | None = b"payload", space: SpaceId = SPACE) -> bytes:
    """What the author himself could send: any body, well signed."""
    signature = SIGNER.sign_raw(Label.ENTRY_SIGNATURE.value + entry_id(space, body))
    return encode(Envelope(body, signature, payload))


@pytest.mark.unit
def test_what_is_written_is_read() -> None:
    assert read_entry(SPACE, DATA) == ENTRY == read_stored_entry(SPACE, DATA)
    assert encode(read_entry(SPACE, DATA).envelope) == DATA


@pytest.mark.unit
def test_the_id_covers_label_space_and_exact_body() -> None:
    expected = hashlib.sha256(b"lattice/entry/1" + SPACE + ENTRY.envelope.body).digest()
    assert ENTRY.id == expected
    assert entry_id(SpaceId(b"T" * 32), ENTRY.envelope.body) != expected


@pytest.mark.unit
def test_an_erased_payload_leaves_the_entry_valid_under_the_same_id() -> None:
    erased = encode(replace(ENTRY.envelope, payload=None))
    assert read_entry(SPACE, erased).id == ENTRY.id


@pytest.mark.unit
def test_an_entry_cut_anywhere_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(MalformedError):
            read_entry(SPACE, DATA[:length])


@pytest.mark.unit
def test_an_entry_with_one_byte_changed_anywhere_is_refused() -> None:
    for position in range(len(DATA)):
        damaged = bytearray(DATA)
        damaged[position] ^= 0x01
        with pytest.raises(MalformedError):
            read_entry(SPACE, bytes(damaged))


@pytest.mark.property
@given(st.integers(0, len(DATA) * 8 - 1), st.binary(max_size=3))
def test_an_entry_with_any_bit_flipped_or_anything_behind_it_is_refused(bit: int, surplus: bytes) -> None:
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedError):
        read_entry(SPACE, bytes(damaged) + surplus)
    if surplus:
        with pytest.raises(MalformedError):
            read_entry(SPACE, DATA + surplus)


@pytest.mark.unit
def test_an_entry_of_another_space_is_refused() -> None:
    with pytest.raises(MalformedError, match="signature"):
        read_entry(SpaceId(b"T" * 32), DATA)


@pytest.mark.unit
def test_an_entry_signed_by_somebody_else_is_refused() -> None:
    forged = replace(ENTRY.body, author=LogId(Ed25519Signer(b"x" * 32).public))
    with pytest.raises(MalformedError, match="signature"):
        read_entry(SPACE, resigned(encode(forged)))


@pytest.mark.unit
def test_a_signature_without_the_label_is_refused() -> None:
    bare = Envelope(ENTRY.envelope.body, SIGNER.sign_raw(ENTRY.id), b"payload")
    with pytest.raises(MalformedError, match="signature"):
        read_entry(SPACE, encode(bare))


@pytest.mark.unit
@pytest.mark.parametrize(
    "payload", [b"payloaD", b"payload\0", b"", b"payloa"], ids=["other", "longer", "empty", "shorter"]
)
def test_a_swapped_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedError, match="payload"):
        read_entry(SPACE, encode(replace(ENTRY.envelope, payload=payload)))


BODY: Final = ENTRY.body


@pytest.mark.unit
@pytest.mark.parametrize(
    "body",
    [
        replace(BODY, deps=(DEPS[1], DEPS[0])),
        replace(BODY, deps=(DEPS[0], DEPS[0])),
        replace(BODY, deps=tuple(EntryId(bytes([n]) * 32) for n in range(17))),
        replace(BODY, prev=None),
        replace(BODY, seq=0),
        replace(BODY, version=2),
        replace(BODY, version=0),
        replace(BODY, hlc=-1),
        replace(BODY, hlc=1 << 64),
        replace(BODY, seq=-1),
        replace(BODY, lane=1 << 16),
        replace(BODY, payload_length=8),
        replace(BODY, payload_length=(1 << 20) + 1),
        replace(BODY, payload_hash=bytes(32)),
        replace(BODY, payload_hash=bytes(31)),
        replace(BODY, author=LogId(bytes(33))),
    ],
    ids=[
        "unsorted deps",
        "one dep twice",
        "many deps",
        "no prev",
        "first with prev",
        "version 2",
        "version 0",
        "negative clock",
        "clock of 65 bits",
        "negative number",
        "large lane",
        "other length",
        "large payload",
        "other hash",
        "short hash",
        "long author",
    ],
)
def test_a_body_that_its_author_made_wrong_is_refused(body: Body) -> None:
    with pytest.raises(MalformedError):
        read_entry(SPACE, resigned(encode(body)))


@pytest.mark.unit
@pytest.mark.parametrize("seq", [0, 1])
def test_only_the_first_entry_has_no_predecessor(seq: int) -> None:
    assert read_entry(SPACE, encode(made(seq).envelope)).body.seq == seq


@pytest.mark.unit
@pytest.mark.parametrize("body", [b"", b"\x80", b"\x8a" + b"\1" * 10, b"\xff", b"\x00" * 1024, b"\x00" * 1025])
def test_a_signed_body_that_is_no_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        read_entry(SPACE, resigned(body))


@pytest.mark.unit
def test_the_largest_entry_is_read_and_one_byte_more_is_not() -> None:
    deps = tuple(EntryId(bytes([n]) * 32) for n in range(16))

    def sized(length: int) -> bytes:
        big = (1 << 64) - 1
        entry = write_entry(
            SPACE, SIGNER, seq=big, prev=EntryId(bytes(32)), deps=deps, hlc=big, lane=0xFFFF, payload=bytes(length)
        )
        return encode(entry.envelope)

    assert read_entry(SPACE, sized(1 << 20)).body.payload_length == 1 << 20
    with pytest.raises(MalformedError):
        read_entry(SPACE, sized((1 << 20) + 1))


@pytest.mark.property
@given(st.binary(max_size=400))
def test_noise_is_refused_and_raises_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_entry(SPACE, data)
