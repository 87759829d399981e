"""Negentropy v1 against its specification, against itself, and against two published JavaScript implementations.

The latter need Node.js and what tests/interop/install.py puts into build/interop/js (or $LATTICE_NPM): the first
carries a port of the protocol's own JavaScript with both roles, the second a client.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.negentropy import (
    INFINITY,
    Negentropy,
    bound_v1,
    fingerprint_v1,
    record_index,
    record_key,
    varint,
)
from latticework.crdt.ranges import Span
from latticework.simnet.rng import KeyedRng
from latticework.wire import MalformedError, PeerError

ROOT: Final = Path(__file__).parent.parent.parent
NPM: Final = Path(os.environ.get("LATTICE_NPM", ROOT / "build" / "interop" / "js"))
FILES: Final = {
    "applesauce-relay": NPM / "node_modules/applesauce-relay/dist/lib/negentropy.js",
    "nostr-tools": NPM / "node_modules/nostr-tools/lib/esm/nip77.js",
}

type Record = tuple[int, bytes]


def record(time: int, number: int) -> Record:
    return time, hashlib.sha256(b"%d" % number).digest()


IDS: Final = st.integers(0, 300).map(lambda n: hashlib.sha256(b"%d" % n).digest())
RECORDS: Final = st.dictionaries(IDS, st.integers(0, 3) | st.integers(0, INFINITY - 1), max_size=80)


def converse(one: Negentropy, two: Negentropy, frame_bytes: int = 0) -> int:
    """Messages until the initiator is done."""
    message, count = one.initiate(), 1
    while True:
        answer = two.reconcile(message)
        assert answer is not None
        reply = one.reconcile(answer)
        if frame_bytes:
            assert max(len(message), len(answer)) <= frame_bytes
        if reply is None:
            return count + 1
        message, count = reply, count + 2
        assert count < 2000


@pytest.mark.unit
@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8100"), (300, "822c"), (16384, "818000"), (INFINITY, "81ffffffffffffffff7f")],
)
def test_numbers_are_base_128_with_the_highest_digit_first(value: int, encoded: str) -> None:
    assert varint(value).hex() == encoded


@pytest.mark.unit
def test_an_empty_set_begins_with_an_empty_list_up_to_infinity() -> None:
    assert Negentropy(record_index([]), initiator=True).initiate().hex() == "61" + "0000" + "02" + "00"


@pytest.mark.unit
def test_a_small_set_is_listed_and_a_large_one_cut_in_sixteen() -> None:
    small = record_index(record(n, n) for n in range(31))
    large = record_index(record(n, n) for n in range(32))
    assert Negentropy(small, initiator=True).initiate().startswith(bytes.fromhex("61" + "0000" + "02" + "1f"))
    message = Negentropy(large, initiator=True).initiate()
    # Fifteen bounds (time offset + 1, no id), mode, fingerprint; the first offset counts from 0.
    assert len(message) == 1 + 16 * (2 + 1 + 16)
    assert message[1:4].hex() == "0300" + "01"
    assert message[20:23].hex() == "0300" + "01"
    pair = sum(int.from_bytes(record(n, n)[1], "little") for n in range(2)) % (1 << 256)
    assert message[4:20] == hashlib.sha256(pair.to_bytes(32, "little") + b"\x02").digest()[:16]


@pytest.mark.unit
def test_bounds_have_an_id_only_between_records_of_one_time() -> None:
    one, two = bytes(32), bytes([0, 0, 5]) + bytes(29)
    assert bound_v1(record_key(7, one), record_key(7, two)) == record_key(7, bytes([0, 0, 5]))
    assert bound_v1(record_key(7, two), record_key(8, one)) == record_key(8, b"")
    assert bound_v1(record_key(7, one), record_key(1 << 40, one)) == record_key(1 << 40, b"")
    assert fingerprint_v1(Span(0, 0)) == hashlib.sha256(bytes(33)).digest()[:16]


@pytest.mark.property
@settings(deadline=None)
@given(RECORDS, RECORDS, RECORDS, st.sampled_from([0, 4096]))
def test_the_initiator_learns_what_it_has_and_needs(
    common: dict[bytes, int], mine: dict[bytes, int], yours: dict[bytes, int], frame_bytes: int
) -> None:
    ours, theirs = mine | common, yours | common
    one = Negentropy(record_index((t, i) for i, t in ours.items()), initiator=True, frame_bytes=frame_bytes)
    two = Negentropy(record_index((t, i) for i, t in theirs.items()), initiator=False, frame_bytes=frame_bytes)
    converse(one, two, frame_bytes)
    # An id under two times is two records: each side has one that the other lacks.
    mine_only = {i for i, t in ours.items() if theirs.get(i) != t}
    yours_only = {i for i, t in theirs.items() if ours.get(i) != t}
    assert one.have - one.need == mine_only - yours_only
    assert one.need - one.have == yours_only - mine_only


@pytest.mark.unit
def test_frames_stay_within_their_limit_and_the_exchange_ends() -> None:
    ours = record_index(record(n % 7, n) for n in range(3000))
    theirs = record_index(record(n % 7, n) for n in range(1500, 5000))
    one = Negentropy(ours, initiator=True, frame_bytes=4096)
    converse(one, Negentropy(theirs, initiator=False, frame_bytes=4096), 4096)
    assert one.have == {record(0, n)[1] for n in range(1500)}
    assert one.need == {record(0, n)[1] for n in range(3000, 5000)}


@pytest.mark.unit
def test_another_version_is_told_ours() -> None:
    server = Negentropy(record_index([]), initiator=False)
    assert server.reconcile(b"\x62whatever") == b"\x61"
    with pytest.raises(PeerError, match="version 2"):
        Negentropy(record_index([]), initiator=True).reconcile(b"\x62")


@pytest.mark.unit
@pytest.mark.parametrize(
    "message",
    [
        "",
        "5f",
        "70",
        "6100",
        "61000003",
        "610000010011",
        "61000002" + "8f" * 10,
        "610000028000",
        "61000002ffffffffffffff7f",
        "610021" + "00" * 33,
        "61" + "0000" + "00" + "0000" + "00",
        "61" + "81ffffffffffffffff7f" + "00" + "00" + "0200" + "00",
        "61" + "83ffffffffffffffff7f" + "00" + "00",
        "61" + "0201ff" + "00" + "0100" + "00",
    ],
    ids=[
        "empty",
        "below the versions",
        "above the versions",
        "half a bound",
        "unknown mode",
        "half a fingerprint",
        "endless number",
        "leading zeros",
        "list beyond the end",
        "long bound",
        "after infinity",
        "time of infinity",
        "more than 64 bits",
        "descending",
    ],
)
def test_what_is_no_message_is_refused(message: str) -> None:
    for initiator in (True, False):
        with pytest.raises(MalformedError):
            Negentropy(record_index([record(1, 1)]), initiator=initiator).reconcile(bytes.fromhex(message))


@pytest.mark.property
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_answered_or_refused(data: bytes, initiator: bool) -> None:  # noqa: FBT001 - drawn
    side = Negentropy(record_index(record(n, n) for n in range(100)), initiator=initiator)
    with contextlib.suppress(MalformedError):
        side.reconcile(b"\x61" + data)


# The published implementations

DRIVER: Final = """
import readline from "node:readline";
import { pathToFileURL } from "node:url";
const [file, role, limit] = process.argv.slice(2);
const { Negentropy, NegentropyStorageVector } = await import(pathToFileURL(file));
let side;
const hex = (v) => (typeof v === "string" ? v : v === null || v === undefined ? null : Buffer.from(v).toString("hex"));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { records, message } = JSON.parse(line);
  let out = null, have = [], need = [];
  if (records) {
    const storage = new NegentropyStorageVector();
    for (const [time, id] of records) storage.insert(time, id);
    storage.seal();
    side = new Negentropy(storage, Number(limit));
    if (role === "client") out = await side.initiate();
  } else {
    const found = await side.reconcile(message, (id) => have.push(id), (id) => need.push(id));
    if (Array.isArray(found)) [out, have, need] = found; else out = found;
  }
  console.log(JSON.stringify({ out: hex(out), have: have.map(hex), need: need.map(hex) }));
}
"""


class Published:
    """A published implementation in a process of its own; one line each way per message."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.have: set[bytes] = set()
        self.need: set[bytes] = set()

    def load(self, records: list[Record]) -> bytes | None:
        self.have, self.need = set(), set()
        return self._ask({"records": [[time, identifier.hex()] for time, identifier in records]})

    def reconcile(self, message: bytes) -> bytes | None:
        return self._ask({"message": message.hex()})

    def _ask(self, question: dict[str, object]) -> bytes | None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.have |= {bytes.fromhex(identifier) for identifier in answer["have"]}
        self.need |= {bytes.fromhex(identifier) for identifier in answer["need"]}
        out = cast("str | None", answer["out"])
        return None if out is None else bytes.fromhex(out)


@pytest.fixture(
    params=[
        (p, r, n)
        for p, r in [("applesauce-relay", "client"), ("applesauce-relay", "server"), ("nostr-tools", "client")]
        for n in (0, 4096)
    ],
    ids=lambda case: "-".join(map(str, case)),
)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Published, str, int]]:
    package, role, limit = cast("tuple[str, str, int]", request.param)
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not FILES[package].exists():
        pytest.skip(f"{package} is not installed in {NPM}: see the head of this file")
    script = tmp_path / "driver.mjs"
    script.write_text(DRIVER)
    limit_or_much = limit or (1 << 30 if package == "nostr-tools" else 0)
    command = [node, str(script), str(FILES[package]), role, str(limit_or_much)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Published(process), role, limit
        assert process.stdin is not None
        process.stdin.close()


class Dice:
    """Seeded numbers: a failing seed is in the message and fails again."""

    def __init__(self, seed: int) -> None:
        self.rng = KeyedRng(b"negentropy %d" % seed)

    def below(self, limit: int) -> int:
        return int.from_bytes(self.rng.random_bytes(8)) % limit

    def choice(self, options: list[int]) -> int:
        return options[self.below(len(options))]


def random_sets(seed: int) -> tuple[list[Record], list[Record]]:
    """Two sets with some or all in common; times below 2^31, as far as JavaScript's shifts reach."""
    dice = Dice(seed)
    size = dice.choice([0, 1, 31, 32, 33, 200, 2000])
    span = dice.choice([1, 50, 1 << 31])
    pool = [(dice.below(span), dice.rng.random_bytes(32)) for _ in range(size)]
    lost = dice.choice([0, 1, 10, size])
    ours = [r for r in pool if dice.below(size) >= lost]
    theirs = [r for r in pool if dice.below(size) >= lost]
    return ours, theirs


@pytest.mark.wire
def test_both_implementations_find_the_same_differences(published: tuple[Published, str, int]) -> None:
    peer, role, limit = published
    for seed in range(60):
        ours, theirs = random_sets(seed)
        have, need = {i for _, i in set(ours) - set(theirs)}, {i for _, i in set(theirs) - set(ours)}
        first = peer.load(theirs)
        side = Negentropy(record_index(ours), initiator=role == "server", frame_bytes=limit)
        if role == "server":
            message: bytes | None = side.initiate()
            while message is not None:
                answer = peer.reconcile(message)
                assert answer is not None
                message = side.reconcile(answer)
            assert (side.have, side.need) == (have, need), f"seed {seed}"
        else:
            message = first
            while message is not None:
                answer = side.reconcile(message)
                assert answer is not None
                message = peer.reconcile(answer)
            assert (peer.have, peer.need) == (need, have), f"seed {seed}"


@pytest.mark.wire
@pytest.mark.parametrize(
    "published",
    [("applesauce-relay", "client", 0), ("nostr-tools", "client", 0)],
    indirect=True,
    ids=["port", "client"],
)
def test_the_first_message_is_the_same_byte_for_byte(published: tuple[Published, str, int]) -> None:
    peer, *_ = published
    for seed in range(30):
        records, _ = random_sets(seed)
        assert peer.load(records) == Negentropy(record_index(records), initiator=True).initiate(), f"seed {seed}"
