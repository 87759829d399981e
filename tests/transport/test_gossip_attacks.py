"""What a malicious member can do to a network, and what becomes of it."""

import dataclasses

import pytest

from latticework.transport import Multiaddr
from latticework.transport.gossip_events import Action, AppScore, GossipReason, SendRpc, Validate, Verdict
from latticework.transport.gossip_message import Message
from latticework.transport.gossip_params import GossipParams, ScoreParams, TopicScoreParams
from latticework.transport.gossip_rpc import Prune, PxPeer, Rpc
from latticework.transport.signed_envelope import PeerRecord, seal_peer_record

from .gossip_kit import SECOND, TOPIC, id_of, message_of, peer_of, signer_of
from .gossip_net import Net

pytestmark = pytest.mark.sim

BAD = 0
"""The member that misbehaves."""


def warm(net: Net, seconds: float = 5) -> Net:
    net.wire_up()
    net.subscribe_all()
    net.run(seconds)
    return net


def neighbours(net: Net) -> list[int]:
    return [net.index[peer] for peer in net.routers[BAD].subscribers(TOPIC)]


def worst(net: Net) -> float:
    return max(net.score(n, BAD) or 0 for n in neighbours(net))


def assert_shut_out(net: Net) -> None:
    """Everybody whom it knew has ended it, and the others still reach each other."""
    for n in range(1, net.count):
        assert BAD not in net.mesh(n)
    message_id = net.publish(1, b"still there")
    net.run(8)
    assert {n for n, _ in net.deliveries[message_id]} >= set(range(2, net.count))


def test_a_member_that_sends_invalid_messages_is_graylisted_by_all_its_neighbours() -> None:
    def verdict(question: Validate) -> Verdict:
        return Verdict.REJECT if question.data.startswith(b"bad") else Verdict.ACCEPT

    net = warm(Net(b"invalid", 40, verdicts=verdict))
    known = neighbours(net)
    for number in range(6):
        net.publish(BAD, b"bad %d" % number)
        net.run(0.5)
    assert net.ended == {(n, net.ids[BAD]) for n in known}
    assert net.reports[GossipReason.GRAYLISTED] == len(known)
    assert all(not deliveries for deliveries in net.deliveries.values())
    assert_shut_out(net)


def test_a_member_that_forges_signatures_is_graylisted() -> None:
    net = warm(Net(b"forged", 30))
    victims = neighbours(net)
    for number in range(6):
        genuine = message_of("author", number)
        fake = Message.decode(genuine.wire.replace(b"data", b"fake"), 256)
        assert fake is not None
        for n in victims:
            net.send(BAD, n, Rpc((fake,)))
        net.run(0.5)
    assert net.ended == {(n, net.ids[BAD]) for n in victims}
    assert_shut_out(net)


def test_ihave_spam_costs_few_requests_and_ends_in_the_graylist() -> None:
    def swallow(_net: Net, _n: int, action: Action) -> bool:
        return isinstance(action, SendRpc)

    net = warm(Net(b"ihave", 30))
    net.outlaws[BAD] = swallow
    victim = neighbours(net)[0]
    for number in range(1000):
        ids = tuple(b"bogus %d %d" % (number, i) for i in range(20))
        net.send(BAD, victim, Rpc(ihave=((TOPIC, ids),)))
        net.run(0.01)
    assert net.reports[GossipReason.IHAVE_FLOOD] > 0, "the flood was noticed"
    assert net.reports[GossipReason.BROKEN_PROMISE] > 0
    assert net.ended == {(victim, net.ids[BAD])}, "within ten seconds"


def test_iwant_spam_gets_each_message_a_few_times() -> None:
    net = warm(Net(b"iwant", 30))
    victim = neighbours(net)[0]
    message_id = net.publish(5, b"x" * 1000)
    net.run(1)
    before = net.messages
    for _ in range(200):
        net.send(BAD, victim, Rpc(iwant=(message_id,) * 50))
    net.run(2)
    assert net.messages - before <= net.params.gossip_retransmission
    assert net.reports[GossipReason.IWANT_REPEATED] > 100


def test_a_graft_flood_in_the_backoff_ends_in_the_graylist() -> None:
    net = warm(Net(b"graft", 30))
    victim = neighbours(net)[0]
    net.send(BAD, victim, Rpc(prune=(Prune(TOPIC, 60 * SECOND),)))
    net.run(1)
    for _ in range(30):
        net.send(BAD, victim, Rpc(graft=(TOPIC,)))
    net.run(1)
    assert BAD not in net.mesh(victim)
    assert (victim, net.ids[BAD]) in net.ended
    assert net.reports[GossipReason.GRAFT_IN_BACKOFF] < 30, "the rest is not even read"


def test_a_poisoner_without_signed_records_makes_nobody_dial() -> None:
    net = warm(Net(b"px", 20))
    victim = neighbours(net)[0]
    net.tell(victim, AppScore(net.ids[BAD], 2000))
    stolen = seal_peer_record(signer_of("far"), PeerRecord(peer_of("far"), 1, (Multiaddr.tcp("10.6.6.6", 1),)))
    offered = (
        PxPeer(peer_of("eclipse").multihash, b""),
        PxPeer(peer_of("eclipse").multihash, stolen),
        PxPeer(peer_of("far").multihash, stolen[:-1] + b"?"),
    )
    net.send(BAD, victim, Rpc(prune=(Prune(TOPIC, 60 * SECOND, offered),)))
    net.run(1)
    assert net.connects == []
    assert net.reports[GossipReason.PX_REFUSED] == 3
    net.send(BAD, victim, Rpc(prune=(Prune(TOPIC, 60 * SECOND, (PxPeer(peer_of("far").multihash, stolen),)),)))
    net.run(1)
    assert [action.record.peer for action in net.connects] == [peer_of("far")], "with one, it does"


def test_a_silent_member_is_pruned_from_every_mesh() -> None:
    watched = TopicScoreParams(
        topic_weight=1,
        mesh_message_deliveries_weight=-1,
        mesh_message_deliveries_threshold=2,
        mesh_message_deliveries_activation_us=10 * SECOND,
        mesh_message_deliveries_window_us=200_000,
        mesh_failure_penalty_weight=-1,
    )
    net = Net(b"silent", 30, params=GossipParams(score=ScoreParams(other_topics=watched)))

    def silent(_net: Net, _n: int, action: Action) -> bool:
        return isinstance(action, SendRpc) and bool(action.rpc.messages)

    net.outlaws[BAD] = silent
    warm(net, 2)
    assert any(BAD in net.mesh(n) for n in range(1, net.count))
    for number in range(120):
        net.publish(1 + number % 29, b"%d" % number)
        net.run(0.5)
    assert all(BAD not in net.mesh(n) for n in range(1, net.count))
    assert worst(net) < 0
    honest = sum(len(net.mesh(n)) for n in range(1, net.count))
    assert honest >= (net.count - 1) * net.params.d_lo


def test_sybils_that_dial_in_cannot_take_the_whole_mesh() -> None:
    """A node with four connections of its own and a hundred inbound sybils that never forward."""
    params = dataclasses.replace(GossipParams(), flood_publish=False)
    net = Net(b"sybils", 125, params=params)
    honest = range(25)
    for near in honest:
        for far in net.chance.sample([n for n in honest if n != near], 4):
            net.connect(near, far)
    for sybil in range(25, 125):
        net.outlaws[sybil] = lambda _net, _n, action: isinstance(action, SendRpc) and bool(action.rpc.messages)
        net.connect(sybil, 0)
    net.subscribe_all()
    for sybil in range(25, 125):
        net.send(sybil, 0, Rpc(graft=(TOPIC,)))
    net.run(30)
    assert sum(n < 25 for n in net.mesh(0)) >= params.d_out
    for number in range(5):
        net.publish(1 + number, b"%d" % number)
        net.run(5)
    assert all(0 in {n for n, _ in deliveries} for deliveries in net.deliveries.values())


def test_many_members_behind_one_address_leave_the_mesh() -> None:
    net = Net(b"ip", 12)
    for far in range(1, 10):
        net.connect(far, 0, ip="203.0.113.7")
    net.connect(10, 0, ip="203.0.113.8")
    net.connect(11, 0, ip="203.0.113.9")
    net.subscribe_all()
    net.run(3)
    assert set(net.mesh(0)) == {10, 11}
    assert net.score(0, 1) == -100 * (9 - 5) ** 2


def test_a_copy_of_a_message_cannot_be_made_into_another() -> None:
    """Replaying with another number, topic or author breaks the signature."""
    net = warm(Net(b"replay", 20))
    victim = neighbours(net)[0]
    genuine = message_of("author", 1)
    variants = [
        genuine.wire.replace(genuine.seqno, (2).to_bytes(8, "big")),
        genuine.wire.replace(TOPIC.encode(), b"other"),
        genuine.wire.replace(genuine.author, peer_of("other").multihash),
    ]
    for wire in variants:
        message = Message.decode(wire, 256)
        assert message is not None
        net.send(BAD, victim, Rpc((message,)))
    net.send(BAD, victim, Rpc((genuine,)))
    net.run(5)
    assert set(net.deliveries) == {id_of(genuine)}
