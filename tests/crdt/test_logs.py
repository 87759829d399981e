"""Admission: what enters, what waits and what is refused, whatever the order of arrival (I3, I4)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import (
    LANE_FILES,
    Admitted,
    Conviction,
    Entry,
    Filled,
    FraudKind,
    Logs,
    Refused,
    Waiting,
    read_proof,
    write_entry,
)
from latticework.crdt.logs import Verdict
from latticework.crdt.params import MAX_CLOCK_AHEAD_US, PENDING_BYTES_PER_SENDER, PENDING_ENTRIES_PER_SENDER
from latticework.wire import EntryId, LogId
from latticework.wire.signing import Ed25519Signer

from .world import NOW_US, SPACE, MemoryPositions

SIGNERS: Final = [Ed25519Signer(bytes([number]) * 32) for number in (1, 2, 3)]
A, B, C = SIGNERS
OPEN: Final = {LogId(signer.public) for signer in SIGNERS}
THROWAWAY: Final = Ed25519Signer(b"throwaway".ljust(32))


def entry(
    signer: Ed25519Signer, prev: Entry | None, hlc: int, *deps: Entry, payload: bytes = b"", seq: int | None = None
) -> Entry:
    return write_entry(
        SPACE,
        signer,
        seq=seq if seq is not None else 0 if prev is None else prev.body.seq + 1,
        prev=None if prev is None else prev.id,
        deps=tuple(dep.id for dep in deps),
        hlc=hlc,
        lane=LANE_FILES,
        payload=payload,
    )


class Node:
    """Logs with a store that learns of an entry when its verdict is out, not before."""

    def __init__(self) -> None:
        self.positions = MemoryPositions()
        self.logs = Logs(SPACE, self.positions)
        self.admitted: list[Entry] = []

    def offer(
        self, offered: Entry, sender: bytes = b"s", now_us: int = NOW_US, reason: str | None = None
    ) -> list[Verdict]:
        return self.offer_batch([offered], sender, now_us, reason)

    def offer_batch(
        self, offered: Sequence[Entry], sender: bytes = b"s", now_us: int = NOW_US, reason: str | None = None
    ) -> list[Verdict]:
        verdicts = self.logs.offer(
            [(e, sender) for e in offered], now_us, lambda _: reason, lambda e: e.body.author in OPEN
        )
        for verdict in verdicts:
            if isinstance(verdict, Admitted):
                self.positions.remember(verdict.entry)
                self.admitted.append(verdict.entry)
        self.logs.committed()
        return verdicts

    def offer_all(self, *entries: Entry) -> None:
        for offered in entries:
            self.offer(offered)


def history(shape: Sequence[tuple[int, bool]]) -> list[Entry]:
    """A valid history: each step one author writes, having seen everything or only his own log."""
    entries: list[Entry] = []
    heads: dict[int, Entry] = {}
    for hlc, (author, sees_all) in enumerate(shape, start=1):
        others = [head for other, head in heads.items() if other != author] if sees_all else []
        heads[author] = entry(SIGNERS[author], heads.get(author), hlc, *others)
        entries.append(heads[author])
    return entries


HISTORY = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=12).map(history)


@pytest.mark.property
@given(HISTORY, st.data())
def test_any_order_and_repetition_of_a_history_ends_with_the_same_heads(
    entries: list[Entry], data: st.DataObject
) -> None:
    straight, shuffled = Node(), Node()
    straight.offer_all(*entries)
    order = data.draw(st.permutations(range(len(entries))))
    again = data.draw(st.lists(st.integers(0, len(entries) - 1), max_size=8))
    for index in [*order, *again]:
        shuffled.offer(entries[index])
    assert shuffled.logs.heads == straight.logs.heads
    assert shuffled.positions.known == straight.positions.known
    assert shuffled.logs.waiting_count() == 0
    assert len(shuffled.logs.convictions) == 0
    seen: set[EntryId] = set()
    for admitted in shuffled.admitted:
        assert admitted.id not in seen, "admitted twice"
        assert {*admitted.body.deps, *([admitted.body.prev] if admitted.body.prev else [])} <= seen, (
            "not in causal order"
        )
        seen.add(admitted.id)


@pytest.mark.property
@given(HISTORY, st.data())
def test_entries_that_arrive_from_several_senders_are_admitted_once(entries: list[Entry], data: st.DataObject) -> None:
    node = Node()
    for number in data.draw(st.permutations(range(2 * len(entries)))):
        node.offer(entries[number // 2], b"%d" % (number % 2))
    assert len(node.admitted) == len(entries)
    assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_a_chain_that_arrives_backwards_is_released_by_its_first_entry_in_one_go() -> None:
    chain = history([(0, False)] * 5)
    node = Node()
    for late in reversed(chain[1:]):
        assert node.offer(late) == [Waiting(late.id, late.body.prev, 0)]
    assert node.offer(chain[0]) == [Admitted(e) for e in chain]
    assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_an_entry_may_wait_for_several_things_one_after_the_other() -> None:
    one, two = entry(A, None, 1), entry(B, None, 2)
    three = entry(C, None, 3, one, two)
    for order in ([three, one, two], [three, two, one], [two, three, one]):
        node = Node()
        node.offer_all(*order)
        assert set(node.positions.known) == {one.id, two.id, three.id}
        assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_the_same_orphan_twice_waits_once_and_says_nothing_the_second_time() -> None:
    one = entry(A, None, 1)
    two = entry(A, one, 2)
    node = Node()
    assert len(node.offer(two)) == 1
    assert node.offer(two) == []
    assert node.logs.waiting_count() == 1


@pytest.mark.unit
@pytest.mark.parametrize("size", [0, 1 << 20])
def test_what_one_sender_leaves_waiting_is_bounded(size: int) -> None:
    node = Node()
    missing = entry(A, None, 1)
    refused = 0
    for number in range(PENDING_ENTRIES_PER_SENDER + 3 if size == 0 else 20):
        late = entry(B, missing, number + 2, payload=bytes(size), seq=number + 1)
        (verdict,) = node.offer(late, b"flood")
        refused += isinstance(verdict, Refused)
    assert refused == (3 if size == 0 else 20 - PENDING_BYTES_PER_SENDER // (size + 200))
    assert isinstance(node.offer(entry(A, missing, 2), b"other")[0], Waiting)


@pytest.mark.unit
def test_a_released_orphan_that_waits_again_is_still_its_own_senders() -> None:
    """Or a flood could be moved to the account of whoever brings the first missing entry."""
    one, two = entry(A, None, 1), entry(B, None, 2)
    node = Node()
    first, second = sorted([one, two], key=lambda e: e.id)
    for number in range(5):
        node.offer(entry(C, None, 10 + number, one, two), b"flood")
    node.offer(first, b"honest")
    assert node.logs.waiting_count() == 5
    node.logs.forget_sender(b"honest")
    assert node.logs.waiting_count() == 5
    node.logs.forget_sender(b"flood")
    assert node.logs.waiting_count() == 0
    assert node.offer(second) == [Admitted(second)]


@pytest.mark.unit
def test_what_a_forgotten_sender_left_is_not_released_and_may_come_again() -> None:
    one = entry(A, None, 1)
    two, three = entry(A, one, 2), entry(B, None, 3, one)
    node = Node()
    node.offer(two, b"gone")
    node.offer(three, b"stays")
    node.logs.forget_sender(b"gone")
    node.logs.forget_sender(b"never seen")
    assert node.offer(one) == [Admitted(one), Admitted(three)]
    assert node.offer(two) == [Admitted(two)]


@pytest.mark.unit
def test_a_sender_who_was_full_has_room_again_after_release() -> None:
    one = entry(A, None, 1)
    node = Node()
    for number in range(15):
        node.offer(entry(B, one, 5 + number, payload=bytes(1 << 20), seq=number + 1), b"s")
    node.offer(entry(C, None, 80, one, payload=bytes((1 << 20) - 4096)), b"s")
    assert isinstance(node.offer(entry(C, None, 90, one, payload=bytes(1 << 16)), b"s")[0], Refused)
    node.offer(one)
    assert isinstance(node.offer(entry(C, entry(C, None, 91), 92), b"s")[0], Waiting)


@pytest.mark.unit
def test_a_clock_that_is_ahead_waits_and_is_admitted_when_its_time_comes() -> None:
    hlc = (NOW_US + MAX_CLOCK_AHEAD_US) // 1000 << 16
    on_time, early = entry(A, None, hlc), entry(B, None, hlc + (1000 << 16))
    child = entry(B, early, hlc + (1000 << 16) + 1)
    node = Node()
    assert node.offer(on_time) == [Admitted(on_time)]
    due = NOW_US + 1_000_000
    assert node.offer(early) == [Waiting(early.id, None, due)]
    assert isinstance(node.offer(child)[0], Waiting)
    assert node.logs.due(due - 1) == []
    assert node.logs.due(due) == [(early, b"s")]
    assert node.logs.due(due) == []
    assert node.offer(early, now_us=due) == [Admitted(early), Admitted(child)]
    assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_a_clock_at_the_end_of_time_waits_and_is_never_refused() -> None:
    node = Node()
    assert isinstance(node.offer(entry(A, None, (1 << 64) - 1))[0], Waiting)
    assert node.logs.due(NOW_US) == []


@pytest.mark.unit
@pytest.mark.parametrize("hlc", [0, 4, 5])
@pytest.mark.parametrize("through", ["prev", "dep"])
def test_a_clock_that_is_not_above_its_past_is_refused(hlc: int, through: str) -> None:
    node = Node()
    past = entry(A, None, 5)
    node.offer(past)
    late = entry(A, past, hlc) if through == "prev" else entry(B, None, hlc, past)
    assert node.offer(late) == [Refused(late.id, "its clock is not ahead of what it depends on")]


@pytest.mark.unit
def test_a_first_entry_at_clock_zero_is_refused() -> None:
    assert isinstance(Node().offer(entry(A, None, 0))[0], Refused)


@pytest.mark.unit
@pytest.mark.parametrize("seq", [2, 3, 1 << 40])
def test_a_number_that_does_not_follow_its_predecessor_is_refused(seq: int) -> None:
    node = Node()
    one = entry(A, None, 1)
    node.offer(one)
    assert isinstance(node.offer(entry(A, one, 2, seq=seq))[0], Refused)
    assert node.logs.heads[LogId(A.public)].id == one.id


@pytest.mark.unit
def test_a_predecessor_in_another_log_is_refused() -> None:
    node = Node()
    one = entry(A, None, 1)
    node.offer(one)
    assert isinstance(node.offer(entry(B, one, 2))[0], Refused)


@pytest.mark.unit
def test_a_dependency_on_the_own_log_is_refused() -> None:
    node = Node()
    one = entry(A, None, 1)
    two = entry(A, one, 2)
    node.offer_all(one, two)
    assert node.offer(entry(A, two, 3, one)) == [Refused(entry(A, two, 3, one).id, "it depends on its own log")]


@pytest.mark.unit
def test_what_the_rules_refuse_stays_out_and_may_be_offered_again() -> None:
    node = Node()
    one = entry(A, None, 1)
    assert node.offer(one, reason="no") == [Refused(one.id, "no")]
    assert node.logs.heads == {}
    assert node.offer(one) == [Admitted(one)]


def forked() -> tuple[Entry, Entry, Entry]:
    """The first entry of a log, and two that follow it."""
    one = entry(A, None, 1)
    return one, entry(A, one, 2), entry(A, one, 2, payload=b"other")


@pytest.mark.unit
def test_two_entries_under_one_number_convict_their_log_and_the_second_is_not_admitted() -> None:
    node = Node()
    one, two, other = forked()
    node.offer_all(one, two)
    conviction, refused = node.offer(other)
    assert isinstance(conviction, Conviction)
    assert read_proof(SPACE, conviction.proof) == conviction
    assert (conviction.log, conviction.seq, conviction.kind) == (LogId(A.public), 1, FraudKind.FORK)
    assert refused == Refused(other.id, "its log is convicted of equivocation")
    assert node.logs.heads[LogId(A.public)].id == one.id, "the head goes back below the fork"
    assert set(node.logs.contested[LogId(A.public)]) == {two.id}
    assert isinstance(node.offer(entry(A, two, 3))[0], Refused), "neither branch goes on by itself"
    assert isinstance(node.offer(entry(A, other, 3))[0], Refused)
    assert node.offer(two) == [], "what was admitted stays"


@pytest.mark.unit
def test_a_lower_fork_found_later_moves_the_conviction_down_and_a_higher_one_changes_nothing() -> None:
    node = Node()
    one, two, other = forked()
    node.offer_all(one, two, other)
    (first, refused) = node.offer(entry(A, None, 9))
    assert isinstance(first, Conviction)
    assert isinstance(refused, Refused)
    assert first.seq == 0
    assert node.logs.heads == {}
    assert not node.logs.convict(read_proof(SPACE, first.proof))
    assert [conviction.seq for conviction in node.logs.convictions] == [0]


@pytest.mark.unit
@pytest.mark.parametrize("at", range(4))
def test_a_fork_anywhere_in_a_log_is_found(at: int) -> None:
    chain = history([(0, False)] * 4)
    node = Node()
    node.offer_all(*chain)
    other = entry(A, chain[at - 1] if at else None, at + 1, payload=b"other")
    conviction = node.offer(other)[0]
    assert isinstance(conviction, Conviction)
    assert conviction.seq == at
    head = node.logs.heads.get(LogId(A.public))
    assert head == (None if at == 0 else (at - 1, chain[at - 1].id, at))


@pytest.mark.unit
def test_a_fork_is_proven_although_its_predecessor_is_withheld() -> None:
    node = Node()
    chain = history([(0, False)] * 3)
    node.offer_all(*chain)
    hidden = entry(A, chain[0], 2, payload=b"hidden")
    assert isinstance(node.offer(entry(A, hidden, 3))[0], Conviction)


@pytest.mark.unit
def test_an_orphan_that_turns_out_to_be_a_fork_convicts_when_it_is_released() -> None:
    node = Node()
    one, two, other = forked()
    node.offer(two)
    node.offer(other)
    verdicts = node.offer(one)
    assert [type(verdict) for verdict in verdicts] == [Admitted, Admitted, Conviction, Refused]
    assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_a_void_branch_is_admitted_as_far_as_an_entry_in_good_standing_needs_it() -> None:
    node = Node()
    one, two, other = forked()
    third, fourth = entry(A, other, 3), entry(A, entry(A, other, 3), 4)
    needs = entry(B, None, 9, third)
    node.offer_all(one, two, other)
    assert node.offer(needs) == [Waiting(needs.id, third.id, 0)]
    assert node.logs.missing() == [third.id]
    assert node.offer(third) == [Waiting(third.id, other.id, 0)]
    assert node.logs.missing() == [other.id]
    assert node.offer(other) == [Admitted(other), Admitted(third), Admitted(needs)]
    assert isinstance(node.offer(fourth)[0], Refused)
    assert set(node.logs.contested[LogId(A.public)]) == {two.id, other.id, third.id}
    assert node.logs.heads[LogId(A.public)].id == one.id


@pytest.mark.unit
def test_a_batch_that_brings_a_void_branch_and_what_needs_it_is_admitted_at_once() -> None:
    one, two, other = forked()
    third, lone = entry(A, other, 3), entry(A, two, 3, payload=b"nobody needs it")
    needs = entry(B, None, 9, third)
    for convicted_before in (True, False):
        node = Node()
        node.offer_all(one, two, *([other] if convicted_before else []))
        verdicts = node.offer_batch([other, lone, third, needs])
        assert [v.entry for v in verdicts if isinstance(v, Admitted)] == [other, third, needs]
        assert verdicts[-1] == Refused(lone.id, "its log is convicted of equivocation")
        assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_a_void_branch_longer_than_what_may_wait_is_admitted_with_what_needs_it() -> None:
    node = Node()
    one, two, other = forked()
    node.offer_all(one, two, other)
    branch = [other]
    for number in range(PENDING_ENTRIES_PER_SENDER + 5):
        branch.append(entry(A, branch[-1], 3 + number))
    needs = entry(B, None, 1 << 20, branch[-1])
    node.offer_batch([*branch, needs])
    assert node.admitted[-1] == needs
    assert len(node.admitted) == len(branch) + 3
    assert node.logs.waiting_count() == 0


@pytest.mark.unit
@pytest.mark.parametrize("through", ["dep", "prev"])
def test_a_log_made_up_for_the_purpose_does_not_get_a_void_entry_admitted(through: str) -> None:
    """Else the equivocator adds to our store for ever, one throwaway key after the other."""
    node = Node()
    one, two, other = forked()
    node.offer_all(one, two, other)
    bait = entry(THROWAWAY, None, 9, other) if through == "dep" else entry(THROWAWAY, other, 9)
    assert isinstance(node.offer(bait)[0], Waiting)
    assert isinstance(node.offer(other)[0], Refused)
    assert isinstance(node.offer_batch([other, bait])[0], Refused)
    assert other.id not in node.positions.by_id


@pytest.mark.unit
def test_a_signature_that_nobody_checked_makes_no_proof() -> None:
    """An entry inside a chain is admitted by the signature of a later one."""
    node = Node()
    one, two, other = forked()
    broken = replace(two, envelope=replace(two.envelope, signature=bytes(64)))
    node.offer_all(one, broken)
    (verdict,) = node.offer(other)
    assert isinstance(verdict, Refused)
    assert "signature" in verdict.reason
    assert len(node.logs.convictions) == 0


@pytest.mark.unit
def test_a_payload_that_was_missing_is_taken_once() -> None:
    node = Node()
    one = entry(A, None, 1, payload=b"x")
    node.offer(one.without_payload())
    assert node.logs.holes == {one.id}
    assert node.offer(one.without_payload()) == []
    assert node.offer(one) == [Filled(one)]
    assert node.offer(one) == []
    assert node.logs.holes == set()


@pytest.mark.unit
def test_a_proof_that_comes_before_its_log_keeps_everything_from_the_fork_on_out() -> None:
    teacher, node = Node(), Node()
    one, two, other = forked()
    teacher.offer_all(one, two, other)
    (conviction,) = teacher.logs.convictions
    assert node.logs.convict(conviction)
    assert node.offer_batch([one, two]) == [Admitted(one), Refused(two.id, "its log is convicted of equivocation")]
    assert node.logs.heads == teacher.logs.heads


@pytest.mark.unit
def test_a_restored_log_goes_on_where_it_ended() -> None:
    chain = history([(0, False), (1, True), (0, True)])
    first = Node()
    first.offer_all(*chain)
    second = Node()
    for stored in first.admitted:
        second.positions.remember(stored)
        assert second.logs.restore(stored) == []
    assert second.logs.heads == first.logs.heads
    assert second.offer(chain[0]) == []
    following = entry(A, chain[2], 10)
    assert second.offer(following) == [Admitted(following)]


@pytest.mark.unit
def test_a_store_that_holds_both_branches_and_lost_the_proof_convicts_again() -> None:
    first, second = Node(), Node()
    one, two, other = forked()
    first.offer_all(one, two, other, entry(B, None, 9, other))
    first.offer(other)
    for stored in first.admitted:
        second.positions.remember(stored)
    found = [conviction for stored in first.admitted for conviction in second.logs.restore(stored)]
    assert [(c.log, c.seq) for c in found] == [(LogId(A.public), 1)]
    assert second.logs.heads == first.logs.heads
    assert second.logs.contested == first.logs.contested


def past_of(entries: Sequence[Entry], later: Entry) -> set[EntryId]:
    """By definition: what can be reached over predecessors and dependencies, and the entry itself."""
    known, reached, stack = {e.id: e for e in entries}, set[EntryId](), [later.id]
    while stack:
        if (identifier := stack.pop()) not in reached:
            reached.add(identifier)
            body = known[identifier].body
            stack += [*body.deps, *([] if body.prev is None else [body.prev])]
    return reached


@pytest.mark.property
@given(st.data())
def test_what_is_below_an_entry_is_its_past_and_itself(data: st.DataObject) -> None:
    node, entries, heads = Node(), list[Entry](), dict[int, Entry]()
    for number in range(data.draw(st.integers(1, 12))):
        writer = data.draw(st.integers(0, 2))
        deps = [heads[other] for other in heads if other != writer and data.draw(st.booleans())]
        heads[writer] = entry(SIGNERS[writer], heads.get(writer), number + 1, *deps)
        entries.append(heads[writer])
    node.offer_all(*entries)
    stranger = entry(THROWAWAY, None, 99)
    for later in entries:
        past, covers = past_of(entries, later), node.logs.below(later.id)
        for earlier in entries:
            assert node.logs.is_below(later.id, earlier.id) == covers(earlier.id) == (earlier.id in past)
        assert not covers(stranger.id)
        assert not node.logs.is_below(later.id, stranger.id)
        assert not node.logs.is_below(stranger.id, later.id)
    assert not node.logs.below(stranger.id)(entries[0].id)


@pytest.mark.unit
def test_a_conviction_puts_the_head_below_the_fork_and_a_lower_one_lower_still() -> None:
    node, chain = Node(), [entry(A, None, 1)]
    while len(chain) < 5:
        chain.append(entry(A, chain[-1], chain[-1].body.hlc + 1))
    node.offer_all(*chain)
    log = LogId(A.public)
    for fork in (3, 1):
        other = entry(A, chain[fork - 1], 50, payload=b"other")
        verdict, *_ = node.offer(other)
        assert isinstance(verdict, Conviction)
        assert (verdict.log, verdict.seq, verdict.kind) == (log, fork, FraudKind.FORK)
        head = node.logs.heads[log]
        assert (head.seq, head.id, head.hlc) == (fork - 1, chain[fork - 1].id, chain[fork - 1].body.hlc)
        assert {e.id for e in chain[fork:]} <= node.logs.contested[log].keys()
        assert chain[fork - 1].id not in node.logs.contested[log]
        assert not node.logs.convict(verdict)
    found = node.logs.contested[log][chain[4].id]
    assert (found.seq, found.prev) == (4, chain[3].id)
    first = entry(A, None, 60, payload=b"other")
    node.offer(first)
    assert log not in node.logs.heads
    assert {e.id for e in chain} <= node.logs.contested[log].keys()


@pytest.mark.unit
def test_a_position_is_known_before_at_and_after_the_commit() -> None:
    node, first = Node(), entry(A, None, 1)
    second = entry(A, first, 2)
    assert node.logs.position(first.id) is None
    node.logs.take_own(first)
    assert node.logs.position(first.id) == node.logs.position(first.id)
    fresh = node.logs.position(first.id)
    assert fresh is not None
    assert (fresh.log, fresh.seq, fresh.hlc) == (LogId(A.public), 0, 1)
    assert node.logs.entry(first.id) == first
    node.positions.remember(first)
    node.logs.committed()
    assert node.logs.position(first.id) == fresh
    node.offer(second)
    assert node.logs.position(first.id) == fresh
    newest = node.logs.position(second.id)
    assert newest is not None
    assert (newest.log, newest.seq, newest.hlc) == (LogId(A.public), 1, 2)


@pytest.mark.unit
def test_what_waits_is_said_to_wait_until_it_is_let_in() -> None:
    node, first = Node(), entry(A, None, 1)
    second = entry(A, first, 2)
    assert not node.logs.is_waiting(second.id)
    node.offer(second)
    assert node.logs.is_waiting(second.id)
    assert not node.logs.is_waiting(first.id)
    assert node.logs.waiting_count() == 1
    assert node.logs.missing() == [first.id]
    node.offer(first)
    assert not node.logs.is_waiting(second.id)
    assert node.logs.waiting_count() == 0
