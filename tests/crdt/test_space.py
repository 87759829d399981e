"""One space: whose logs are admitted, and what a store may give back."""

from dataclasses import replace
from typing import Final

import pytest

from latticework.crdt import (
    LANE_CHECKPOINT,
    LANE_DOCUMENTS,
    LANE_FILES,
    LANE_LOG,
    LANE_MERGE,
    Changes,
    Conviction,
    Entry,
    FileOperations,
    Filled,
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
    read_batch,
    write_batch,
    write_entry,
)
from latticework.crdt import payloads as payloads_module
from latticework.crdt import space as space_module
from latticework.crdt.params import MAX_DEPS, MAX_OPS_PER_ENTRY
from latticework.wire import (
    AccountId,
    DeviceId,
    EntryId,
    Label,
    LocalError,
    LogId,
    MalformedError,
    SpaceId,
    encode,
    encode_plain,
)
from latticework.wire.signing import Ed25519Signer

from .tree_world import text
from .world import NOW_US, SPACE, Account, Device, Replica, device, edit, exchange, tree, visible

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
    assert one.receive(first) == [Stored(first)]
    second = following(first, LANE_FILES, OPERATIONS)
    event, changes = one.receive(second)
    assert event == Stored(second)
    assert isinstance(changes, Changes)
    assert b"a" in changes.paths
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
def test_a_log_is_opened_once() -> None:
    one, _ = replicas()
    first = opening(BETA)
    one.receive(first)
    assert isinstance(one.receive(following(first, LANE_LOG, first.envelope.payload or b""))[0], Refused)


@pytest.mark.unit
@pytest.mark.parametrize("payload", [b"\xff", encode_plain([[[b"a"]]])], ids=["no record", "no operation"])
def test_operations_that_mean_nothing_are_admitted_and_change_nothing(payload: bytes) -> None:
    """Who has the entry without its payload admits it too: the verdict must not depend on that (I4)."""
    one, two = replicas()
    first = opening(BETA)
    bad = following(first, LANE_FILES, payload)
    for replica in (one, two):
        replica.receive(first)
    assert one.receive(bad) == [Stored(bad)]
    assert two.receive(bad.without_payload()) == [Stored(bad.without_payload())]
    assert two.receive(bad) == [Filled(bad)]
    for replica in (one, two):
        replica.receive(following(bad, LANE_FILES, OPERATIONS))
        assert tree(replica) == {b"a": b"x"}
        assert tree(replica.replayed(replica.entries)) == {b"a": b"x"}


@pytest.mark.unit
def test_an_unknown_lane_is_kept_and_changes_nothing() -> None:
    one, _ = replicas()
    first = opening(BETA)
    future = following(first, 7, b"from the future")
    after = following(future, LANE_FILES, OPERATIONS)
    one.receive(first)
    assert one.receive(future) == [Stored(future)]
    assert one.space.unknown_lanes == {7: 1}
    one.receive(after)
    assert tree(one) == {b"a": b"x"}
    assert one.replayed(one.entries).space.frontier == one.space.frontier


@pytest.mark.unit
def test_replicas_that_know_a_lane_and_that_do_not_are_in_step_and_alike_after_the_upgrade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A format grows by lanes: an old release keeps and hands on what it cannot read (crdt-sync report 3.13)."""
    old, author = replicas()
    first = opening(BETA)
    future = following(first, LANE_DOCUMENTS, encode(edit(b"of the new lane")))
    after = following(future, LANE_FILES, OPERATIONS)
    author.take([first, future, after])
    for release in (payloads_module, space_module):
        monkeypatch.setattr(release, "LANE_MERGE", LANE_DOCUMENTS - 1)
    old.take(read_batch(SPACE, write_batch(author.entries)).entries)
    assert old.space.unknown_lanes == {LANE_DOCUMENTS: 1}
    assert author.space.unknown_lanes == {}
    assert old.space.frontier == author.space.frontier
    assert old.space.entry_count == author.space.entry_count
    assert tree(old) == tree(author) == {b"a": b"x"}
    assert visible(old) != visible(author)
    monkeypatch.undo()
    old.restart()
    assert old.space.unknown_lanes == {}
    assert visible(old) == visible(author)
    assert old.space.state_root() == author.space.state_root()


@pytest.mark.unit
def test_an_unknown_lane_is_handed_on_byte_for_byte_with_and_without_its_payload() -> None:
    one, two = replicas()
    third = Replica(ALPHA, one.roster)
    first = opening(BETA)
    future = following(first, 0xFFFF, b"from the future")
    after = following(future, LANE_FILES, OPERATIONS)
    for source, target in ((None, one), (one, two), (two, third)):
        sent = [first, future, after] if source is None else source.entries
        target.take(read_batch(SPACE, write_batch(sent)).entries)
        target.restart()
    for replica in (one, two, third):
        assert [encode(entry.envelope) for entry in replica.entries] == [
            encode(entry.envelope) for entry in (first, future, after)
        ]
        assert replica.space.unknown_lanes == {0xFFFF: 1}
        assert replica.space.frontier == one.space.frontier
        assert replica.space.state_root() == one.space.state_root()
    bare = Replica(ALPHA, one.roster)
    bare.take(read_batch(SPACE, write_batch([first, future.without_payload(), after])).entries)
    assert bare.space.is_complete, "what is unknown anyway is no hole"
    assert bare.space.frontier == one.space.frontier
    assert bare.space.state_root() == one.space.state_root()
    for replica in (one, bare):
        assert after.id in {dep for entry in replica.put(edit(b"goes on")) for dep in entry.body.deps}


@pytest.mark.unit
@pytest.mark.parametrize("lane", [LANE_LOG, LANE_CHECKPOINT])
def test_an_opening_or_a_checkpoint_needs_its_payload(lane: int) -> None:
    one, _ = replicas()
    first = opening(BETA)
    if lane == LANE_CHECKPOINT:
        one.receive(first)
        first = following(first, lane, b"")
    assert one.receive(first.without_payload()) == [Refused(first.id, "its payload is missing")]


@pytest.mark.unit
def test_a_missing_payload_freezes_the_state_until_it_comes_and_nothing_is_written_before() -> None:
    one, two = replicas()
    spoken = [*one.say(b"a"), *one.say(b"b"), *one.say(b"c")]
    held = [entry.without_payload() if entry is spoken[2] else entry for entry in spoken]
    two.take(held)
    assert not two.space.is_complete
    before = visible(two)
    with pytest.raises(LocalError):
        two.say(b"d")
    with pytest.raises(LocalError):
        two.checkpoint()
    assert two.take([spoken[2]])[0] == Filled(spoken[2])
    assert two.space.is_complete
    assert visible(two) == visible(one) != before
    assert two.space.state_root() == one.space.state_root()
    two.restart()
    assert visible(two) == visible(one)


@pytest.mark.unit
def test_a_store_with_holes_is_loaded_frozen_and_thaws() -> None:
    one, two = replicas()
    spoken = [*one.say(b"a"), *one.say(b"b")]
    two.take([spoken[0], spoken[1].without_payload(), spoken[2]])
    two.restart()
    assert not two.space.is_complete
    two.take([spoken[1]])
    assert visible(two) == visible(one)
    assert two.say(b"c")


@pytest.mark.unit
def test_a_merge_without_its_payload_freezes_nothing() -> None:
    one, _ = replicas()
    first = opening(BETA)
    merge = following(first, LANE_MERGE, b"")
    one.take([first, merge.without_payload()])
    assert one.space.is_complete


@pytest.mark.unit
def test_a_refused_payload_is_not_kept() -> None:
    """Else anybody fills our memory with openings of nobody."""
    one, _ = replicas()
    for number in range(50):
        log = Ed25519Signer(bytes([number]) * 32)
        one.receive(opening(device("stranger", 50), log=log))
    assert len(one.space.payloads._read) == 0  # pyright: ignore[reportPrivateUsage]  # the memory in question


@pytest.mark.unit
def test_a_convicted_log_is_written_no_more_and_a_new_one_names_what_it_leaves_behind() -> None:
    one, _ = replicas()
    said = one.say(b"a")
    fork = write_entry(SPACE, ALPHA.log, seq=1, prev=said[0].id, deps=(), hlc=1 << 62, lane=LANE_DOCUMENTS, payload=b"")
    one.now_us = 1 << 63
    assert isinstance(one.receive(fork)[0], Conviction)
    with pytest.raises(LocalError, match="convicted"):
        one.say(b"b")
    with pytest.raises(LocalError, match="convicted"):
        one.checkpoint()
    one.open_new_log()
    written = one.say(b"c")
    assert said[1].id in {dep for entry in written for dep in entry.body.deps}
    assert one.space.colluders() == frozenset()


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
def test_load_refuses_what_receive_would_refuse() -> None:
    one, _ = replicas()
    with pytest.raises(MalformedError):
        one.space.load([following(opening(BETA), LANE_FILES, OPERATIONS)], ())
    with pytest.raises(MalformedError):
        one.space.load([], [b"no proof"])


@pytest.mark.unit
def test_load_takes_back_a_log_whose_device_is_not_known_any_more() -> None:
    one, _ = replicas()
    stranger = opening(device("stranger", 50))
    one.space.load([stranger], ())
    assert one.space.frontier[stranger.body.author].id == stranger.id


@pytest.mark.unit
def test_entries_wait_for_their_opening() -> None:
    one, _ = replicas()
    first = opening(BETA)
    second = following(first, LANE_FILES, OPERATIONS)
    assert one.receive(second) == [Waiting(second.id, first.id, 0)]
    assert [type(event) for event in one.receive(first)] == [Stored, Stored, Changes]
    assert tree(one) == {b"a": b"x"}


@pytest.mark.unit
def test_a_space_is_named_by_its_genesis() -> None:
    genesis = SpaceGenesis(1, AccountId(bytes(32)), DeviceId(bytes(32)), bytes(32))
    assert len(genesis.space) == 32
    assert genesis.space != replace(genesis, nonce=b"\1" * 32).space
    assert EntryId(genesis.space) == genesis.space
