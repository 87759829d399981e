"""The sizes that links are charged for are those of the real encoding."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import Body, Entry, Envelope, entry_id, write_batch
from latticework.crdt.params import SYNC_MAX_STEPS
from latticework.crdt.reconcile_messages import (
    Compare,
    Entries,
    Hashes,
    HeadRange,
    Heads,
    Message,
    Probe,
    ProofHashes,
    Proofs,
    Root,
    Want,
    WantIds,
    WantRange,
)
from latticework.node.messages import AboutSpace
from latticework.simnet.core.ledger import LedgerEntry
from latticework.simnet.core.sync_size import batch_bytes, message_bytes
from latticework.wire import EntryId, LogId, SpaceId, encode

pytestmark = pytest.mark.property

SPACE = SpaceId(bytes(32))
NUMBERS = st.integers(0, 1 << 48)
IDS = st.binary(min_size=32, max_size=32).map(EntryId)
NAMES = st.binary(min_size=6, max_size=6)
WANTS = st.builds(WantRange, NAMES, NUMBERS, NUMBERS, st.none() | NAMES)
RANGES = st.builds(HeadRange, st.binary(max_size=14), st.none() | st.just(b"") | st.binary(min_size=16, max_size=16))


@st.composite
def heads(draw: st.DrawFn) -> Heads:
    seqs = tuple(draw(st.lists(NUMBERS, max_size=50)))
    return Heads(bytes(6 * len(seqs)), seqs, bytes(6 * len(seqs)))


def tuples[T](items: st.SearchStrategy[T], most: int = 40) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(items, max_size=most).map(tuple)


FINGERPRINTS = st.none() | st.binary(min_size=16, max_size=16)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Root, IDS, NUMBERS, st.none() | st.binary(min_size=16, max_size=16)),
    st.builds(Compare, st.integers(0, 1 << 32), st.integers(0, SYNC_MAX_STEPS), FINGERPRINTS, heads(), tuples(RANGES)),
    st.builds(Want, tuples(WANTS)),
    st.builds(WantIds, tuples(IDS)),
    st.builds(Probe, NAMES, tuples(NUMBERS, 32)),
    st.builds(Hashes, NAMES, tuples(st.none() | IDS, 32)),
    st.builds(ProofHashes, tuples(IDS)),
    st.builds(Proofs, tuples(st.binary(max_size=600), 5)),
)


@given(message=MESSAGES)
def test_a_message_has_the_length_of_its_encoding(message: Message) -> None:
    assert message_bytes(message) == len(encode(AboutSpace(SPACE, message)))


def chain(log: LogId, first: int, sizes: Sequence[int], hlc: int) -> list[Entry]:
    entries: list[Entry] = []
    prev = EntryId(hashlib.sha256(b"before").digest()) if first else None
    for seq, size in enumerate(sizes, start=first):
        body = Body(1, log, seq, prev, (), hlc + seq, 3, size, hashlib.sha256(bytes(size)).digest())
        prev = entry_id(SPACE, encode(body))
        entries.append(Entry(prev, body, Envelope(b"", bytes(64), bytes(size))))
    return entries


@given(
    logs=st.lists(
        st.tuples(st.integers(0, 1 << 40), st.lists(st.integers(0, 400), min_size=1, max_size=30)),
        min_size=1,
        max_size=30,
    ),
    hlc=st.integers(1 << 40, 1 << 62),
)
def test_a_batch_has_the_length_of_its_encoding(logs: list[tuple[int, list[int]]], hlc: int) -> None:
    ids = [LogId(hashlib.sha256(b"%d" % number).digest()) for number in range(len(logs))]
    entries = [e for log, (first, sizes) in zip(ids, logs, strict=True) for e in chain(log, first, sizes, hlc)]
    batch = write_batch(entries)
    told = [(e.body.author, e.body.seq, LedgerEntry(e.id, e.body.hlc, e.body.payload_length, 0)) for e in entries]
    assert batch_bytes(told) == len(batch)
    assert message_bytes(Entries(b"?", 1), len(batch)) == len(encode(AboutSpace(SPACE, Entries(batch, 1))))
    assert message_bytes(Entries(b"", 1)) == len(encode(AboutSpace(SPACE, Entries(b"", 1))))
