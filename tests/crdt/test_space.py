"""One space: whose logs are admitted, and what a store may give back."""

from dataclasses import replace
from typing import Final

import pytest

from latticework.crdt import (
    LANE_FILES,
    LANE_LOG,
    Entry,
    FileOperations,
    LogOpen,
    Make,
    Ref,
    Refused,
    Remove,
    SpaceGenesis,
    Stored,
    Waiting,
    Write,
    Written,
    certificate_hash,
    frontier_root,
    write_entry,
)
from latticework.crdt.params import MAX_DEPS, MAX_OPS_PER_ENTRY
from latticework.wire import (
    AccountId,
    DeviceId,
    EntryId,
    Label,
    LogId,
    MalformedError,
    SpaceId,
    encode,
    encode_plain,
)
from latticework.wire.signing import Ed25519Signer

from .world import NOW_US, SPACE, Account, Device, Replica, device, exchange, text, tree

ACCOUNT: Final = Account("alpha", "beta")
ALPHA, BETA = ACCOUNT.devices
LOG: Final = Ed25519Signer(b"log" + bytes(29))


def replicas() -> tuple[Replica, Replica]:
    roster = ACCOUNT.roster()
    return Replica(ALPHA, roster), Replica(BETA, roster)


def opening(writer: Device, *, log: Ed25519Signer = LOG, claims: Device | None = None, space: SpaceId = SPACE) -> Entry:
    claimed = (claims or writer).id
    statement = encode_plain([space, LogId(log.public), claimed, writer.name])
    payload = encode(LogOpen(claimed, writer.name, writer.signer.sign(statement, Label.LOG_OPEN)))
    return write_entry(SPACE, log, seq=0, prev=None, deps=(), hlc=1, lane=LANE_LOG, payload=payload)


def following(prev: Entry, lane: int, payload: bytes, *, log: Ed25519Signer = LOG) -> Entry:
    return write_entry(
        SPACE, log, seq=prev.body.seq + 1, prev=prev.id, deps=(), hlc=prev.body.hlc + 1, lane=lane, payload=payload
    )


OPERATIONS: Final = encode(FileOperations((Make(None, b"a", text(b"x")),)))


@pytest.mark.unit
def test_a_log_that_a_member_opened_is_admitted_and_named_after_its_device() -> None:
    one, _ = replicas()
    first = opening(BETA)
    assert one.receive(first) == [Stored(first, frozenset())]
    second = following(first, LANE_FILES, OPERATIONS)
    (event,) = one.receive(second)
    assert isinstance(event, Stored)
    assert b"a" in event.changed
    assert one.space.author_name(LogId(LOG.public)) == "beta"
    assert one.space.author_name(LogId(bytes(32))) == "unknown"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (opening(device("stranger", 50)), "not on the roster"),
        (opening(ALPHA, claims=BETA), "signature"),
        (opening(BETA, space=SpaceId(bytes(32))), "signature"),
        (write_entry(SPACE, LOG, seq=0, prev=None, deps=(), hlc=1, lane=LANE_FILES, payload=OPERATIONS), "opened"),
        (write_entry(SPACE, LOG, seq=0, prev=None, deps=(), hlc=1, lane=7, payload=b""), "opened"),
        (write_entry(SPACE, LOG, seq=0, prev=None, deps=(), hlc=1, lane=LANE_LOG, payload=b"\x80"), "log-open"),
    ],
    ids=["stranger", "other device", "other space", "no opening", "unknown lane first", "malformed"],
)
def test_a_log_that_nobody_of_the_account_opened_is_refused(entry: Entry, reason: str) -> None:
    one, _ = replicas()
    (verdict,) = one.receive(entry)
    assert isinstance(verdict, Refused)
    assert reason in verdict.reason
    assert one.space.frontier == {} == one.space.authors


@pytest.mark.unit
def test_an_opening_cannot_be_taken_over_for_another_log() -> None:
    one, _ = replicas()
    stolen = opening(BETA).envelope.payload
    thief = Ed25519Signer(b"thief" + bytes(27))
    assert stolen is not None
    taken = write_entry(SPACE, thief, seq=0, prev=None, deps=(), hlc=1, lane=LANE_LOG, payload=stolen)
    assert isinstance(one.receive(taken)[0], Refused)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("lane", "payload"),
    [(LANE_LOG, opening(BETA).envelope.payload or b""), (LANE_FILES, b"\xff"), (LANE_FILES, encode_plain([[[b"a"]]]))],
    ids=["opened twice", "no record", "no operation"],
)
def test_an_entry_that_means_nothing_is_refused(lane: int, payload: bytes) -> None:
    one, _ = replicas()
    first = opening(BETA)
    one.receive(first)
    assert isinstance(one.receive(following(first, lane, payload))[0], Refused)


@pytest.mark.unit
def test_an_unknown_lane_is_kept_and_changes_nothing() -> None:
    one, _ = replicas()
    first = opening(BETA)
    future = following(first, 7, b"from the future")
    after = following(future, LANE_FILES, OPERATIONS)
    one.receive(first)
    assert one.receive(future) == [Stored(future, frozenset())]
    one.receive(after)
    assert tree(one) == {b"a": b"x"}
    assert one.replayed(one.entries).space.frontier == one.space.frontier


@pytest.mark.unit
def test_file_operations_without_their_payload_are_refused() -> None:
    one, _ = replicas()
    first = opening(BETA)
    one.receive(first)
    second = following(first, LANE_FILES, OPERATIONS)
    erased = replace(second, envelope=replace(second.envelope, payload=None))
    assert one.receive(erased) == [Refused(second.id, "its payload is missing")]


@pytest.mark.unit
def test_a_device_that_joins_the_roster_later_is_admitted_when_its_log_comes_again() -> None:
    one, _ = replicas()
    late = device("late", 40)
    entry = opening(late)
    assert isinstance(one.receive(entry)[0], Refused)
    assert one.roster.add(ACCOUNT.introduce(ALPHA, late, certificate_hash(ACCOUNT.records[0]))) is None
    assert isinstance(one.receive(entry)[0], Stored)


@pytest.mark.unit
def test_an_author_depends_on_every_head_it_has_seen_and_on_none_twice() -> None:
    one, two = replicas()
    one.change((b"a", text(b"1")))
    exchange(one, two)
    first, second = two.change((b"b", text(b"2")))
    assert first.body.deps == (one.entries[-1].id,)
    assert second.body.deps == ()
    assert second.body.hlc > first.body.hlc > one.entries[-1].body.hlc


@pytest.mark.unit
def test_more_heads_than_an_entry_can_name_are_merged_first() -> None:
    one, two = replicas()
    for number in range(40):
        log = Ed25519Signer(bytes([number]) * 32)
        first = opening(BETA, log=log)
        one.receive(first)
        one.receive(following(first, LANE_FILES, OPERATIONS, log=log))
    entries = one.change((b"b", text(b"2")))
    assert [len(entry.body.deps) for entry in entries] == [16, 16, 8]
    assert len({dep for entry in entries for dep in entry.body.deps}) == 40
    exchange(one, two)
    assert two.shown == one.shown
    assert max(len(entry.body.deps) for entry in one.entries) <= MAX_DEPS


@pytest.mark.unit
def test_a_wall_clock_that_stands_or_falls_back_still_gives_rising_entries() -> None:
    one, two = replicas()
    one.now_us = NOW_US + 200_000_000
    one.change((b"a", text(b"1")))
    two.receive_all(one.entries)
    two.now_us = 0
    two.change((b"a", text(b"2")))
    two.now_us = -5
    two.change((b"a", text(b"3")))
    assert [e.body.hlc for e in two.entries] == sorted({e.body.hlc for e in two.entries})


@pytest.mark.unit
@pytest.mark.parametrize("count", [1, 200, MAX_OPS_PER_ENTRY + 1])
def test_many_operations_are_split_into_entries_that_everyone_reads(count: int) -> None:
    one, two = replicas()
    nothing = Ref(EntryId(bytes(32)), 0)
    entries = one.write(*[Remove(nothing, ())] * count)
    assert all(len(entry.envelope.payload or b"") < 1 << 17 for entry in entries)
    two.receive_all(entries)
    assert two.space.frontier == one.space.frontier


@pytest.mark.unit
def test_operations_of_the_largest_paths_and_most_replacements_fit_into_entries() -> None:
    one, two = replicas()
    path = (b"x" * 255 + b"/") * 15 + b"y" * 200
    two.do(Written(path, text(b"first")))
    (dot,) = two.seen(path)
    one.receive_all(two.entries)
    for number in range(5):
        one.write(*[Write(Ref.to(dot), text(b"%d" % (number * 80 + i)), ()) for i in range(80)])
    assert len(one.shown) == 401 + 15
    one.change((path, text(b"final")))
    two.receive_all(one.entries)
    assert two.shown == one.shown


@pytest.mark.unit
def test_restore_refuses_what_receive_would_refuse() -> None:
    one, _ = replicas()
    with pytest.raises(MalformedError):
        one.space.restore(opening(device("stranger", 50)))
    first = opening(BETA)
    one.space.restore(first)
    with pytest.raises(MalformedError):
        one.space.restore(following(first, LANE_FILES, b"\xff"))


@pytest.mark.unit
def test_entries_wait_for_their_opening() -> None:
    one, _ = replicas()
    first = opening(BETA)
    second = following(first, LANE_FILES, OPERATIONS)
    assert one.receive(second) == [Waiting(second.id, first.id, 0)]
    assert [type(event) for event in one.receive(first)] == [Stored, Stored]
    assert tree(one) == {b"a": b"x"}


@pytest.mark.unit
def test_equal_entries_have_equal_roots_and_others_have_not() -> None:
    one, two = replicas()
    assert frontier_root(one.space.frontier) == frontier_root({})
    one.change((b"a", text(b"1")))
    assert frontier_root(one.space.frontier) != frontier_root(two.space.frontier)
    two.receive_all(one.entries)
    assert frontier_root(one.space.frontier) == frontier_root(two.space.frontier)


@pytest.mark.unit
def test_a_space_is_named_by_its_genesis() -> None:
    genesis = SpaceGenesis(1, AccountId(bytes(32)), DeviceId(bytes(32)), bytes(32))
    assert len(genesis.space) == 32
    assert genesis.space != replace(genesis, nonce=b"\1" * 32).space
    assert EntryId(genesis.space) == genesis.space
