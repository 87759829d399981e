"""The sizes that links are charged for are those of libp2p's schema, encoded by protobuf."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from latticework.discovery import Contact
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
from latticework.simnet.core.kad_size import ADDRESS_BYTES, message_bytes
from latticework.transport import Multiaddr, PeerId

pytestmark = pytest.mark.unit

Field = descriptor_pb2.FieldDescriptorProto


def schema() -> descriptor_pb2.FileDescriptorProto:
    """The part of dht.proto that our messages need (libp2p/specs, kad-dht, "RPC messages")."""
    file = descriptor_pb2.FileDescriptorProto(name="dht.proto", package="dht", syntax="proto2")
    record = file.message_type.add(name="Record")
    for number, name in ((1, "key"), (2, "value")):
        record.field.add(name=name, number=number, type=Field.TYPE_BYTES, label=Field.LABEL_OPTIONAL)
    peer = file.message_type.add(name="Peer")
    peer.field.add(name="id", number=1, type=Field.TYPE_BYTES, label=Field.LABEL_OPTIONAL)
    peer.field.add(name="addrs", number=2, type=Field.TYPE_BYTES, label=Field.LABEL_REPEATED)
    peer.field.add(name="connection", number=3, type=Field.TYPE_INT32, label=Field.LABEL_OPTIONAL)
    message = file.message_type.add(name="Message")
    message.field.add(name="type", number=1, type=Field.TYPE_INT32, label=Field.LABEL_OPTIONAL)
    message.field.add(name="key", number=2, type=Field.TYPE_BYTES, label=Field.LABEL_OPTIONAL)
    kinds = ((3, "record", "Record", Field.LABEL_OPTIONAL), (8, "closerPeers", "Peer", Field.LABEL_REPEATED))
    for number, name, of, label in kinds:
        message.field.add(name=name, number=number, type=Field.TYPE_MESSAGE, label=label, type_name=f".dht.{of}")
    return file


def encoded_bytes(
    key: bytes | None = None, record: dict[str, bytes] | None = None, contacts: tuple[Contact, ...] = ()
) -> int:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema())
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("dht.Message"))
    peers = [{"id": c.peer.multihash, "addrs": [bytes(ADDRESS_BYTES)], "connection": 1} for c in contacts]
    fields = {"type": 4, "key": key, "record": record, "closerPeers": peers}
    body = len(made(**{name: value for name, value in fields.items() if value is not None}).SerializeToString())
    return body + (1 if body < 128 else 2 if body < 1 << 14 else 3)


CONTACTS = tuple(Contact(PeerId.of_key(bytes([n]) * 32), (Multiaddr.memory(n),)) for n in range(20))


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (FindNode(bytes(34)), encoded_bytes(bytes(34))),
        (GetValue(bytes(200)), encoded_bytes(bytes(200))),
        (PutValue(b"/v/key", bytes(9_000)), encoded_bytes(b"/v/key", {"key": b"/v/key", "value": bytes(9_000)})),
        (Nodes(()), encoded_bytes()),
        (Nodes(CONTACTS), encoded_bytes(contacts=CONTACTS)),
        (Value(None, CONTACTS[:3]), encoded_bytes(contacts=CONTACTS[:3])),
        (Value(bytes(300), CONTACTS), encoded_bytes(record={"value": bytes(300)}, contacts=CONTACTS)),
        (Ping(), encoded_bytes()),
        (Pong(), encoded_bytes()),
        (PutResult(accepted=True), encoded_bytes()),
    ],
)
def test_a_message_has_the_length_of_its_encoding(message: Message, size: int) -> None:
    assert message_bytes(message) == size
