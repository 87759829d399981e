"""Frontier reconciliation: equal frontiers, few bytes, silence afterwards, whatever the peer does (I8, I9)."""

import contextlib
import hashlib
from collections.abc import Callable
from typing import Final, override

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from latticework.crdt.logs import Head
from latticework.crdt.params import SYNC_MAX_HEADS, SYNC_MAX_PROOFS, SYNC_MAX_RANGES, SYNC_MAX_WANT
from latticework.crdt.reconcile import Reconciler, session_key, sync_root
from latticework.crdt.reconcile_events import (
    Action,
    Admit,
    Admitted,
    Close,
    ForkFound,
    LocalChanged,
    MissingIds,
    Range,
    Received,
    Reconsider,
    Send,
    Serve,
    ServeIds,
)
from latticework.crdt.reconcile_fork import ForkSearch
from latticework.crdt.reconcile_messages import (
    MESSAGES,
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
    SetRange,
    SetRanges,
    Want,
    WantIds,
    WantRange,
)
from latticework.crdt.reconcile_round import HeadNames
from latticework.wire import EntryId, LogId, MalformedError, decode, decode_one_of, encode

from .reconcile_world import MAX_MESSAGE_BYTES, Replica, Side, history, item, log_id, pair, proof_of, read_batch, run

type Change = Callable[[Replica], object]


def meet(base: list[int], mine: list[int], yours: list[int], batch: int = 3) -> tuple[Side, Side]:
    """Two replicas with a common past; each then wrote an entry into each of the logs named, a gap apart in time."""
    one = history(base)
    two = one.copy()
    for replica, numbers in ((one, mine), (two, yours)):
        replica.clock += 1 << 20
        for number in numbers:
            replica.write(log_id(number))
    return pair(one, two, batch)


def assert_in_step(*sides: Side) -> None:
    assert all(side.replica.heads == sides[0].replica.heads for side in sides)
    assert all(side.replica.proofs.keys() == sides[0].replica.proofs.keys() for side in sides)
    assert all(side.sync.in_step and side.closed is None for side in sides)


def talk_bytes(*sides: Side) -> int:
    """Bytes of the rounds: what the report's table counts."""
    return sum(len(encode(message)) for side in sides for message in side.compares())


@pytest.mark.property
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 4), max_size=60),
    st.lists(st.integers(0, 39), max_size=30),
    st.lists(st.integers(40, 79), max_size=30),
    st.integers(1, 50),
)
def test_two_sides_end_with_equal_frontiers_and_are_silent(
    base: list[int], mine: list[int], yours: list[int], batch: int
) -> None:
    one, two = meet(base, mine, yours, batch)
    run(one, two)
    assert_in_step(one, two)
    assert not one.forks
    assert len(one.compares()) + len(two.compares()) <= 7
    assert len(one.wants()) <= 2
    assert len(two.wants()) <= 2
    one.changed()
    two.changed()
    assert not one.out
    assert not two.out


@pytest.mark.unit
def test_equal_sides_say_their_roots_and_nothing_else() -> None:
    one, two = meet([3] * 50, [], [])
    run(one, two)
    assert_in_step(one, two)
    assert {type(message) for message in one.sent + two.sent} == {Root}
    assert len(encode(Root(bytes(32), 0, None))) == 38


@pytest.mark.unit
@pytest.mark.parametrize(
    ("mine", "yours", "messages", "limit_bytes"),
    [
        (range(10), range(0), 2, 700),
        (range(5), range(5, 10), 3, 1340),
        (range(0), range(32), 3, 1900),
        (range(100), range(0), 4, 6900),
        (range(50), range(50, 100), 5, 6900),
        (range(1000), range(0), 4, 16_000),
        (range(500), range(500, 1000), 4, 24_000),
    ],
    ids=["10 here", "5 each", "32 there", "100 here", "50 each", "all here", "500 each"],
)
def test_a_thousand_authors_take_few_messages_and_bytes(
    mine: range, yours: range, messages: int, limit_bytes: int
) -> None:
    one, two = meet([2] * 1000, list(mine), list(yours), batch=500)
    run(one, two)
    assert_in_step(one, two)
    assert len(one.compares()) + len(two.compares()) <= messages
    assert talk_bytes(one, two) <= limit_bytes


@pytest.mark.unit
def test_differences_of_long_ago_are_found_within_two_round_trips() -> None:
    one = history([2] * 1000)
    two = one.copy()
    for number in range(10):
        two.clock = (1 << 40) + (number * 177 << 16)
        two.write(log_id(100 * number))
    sides = pair(one, two, 100)
    run(*sides)
    assert_in_step(*sides)
    assert len(sides[0].compares()) + len(sides[1].compares()) <= 5
    assert talk_bytes(*sides) < 8700


@pytest.mark.unit
@pytest.mark.parametrize("leads", [False, True])
def test_a_change_in_a_quiet_connection_takes_a_name_and_few_messages(*, leads: bool) -> None:
    one, two = meet([3] * 200, [1], [2])
    run(one, two)
    side, other = (one, two) if (one.salt < two.salt) == leads else (two, one)
    side.sent.clear()
    other.sent.clear()
    side.replica.write(log_id(7))
    side.changed()
    assert run(one, two) <= 8
    assert_in_step(one, two)
    if leads:
        assert talk_bytes(one, two) < 100


@pytest.mark.unit
def test_a_peer_that_hears_of_the_space_late_is_told_again() -> None:
    one, two = meet([2, 0], [0], [1])
    one.out.clear()
    run(one, two)
    assert_in_step(one, two)


@pytest.mark.unit
def test_a_peer_that_begins_anew_on_the_same_connection_is_met_anew() -> None:
    one, two = meet([2, 3], [0], [1])
    run(one, two)
    two.connect()
    two.replica.write(log_id(3))
    two.changed()
    run(one, two)
    assert_in_step(one, two)


@pytest.mark.unit
def test_what_just_came_is_never_told_without_what_is_pending_of_it() -> None:
    """Whoever hears our new root with nothing pending takes it that the entries are on our disk."""
    one, two = meet([40] * 3, [0, 1], [2])
    one.brings = two.brings = 5
    run(one, two)
    for side in (one, two):
        root = sync_root(side.replica.heads, side.replica.proofs)
        told = [message for message in side.sent if isinstance(message, Root) and message.root == root]
        assert told
        assert all(message.pending == side.pending > 0 for message in told)


@pytest.mark.unit
def test_in_step_needs_our_root_and_nothing_pending() -> None:
    replica = history([2])
    side = Side(replica)
    root = sync_root(replica.heads, replica.proofs)
    assert not side.sync.in_step
    assert not Reconciler({}, {}, replica, bytes(16)).in_step
    for told, pending, in_step in ((root, 0, True), (root, 1, False), (bytes(32), 0, False)):
        side.sync.handle(Received(Root(told, pending, b"s" * 16)))
        assert (side.sync.in_step, side.sync.remote_pending) == (in_step, pending)
    side.sync.handle(Received(Root(root, 0, None)))
    replica.write(log_id(0))
    assert not side.sync.same_frontier, "we moved on"


@pytest.mark.unit
def test_the_root_covers_heads_and_proofs() -> None:
    one, two = log_id(1), log_id(2)
    head, other = Head(1, EntryId(bytes(32)), 5), Head(2, EntryId(bytes(32)), 5)
    roots = {
        sync_root(heads, proofs)
        for heads in ({}, {one: head}, {one: other}, {one: head, two: head}, {two: head})
        for proofs in ([], [bytes(32)], [bytes([1]) * 32])
    }
    assert len(roots) == 15
    assert sync_root({one: head, two: other}, []) == sync_root({two: other, one: head}, [])


@pytest.mark.unit
def test_each_side_has_its_part_in_the_key() -> None:
    salts = [bytes([n]) * 16 for n in range(4)]
    assert len({session_key(one, two) for one in salts for two in salts if one < two}) == 6
    assert session_key(salts[0], salts[1]) == session_key(salts[1], salts[0])
    names = {HeadNames(session_key(salts[0], salt)).name(log_id(1)) for salt in salts}
    assert len(names) == 4


# Cuts and storms


@pytest.mark.property
@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.sets(st.integers(0, 30), max_size=20),
    st.sets(st.integers(31, 60), max_size=20),
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
)
def test_a_connection_cut_after_any_message_is_taken_up_again(
    base: list[int], mine: set[int], yours: set[int], cuts: list[int]
) -> None:
    one, two = meet(base, sorted(mine), sorted(yours), batch=2)
    for cut in cuts:
        for number in range(cut):
            source, target = ((one, two), (two, one))[number % 2]
            if source.out:
                target.hear(source.out.popleft())
        held = set(one.replica.items), set(two.replica.items)
        one.connect()
        two.connect()
        assert held == (set(one.replica.items), set(two.replica.items))
    run(one, two)
    assert_in_step(one, two)


@pytest.mark.property
@settings(deadline=None, max_examples=40)
@given(st.data(), st.lists(st.integers(0, 3), max_size=20), st.sets(st.integers(0, 40), max_size=20))
def test_after_any_storm_a_new_connection_brings_them_in_step(
    data: st.DataObject, base: list[int], mine: set[int]
) -> None:
    one, two = meet(base, sorted(mine), [50, 51], batch=2)
    for _ in range(data.draw(st.integers(0, 30))):
        source, target = data.draw(st.sampled_from([(one, two), (two, one)]))
        if not source.out:
            continue
        at = data.draw(st.integers(0, min(len(source.out) - 1, 4)))
        message = source.out[at]
        what = data.draw(st.sampled_from(["deliver", "lose", "repeat", "flip"]))
        if what != "repeat":
            del source.out[at]
        if what == "flip":
            place = data.draw(st.integers(0, 8 * len(message) - 1))
            flipped = bytearray(message)
            flipped[place // 8] ^= 1 << place % 8
            message = bytes(flipped)
        if what != "lose":
            with contextlib.suppress(MalformedError, ValueError, TypeError):
                target.hear(message)
        assert len(source.out) + len(target.out) < 300, "messages breed"
    honest = [side for side in (one, two) if side.replica.heads or side.replica.items]
    for side in honest:
        side.replica.waiting.clear()
    one.connect()
    two.connect()
    run(one, two)
    if not one.forks and not two.forks:
        assert_in_step(one, two)


# What cannot be admitted or stored


@pytest.mark.unit
def test_what_is_refused_is_asked_for_once_until_something_changes() -> None:
    one, two = meet([2] * 5, [], [0, 1, 7], batch=10)
    one.replica.refuses = {log_id(0), log_id(7)}
    run(one, two)
    assert not one.sync.in_step
    assert one.replica.heads[log_id(1)] == two.replica.heads[log_id(1)]
    asked = [wanted for want in one.wants() for wanted in want.ranges]
    assert len(asked) <= 5, "three logs, and the refused ones once more after the third changed our root"
    before = len(one.wants())
    one.changed()
    two.changed()
    run(one, two)
    assert len(one.wants()) == before
    one.replica.refuses.clear()
    one.perform(one.sync.handle(Reconsider()))
    run(one, two)
    assert_in_step(one, two)


@pytest.mark.unit
def test_what_could_not_be_stored_is_asked_for_again() -> None:
    one, two = meet([2] * 5, [], [0, 1, 2, 3], batch=1)
    one.fails = 2
    run(one, two)
    assert_in_step(one, two)
    assert len(one.wants()) >= 2


@pytest.mark.unit
def test_a_request_is_bounded_and_the_rest_follows() -> None:
    one, two = meet([], [], list(range(SYNC_MAX_WANT + 10)), batch=2000)
    run(one, two)
    assert_in_step(one, two)
    assert max(len(want.ranges) for want in one.wants()) == SYNC_MAX_WANT


@pytest.mark.unit
def test_news_are_told_while_entries_come_in() -> None:
    one, two = meet([], list(range(20)), [], batch=1)
    for _ in range(12):
        for source, target in ((one, two), (two, one)):
            if source.out:
                target.hear(source.out.popleft())
    assert 0 < len(two.replica.heads) < 20, "the stream is under way"
    roots = len([message for message in two.sent if isinstance(message, Root)])
    two.changed()
    assert len([message for message in two.sent if isinstance(message, Root)]) == roots
    two.replica.write(log_id(99))
    two.changed()
    assert isinstance(two.sent[-1], Root | Compare)
    run(one, two)
    assert_in_step(one, two)


@pytest.mark.unit
def test_missing_dependencies_are_fetched_by_id() -> None:
    one, two = Replica(), Replica()
    side_branch = item(log_id(0), 0, None, 5, salt="branch")
    for replica in (one, two):
        replica.write(log_id(1))
    two.items[side_branch.id] = side_branch  # an entry of a convicted log: in no frontier
    two.write(log_id(2), deps=(side_branch.id,))
    sides = pair(one, two)
    sides[0].sync.handle(MissingIds((side_branch.id,)))
    run(*sides)
    wanted = [message.ids for message in sides[0].sent if isinstance(message, WantIds)]
    assert wanted.count((side_branch.id,)) <= 2
    assert wanted
    # The fake store admits a branch as a log of its own.
    assert one.heads[log_id(2)] == two.heads[log_id(2)]


# Proofs and forks


@pytest.mark.unit
def test_proofs_go_before_entries_and_each_once() -> None:
    one, two = meet([2] * 4, [0], [1])
    for side, number in ((one, 10), (one, 11), (two, 12)):
        side.replica.convict(proof_of(log_id(number), 0, EntryId(b"a" * 32), EntryId(b"b" * 32)))
        side.changed()
    run(one, two)
    assert_in_step(one, two)
    assert len(one.replica.proofs) == 3
    for side in (one, two):
        kinds = [type(message) for message in side.sent]
        assert kinds.index(Proofs) < kinds.index(Entries)
    sent = [proof for side in (one, two) for m in side.sent if isinstance(m, Proofs) for proof in m.proofs]
    assert len(sent) == len(set(sent)) == 3


def forked(length: int, fork: int, ours: int, theirs: int) -> tuple[Replica, Replica]:
    """A log of `length` entries, continued in two ways from number `fork` on, with some further ones on each branch."""
    one = Replica()
    log = log_id(0)
    for _ in range(fork):
        one.write(log)
    two = one.copy()
    assert length >= fork
    for number in range(ours):
        one.write(log, salt=f"one {number}")
    for number in range(theirs):
        two.write(log, salt=f"two {number}")
    return one, two


@pytest.mark.unit
@pytest.mark.parametrize(
    ("fork", "ours", "theirs"), [(0, 1, 1), (3, 1, 1), (3, 5, 5), (3, 2, 7), (40, 60, 1), (0, 9, 4)]
)
def test_a_fork_is_found_at_its_lowest_number_by_at_least_one_side(fork: int, ours: int, theirs: int) -> None:
    one, two = forked(fork, fork, ours, theirs)
    log = log_id(0)
    expected = {one.chains[log, fork], two.chains[log, fork]}
    sides = pair(one, two)
    for side in sides:
        side.convicts = False
    run(*sides)
    found = sides[0].forks + sides[1].forks
    assert found
    assert all((f.log, f.seq, {f.ours, f.theirs}) == (log, fork, expected) for f in found)
    assert all(len(side.forks) <= 1 for side in sides), "said once"
    assert not any(side.sync.in_step for side in sides)


@pytest.mark.unit
@pytest.mark.parametrize(("fork", "ours", "theirs"), [(0, 1, 1), (3, 5, 5), (3, 2, 7), (40, 60, 1)])
def test_after_a_conviction_both_sides_are_in_step_below_the_fork(fork: int, ours: int, theirs: int) -> None:
    one, two = forked(fork, fork, ours, theirs)
    for replica in (one, two):
        replica.write(log_id(5 if replica is one else 6))
    sides = pair(one, two)
    run(*sides)
    assert_in_step(*sides)
    assert len(one.proofs) == 1
    assert one.heads[log_id(5)].seq == one.heads[log_id(6)].seq == 0


@pytest.mark.unit
def test_of_another_branch_one_entry_is_sent_and_not_all() -> None:
    sides = pair(*forked(3, 3, 2, 300), batch=50)
    run(*sides)
    assert_in_step(*sides)
    sent = [
        row for side in sides for m in side.sent if isinstance(m, Entries) and m.batch for row in read_batch(m.batch)
    ]
    assert len(sent) <= 2


@pytest.mark.unit
def test_the_other_branch_is_fetched_before_the_fork_is_reported() -> None:
    one, two = forked(2, 2, 2, 2)
    sides = pair(one, two)
    reported: list[bool] = []
    for side in sides:
        perform = side.perform

        def watch(actions: list[Action], side: Side = side, perform: Callable[[list[Action]], None] = perform) -> None:
            reported.extend(a.theirs in side.replica.waiting for a in actions if isinstance(a, ForkFound))
            perform(actions)

        side.perform = watch
        side.convicts = False
    run(*sides)
    assert reported
    assert all(reported)


class Chain:
    """A chain of bare numbers: branch `name` from `fork` on."""

    def __init__(self, name: bytes, fork: int, length: int) -> None:
        self.name, self.fork, self.length = name, fork, length

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        branch = self.name if seq >= self.fork else b"common"
        return EntryId(hashlib.sha256(branch + log + b"%d" % seq).digest()) if seq < self.length else None


@pytest.mark.property
@given(st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_a_fork_is_found_in_four_probes_of_a_million(one: int, two: int) -> None:
    fork, length = sorted((one - 1, two))
    ours, theirs = Chain(b"one", fork, length), Chain(b"two", fork, length)
    search = ForkSearch(ours, log_id(0), length - 1)
    probes = 0
    while seqs := search.probe():
        assert len(seqs) <= 32
        probes += 1
        if not search.answer([theirs.entry_at(log_id(0), seq) for seq in seqs]):
            break
    expected = (fork, ours.entry_at(log_id(0), fork), theirs.entry_at(log_id(0), fork))
    assert search.found == (expected if fork < length else None)
    assert probes <= 5


@pytest.mark.property
@given(st.data(), st.integers(0, 10**6))
def test_a_search_ends_whatever_is_answered(data: st.DataObject, highest: int) -> None:
    chain = Chain(b"one", 0, highest + 1)
    search = ForkSearch(chain, log_id(0), highest)
    for _ in range(6):
        seqs = search.probe()
        if not seqs:
            break
        lies = st.sampled_from([EntryId(bytes(32)), *(chain.entry_at(log_id(0), seq) for seq in seqs[:2])])
        if not search.answer(data.draw(st.lists(lies, min_size=len(seqs), max_size=len(seqs)))):
            return
    assert not search.probe()


# Liars


NAMES: Final = st.sampled_from([HeadNames(session_key(b"s" * 16, b"\0" * 16)).name(log_id(n)) for n in range(6)])
SEQS: Final = st.integers(0, 5) | st.integers(0, 1 << 48)
IDS: Final = st.sampled_from([EntryId(bytes([n]) * 32) for n in range(4)])
HEADS: Final = st.lists(st.tuples(NAMES, SEQS, st.binary(min_size=6, max_size=6)), max_size=8).map(
    lambda rows: Heads(b"".join(r[0] for r in rows), tuple(r[1] for r in rows), b"".join(r[2] for r in rows))
)
RAGGED: Final = st.builds(Heads, st.binary(max_size=20), st.lists(SEQS, max_size=3).map(tuple), st.binary(max_size=20))
HEAD_RANGES: Final = st.builds(
    HeadRange, st.binary(max_size=14), st.none() | st.just(b"") | st.binary(min_size=16, max_size=16) | st.just(b"x")
)
ASCENDING: Final = st.lists(HEAD_RANGES, max_size=6).map(
    lambda ranges: tuple(sorted({r.upper: r for r in ranges}.values(), key=lambda r: r.upper or b"\xff" * 15))
)
ANYTHING: Final[st.SearchStrategy[Message]] = st.one_of(
    st.builds(
        Root,
        st.sampled_from([bytes(32), b"\1" * 32, sync_root(history([4, 2, 1]).heads, ())]),
        st.integers(0, 2),
        st.none() | st.sampled_from([bytes(16), b"\xff" * 16]),
    ),
    st.builds(
        Compare,
        st.integers(0, 4),
        st.integers(0, 5),
        st.none() | st.just(bytes(16)),
        HEADS | RAGGED,
        ASCENDING | st.lists(HEAD_RANGES, max_size=4).map(tuple),
    ),
    st.builds(
        Want, st.lists(st.builds(WantRange, NAMES, SEQS, SEQS, st.none() | st.just(bytes(6))), max_size=4).map(tuple)
    ),
    st.builds(WantIds, st.lists(IDS, max_size=4).map(tuple)),
    st.builds(Entries, st.sampled_from([b"", b"[]"]), st.integers(0, 1)),
    st.builds(Probe, NAMES, st.lists(SEQS, max_size=4).map(tuple)),
    st.builds(Hashes, NAMES, st.lists(st.none() | IDS, max_size=32).map(tuple)),
    st.builds(ProofHashes, st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple)),
    st.builds(Proofs, st.lists(st.binary(max_size=9), max_size=3).map(tuple)),
)


@pytest.mark.property
@settings(deadline=None, max_examples=150)
@given(st.lists(ANYTHING, max_size=40), st.sampled_from([b"s" * 16, b"\xfe" * 16]))
def test_a_peer_that_says_anything_gets_few_messages_and_moves_nothing(messages: list[Message], salt: bytes) -> None:
    replica = history([4, 2, 1])
    sync = Reconciler(replica.heads, replica.proofs, replica, salt)
    root = sync_root(replica.heads, replica.proofs)
    sync.start(0)
    told: bytes | None = None
    for message in [Root(bytes(32), 0, bytes(16)), *messages]:
        actions = sync.handle(Received(message))
        for action in list(actions):
            if isinstance(action, Admit):
                actions += sync.handle(Admitted(0))
        sent = [action.message for action in actions if isinstance(action, Send)]
        assert len(sent) <= 5
        assert sum(len(encode(m)) for m in sent) < 3000
        for action in actions:
            if isinstance(action, Serve):
                assert isinstance(message, Want)
                assert all(0 <= r.first <= r.last <= replica.heads[r.log].seq for r in action.ranges)
                assert len({r.log for r in action.ranges}) == len(action.ranges)
            if isinstance(action, ForkFound):
                assert replica.chains[action.log, action.seq] == action.ours != action.theirs
        if isinstance(message, Root):
            told = message.root
        assert sync.same_frontier == (told == root), "only the root that the peer told counts"
        assert len(sync.handle(LocalChanged(0))) <= 1


@pytest.mark.unit
@pytest.mark.parametrize("opens_late", [False, True])
def test_whoever_leads_asks_before_a_round_about_what_gossip_carries_and_is_always_answered(
    *, opens_late: bool
) -> None:
    leads, answers = history([1]), history([1])
    low, high = bytes(16), b"\xff" * 16
    leader = Reconciler(leads.heads, leads.proofs, leads, low)
    other = Reconciler(answers.heads, answers.proofs, answers, high)
    due = [action.message for action in leader.start(0) if isinstance(action, Send)]
    greetings = [action.message for action in other.start(0) if isinstance(action, Send)]
    # A side that opens late never heard the first greeting.
    for message in [] if opens_late else due:
        other.handle(Received(message))
    for message in greetings:
        due = [action.message for action in leader.handle(Received(message)) if isinstance(action, Send)]
    for message in due:
        other.handle(Received(message))
    leads.heads[log_id(0)] = history([2]).heads[log_id(0)]
    (asked,) = leader.handle(LocalChanged(0, carried=True))
    assert isinstance(asked, Send)
    assert isinstance(asked.message, Root)
    (answer,) = other.handle(Received(asked.message))
    assert isinstance(answer, Send)
    begun = leader.handle(Received(answer.message))
    assert [type(action.message) for action in begun if isinstance(action, Send)] == [Compare]


@pytest.mark.unit
def test_a_peer_that_keeps_a_round_going_is_left_after_64_steps() -> None:
    replica = history([2] * 3000)
    sync = Reconciler(replica.heads, {}, replica, b"\xff" * 16)
    sync.start(0)
    sync.handle(Received(Root(bytes(32), 0, bytes(16))))
    step, answers = 0, 0
    while step < 64:
        lie = Compare(1, step, None, Heads(b"", (), b""), (HeadRange(b"", b"lies" * 4),))
        actions = sync.handle(Received(lie))
        compares = [a.message for a in actions if isinstance(a, Send) and isinstance(a.message, Compare)]
        answers += len(compares)
        step += 2
    assert answers <= 32
    assert not sync.same_frontier


@pytest.mark.unit
def test_roots_that_never_match_start_a_round_each_and_no_more() -> None:
    replica = history([2] * 10)
    sync = Reconciler(replica.heads, {}, replica, bytes(16))
    sync.start(0)
    sync.handle(Received(Root(bytes(32), 0, b"\xff" * 16)))
    for number in range(1, 50):
        actions = sync.handle(Received(Root(number.to_bytes(32), 0, None)))
        assert actions == [], "the round is open, and is not begun again"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("heads", "ranges"),
    [
        (Heads(b"x" * 5, (1,), b"x" * 6), ()),
        (Heads(b"x" * 6, (1,), b""), ()),
        (Heads(b"x" * 12, (1,), b"x" * 6), ()),
        (Heads(b"", (), b""), (HeadRange(b"b", None), HeadRange(b"a", None))),
        (Heads(b"", (), b""), (HeadRange(b"a", None), HeadRange(b"a", None))),
        (Heads(b"", (), b""), (HeadRange(b"", None), HeadRange(b"a", None))),
        (Heads(b"", (), b""), (HeadRange(b"a", b"short"),)),
    ],
    ids=["half a name", "no check", "a name more", "descending", "twice", "after infinity", "half a fingerprint"],
)
def test_a_comparison_that_breaks_the_rules_ends_the_connection(heads: Heads, ranges: tuple[HeadRange, ...]) -> None:
    sync = Reconciler({}, {}, Replica(), b"\xff" * 16)
    sync.start(0)
    sync.handle(Received(Root(bytes(32), 0, bytes(16))))
    assert sync.handle(Received(Compare(1, 0, None, heads, ranges))) == [Close("malformed")]


@pytest.mark.unit
def test_before_the_salts_are_known_nothing_is_answered() -> None:
    sync = Reconciler({}, {}, Replica(), bytes(16))
    for message in (
        Compare(1, 0, None, Heads(b"", (), b""), ()),
        Want(()),
        WantIds(()),
        Entries(b"x", 1),
        Probe(b"n" * 6, (1,)),
    ):
        assert sync.handle(Received(message)) == []


@pytest.mark.unit
def test_a_crafted_root_cannot_be_told_from_a_withholder_but_changes_nothing_here() -> None:
    """A peer may echo our root: it then withholds what it has, and the next peer tells."""
    replica = history([1])
    side = Side(replica)
    side.sync.handle(Received(Root(sync_root(replica.heads, {}), 0, b"s" * 16)))
    assert side.sync.in_step
    assert side.sync.handle(LocalChanged(0)) == []


@pytest.mark.unit
def test_memory_stays_bounded_by_what_one_round_names() -> None:
    sync = Reconciler({}, {}, Replica(), b"\xff" * 16)
    sync.start(0)
    sync.handle(Received(Root(bytes(32), 0, bytes(16))))
    for number in range(1, 40):
        names = b"".join(hashlib.sha256(b"%d %d" % (number, n)).digest()[:6] for n in range(500))
        heads = Heads(names, (1 << 48,) * 500, bytes(3000))
        sync.handle(Received(Compare(number, 0, None, heads, ())))
        sync.handle(MissingIds(tuple(EntryId(hashlib.sha256(b"%d %d" % (number, n)).digest()) for n in range(500))))
    requests = sync._session.requests  # type: ignore[union-attr]  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
    assert len(requests._targets) == 500  # pyright: ignore[reportPrivateUsage]  # what must stay small
    assert len(requests._ids) <= 4096  # pyright: ignore[reportPrivateUsage]


# Many replicas


class Mesh(RuleBasedStateMachine):
    """Replicas that write, equivocate and meet in pairs; in the end everybody has met everybody."""

    @initialize(count=st.integers(2, 10))
    def begin(self, count: int) -> None:
        self.replicas = [Replica(name) for name in range(count)]

    def pick(self, number: int) -> Replica:
        return self.replicas[number % len(self.replicas)]

    @rule(who=st.integers(0, 9), count=st.integers(1, 40))
    def write(self, who: int, count: int) -> None:
        replica = self.pick(who)
        for _ in range(count):
            log = log_id(who % len(self.replicas))
            if log not in replica.forks:
                replica.write(log)

    @rule(who=st.integers(0, 9), whose=st.integers(0, 9))
    def equivocate(self, who: int, whose: int) -> None:
        """A log is written on a device that is not its own: a clone."""
        replica, log = self.pick(who), log_id(whose % len(self.replicas))
        if log not in replica.forks:
            replica.write(log, salt=f"by {who}")

    @rule(one=st.integers(0, 9), two=st.integers(0, 9), cut=st.none() | st.integers(0, 8))
    def meet(self, one: int, two: int, cut: int | None) -> None:
        if self.pick(one) is not self.pick(two):
            sides = self.sides(self.pick(one), self.pick(two))
            if cut is None:
                run(*sides)
                assert_in_step(*sides)
            for number in range(cut or 0):
                source, target = (sides, sides[::-1])[number % 2]
                if source.out:
                    target.hear(source.out.popleft())

    def sides(self, one: Replica, two: Replica) -> tuple[Side, Side]:
        self.meetings = getattr(self, "meetings", 0) + 1
        return Side(one, self.meetings, 10), Side(two, self.meetings, 10)

    @override
    def teardown(self) -> None:
        replicas = getattr(self, "replicas", [])
        for _ in range(3):
            for at, one in enumerate(replicas):
                for two in replicas[at + 1 :]:
                    sides = self.sides(one, two)
                    run(*sides)
                    assert_in_step(*sides)
        for replica in replicas:
            assert replica.heads == replicas[0].heads
            assert replica.proofs.keys() == replicas[0].proofs.keys()


TestMesh = Mesh.TestCase
TestMesh.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestMesh.pytestmark = [pytest.mark.property]  # type: ignore[attr-defined]


# Bounds


BIG: Final = 1 << 49


OUT_OF_BOUNDS: Final[list[Message]] = [
    Root(bytes(31), 0, None),
    Root(bytes(32), -1, None),
    Root(bytes(32), 0, bytes(15)),
    Compare(1 << 33, 0, None, Heads(b"", (), b""), ()),
    Compare(1, 65, None, Heads(b"", (), b""), ()),
    Compare(1, 0, bytes(15), Heads(b"", (), b""), ()),
    Compare(1, 0, None, Heads(bytes(6 * SYNC_MAX_HEADS + 1), (), b""), ()),
    Compare(1, 0, None, Heads(b"", (0,) * (SYNC_MAX_HEADS + 1), b""), ()),
    Compare(1, 0, None, Heads(b"", (), bytes(6 * SYNC_MAX_HEADS + 1)), ()),
    Compare(1, 0, None, Heads(b"", (BIG,), b""), ()),
    Compare(1, 0, None, Heads(b"", (), b""), (HeadRange(b"", None),) * (SYNC_MAX_RANGES + 1)),
    Compare(1, 0, None, Heads(b"", (), b""), (HeadRange(bytes(15), None),)),
    Compare(1, 0, None, Heads(b"", (), b""), (HeadRange(b"", bytes(17)),)),
    Want((WantRange(bytes(6), 0, 1, None),) * (SYNC_MAX_WANT + 1)),
    Want((WantRange(bytes(7), 0, 1, None),)),
    Want((WantRange(bytes(6), 0, BIG, None),)),
    Want((WantRange(bytes(6), 0, 1, bytes(5)),)),
    WantIds((EntryId(bytes(32)),) * 257),
    WantIds((EntryId(bytes(31)),)),
    Entries(b"", 2),
    Entries(bytes((2 << 20) + 4097), 1),
    Probe(bytes(6), (0,) * 33),
    Probe(bytes(5), (0,)),
    Hashes(bytes(6), (None,) * 33),
    Hashes(bytes(6), (EntryId(b""),)),
    ProofHashes((bytes(32),) * (SYNC_MAX_PROOFS + 1)),
    ProofHashes((bytes(33),)),
    Proofs((b"",) * 1025),
    Proofs((bytes(4097),)),
]


@pytest.mark.unit
@pytest.mark.parametrize("message", OUT_OF_BOUNDS, ids=[f"{n} {type(m).__name__}" for n, m in enumerate(OUT_OF_BOUNDS)])
def test_messages_beyond_their_bounds_are_refused(message: Message) -> None:
    with pytest.raises(MalformedError):
        decode_one_of(MESSAGES, encode(message), MAX_MESSAGE_BYTES)


@pytest.mark.unit
@pytest.mark.parametrize(
    "ranges",
    [
        (SetRange(bytes(41), None, None),),
        (SetRange(b"", bytes(15), None),),
        (SetRange(b"", None, (bytes(39),)),),
        (SetRange(b"", None, None),) * (SYNC_MAX_RANGES + 1),
    ],
)
def test_set_ranges_beyond_their_bounds_are_refused(ranges: tuple[SetRange, ...]) -> None:
    with pytest.raises(MalformedError):
        decode(SetRanges, encode(SetRanges(ranges)), MAX_MESSAGE_BYTES)


@pytest.mark.unit
def test_an_answer_is_of_the_heads_that_we_hold() -> None:
    replica = history([4])
    sync = Reconciler(replica.heads, {}, replica, b"\xff" * 16)
    sync.start(0)
    sync.handle(Received(Root(bytes(32), 0, bytes(16))))
    names = HeadNames(session_key(b"\xff" * 16, bytes(16)))
    name, first = names.name(log_id(0)), replica.chains[log_id(0), 0]
    after = names.check(log_id(0), 0, first)
    sync.handle(Received(Compare(1, 0, None, Heads(b"", (), b""), (HeadRange(b"", b""),))))
    want = Want((WantRange(name, 1, 1 << 48, after), WantRange(name, 0, 1, None), WantRange(b"nobody", 0, 1, None)))
    assert sync.handle(Received(want)) == [Serve((Range(log_id(0), 1, 3),))]
    for other in (None, bytes(6), names.check(log_id(0), 1, first)):
        nothing = sync.handle(Received(Want((WantRange(name, 1, 3, other),))))
        assert nothing[-1] == Serve(()), "its chain is another one"
    assert sync.handle(Received(WantIds((EntryId(bytes(32)),)))) == [ServeIds((EntryId(bytes(32)),))]
    probe = sync.handle(Received(Probe(name, (0, 9))))
    assert probe == [Send(Hashes(name, (replica.chains[log_id(0), 0], None)))]
