"""Two devices that dial each other at the same moment: one connection stays, on both."""

# pyright: reportPrivateUsage=false

import pytest
import trio

from latticework.node.app import Node
from latticework.node.params import MAX_DEVICE_CONNECTIONS, MAX_STRANGER_CONNECTIONS
from latticework.simnet import KeyedRng, Link, SimDevice, SimNetwork, VirtualClock, play
from latticework.transport import Stream

from ..simnet.two_nodes import pair

pytestmark = pytest.mark.sim
LOSSES = 10


def connection_of(node: Node) -> str | None:
    """Where the one connection of `node` leads and which end opened it, or None while it has none that works."""
    alive = [link for link in node.peers.links.values() if link.connection.ended is None]
    return "outbound" if [link.outbound for link in alive] == [True] else "inbound" if alive else None


@pytest.mark.parametrize("jitter_us", [0, 3_000])
@pytest.mark.parametrize("seed", range(4))
def test_devices_that_dial_each_other_at_once_keep_one_connection(seed: int, jitter_us: int) -> None:
    clock = VirtualClock()
    rng = KeyedRng(b"both dial %d" % seed)

    async def main() -> None:
        network = SimNetwork(clock, rng.child("network"), Link(jitter_us=jitter_us))
        laptop, desktop = (SimDevice(name, network, clock, rng.child(name)) for name in ("laptop", "desktop"))
        async with laptop.up() as a, desktop.up() as b:
            await pair(a, b)
            for node, other in ((a, b), (b, a)):
                node.peers.dialler.keep(other.peers.listening[0], "static")
            for loss in range(LOSSES):
                network.cut("laptop", "desktop")
                await trio.sleep(0.1)
                assert not a.peers.links
                assert not b.peers.links
                network.heal("laptop", "desktop")
                a.peers.dialler.redial()
                await trio.sleep(0.001 * loss)
                b.peers.dialler.redial()
                await trio.sleep(0.2)
                first = connection_of(a), connection_of(b)
                assert set(first) == {"inbound", "outbound"}, f"seed {seed}, loss {loss}"
                await trio.sleep(2)
                assert (connection_of(a), connection_of(b)) == first

    play(main, b"both dial %d" % seed, clock)


@pytest.mark.parametrize(("known", "at_most"), [(True, MAX_DEVICE_CONNECTIONS), (False, MAX_STRANGER_CONNECTIONS)])
def test_nobody_takes_all_connections_for_themselves(*, known: bool, at_most: int) -> None:
    clock = VirtualClock()
    rng = KeyedRng(b"greedy")

    async def main() -> None:
        network = SimNetwork(clock, rng.child("network"))
        laptop, greedy, phone = (
            SimDevice(name, network, clock, rng.child(name)) for name in ("laptop", "eve", "phone")
        )
        async with laptop.up() as honest, greedy.up() as hostile, phone.up() as late, trio.open_nursery() as nursery:
            for node in (hostile, late):
                await pair(honest, node)
            await linked(honest, 2)
            channel = hostile.peers._channel if known else hostile.peers._anonymous
            assert channel is not None
            for _ in range(2 * MAX_STRANGER_CONNECTIONS):
                await trio.sleep(1)  # an honest pace of handshakes is allowed
                stream = await hostile.peers._network.dial(honest.peers.listening[0])
                connection = await hostile.peers._upgrader.outbound(stream, channel)
                nursery.start_soon(connection.run, refuse, ())
            await trio.sleep(5)
            assert honest.peers._connections <= at_most + 2
            network.cut("laptop", "phone")
            await trio.sleep(1)
            network.heal("laptop", "phone")
            await linked(honest, 2)
            nursery.cancel_scope.cancel()

    play(main, b"greedy", clock)


async def linked(node: Node, count: int) -> None:
    with trio.fail_after(60):
        while len(node.peers.links) < count:
            await node.changed()


async def refuse(protocol: str, stream: Stream) -> None:
    raise AssertionError(f"{protocol} was not offered: {stream}")
