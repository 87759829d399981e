import pytest

from latticework.discovery import Discovery, Sighting, StaticDiscovery
from latticework.transport import Multiaddr, PeerId

pytestmark = pytest.mark.unit

PEER = PeerId.of_key(bytes(32))
A = Multiaddr.parse("/ip4/10.0.0.1/tcp/1")
B = Multiaddr.parse("/dns/example.org/tcp/2")
C = Multiaddr.parse("/ip4/10.0.0.3/tcp/3")


async def test_each_peer_is_sighted_once_with_all_its_addresses() -> None:
    static: Discovery = StaticDiscovery([A.with_peer(PEER), C, B.with_peer(PEER)])
    static.announce((A,))
    expected = [Sighting((A, B), str(PEER), "static"), Sighting((C,), "", "static")]
    assert [item async for item in static.sightings()] == expected
    assert [item async for item in static.sightings()] == expected
