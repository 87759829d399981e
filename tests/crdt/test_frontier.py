"""Frontier exchange: two machines end with the same entries and then are silent, whatever the peer does (I8)."""

from collections import deque
from itertools import pairwise
from typing import Final, override

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt import Entry, FrontierSync, Head, read_entry
from latticework.crdt import frontier as fs
from latticework.wire import EntryId, LogId, MalformedError, decode_one_of, encode

from .world import SPACE, Account, Replica, text

ACCOUNT: Final = Account("alpha", "beta", "gamma", "delta")
MESSAGES: Final = (fs.Frontier, fs.Want, fs.Entries)
MAX_MESSAGE_BYTES: Final = 16 << 20
LOG: Final = LogId(b"L" * 32)
UNKNOWN: Final = EntryId(b"?" * 32)


class Side:
    """A replica and its half of one connection; `batch` envelopes go into one message."""

    def __init__(self, replica: Replica, batch: int = 3) -> None:
        self.replica = replica
        self.batch = batch
        self.connect()

    def connect(self) -> None:
        self.sync = FrontierSync(self.replica.space.frontier)
        self.out: deque[bytes] = deque()
        self.replica.space.logs.forget_sender(b"peer")
        self.perform(self.sync.start(0))

    def change(self, content: bytes) -> None:
        self.replica.change((b"a", text(content)))
        self.perform(self.sync.handle(fs.LocalChanged(0)))

    def perform(self, actions: list[fs.Action]) -> None:
        for action in actions:
            match action:
                case fs.Send(message):
                    self.out.append(encode(message))
                case fs.Serve(ranges):
                    self.serve(ranges)
                case fs.Admit(envelopes):
                    for data in envelopes:
                        self.replica.receive(read_entry(SPACE, data))
                    self.perform(self.sync.admitted())
                    self.perform(self.sync.handle(fs.LocalChanged(0)))
                case fs.ForkSeen():
                    pass

    def serve(self, ranges: tuple[fs.Range, ...]) -> None:
        found = [
            encode(entry.envelope)
            for entry in self.replica.entries
            if any(r.log == entry.body.author and r.first <= entry.body.seq <= r.last for r in ranges)
        ]
        parts = [found[at : at + self.batch] for at in range(0, len(found), self.batch)] or [[]]
        for number, part in enumerate(parts, start=1):
            self.out.append(encode(fs.Entries(tuple(part), int(number == len(parts)))))

    def hear(self, data: bytes) -> None:
        self.perform(self.sync.handle(fs.Received(decode_one_of(MESSAGES, data, MAX_MESSAGE_BYTES))))

    @override
    def __repr__(self) -> str:
        return f"Side({self.replica.device.name})"


def run(one: Side, two: Side, limit: int = 400) -> int:
    """Deliver in order until both are silent; how many messages that took."""
    count = 0
    while one.out or two.out:
        for source, target in ((one, two), (two, one)):
            if source.out:
                target.hear(source.out.popleft())
                count += 1
        assert count < limit, "they never stop talking"
    return count


def meet(*histories: int) -> list[Replica]:
    """Replicas that each wrote some entries alone."""
    roster = ACCOUNT.roster()
    replicas = [Replica(device, roster) for device in ACCOUNT.devices]
    for replica, count in zip(replicas, histories, strict=False):
        for number in range(count):
            replica.change((b"%d" % number, text(b"%d" % number)))
    return replicas


@pytest.mark.property
@given(st.lists(st.integers(0, 6), min_size=4, max_size=4), st.integers(1, 4), st.lists(st.integers(0, 3), max_size=12))
def test_two_sides_end_with_equal_frontiers_and_are_silent(counts: list[int], batch: int, gossip: list[int]) -> None:
    replicas = meet(*counts)
    for source, target in pairwise(gossip):
        # Some already know more than their own.
        replicas[target].receive_all(list(replicas[source].entries))
    one, two = Side(replicas[0], batch), Side(replicas[1], batch)
    run(one, two)
    assert one.replica.space.frontier == two.replica.space.frontier
    assert one.replica.shown == two.replica.shown
    assert one.sync.in_step
    assert two.sync.in_step
    assert one.replica.space.logs.waiting_count() == 0


class Storm:
    """A connection that loses, repeats and reorders, as no stream of ours does."""

    def __init__(self, data: st.DataObject, one: Side, two: Side) -> None:
        self.data, self.one, self.two = data, one, two

    def rage(self, steps: int) -> int:
        count = 0
        for _ in range(steps):
            source, target = self.data.draw(st.sampled_from([(self.one, self.two), (self.two, self.one)]))
            if not source.out:
                continue
            at = self.data.draw(st.integers(0, min(len(source.out) - 1, 4)))
            message = source.out[at]
            match self.data.draw(st.sampled_from(["deliver", "deliver", "lose", "repeat"])):
                case "lose":
                    del source.out[at]
                case "repeat":
                    target.hear(message)
                case _:
                    del source.out[at]
                    target.hear(message)
            count += 1
            assert len(source.out) + len(target.out) < 200, "messages breed"
        return count


@pytest.mark.property
@settings(deadline=None)
@given(st.data(), st.lists(st.integers(0, 5), min_size=2, max_size=2))
def test_after_any_storm_a_new_connection_brings_them_in_step(data: st.DataObject, counts: list[int]) -> None:
    replicas = meet(*counts)
    one, two = Side(replicas[0], 2), Side(replicas[1], 2)
    for _ in range(data.draw(st.integers(1, 3))):
        Storm(data, one, two).rage(data.draw(st.integers(0, 25)))
        data.draw(st.sampled_from([one, two])).change(data.draw(st.binary(min_size=1, max_size=2)))
        one.connect()
        two.connect()
    run(one, two)
    assert one.replica.space.frontier == two.replica.space.frontier
    assert one.sync.in_step
    assert two.sync.in_step


@pytest.mark.property
@settings(deadline=None)
@given(st.data(), st.lists(st.integers(0, 5), min_size=2, max_size=2))
def test_repeated_messages_cost_time_and_change_nothing(data: st.DataObject, counts: list[int]) -> None:
    replicas = meet(*counts)
    one, two = Side(replicas[0], 2), Side(replicas[1], 2)
    budget = 12
    while one.out or two.out:
        for source, target in ((one, two), (two, one)):
            if source.out:
                message = source.out.popleft()
                target.hear(message)
                if budget and data.draw(st.booleans()):
                    budget -= 1
                    target.hear(message)
    assert one.replica.space.frontier == two.replica.space.frontier
    assert one.sync.in_step
    assert two.sync.in_step


@pytest.mark.unit
def test_a_change_in_a_quiet_connection_takes_few_messages() -> None:
    one, two = (Side(replica) for replica in meet(3, 3)[:2])
    run(one, two)
    one.change(b"new")
    assert run(one, two) <= 4
    assert one.sync.in_step
    assert two.sync.in_step
    one.perform(one.sync.handle(fs.LocalChanged(0)))
    assert not one.out, "nothing changed, nothing is said"


@pytest.mark.unit
def test_a_peer_that_hears_of_the_space_late_is_told_again() -> None:
    one, two = (Side(replica) for replica in meet(2, 0)[:2])
    one.out.clear()
    run(one, two)
    assert one.sync.in_step
    assert two.sync.in_step


@pytest.mark.unit
def test_in_step_needs_the_same_entries_and_nothing_pending() -> None:
    heads = {LOG: Head(4, UNKNOWN, 9)}
    sync = FrontierSync(heads)
    assert not sync.in_step
    for entry, pending, in_step in ((UNKNOWN, 0, True), (UNKNOWN, 1, False), (EntryId(bytes(32)), 0, False)):
        sync.handle(fs.Received(fs.Frontier((fs.FrontierHead(LOG, 4, entry),), pending)))
        assert (sync.in_step, sync.remote_pending) == (in_step, pending)
    sync.handle(fs.Received(fs.Frontier((), 0)))
    assert not sync.same_frontier


@pytest.mark.unit
def test_another_entry_under_the_same_number_is_a_fork_and_not_asked_for() -> None:
    sync = FrontierSync({LOG: Head(4, UNKNOWN, 9)})
    sync.start(0)
    other = fs.FrontierHead(LOG, 4, EntryId(bytes(32)))
    assert fs.ForkSeen(LOG) in sync.handle(fs.Received(fs.Frontier((other,), 0)))
    assert sync.admitted() == [fs.ForkSeen(LOG)]


def promise(seq: int, log: LogId = LOG) -> fs.Received:
    return fs.Received(fs.Frontier((fs.FrontierHead(log, seq, UNKNOWN),), 0))


def wants(actions: list[fs.Action]) -> list[tuple[fs.Range, ...]]:
    return [a.message.ranges for a in actions if isinstance(a, fs.Send) and isinstance(a.message, fs.Want)]


@pytest.mark.unit
def test_what_is_promised_and_never_comes_is_asked_for_once() -> None:
    sync = FrontierSync({})
    sync.start(0)
    assert wants(sync.handle(promise(1 << 48))) == [(fs.Range(LOG, 0, 1 << 48),)]
    for _ in range(50):
        actions = sync.handle(fs.Received(fs.Entries((), 1)))
        assert actions == [fs.Admit(())]
        assert sync.admitted() == []
    assert len(wants(sync.handle(promise(1 << 48)))) == 1, "a new announcement is a new promise"


@pytest.mark.unit
def test_while_an_answer_is_under_way_nothing_more_is_asked_for() -> None:
    sync = FrontierSync({})
    assert len(wants(sync.handle(promise(5)))) == 1
    for seq in range(6, 60):
        assert wants(sync.handle(promise(seq))) == []
        sync.handle(fs.Received(fs.Entries((), 0)))
        assert wants(sync.admitted()) == []
    sync.handle(fs.Received(fs.Entries((), 1)))
    assert wants(sync.admitted()) == [(fs.Range(LOG, 0, 59),)]


@pytest.mark.unit
def test_what_could_not_be_stored_is_asked_for_again() -> None:
    sync = FrontierSync({})
    first = wants(sync.handle(promise(5)))
    sync.handle(fs.Received(fs.Entries((), 1)))
    assert wants(sync.retry()) == first


@pytest.mark.unit
def test_a_request_is_bounded_and_the_rest_follows() -> None:
    heads: dict[LogId, Head] = {}
    sync = FrontierSync(heads)
    logs = [LogId(number.to_bytes(32)) for number in range(fs.MAX_RANGES + 10)]
    (asked,) = wants(sync.handle(fs.Received(fs.Frontier(tuple(fs.FrontierHead(log, 0, UNKNOWN) for log in logs), 0))))
    assert len(asked) == fs.MAX_RANGES
    heads |= {r.log: Head(0, UNKNOWN, 1) for r in asked}
    sync.handle(fs.Received(fs.Entries((), 1)))
    (rest,) = wants(sync.admitted())
    assert [r.log for r in rest] == logs[fs.MAX_RANGES :]


@pytest.mark.unit
def test_an_entry_that_was_refused_is_not_asked_for_until_its_log_is_announced_anew() -> None:
    """The peer holds an entry that we may not admit, and goes on writing in other logs meanwhile."""
    one, two = (Side(replica) for replica in meet(0, 3)[:2])
    one.replica.roster = ACCOUNT.roster()
    one.replica.roster.members.pop(ACCOUNT.devices[1].id)
    one.replica = Replica(ACCOUNT.devices[0], one.replica.roster)
    one.connect()
    two.connect()
    assert run(one, two) < 12
    assert one.replica.space.frontier == {}
    assert not one.sync.in_step


HEADS: Final = st.builds(
    fs.FrontierHead,
    st.sampled_from([LogId(bytes([number]) * 32) for number in range(4)]),
    st.integers(0, 1 << 48),
    st.sampled_from([UNKNOWN, EntryId(bytes(32))]),
)
RANGES: Final = st.builds(fs.Range, st.just(LOG), st.integers(0, 1 << 48), st.integers(0, 1 << 48))
ANYTHING: Final[st.SearchStrategy[fs.Message]] = st.one_of(
    st.builds(fs.Frontier, st.lists(HEADS, max_size=5).map(tuple), st.integers(0, 3)),
    st.builds(fs.Want, st.lists(RANGES, max_size=3).map(tuple)),
    st.builds(fs.Entries, st.just(()), st.integers(0, 1)),
)


@pytest.mark.property
@given(st.lists(ANYTHING, max_size=40), st.sampled_from([0, 1]))
def test_a_peer_that_says_anything_gets_at_most_two_messages_for_each_of_its_own(
    messages: list[fs.Message], holds: int
) -> None:
    heads = {LogId(bytes(32)): Head(3, UNKNOWN, 1)} if holds else {}
    sync = FrontierSync(heads)
    sync.start(0)
    for message in messages:
        actions = sync.handle(fs.Received(message))
        if any(isinstance(action, fs.Admit) for action in actions):
            actions = actions + sync.admitted()
        sent = [action for action in actions if isinstance(action, fs.Send)]
        assert len(sent) <= 2
        asked = [r for ranges in wants(actions) for r in ranges]
        assert all(r.first <= r.last for r in asked)
        assert len({r.log for r in asked}) == len(asked)
        for action in actions:
            if isinstance(action, fs.Serve):
                assert isinstance(message, fs.Want)
                assert action.ranges == message.ranges


@pytest.mark.unit
def test_announcements_replace_each_other_and_take_no_lasting_memory() -> None:
    sync = FrontierSync({})
    for number in range(50):
        heads = tuple(fs.FrontierHead(LogId(bytes([number]) + n.to_bytes(31)), 0, UNKNOWN) for n in range(100))
        sync.handle(fs.Received(fs.Frontier(heads, 0)))
    assert len(sync._remote) == 100  # pyright: ignore[reportPrivateUsage]  # what must stay small


@pytest.mark.unit
@pytest.mark.parametrize(
    "message",
    [
        fs.Frontier((fs.FrontierHead(LOG, (1 << 48) + 1, UNKNOWN),), 0),
        fs.Want((fs.Range(LOG, 0, 1),) * (fs.MAX_RANGES + 1)),
        fs.Entries((b"",), 2),
        fs.Entries((bytes((1 << 20) + 4097),), 1),
        fs.Entries((b"",) * 4097, 1),
        fs.Frontier((), -1),
    ],
    ids=["huge number", "many ranges", "last twice", "large entry", "many entries", "negative"],
)
def test_messages_beyond_their_bounds_are_refused(message: fs.Message) -> None:
    with pytest.raises(MalformedError):
        decode_one_of(MESSAGES, encode(message), MAX_MESSAGE_BYTES)


@pytest.mark.unit
@pytest.mark.parametrize("lost", range(8))
def test_a_connection_cut_after_any_message_is_taken_up_again(lost: int) -> None:
    one, two = (Side(replica, 1) for replica in meet(4, 4)[:2])
    for number in range(lost):
        source, target = ((one, two), (two, one))[number % 2]
        if source.out:
            target.hear(source.out.popleft())
    held: list[list[Entry]] = [list(one.replica.entries), list(two.replica.entries)]
    one.connect()
    two.connect()
    run(one, two)
    assert one.sync.in_step
    assert two.sync.in_step
    assert one.replica.entries[: len(held[0])] == held[0], "nothing that was admitted is admitted again"
