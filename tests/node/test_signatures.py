"""Entries that came in a long run are checked one by one before anything is built on them."""

from dataclasses import replace
from pathlib import Path

import pytest

from latticework.crdt import Entry, write_entry
from latticework.crdt.reconcile_events import Range
from latticework.node.memory_store import MemoryStore
from latticework.node.signatures import PendingSignatures
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import SpaceStore
from latticework.simnet import InlineThreads
from latticework.wire import LogId, SpaceId
from latticework.wire.signing import Ed25519Signer

pytestmark = pytest.mark.unit

SPACE = SpaceId(bytes(32))
ONE, TWO = Ed25519Signer(bytes([1]) * 32), Ed25519Signer(bytes([2]) * 32)


def chain(signer: Ed25519Signer, count: int, *deps: Entry, start_hlc: int = 1) -> list[Entry]:
    entries: list[Entry] = []
    for seq in range(count):
        prev = entries[-1].id if entries else None
        named = tuple(dep.id for dep in deps) if seq == count - 1 else ()
        entries.append(
            write_entry(SPACE, signer, seq=seq, prev=prev, deps=named, hlc=start_hlc + seq, lane=1, payload=b"%d" % seq)
        )
    return entries


def forged(entry: Entry) -> Entry:
    """The same entry with a signature that does not verify."""
    envelope = entry.envelope
    return replace(entry, envelope=replace(envelope, signature=bytes(64)))


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SpaceStore:
    return MemoryStore(bytes(16)) if request.param == "memory" else SqliteStore(tmp_path / "s.db", SPACE, bytes(16))


def everything(signer: Ed25519Signer) -> list[Range]:
    return [Range(LogId(signer.public), 0, 100)]


async def test_a_good_run_is_served_only_once_its_signatures_were_checked(store: SpaceStore) -> None:
    pending = PendingSignatures(store, InlineThreads())
    entries = chain(ONE, 6)
    pending.note(entry.id for entry in entries[:-1])
    store.commit(pending.incoming(entries), (), durable=False)
    assert store.serve(everything(ONE), 0, 1 << 20) == ([], None)
    assert not await pending.check()
    assert not pending.any_stored
    served, _ = store.serve(everything(ONE), 0, 1 << 20)
    assert [entry.id for entry in served] == [entry.id for entry in entries]


async def test_a_wrong_signature_inside_a_run_drops_it_and_all_that_depends_on_it(store: SpaceStore) -> None:
    pending = PendingSignatures(store, InlineThreads())
    run = chain(ONE, 6)
    run[2] = forged(run[2])
    other = chain(TWO, 3, run[4], start_hlc=50)
    pending.note(entry.id for entry in run[:-1])
    store.commit(pending.incoming([*run, *other]), (), durable=False)
    assert await pending.check()
    assert [entry.id for entry in store.entries()] == [entry.id for entry in (*run[:2], *other[:2])]
    assert store.unchecked(10) == []


async def test_what_waited_for_others_is_still_known_to_be_unchecked_when_it_is_stored(store: SpaceStore) -> None:
    pending = PendingSignatures(store, InlineThreads())
    run = chain(ONE, 5)
    pending.note(entry.id for entry in run[:-1])
    store.commit(pending.incoming(run[:2]), (), durable=False)
    await pending.check()
    store.commit(pending.incoming([forged(run[2])]), (), durable=False)
    assert await pending.check(hops=5)
    assert [entry.id for entry in store.entries()] == [entry.id for entry in run[:2]]


async def test_one_hop_checks_a_part_and_says_that_more_is_due(store: SpaceStore) -> None:
    pending = PendingSignatures(store, InlineThreads())
    run = chain(ONE, 3)
    pending.note(entry.id for entry in run)
    store.commit(pending.incoming(run), (), durable=False)
    await pending.check(hops=1)
    assert pending.any_stored
    await pending.check(hops=1)
    assert not pending.any_stored
