import pytest
import trio

from latticework.discovery import Sighting
from latticework.node.app import Node
from latticework.simnet import KeyedRng, SimDevice, SimNetwork, VirtualClock, play
from latticework.transport import Multiaddr

pytestmark = pytest.mark.sim


def at(number: int) -> Multiaddr:
    return Multiaddr.parse(f"/ip4/10.1.0.1/tcp/{number}")


def dialled(node: Node) -> list[str]:
    return [address for address, _, _ in node.peers.dialler.targets()]


def test_a_stranger_that_moved_or_left_makes_room_for_others() -> None:
    clock = VirtualClock()
    rng = KeyedRng(b"sightings")

    async def main() -> None:
        device = SimDevice("laptop", SimNetwork(clock, rng.child("network")), clock, rng.child("laptop"))
        async with device.up() as node:
            for number in range(1, 400):
                node.peers.dialler.heard(Sighting((at(number),), "stranger", "mdns"))
            await trio.sleep(1)
            node.peers.dialler.heard(Sighting((at(400),), "stranger", "mdns"))
            assert str(at(400)) in dialled(node)
            node.peers.dialler.heard(Sighting((), "stranger", "mdns", gone=True))
            node.peers.dialler.heard(Sighting((at(401),), "another", "mdns"))
            assert str(at(401)) in dialled(node)

    play(main, b"sightings", clock)
