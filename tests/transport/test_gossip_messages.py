"""The way of a message, and the gossip about it: seen, signed, validated, delivered, forwarded, asked for, declined."""

import dataclasses

import pytest

from latticework.transport.gossip_events import (
    Deliver,
    GossipReason,
    PeerDisconnected,
    Priority,
    Published,
    Refused,
    Report,
    SendQueueFull,
    SendRpc,
    Unsubscribe,
    Validate,
    ValidationResult,
    Verdict,
)
from latticework.transport.gossip_message import Message
from latticework.transport.gossip_outbox import Outbox
from latticework.transport.gossip_params import MESHSUB_11, GossipBounds, GossipParams
from latticework.transport.gossip_rpc import Rpc

from .gossip_kit import (
    SECOND,
    TOPIC,
    Solo,
    delivered,
    id_of,
    ids,
    message_of,
    names,
    peer_of,
    reasons,
    receivers,
    sent,
    signer_of,
)

pytestmark = pytest.mark.unit

LARGE = b"x" * 1024


def solo_with(*peers: str, params: GossipParams | None = None) -> Solo:
    solo = Solo(params or GossipParams())
    solo.connect(*peers)
    solo.subscribe()
    return solo


def bounded(**changes: int) -> GossipParams:
    return GossipParams(bounds=dataclasses.replace(GossipBounds(), **changes))


def test_a_message_is_delivered_and_forwarded_only_after_it_was_accepted() -> None:
    solo = solo_with("one", "two", "three")
    message = message_of("author", 1)
    asked = solo.hear("one", Rpc((message,)))
    assert asked == [Validate(id_of(message), TOPIC, b"data", peer_of("one"), peer_of("author"))]
    actions = solo.handle(ValidationResult(id_of(message), Verdict.ACCEPT))
    assert actions[0] == Deliver(id_of(message), TOPIC, b"data", peer_of("one"), peer_of("author"))
    assert receivers(actions, id_of(message)) == ids(["two", "three"])
    assert [action.priority for action in actions if isinstance(action, SendRpc)] == [Priority.FORWARDED]


@pytest.mark.parametrize("verdict", [Verdict.IGNORE, Verdict.REJECT])
def test_other_verdicts_neither_deliver_nor_forward_and_stand_for_copies(verdict: Verdict) -> None:
    solo = solo_with("one", "two", "three")
    message = message_of("author", 1)
    actions = solo.deliver("one", message, verdict)
    assert delivered(actions) == []
    assert receivers(actions, id_of(message)) == set()
    assert [action for action in solo.hear("two", Rpc((message,))) if isinstance(action, Validate)] == []


def test_a_message_goes_neither_to_its_author_nor_to_those_who_sent_it() -> None:
    solo = solo_with("one", "two", "three", "author")
    message = message_of("author", 1)
    solo.hear("one", Rpc((message,)))
    solo.hear("two", Rpc((message,)))
    actions = solo.handle(ValidationResult(id_of(message), Verdict.ACCEPT))
    assert receivers(actions, id_of(message)) == ids(["three"])


def test_a_copy_is_neither_delivered_nor_forwarded_until_it_is_forgotten() -> None:
    solo = solo_with("one", "two")
    message = message_of("author", 1)
    solo.deliver("one", message)
    assert solo.deliver("two", message) == []
    solo.beat(100)
    assert solo.deliver("two", message) == []
    solo.beat(30)
    assert delivered(solo.deliver("two", message)) == [b"data"]


def test_a_topic_that_we_are_not_in_is_not_relayed() -> None:
    solo = solo_with("one", "two")
    assert solo.hear("one", Rpc((message_of("author", 1, topic="other"),))) == []


def test_a_verdict_after_leaving_the_topic_delivers_nothing() -> None:
    solo = solo_with("one", "two")
    message = message_of("author", 1)
    solo.hear("one", Rpc((message,)))
    solo.handle(Unsubscribe(TOPIC))
    assert solo.handle(ValidationResult(id_of(message), Verdict.ACCEPT)) == []


def test_a_verdict_nobody_asked_for_is_reported() -> None:
    assert reasons(Solo().handle(ValidationResult(b"?", Verdict.ACCEPT))) == [GossipReason.UNKNOWN_MESSAGE]


def test_a_verdict_that_never_comes_holds_no_place_for_ever() -> None:
    solo = solo_with("one", "two", params=bounded(max_pending=2, max_pending_per_peer=1))
    solo.hear("one", Rpc((message_of("author", 1),)))
    assert reasons(solo.hear("one", Rpc((message_of("author", 2),)))) == [GossipReason.TOO_MANY_PENDING]
    solo.hear("two", Rpc((message_of("author", 3),)))
    solo.connect("three")
    assert reasons(solo.hear("three", Rpc((message_of("author", 4),)))) == [GossipReason.TOO_MANY_PENDING]
    solo.beat(130)
    assert delivered(solo.deliver("one", message_of("author", 5))) == [b"data"]
    assert delivered(solo.deliver("two", message_of("author", 2))) == [b"data"], "it was not seen the first time"


def test_the_seen_cache_is_bounded() -> None:
    solo = solo_with("one", "two", params=bounded(max_seen=4))
    for number in range(6):
        solo.deliver("one", message_of("author", number))
    assert delivered(solo.deliver("two", message_of("author", 5))) == []
    assert delivered(solo.deliver("two", message_of("author", 0))) == [b"data"]


# Signatures


def forged() -> Message:
    genuine = message_of("author", 1)
    wire = genuine.wire.replace(b"data", b"fake")
    message = Message.decode(wire, 256)
    assert message is not None
    return message


def test_a_forged_message_is_refused_and_does_not_keep_the_genuine_one_away() -> None:
    solo = solo_with("forger", "honest")
    assert reasons(solo.hear("forger", Rpc((forged(),)))) == [GossipReason.FORGED]
    assert solo.score("forger") < 0
    assert delivered(solo.deliver("honest", message_of("author", 1))) == [b"data"]


def test_an_unsigned_message_is_refused_where_signatures_are_asked_for() -> None:
    solo = solo_with("peer")
    assert reasons(solo.hear("peer", Rpc((Message.anonymous(TOPIC, b"data"),)))) == [GossipReason.FORGED]


def test_a_signed_message_is_refused_where_nobody_signs() -> None:
    solo = Solo(signed=False)
    solo.connect("peer")
    solo.subscribe()
    assert reasons(solo.hear("peer", Rpc((message_of("author", 1),)))) == [GossipReason.FORGED]


def test_unsigned_messages_are_known_by_their_content() -> None:
    solo = Solo(signed=False)
    solo.connect("one", "two", "three")
    solo.subscribe()
    message = Message.anonymous(TOPIC, b"data")
    actions = solo.deliver("one", message)
    assert [action.author for action in actions if isinstance(action, Deliver)] == [None]
    assert [peer for peer, rpc in sent(actions) if rpc.messages] == [peer_of("two"), peer_of("three")]
    assert solo.deliver("two", message) == []
    assert solo.publish(b"data") == [Refused("published already")]


def test_our_own_message_that_comes_back_is_dropped_and_nobody_is_blamed() -> None:
    solo = solo_with("peer")
    assert solo.hear("peer", Rpc((message_of("us", 77),))) == []
    assert solo.score("peer") == 0
    assert reasons(solo.hear("peer", Rpc((Message.decode(message_of("us", 78).wire[:-1] + b"?", 256) or forged(),))))


# Publishing


def test_our_messages_go_to_every_subscriber_with_flood_publishing() -> None:
    solo = solo_with(*names("peer", 20))
    actions = solo.publish()
    assert {peer for peer, rpc in sent(actions) if rpc.messages} == ids(names("peer", 20))
    (published,) = [action for action in actions if isinstance(action, Published)]
    assert published.peers == 20
    assert [action.priority for action in actions if isinstance(action, SendRpc)] == [Priority.OWN]


def test_without_it_they_go_to_the_mesh_and_to_somebody_before_there_is_one() -> None:
    solo = Solo(GossipParams(flood_publish=False))
    solo.subscribe()
    solo.connect(*names("peer", 20))
    assert len([peer for peer, rpc in sent(solo.publish()) if rpc.messages]) == solo.params.d
    solo.beat()
    assert {peer for peer, rpc in sent(solo.publish(b"two")) if rpc.messages} == solo.mesh()


def test_our_messages_are_signed_numbered_and_not_delivered_to_us() -> None:
    solo = solo_with("peer")
    wires = [rpc.messages[0] for data in (b"a", b"a") for _, rpc in sent(solo.publish(data)) if rpc.messages]
    assert [int.from_bytes(message.seqno, "big") for message in wires] == [1, 2]
    assert [message.author for message in wires] == [peer_of("us").multihash] * 2
    assert wires[0].wire == Message.signed(signer_of("us"), 1, TOPIC, b"a").wire
    assert delivered(solo.hear("peer", Rpc((wires[0],)))) == []


@pytest.mark.parametrize("topic", ["", "x" * 257, "\ud800"])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    solo = solo_with("peer")
    assert isinstance(solo.publish(topic=topic)[0], Refused)
    assert isinstance(solo.subscribe(topic)[0], Refused)


def test_what_does_not_fit_into_an_rpc_is_refused() -> None:
    solo = solo_with("peer")
    assert isinstance(solo.publish(bytes(1024 * 1024))[0], Refused)
    assert isinstance(solo.publish(bytes(1024 * 1024 - 512))[-1], Published)
    (rpc,) = [rpc for _, rpc in sent(solo.publish(bytes(1024 * 1024 - 512), "t" * 256)) if rpc.messages] or [Rpc()]
    assert len(rpc.encode()) <= 1024 * 1024


# IHAVE and IWANT


def test_peers_outside_the_mesh_hear_what_we_have_for_three_heartbeats() -> None:
    solo = solo_with(*names("peer", 20))
    message = message_of("author", 1)
    solo.deliver("peer-0", message)
    for _ in range(3):
        heard = {peer: rpc.ihave for peer, rpc in sent(solo.beat()) if rpc.ihave}
        assert len(heard) == solo.params.d_lazy
        assert set(heard.values()) == {((TOPIC, (id_of(message),)),)}
        assert not heard.keys() & solo.mesh()
    assert [rpc for _, rpc in sent(solo.beat()) if rpc.ihave] == []


def test_in_a_large_network_a_part_of_it_hears() -> None:
    solo = solo_with(*names("peer", 106))
    solo.deliver("peer-0", message_of("author", 1))
    assert len([rpc for _, rpc in sent(solo.beat()) if rpc.ihave]) == (106 - len(solo.mesh())) // 4


def test_ids_beyond_the_limit_are_a_random_part_for_each_peer() -> None:
    params = GossipParams(max_ihave_length=3, d=0, d_lo=0, d_hi=0, d_out=0, d_score=0)
    solo = solo_with(*names("peer", 5), params=params)
    for number in range(10):
        solo.deliver("peer-0", message_of("author", number))
    lists = [rpc.ihave[0][1] for _, rpc in sent(solo.beat()) if rpc.ihave]
    assert [len(ids) for ids in lists] == [3] * 5
    assert len(set(lists)) > 1


def test_what_we_miss_is_asked_for_and_what_we_have_is_not() -> None:
    solo = solo_with("peer")
    known = message_of("author", 1)
    solo.deliver("peer", known)
    actions = solo.hear("peer", Rpc(ihave=((TOPIC, (id_of(known), b"new")), ("other", (b"elsewhere",)))))
    assert [rpc.iwant for _, rpc in sent(actions)] == [(b"new",)]


def test_a_peer_that_asks_gets_the_message_three_times_and_then_no_more() -> None:
    solo = solo_with("one", "two")
    message = message_of("author", 1)
    solo.deliver("one", message)
    for _ in range(3):
        assert receivers(solo.hear("two", Rpc(iwant=(id_of(message), b"unknown"))), id_of(message)) == ids(["two"])
    assert reasons(solo.hear("two", Rpc(iwant=(id_of(message),)))) == [GossipReason.IWANT_REPEATED]
    assert receivers(solo.hear("one", Rpc(iwant=(id_of(message),) * 9)), id_of(message)) == ids(["one"])


def test_messages_are_kept_for_five_heartbeats_and_within_bytes() -> None:
    solo = solo_with("one", params=bounded(max_cache_bytes=8500))
    first, second, third = (message_of("author", number, LARGE) for number in range(3))
    solo.deliver("one", first)
    solo.beat(4)
    assert sent(solo.hear("one", Rpc(iwant=(id_of(first),))))
    solo.beat()
    assert sent(solo.hear("one", Rpc(iwant=(id_of(first),)))) == []
    for message in (second, third, message_of("author", 4, LARGE)):
        solo.deliver("one", message)
    assert sent(solo.hear("one", Rpc(iwant=(id_of(second),)))) == []
    assert sent(solo.hear("one", Rpc(iwant=(id_of(third),))))


def test_ihave_beyond_what_a_heartbeat_allows_is_not_answered() -> None:
    solo = solo_with("peer")
    for number in range(10):
        assert sent(solo.hear("peer", Rpc(ihave=((TOPIC, (b"%d" % number,)),))))
    assert reasons(solo.hear("peer", Rpc(ihave=((TOPIC, (b"11",)),)))) == [GossipReason.IHAVE_FLOOD]
    solo.beat()
    assert sent(solo.hear("peer", Rpc(ihave=((TOPIC, (b"12",)),))))


def test_ids_asked_for_are_bounded_per_heartbeat() -> None:
    solo = solo_with("peer", params=GossipParams(max_ihave_length=5))
    many = tuple(b"%d" % number for number in range(4))
    assert [len(rpc.iwant) for _, rpc in sent(solo.hear("peer", Rpc(ihave=((TOPIC, many),))))] == [4]
    more = tuple(b"more %d" % number for number in range(4))
    assert [len(rpc.iwant) for _, rpc in sent(solo.hear("peer", Rpc(ihave=((TOPIC, more),))))] == [1]
    assert reasons(solo.hear("peer", Rpc(ihave=((TOPIC, (b"last",)),)))) == [GossipReason.IHAVE_FLOOD]


def test_who_does_not_send_what_it_advertised_is_penalised() -> None:
    solo = solo_with("liar", "honest")
    message = message_of("author", 1)
    solo.hear("liar", Rpc(ihave=((TOPIC, (b"no such message",)),)))
    solo.hear("honest", Rpc(ihave=((TOPIC, (id_of(message),)),)))
    solo.deliver("liar", message)
    broken = [action for action in solo.beat(5) if isinstance(action, Report)]
    assert broken == [Report(peer_of("liar"), GossipReason.BROKEN_PROMISE)], "it does not matter who sends it"


def test_promises_of_peers_that_left_are_forgotten() -> None:
    solo = solo_with("peer")
    solo.hear("peer", Rpc(ihave=((TOPIC, (b"id",)),)))
    solo.handle(PeerDisconnected(peer_of("peer")))
    assert reasons(solo.beat(5)) == []


# IDONTWANT


def declines(solo: Solo, name: str, message: Message) -> set[object]:
    return {peer for peer, rpc in sent(solo.hear(name, Rpc((message,)))) if rpc.idontwant == (id_of(message),)}


def test_the_mesh_is_told_at_once_of_a_large_message() -> None:
    solo = Solo()
    solo.connect("one", "two", "three")
    solo.connect("older", protocol=MESHSUB_11)
    solo.subscribe()
    assert declines(solo, "one", message_of("author", 1, LARGE)) == ids(["two", "three"])
    assert declines(solo, "one", message_of("author", 2, LARGE[1:])) == set()
    assert declines(solo, "two", message_of("author", 1, LARGE)) == set(), "once"


def test_a_forged_message_is_not_declined() -> None:
    solo = solo_with("one", "two")
    message = message_of("author", 1, LARGE)
    fake = Message.decode(message.wire.replace(LARGE, b"y" * 1024), 256)
    assert fake is not None
    assert declines(solo, "one", fake) == set()


def test_what_a_peer_does_not_want_is_not_sent_to_it() -> None:
    solo = solo_with("one", "two", "three")
    message = message_of("author", 1)
    solo.hear("two", Rpc(idontwant=(id_of(message),)))
    assert receivers(solo.deliver("one", message), id_of(message)) == ids(["three"])
    assert sent(solo.hear("two", Rpc(iwant=(id_of(message),)))) == []


def test_after_three_heartbeats_it_is_sent_again() -> None:
    solo = solo_with("one", "two")
    message = message_of("author", 1)
    solo.hear("two", Rpc(idontwant=(id_of(message),)))
    solo.beat(3)
    assert receivers(solo.deliver("one", message), id_of(message)) == ids(["two"])


def test_idontwant_is_bounded_per_rpc_per_heartbeat_and_per_peer() -> None:
    params = GossipParams(max_idontwant_messages=2, bounds=dataclasses.replace(GossipBounds(), max_unwanted=15))
    solo = solo_with("one", "two", params=params)
    messages = [message_of("author", number) for number in range(40)]
    for start in (0, 11, 22):
        solo.hear("two", Rpc(idontwant=tuple(map(id_of, messages[start : start + 11]))))
    refused = [
        number for number, message in enumerate(messages) if not receivers(solo.deliver("one", message), id_of(message))
    ]
    assert refused == [*range(10), *range(11, 16)]


# Queues


def test_a_peer_that_does_not_read_control_is_left_and_lost_messages_are_said() -> None:
    solo = solo_with("peer")
    for priority in (Priority.REQUEST, Priority.OWN, Priority.FORWARDED):
        assert reasons(solo.handle(SendQueueFull(peer_of("peer"), priority))) == [GossipReason.SLOW]
    assert reasons(solo.handle(SendQueueFull(peer_of("peer"), Priority.CONTROL))) == [GossipReason.QUEUE_FULL]


def test_frames_leave_by_priority_and_in_order() -> None:
    outbox = Outbox(GossipBounds())
    order = (Priority.FORWARDED, Priority.OWN, Priority.REQUEST, Priority.CONTROL, Priority.OWN)
    for number, priority in enumerate(order):
        assert outbox.push(b"%d" % number, priority)
    assert [outbox.pop() for _ in range(6)] == [b"3", b"2", b"1", b"4", b"0", None]


def test_a_full_queue_drops_and_never_keeps_control_out() -> None:
    outbox = Outbox(GossipBounds(control_frames=2, own_frames=2, forwarded_frames=3, queued_bytes=10))
    assert [outbox.push(b"1234", Priority.FORWARDED) for _ in range(3)] == [True, True, False]
    assert [outbox.push(b"1", Priority.OWN) for _ in range(3)] == [True, True, False]
    assert [outbox.push(b"control", Priority.CONTROL) for _ in range(3)] == [True, True, False]
    assert len(outbox) == 6
    while outbox.pop():
        pass
    assert outbox.push(b"0123456789", Priority.FORWARDED), "room comes back"


def test_time_is_the_only_thing_a_heartbeat_needs() -> None:
    solo = Solo()
    start = solo.now_us
    assert solo.beat(10) == []
    assert 9 * SECOND < solo.now_us - start < 12 * SECOND
