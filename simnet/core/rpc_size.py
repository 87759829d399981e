"""How many bytes an RPC would be on a stream, without encoding it: what bandwidth is charged for.

Protobuf's arithmetic over `transport/pb/rpc.proto`, all of whose field numbers are below 16; a test compares with the
encoder. Encoding each RPC to see its length took longer than everything else that is done with it.
"""

from latticework.transport.gossip_rpc import Prune, Rpc

_SECOND_US = 1_000_000


def frame_bytes(rpc: Rpc) -> int:
    """The length of `rpc.frame`, for message ids below 128 bytes."""
    body = sum(_field(len(message.wire)) for message in rpc.messages)
    for topic, _ in rpc.subscriptions:
        body += _field(2 + _text(topic))
    if rpc.has_control:
        body += _field(_control(rpc))
    return body + _varint(body)


def _control(rpc: Rpc) -> int:
    size = 0
    for topic, ids in rpc.ihave:
        size += _field(_text(topic) + _ids(ids))
    if rpc.iwant:
        size += _field(_ids(rpc.iwant))
    for topic in rpc.graft:
        size += _field(_text(topic))
    for prune in rpc.prune:
        size += _field(_prune(prune))
    if rpc.idontwant:
        size += _field(_ids(rpc.idontwant))
    return size


def _prune(prune: Prune) -> int:
    size = _text(prune.topic) + 1 + _varint(prune.backoff_us // _SECOND_US)
    for peer in prune.peers:
        size += _field(_field(len(peer.peer_id)) + _field(len(peer.record)))
    return size


def _ids(ids: tuple[bytes, ...]) -> int:
    return 2 * len(ids) + sum(map(len, ids))


def _text(topic: str) -> int:
    return _field(len(topic) if topic.isascii() else len(topic.encode()))


def _field(length: int) -> int:
    """A tag, a length, and so many bytes."""
    return 1 + _varint(length) + length


def _varint(value: int) -> int:
    return 1 if value < 128 else (value.bit_length() + 6) // 7
