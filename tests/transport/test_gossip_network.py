"""Whole networks of routers: everybody hears everything once, in any run alike."""

import dataclasses

import pytest

from latticework.transport.gossip_events import PeerDisconnected, Subscribe
from latticework.transport.gossip_params import GossipParams

from .gossip_kit import SECOND, TOPIC
from .gossip_net import Net

pytestmark = pytest.mark.sim


def warm(net: Net, seconds: float = 5) -> Net:
    net.wire_up()
    net.subscribe_all()
    net.run(seconds)
    return net


def publish_all(net: Net, count: int, data: bytes = b"data", every_s: float = 0.2) -> None:
    for number in range(count):
        net.publish(net.chance.below(net.count), data + b"%d" % number)
        net.run(every_s)
    net.run(8)


def assert_everybody_heard_everything_once(net: Net) -> None:
    for deliveries in net.deliveries.values():
        heard = [n for n, _ in deliveries]
        assert len(heard) == len(set(heard)) == net.count - 1


@pytest.mark.parametrize("seed", [b"1", b"2"])
@pytest.mark.parametrize("flood", [True, False])
def test_everybody_hears_everything_once(seed: bytes, flood: bool) -> None:  # noqa: FBT001
    net = warm(Net(seed, 100, params=GossipParams(flood_publish=flood)))
    publish_all(net, 20)
    assert_everybody_heard_everything_once(net)
    assert net.reports == {}


def test_a_network_over_the_wire_format_does_the_same() -> None:
    nets = [warm(Net(b"wire", 50, as_bytes=as_bytes)) for as_bytes in (True, False)]
    for net in nets:
        publish_all(net, 10, b"x" * 2000)
        assert_everybody_heard_everything_once(net)
    assert nets[0].digest == nets[1].digest


def test_every_mesh_is_within_bounds_and_mutual() -> None:
    net = warm(Net(b"degree", 150), 20)
    params = net.params
    for n in range(net.count):
        mesh = net.mesh(n)
        assert params.d_lo <= len(mesh) <= params.d_hi
        assert all(n in net.mesh(other) for other in mesh)


def test_a_lossy_network_still_delivers_through_gossip() -> None:
    net = warm(Net(b"loss", 100, loss=0.1, params=GossipParams(flood_publish=False)))
    publish_all(net, 20)
    heard = sum(len(deliveries) for deliveries in net.deliveries.values())
    assert heard == len(net.deliveries) * (net.count - 1)
    assert all(len(pairs) == len({n for n, _ in pairs}) for pairs in net.deliveries.values())


def test_late_comers_and_leavers_are_woven_in_and_out() -> None:
    net = Net(b"churn", 60)
    net.wire_up()
    for n in range(40):
        net.tell(n, Subscribe(TOPIC))
    net.run(5)
    for n in range(40, 60):
        net.tell(n, Subscribe(TOPIC))
    net.run(5)
    publish_all(net, 5)
    assert_everybody_heard_everything_once(net)
    for n in range(50):
        for peer in net.routers[n].subscribers(TOPIC):
            if net.index[peer] >= 50:
                net.tell(n, PeerDisconnected(peer))
                net.tell(net.index[peer], PeerDisconnected(net.ids[n]))
    net.run(5)
    assert all(other < 50 for n in range(50) for other in net.mesh(n))
    message_id = net.publish(0, b"among those who stayed")
    net.run(5)
    assert len(net.deliveries[message_id]) == 49


def story(seed: bytes) -> str:
    net = warm(Net(seed, 60, loss=0.05))
    publish_all(net, 10)
    return net.digest


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    assert story(b"a") == story(b"a") != story(b"b")


def test_idontwant_spares_copies_of_large_messages_that_take_time_to_validate() -> None:
    copies: list[int] = []
    for threshold in (1024, 1 << 30):
        params = dataclasses.replace(GossipParams(), idontwant_threshold_bytes=threshold)
        net = warm(Net(b"large", 60, params=params, validation_us=100_000))
        publish_all(net, 1, b"x" * 4000, every_s=0.1)
        assert_everybody_heard_everything_once(net)
        copies.append(net.messages)
    assert copies[0] < 0.8 * copies[1]


@pytest.mark.long
def test_a_thousand_routers_reach_everybody_within_a_second() -> None:
    net = warm(Net(b"1000", 1000), 10)
    publish_all(net, 10)
    assert_everybody_heard_everything_once(net)
    latest = max(at_us for deliveries in net.deliveries.values() for _, at_us in deliveries)
    assert latest < net.now_us - 7 * SECOND
