"""Admission: what enters, what waits and what is refused, whatever the order of arrival (I3, I4)."""

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import LANE_FILES, Admitted, Entry, Forked, Logs, Refused, Waiting, write_entry
from latticework.crdt.logs import Verdict
from latticework.crdt.params import MAX_CLOCK_AHEAD_US, PENDING_BYTES_PER_SENDER, PENDING_ENTRIES_PER_SENDER
from latticework.wire import EntryId, LogId
from latticework.wire.signing import Ed25519Signer

from .world import NOW_US, SPACE, MemoryPositions

SIGNERS: Final = [Ed25519Signer(bytes([number]) * 32) for number in (1, 2, 3)]
A, B, C = SIGNERS


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
        self.logs = Logs(self.positions)
        self.admitted: list[Entry] = []

    def offer(
        self, offered: Entry, sender: bytes = b"s", now_us: int = NOW_US, reason: str | None = None
    ) -> list[Verdict]:
        verdicts = self.logs.offer(offered, sender, now_us, lambda _: reason)
        for verdict in verdicts:
            if isinstance(verdict, Admitted):
                self.positions.remember(verdict.entry)
                self.admitted.append(verdict.entry)
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
    assert shuffled.logs.forked == {}
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
    assert refused == (3 if size == 0 else 20 - PENDING_BYTES_PER_SENDER // size)
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
    for number in range(16):
        node.offer(entry(B, None, 5 + number, one, payload=bytes(1 << 20)), b"s")
    assert isinstance(node.offer(entry(C, None, 90, one, payload=b"x"), b"s")[0], Refused)
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


@pytest.mark.unit
def test_a_fork_is_reported_remembered_and_not_admitted() -> None:
    node = Node()
    one = entry(A, None, 1)
    two, other = entry(A, one, 2), entry(A, one, 2, payload=b"other")
    node.offer_all(one, two)
    assert node.offer(other) == [Forked(other, two.id)]
    assert node.logs.forked == {LogId(A.public): (two.id, other.id)}
    assert node.logs.heads[LogId(A.public)].id == two.id
    assert isinstance(node.offer(entry(A, other, 3))[0], Waiting), "the other branch never goes on"
    second_first = entry(A, None, 9)
    assert node.offer(second_first) == [Forked(second_first, one.id)]
    assert node.logs.forked == {LogId(A.public): (two.id, other.id)}, "two are enough"


@pytest.mark.unit
def test_a_fork_deep_in_a_log_names_the_entry_with_the_same_number() -> None:
    chain = history([(0, False)] * 4)
    node = Node()
    node.offer_all(*chain)
    other = entry(A, chain[0], 2, payload=b"other")
    assert node.offer(other) == [Forked(other, chain[1].id)]


@pytest.mark.unit
def test_an_orphan_that_turns_out_to_be_a_fork_is_reported_when_it_is_released() -> None:
    node = Node()
    one = entry(A, None, 1)
    two, other = entry(A, one, 2), entry(A, one, 2, payload=b"other")
    node.offer(two)
    node.offer(other)
    verdicts = node.offer(one)
    assert [type(verdict) for verdict in verdicts] == [Admitted, Admitted, Forked]
    assert node.logs.waiting_count() == 0


@pytest.mark.unit
def test_a_restored_log_goes_on_where_it_ended() -> None:
    chain = history([(0, False), (1, True), (0, True)])
    first = Node()
    first.offer_all(*chain)
    second = Node()
    for stored in first.admitted:
        second.positions.remember(stored)
        second.logs.restore(stored)
    assert second.logs.heads == first.logs.heads
    assert second.offer(chain[0]) == []
    following = entry(A, chain[2], 10)
    assert second.offer(following) == [Admitted(following)]
