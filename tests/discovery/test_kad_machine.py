from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.discovery import Contact, Found, Got, KadReason, Placed, key_of
from latticework.discovery.kad_contact import shared_prefix
from latticework.discovery.kad_events import (
    Action,
    Cancel,
    Event,
    FindClosest,
    GetRecord,
    Join,
    PeerFault,
    PutRecord,
    Received,
    Refused,
    Send,
    SendFailed,
    SetTimer,
    TimerFired,
    TimerKey,
    Unpublish,
)
from latticework.discovery.kad_messages import (
    FindNode,
    GetValue,
    Message,
    Nodes,
    Ping,
    Pong,
    PutResult,
    PutValue,
    Value,
)

from .kad_kit import KEY, SMALL, US, Solo, contact, faults, in_bucket, nearest, sends

NAME = b"whatever is looked for"
PEERS = nearest([contact(number) for number in range(1, 9)], key_of(NAME), 8)
STRANGER = contact(99)


def asking(event: Event | None = None) -> tuple[Solo, Send]:
    """A machine that has one contact and has asked it."""
    solo = Solo(known=PEERS[:1])
    (request,) = sends(solo.tell(event or FindClosest(1, NAME)))
    assert request.to is PEERS[0]
    return solo, request


# Answers


@pytest.mark.unit
@pytest.mark.parametrize("answer", [Nodes((contact(50),)), Value(b"1", ()), PutResult(accepted=True), Pong()], ids=str)
def test_an_answer_that_nobody_asked_for_is_dropped_and_teaches_nothing(answer: Message) -> None:
    solo = Solo()
    assert solo.hear(STRANGER, 0, answer) == [PeerFault(STRANGER.peer, KadReason.UNASKED)]
    assert list(solo.machine.table) == []


@pytest.mark.unit
def test_nobody_answers_for_somebody_else() -> None:
    solo, request = asking()
    assert faults(solo.hear(STRANGER, request.request, Nodes((contact(50),)))) == [KadReason.UNASKED]
    assert faults(solo.hear(PEERS[0], request.request + 1, Nodes(()))) == [KadReason.UNASKED]
    assert faults(solo.hear(PEERS[0], -1, Nodes(()))) == [KadReason.UNASKED]
    assert solo.hear(PEERS[0], request.request, Nodes(())) == [Found(1, (PEERS[0],), 1, 1)]


@pytest.mark.unit
def test_a_second_answer_and_a_late_one_are_dropped() -> None:
    solo, request = asking()
    solo.hear(PEERS[0], request.request, Nodes(()))
    assert faults(solo.hear(PEERS[0], request.request, Nodes((STRANGER,)))) == [KadReason.LATE]
    solo, request = asking()
    solo.fire(TimerKey.REQUESTS, SMALL.request_timeout_us)
    assert faults(solo.hear(PEERS[0], request.request, Nodes((STRANGER,)))) == [KadReason.LATE]


@pytest.mark.unit
@pytest.mark.parametrize("answer", [Value(None, ()), PutResult(accepted=True), Pong()], ids=str)
def test_an_answer_of_another_kind_is_a_fault_and_no_answer(answer: Message) -> None:
    solo, request = asking()
    assert solo.hear(PEERS[0], request.request, answer) == [
        PeerFault(PEERS[0].peer, KadReason.WRONG_ANSWER),
        Found(1, (), 0, 1),
    ]
    assert list(solo.machine.table) == []


@pytest.mark.unit
def test_an_answer_with_more_contacts_than_k_is_dropped_whole() -> None:
    solo, request = asking()
    actions = solo.hear(PEERS[0], request.request, Nodes(tuple(PEERS[1 : 2 + SMALL.k])))
    assert actions == [PeerFault(PEERS[0].peer, KadReason.TOO_MANY_CONTACTS), Found(1, (), 0, 1)]


@pytest.mark.unit
def test_an_answer_with_ourselves_and_repetitions_teaches_only_what_is_new() -> None:
    solo, request = asking()
    actions = solo.hear(PEERS[0], request.request, Nodes((US, PEERS[0], PEERS[1], PEERS[1])))
    assert [send.to for send in sends(actions)] == [PEERS[1]]
    assert faults(actions) == []


@pytest.mark.unit
def test_contacts_that_were_only_told_of_do_not_enter_the_table() -> None:
    solo, request = asking()
    (asked,) = sends(solo.hear(PEERS[0], request.request, Nodes((PEERS[1], Contact(PEERS[2].peer, ())))))
    assert list(solo.machine.table) == [PEERS[0]]
    solo.hear(PEERS[1], asked.request, Nodes(()))
    assert set(solo.machine.table) == {PEERS[0], PEERS[1]}


@pytest.mark.unit
def test_our_own_echo_is_not_heard() -> None:
    solo = Solo()
    assert solo.hear(US, 0, Ping()) == []
    assert solo.hear(US, 0, Pong()) == []


@pytest.mark.unit
def test_a_peer_that_only_asks_is_answered_and_not_remembered() -> None:
    solo = Solo(known=PEERS[:2])
    (answer,) = sends(solo.hear(STRANGER, 7, FindNode(NAME), serves=False))
    assert answer == Send(STRANGER, 7, Nodes((PEERS[0], PEERS[1])))
    assert STRANGER not in set(solo.machine.table)
    solo.hear(STRANGER, 8, FindNode(NAME))
    assert STRANGER in set(solo.machine.table)


@pytest.mark.unit
def test_a_contact_that_never_answers_ends_the_wait_after_a_while() -> None:
    solo, _ = asking()
    assert solo.fire(TimerKey.REQUESTS, SMALL.request_timeout_us - 1) == [
        SetTimer(TimerKey.REQUESTS, solo.now_us + 1),
    ]
    assert solo.fire(TimerKey.REQUESTS, 1) == [Found(1, (), 0, 1)]
    assert solo.fire(TimerKey.REQUESTS, 1) == []
    assert solo.machine.in_flight == 0


@pytest.mark.unit
def test_a_request_that_cannot_be_sent_is_over_at_once() -> None:
    solo, request = asking()
    assert solo.tell(SendFailed(request.request + 1)) == []
    assert solo.tell(SendFailed(request.request)) == [Found(1, (), 0, 1)]
    assert solo.tell(SendFailed(request.request)) == []


@pytest.mark.unit
def test_a_contact_that_fails_too_often_leaves_the_table() -> None:
    solo = Solo(known=PEERS[:1])
    for operation in range(SMALL.max_misses):
        assert list(solo.machine.table) == [PEERS[0]]
        (request,) = sends(solo.tell(FindClosest(operation, NAME)))
        solo.tell(SendFailed(request.request))
    assert list(solo.machine.table) == []


@pytest.mark.unit
def test_a_full_bucket_is_checked_before_a_newcomer_gets_a_place() -> None:
    peers = in_bucket(0, SMALL.k + 1)
    for answers in (True, False):
        solo = Solo(known=peers[: SMALL.k])
        solo.now_us += SMALL.check_us
        answer, ping = sends(solo.hear(peers[-1], 0, Ping()))
        assert (answer.to, answer.message) == (peers[-1], Pong())
        assert (ping.to, ping.message) == (peers[0], Ping())
        if answers:
            solo.hear(peers[0], ping.request, Pong())
            assert solo.machine.table.bucket(0) == (*peers[1 : SMALL.k], peers[0])
        else:
            solo.fire(TimerKey.REQUESTS, SMALL.request_timeout_us)
            assert solo.machine.table.bucket(0) == tuple(peers[1:])


@pytest.mark.unit
def test_a_contact_is_known_by_the_addresses_that_worked_if_it_tells_none() -> None:
    solo, request = asking()
    (asked,) = sends(solo.hear(PEERS[0], request.request, Nodes((PEERS[1],))))
    solo.hear(Contact(PEERS[1].peer, ()), asked.request, Nodes(()))
    assert PEERS[1] in set(solo.machine.table)


# Requests


@pytest.mark.unit
def test_an_asker_is_told_neither_of_itself_nor_of_more_than_k() -> None:
    solo = Solo(known=PEERS)
    (answer,) = sends(solo.hear(PEERS[0], 3, FindNode(NAME)))
    held = nearest([peer for peer in solo.machine.table if peer != PEERS[0]], key_of(NAME), SMALL.k)
    assert answer == Send(PEERS[0], 3, Nodes(tuple(held)))


@pytest.mark.unit
def test_an_asker_is_not_told_of_a_contact_that_is_silent() -> None:
    solo, request = asking()
    solo.tell(SendFailed(request.request))
    assert list(solo.machine.table) == [PEERS[0]]
    assert sends(solo.hear(STRANGER, 3, FindNode(NAME), serves=False)) == [Send(STRANGER, 3, Nodes(()))]


@pytest.mark.unit
@pytest.mark.parametrize("size", [0, SMALL.max_name_bytes + 1])
def test_a_request_without_a_name_or_with_an_endless_one_is_not_answered(size: int) -> None:
    solo = Solo(known=PEERS[:1])
    for request in (FindNode(bytes(size)), GetValue(bytes(size))):
        assert solo.hear(STRANGER, 0, request) == [PeerFault(STRANGER.peer, KadReason.TOO_LARGE)]


@pytest.mark.unit
def test_a_value_that_its_validator_refuses_is_neither_kept_nor_given() -> None:
    solo = Solo()
    actions = solo.hear(STRANGER, 5, PutValue(KEY, b"not a number"))
    assert faults(actions) == [KadReason.INVALID_VALUE]
    assert sends(actions) == [Send(STRANGER, 5, PutResult(accepted=False))]
    assert solo.machine.records == 0


@pytest.mark.unit
def test_a_record_is_kept_given_and_forgotten_in_time() -> None:
    solo = Solo()
    end_us = solo.now_us + SMALL.expiry_us
    assert solo.hear(STRANGER, 5, PutValue(KEY, b"1")) == [
        SetTimer(TimerKey.EXPIRY, end_us),
        Send(STRANGER, 5, PutResult(accepted=True)),
    ]
    assert sends(solo.hear(PEERS[0], 6, GetValue(KEY))) == [Send(PEERS[0], 6, Value(b"1", (STRANGER,)))]
    assert solo.fire(TimerKey.EXPIRY, SMALL.expiry_us) == []
    assert solo.machine.records == 0
    assert sends(solo.hear(STRANGER, 7, GetValue(KEY))) == [Send(STRANGER, 7, Value(None, (PEERS[0],)))]


@pytest.mark.unit
def test_records_expire_one_after_the_other() -> None:
    solo = Solo()
    solo.hear(STRANGER, 1, PutValue(b"/test/1", b"1"))
    solo.now_us += 5
    solo.hear(STRANGER, 2, PutValue(b"/test/2", b"1"))
    assert solo.fire(TimerKey.EXPIRY, SMALL.expiry_us - 5) == [SetTimer(TimerKey.EXPIRY, solo.now_us + 5)]
    assert solo.machine.records == 1
    assert solo.fire(TimerKey.EXPIRY, 5) == []
    assert solo.machine.records == 0


@pytest.mark.unit
def test_a_flood_of_records_from_one_peer_is_refused_and_told() -> None:
    params = replace(SMALL, max_records_per_peer=3)
    solo = Solo(params)
    actions = [action for n in range(5) for action in solo.hear(STRANGER, n, PutValue(b"/test/%d" % n, b"1"))]
    assert faults(actions) == [KadReason.STORE_FLOOD] * 2
    assert [send.message for send in sends(actions)] == [PutResult(accepted=n < 3) for n in range(5)]


@pytest.mark.unit
def test_a_worse_value_or_an_unknown_namespace_is_refused_without_blame() -> None:
    solo = Solo()
    solo.hear(STRANGER, 1, PutValue(KEY, b"2"))
    for message in (PutValue(KEY, b"1"), PutValue(b"/unknown/key", b"1")):
        actions = solo.hear(STRANGER, 2, message)
        assert actions == [Send(STRANGER, 2, PutResult(accepted=False))]


# Wishes of our caller's


@pytest.mark.unit
def test_what_cannot_be_done_is_refused() -> None:
    solo = Solo(replace(SMALL, max_operations=1, max_published=1), known=PEERS[:1])

    def refused(event: Event) -> bool:
        return any(isinstance(action, Refused) for action in solo.tell(event))

    assert refused(FindClosest(1, b""))
    assert refused(GetRecord(1, b"/test/" + bytes(SMALL.max_name_bytes)))
    assert refused(GetRecord(1, b"/unknown/key"))
    assert refused(PutRecord(1, KEY, b"not a number"))
    assert refused(PutRecord(1, KEY, b"1" * (SMALL.max_value_bytes + 1)))
    solo.tell(FindClosest(1, NAME))
    assert refused(FindClosest(1, NAME))
    assert refused(FindClosest(2, NAME))
    solo.tell(Cancel(1))
    solo.tell(PutRecord(1, KEY, b"1"))
    solo.tell(Cancel(1))
    assert refused(PutRecord(1, b"/test/another", b"1"))
    assert not refused(PutRecord(1, KEY, b"2"))


@pytest.mark.unit
def test_a_cancelled_operation_gives_no_result() -> None:
    solo, request = asking()
    assert solo.tell(Cancel(1)) == []
    assert solo.tell(Cancel(1)) == []
    assert solo.hear(PEERS[0], request.request, Nodes((PEERS[1],))) == []


@pytest.mark.unit
def test_a_machine_that_knows_nobody_says_so() -> None:
    solo = Solo()
    assert solo.tell(FindClosest(1, NAME)) == [Found(1, (), 0, 0)]
    assert solo.tell(Join(1, ())) == [Found(1, (), 0, 0)]
    assert solo.tell(GetRecord(1, KEY)) == [Got(1, KEY, None, 0)]
    assert solo.tell(PutRecord(1, KEY, b"1", once=True)) == [Placed(1, KEY, 0)]


@pytest.mark.unit
def test_the_best_value_wins_and_those_with_a_worse_one_are_told() -> None:
    peers = nearest([contact(number) for number in range(1, 30)], key_of(KEY), 4)
    solo = Solo(replace(SMALL, alpha=4), known=peers)
    requests = sends(solo.tell(GetRecord(1, KEY)))
    actions: list[Action] = []
    for request, value in zip(requests, (b"7", b"lie", b"9", None), strict=True):
        actions += solo.hear(request.to, request.request, Value(value, ()))
    assert faults(actions) == [KadReason.INVALID_VALUE]
    assert [(send.to, send.message) for send in sends(actions)] == [(requests[0].to, PutValue(KEY, b"9"))]
    assert actions[-1] == Got(1, KEY, b"9", 1)


@pytest.mark.unit
def test_a_quorum_ends_the_search_and_our_own_copy_counts() -> None:
    solo = Solo(known=PEERS[:2])
    solo.tell(PutRecord(1, KEY, b"5"))
    solo.tell(Cancel(1))
    assert solo.tell(GetRecord(2, KEY, quorum=1)) == [Got(2, KEY, b"5", 1)]
    request, _ = sends(solo.tell(GetRecord(2, KEY, quorum=2)))
    assert solo.hear(request.to, request.request, Value(b"5", ())) == [Got(2, KEY, b"5", 2)]


@pytest.mark.unit
def test_a_record_goes_to_those_who_answered_and_counts_those_who_took_it() -> None:
    solo = Solo(known=PEERS[:3])
    answered: list[Action] = []
    waiting = sends(solo.tell(PutRecord(1, KEY, b"1", once=True)))
    while waiting:
        request = waiting.pop(0)
        match request.message:
            case FindNode() if request.to == PEERS[0]:
                actions = solo.tell(SendFailed(request.request))
            case FindNode():
                actions = solo.hear(request.to, request.request, Nodes(()))
            case _:
                assert request.message == PutValue(KEY, b"1")
                actions = solo.hear(request.to, request.request, PutResult(accepted=request.to == PEERS[1]))
        waiting += sends(actions)
        answered += actions
    assert answered[-1] == Placed(1, KEY, 1)


@pytest.mark.unit
def test_a_record_is_stored_once_although_answers_straggle_in() -> None:
    known = nearest([contact(number) for number in range(1, 30)], key_of(KEY), 6)
    solo = Solo(known=known[4:])
    late, first = sends(solo.tell(PutRecord(1, KEY, b"1", once=True)))[::-1]
    waiting = sends(solo.hear(first.to, first.request, Nodes(tuple(known[:4]))))
    puts: list[Send] = []
    while waiting:
        request = waiting.pop(0)
        assert isinstance(request.message, FindNode)
        new = sends(solo.hear(request.to, request.request, Nodes(())))
        puts += [send for send in new if isinstance(send.message, PutValue)]
        waiting += [send for send in new if isinstance(send.message, FindNode)]
    assert [put.to for put in puts] == known[:4]
    assert solo.hear(late.to, late.request, Nodes(())) == []


@pytest.mark.unit
def test_requests_in_flight_share_one_timer() -> None:
    solo = Solo(known=PEERS[:2])
    actions = solo.tell(FindClosest(1, NAME)) + solo.tell(FindClosest(2, NAME))
    assert len(sends(actions)) == 4
    assert [action for action in actions if isinstance(action, SetTimer)] == [
        SetTimer(TimerKey.REQUESTS, solo.now_us + SMALL.request_timeout_us)
    ]


# Upkeep


@pytest.mark.unit
def test_our_records_are_stored_again_until_we_take_them_back() -> None:
    solo = Solo(known=PEERS[:1])
    assert SetTimer(TimerKey.REPUBLISH, solo.now_us + SMALL.republish_us) in solo.tell(PutRecord(1, KEY, b"1"))
    solo.tell(Cancel(1))
    actions = solo.fire(TimerKey.REPUBLISH, SMALL.republish_us)
    assert [send.message for send in sends(actions)] == [FindNode(KEY)]
    assert SetTimer(TimerKey.REPUBLISH, solo.now_us + SMALL.republish_us) in actions
    (request,) = sends(actions)
    (stored,) = sends(solo.hear(request.to, request.request, Nodes(())))
    assert stored.message == PutValue(KEY, b"1")
    assert solo.hear(stored.to, stored.request, PutResult(accepted=True)) == []
    solo.tell(Unpublish(KEY))
    assert solo.fire(TimerKey.REPUBLISH, SMALL.republish_us) == []


@pytest.mark.unit
def test_a_refresh_looks_for_ourselves_and_then_in_every_stale_bucket_one_at_a_time() -> None:
    solo = Solo(known=[in_bucket(0, 1)[0], in_bucket(2, 1)[0]])
    actions = solo.fire(TimerKey.REFRESH, SMALL.refresh_us)
    assert SetTimer(TimerKey.REFRESH, solo.now_us + SMALL.refresh_us) in actions
    names: list[bytes] = []
    while sends(actions):
        (name,) = {send.message.name for send in sends(actions) if isinstance(send.message, FindNode)}
        names.append(name)
        for send in sends(actions):
            actions = solo.hear(send.to, send.request, Nodes(()))
    assert names[0] == US.peer.multihash
    assert [shared_prefix(US.key, key_of(name)) for name in names[1:]] == [0, 1, 2]
    assert [send.message for send in sends(solo.fire(TimerKey.REFRESH))] == [FindNode(US.peer.multihash)] * 2


@pytest.mark.unit
def test_the_first_refresh_comes_within_one_interval() -> None:
    solo = Solo()
    (timer,) = solo.machine.start(solo.now_us)
    assert isinstance(timer, SetTimer)
    assert solo.now_us < timer.at_us <= solo.now_us + SMALL.refresh_us


@pytest.mark.unit
def test_a_bucket_that_a_lookup_has_touched_is_not_refreshed() -> None:
    near, far = in_bucket(2, 1)[0], in_bucket(0, 1)[0]
    solo = Solo(known=[near, far])
    solo.now_us += SMALL.refresh_us
    solo.tell(FindClosest(1, far.peer.multihash))
    assert solo.machine.table.stale(solo.now_us, SMALL.refresh_us) == [1, 2]


@pytest.mark.unit
def test_whoever_joins_fills_its_buckets_when_its_neighbours_are_known() -> None:
    solo = Solo()
    near, far = in_bucket(3, 1)[0], in_bucket(0, 1)[0]
    (request,) = sends(solo.tell(Join(1, (far,))))
    assert request.message == FindNode(US.peer.multihash)
    (request,) = sends(solo.hear(far, request.request, Nodes((near,))))
    actions = solo.hear(near, request.request, Nodes(()))
    assert actions[0] == Found(1, (near, far), 2, 2)
    refreshed: set[int] = set()
    while sends(actions):
        for send in sends(actions):
            assert isinstance(send.message, FindNode)
            refreshed.add(shared_prefix(US.key, key_of(send.message.name)))
            actions = solo.hear(send.to, send.request, Nodes(()))
    assert refreshed == {0, 1, 2, 3}


@pytest.mark.unit
def test_a_record_taken_back_is_not_stored_although_its_turn_has_come() -> None:
    solo = Solo(known=PEERS[:1])
    other = b"/test/other"
    for key in (KEY, other):
        solo.tell(PutRecord(1, key, b"1"))
        solo.tell(Cancel(1))
    (request,) = sends(solo.fire(TimerKey.REPUBLISH, SMALL.republish_us))
    assert request.message == FindNode(KEY)
    solo.tell(Unpublish(other))
    (stored,) = sends(solo.hear(request.to, request.request, Nodes(())))
    assert solo.hear(stored.to, stored.request, PutResult(accepted=True)) == []


# Anything


contacts = st.builds(contact, st.integers(0, 12))
some_contacts = st.lists(contacts, max_size=6).map(tuple)
names = st.sampled_from([b"", NAME, KEY, b"/unknown/key", bytes(SMALL.max_name_bytes + 1)])
values = st.sampled_from([b"", b"1", b"2", b"lie", b"1" * (SMALL.max_value_bytes + 1)])
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(FindNode, names),
    st.builds(GetValue, names),
    st.builds(PutValue, names, values),
    st.builds(Ping),
    st.builds(Nodes, some_contacts),
    st.builds(Value, st.none() | values, some_contacts),
    st.builds(PutResult, st.booleans()),
    st.builds(Pong),
)
numbers = st.integers(-1, 20)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Received, contacts, numbers, messages, st.booleans()),
    st.builds(SendFailed, numbers),
    st.builds(TimerFired, st.sampled_from(TimerKey)),
    st.builds(Join, st.integers(0, 3), some_contacts),
    st.builds(FindClosest, st.integers(0, 3), names),
    st.builds(GetRecord, st.integers(0, 3), names, st.integers(0, 3)),
    st.builds(PutRecord, st.integers(0, 3), names, values, st.booleans()),
    st.builds(Unpublish, names),
    st.builds(Cancel, st.integers(0, 3)),
)


@pytest.mark.property
@given(st.lists(st.tuples(events, st.integers(0, 10**7)), max_size=60), st.integers(1, 3))
def test_whatever_happens_nothing_is_raised_and_every_operation_has_one_end(
    history: list[tuple[Event, int]], paths: int
) -> None:
    solo = Solo(replace(SMALL, paths=paths))
    running: set[int] = set()
    for event, wait_us in history:
        solo.now_us += wait_us
        refused_or_ended: list[int] = []
        actions = solo.tell(event)
        if isinstance(event, Cancel):
            running.discard(event.operation)
        was_running = set(running)
        if isinstance(event, Join | FindClosest | GetRecord | PutRecord):
            running.add(event.operation)
        for action in actions:
            match action:
                case Refused(number, _):
                    assert isinstance(event, Join | FindClosest | GetRecord | PutRecord)
                    running = was_running
                case Found(number) | Got(number) | Placed(number):
                    assert number in running
                    running.remove(number)
                    refused_or_ended.append(number)
                case Send(to):
                    assert to.key != US.key
                case _:
                    pass
        assert len(refused_or_ended) == len(set(refused_or_ended))
    # Silence from now on: everything ends.
    for _ in range(400):
        for action in solo.fire(TimerKey.REQUESTS, SMALL.request_timeout_us):
            if isinstance(action, Found | Got | Placed):
                running.remove(action.operation)
    assert running == set()
    assert solo.machine.in_flight == 0
