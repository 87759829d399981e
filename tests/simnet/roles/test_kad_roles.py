import pytest

from latticework.discovery import Contact, key_of
from latticework.discovery.kad_messages import FindNode, GetValue, Nodes, Ping, Pong, PutResult, PutValue, Value
from latticework.simnet.roles.kad_roles import Liars
from latticework.transport import Multiaddr, PeerId

pytestmark = pytest.mark.unit

CONTACTS = [Contact(PeerId.of_key(bytes([n]) * 32), (Multiaddr.memory(n),)) for n in range(30)]


def test_liars_tell_of_the_closest_liars_and_of_no_record() -> None:
    liars = Liars(CONTACTS, 5)
    for name in (b"one", b"two"):
        expected = tuple(sorted(CONTACTS, key=lambda contact: contact.key ^ key_of(name))[:5])
        assert liars.answer(FindNode(name)) == Nodes(expected)
        assert liars.answer(GetValue(name)) == Value(None, expected)
    assert Liars(CONTACTS[:2], 5).answer(FindNode(b"x")) in {Nodes(tuple(CONTACTS[:2])), Nodes(tuple(CONTACTS[1::-1]))}


def test_liars_look_alive_and_seem_to_keep_records() -> None:
    liars = Liars(CONTACTS, 5)
    assert liars.answer(Ping()) == Pong()
    assert liars.answer(PutValue(b"k", b"v")) == PutResult(accepted=True)
