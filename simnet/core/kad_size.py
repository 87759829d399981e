"""How many bytes a message of Kademlia would be on a stream: what bandwidth is charged for.

Our own wire form is still to come, so this is protobuf's arithmetic over libp2p's (specs, kad-dht, "RPC messages"),
which it will be; a test compares with an encoder made from that schema. A contact counts with one address of IPv4 and
TCP, whatever a simulated one has.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final, assert_never

from latticework.discovery.kad_contact import Contact
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

ADDRESS_BYTES: Final = 8
"""/ip4/192.0.2.1/tcp/4001 in binary."""
_TYPE: Final = 2
_CONNECTED: Final = 2
"""A contact says whether its teller is connected to it."""


def message_bytes(message: Message) -> int:
    """The length of `message` with the length that stands before it."""
    body = _body(message)
    return body + _varint(body)


def _body(message: Message) -> int:
    match message:
        case FindNode(name) | GetValue(name):
            return _TYPE + _field(len(name))
        case PutValue(key, value):
            return _TYPE + _field(len(key)) + _field(_record(key, value))
        case Nodes(contacts):
            return _TYPE + _contacts(contacts)
        case Value(value, contacts):
            record = 0 if value is None else _field(_field(len(value)))
            return _TYPE + record + _contacts(contacts)
        case Ping() | Pong() | PutResult():
            return _TYPE
        case _:
            assert_never(message)


def _record(key: bytes, value: bytes) -> int:
    return _field(len(key)) + _field(len(value))


def _contacts(contacts: Sequence[Contact]) -> int:
    return sum([_contact(len(contact.peer.multihash)) for contact in contacts])


@cache
def _contact(name_bytes: int) -> int:
    return _field(_field(name_bytes) + _field(ADDRESS_BYTES) + _CONNECTED)


def _field(length: int) -> int:
    """A tag, a length, and so many bytes; all fields of the schema have numbers below 16."""
    return 1 + _varint(length) + length


def _varint(value: int) -> int:
    return 1 if value < 128 else (value.bit_length() + 6) // 7
