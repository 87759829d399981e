import pytest

from latticework.discovery import Sighting, build_txt
from latticework.discovery.neighbours import Neighbours
from latticework.discovery.params import MDNS_MAX_PEERS
from latticework.transport import Multiaddr, PeerId

pytestmark = pytest.mark.unit

OWN = PeerId.of_key(b"\x01" * 32)
PEER = PeerId.of_key(b"\x02" * 32)
OTHER = PeerId.of_key(b"\x03" * 32)
HERE = Multiaddr.parse("/ip4/10.0.0.7/tcp/1")
THERE = Multiaddr.parse("/ip4/10.0.0.8/tcp/1")


def instance(letter: str) -> str:
    return letter * 32 + "._p2p._udp.local."


def fresh() -> Neighbours:
    return Neighbours(instance("o"), OWN, loopback=False)


def test_a_peer_comes_moves_and_goes() -> None:
    neighbours = fresh()
    assert neighbours.heard(instance("a"), build_txt(PEER, (HERE,))) == [Sighting((HERE,), str(PEER), "mdns")]
    assert neighbours.heard(instance("A"), build_txt(PEER, (HERE,))) == []
    assert neighbours.heard(instance("a"), build_txt(PEER, (THERE,))) == [Sighting((THERE,), str(PEER), "mdns")]
    assert neighbours.lost(instance("a")) == [Sighting((), str(PEER), "mdns", gone=True)]
    assert neighbours.lost(instance("a")) == []


def test_we_do_not_hear_ourselves() -> None:
    neighbours = fresh()
    assert neighbours.heard(instance("o"), build_txt(PEER, (HERE,))) == []
    assert neighbours.heard(instance("a"), build_txt(OWN, (HERE,))) == []


def test_a_record_that_turns_bad_means_the_peer_is_gone() -> None:
    neighbours = fresh()
    neighbours.heard(instance("a"), build_txt(PEER, (HERE,)))
    assert neighbours.heard(instance("a"), b"\x00") == [Sighting((), str(PEER), "mdns", gone=True)]


def test_an_instance_that_changes_its_peer_reports_both() -> None:
    neighbours = fresh()
    neighbours.heard(instance("a"), build_txt(PEER, (HERE,)))
    assert neighbours.heard(instance("a"), build_txt(OTHER, (HERE,))) == [
        Sighting((), str(PEER), "mdns", gone=True),
        Sighting((HERE,), str(OTHER), "mdns"),
    ]


def test_nobody_can_take_back_the_peer_of_another_instance() -> None:
    neighbours = fresh()
    neighbours.heard(instance("a"), build_txt(PEER, (HERE,)))
    neighbours.heard(instance("b"), build_txt(PEER, (THERE,)))
    assert neighbours.lost(instance("b")) == []
    assert neighbours.lost(instance("a")) == [Sighting((), str(PEER), "mdns", gone=True)]


def test_a_flood_of_peers_is_bounded_and_frees_its_places() -> None:
    neighbours = fresh()
    names = [f"{number:032d}._p2p._udp.local." for number in range(MDNS_MAX_PEERS + 10)]
    heard = [neighbours.heard(name, build_txt(PeerId.of_key(name[:32].encode()), (HERE,))) for name in names]
    assert sum(map(len, heard)) == MDNS_MAX_PEERS
    neighbours.lost(names[0])
    assert len(neighbours.heard(instance("a"), build_txt(PEER, (HERE,)))) == 1
