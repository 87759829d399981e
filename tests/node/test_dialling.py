"""Two devices that dial each other at the same moment: one connection stays, on both."""

import pytest
import trio

from latticework.node.app import Node
from latticework.simnet import KeyedRng, Link, SimDevice, SimNetwork, VirtualClock, run

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

    run(main, b"both dial %d" % seed, clock)
