"""The RPC of pubsub: subscriptions, messages and control, in memory and on the wire.

Source: libp2p/specs pubsub README and gossipsub v1.0 to v1.2. On a stream each is a varint length and a protobuf
message. Sizes are bounded before parsing and entries while reading: what a peer puts beyond the bounds is not read, and
only what cannot be parsed at all is an error. Unknown fields are ignored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import final

from google.protobuf.message import DecodeError

from latticework.wire import MalformedError

from .gossip_message import Message, decode_topic
from .gossip_params import GossipBounds
from .pb import rpc_pb2 as pb
from .varint import encode_varint

_PUBLISH = b"\x12"
"""Tag of RPC.publish: field 2, length-delimited."""
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class PxPeer:
    """A peer that a PRUNE recommends; `record` is its signed envelope, or empty."""

    peer_id: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class Prune:
    """`backoff_us` is how long to stay away, 0 if the peer does not say (v1.0)."""

    topic: str
    backoff_us: int = 0
    peers: tuple[PxPeer, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC; the same object may go to many peers, it is encoded once."""

    messages: tuple[Message, ...] = ()
    subscriptions: tuple[tuple[str, bool], ...] = ()
    """(topic, True to subscribe)."""
    ihave: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    iwant: tuple[bytes, ...] = ()
    graft: tuple[str, ...] = ()
    prune: tuple[Prune, ...] = ()
    idontwant: tuple[bytes, ...] = ()
    _frame: list[bytes] = field(default_factory=list[bytes], init=False, repr=False, compare=False)

    @property
    def frame(self) -> bytes:
        """What goes on a stream: the varint length, then the RPC."""
        if not self._frame:
            body = self.encode()
            self._frame.append(encode_varint(len(body)) + body)
        return self._frame[0]

    def encode(self) -> bytes:
        """The RPC without its length."""
        pieces: list[bytes] = []
        for message in self.messages:
            wire = message.wire
            pieces += (_PUBLISH, encode_varint(len(wire)), wire)
        if self.subscriptions or self.has_control:
            pieces.append(self._encode_rest())
        return b"".join(pieces)

    @property
    def has_control(self) -> bool:
        """True if there is more than messages and subscriptions."""
        return bool(self.ihave or self.iwant or self.graft or self.prune or self.idontwant)

    @property
    def is_bare(self) -> bool:
        """True if there is one message and nothing else."""
        return len(self.messages) == 1 and not self.subscriptions and not self.has_control

    def _encode_rest(self) -> bytes:
        rpc = pb.RPC()
        for topic, subscribe in self.subscriptions:
            rpc.subscriptions.add(subscribe=subscribe, topic=topic.encode())
        if self.has_control:
            control = rpc.control
            for topic, ids in self.ihave:
                control.ihave.add(topic=topic.encode(), message_ids=ids)
            if self.iwant:
                control.iwant.add(message_ids=self.iwant)
            for topic in self.graft:
                control.graft.add(topic=topic.encode())
            for prune in self.prune:
                entry = control.prune.add(topic=prune.topic.encode(), backoff=prune.backoff_us // _SECOND_US)
                for peer in prune.peers:
                    entry.peers.add(peer_id=peer.peer_id, signed_peer_record=peer.record)
            if self.idontwant:
                control.idontwant.add(message_ids=self.idontwant)
        return rpc.SerializeToString()


def decode_rpc(body: bytes, bounds: GossipBounds) -> Rpc:
    """The RPC in `body`, which is without its length; raises MalformedError."""
    if len(body) > bounds.max_rpc_bytes:
        raise MalformedError(f"RPC of {len(body)} bytes")
    try:
        rpc = pb.RPC.FromString(body)
    except DecodeError as error:
        raise MalformedError(f"not a pubsub RPC: {error}") from error
    if len(rpc.publish) > bounds.max_messages_per_rpc:
        raise MalformedError(f"{len(rpc.publish)} messages in one RPC")
    decoded = (Message.decode(wire, bounds.max_topic_bytes) for wire in rpc.publish)
    messages = tuple(message for message in decoded if message is not None)
    if not rpc.subscriptions and not rpc.HasField("control"):
        return Rpc(messages)
    return _decode_rest(rpc, messages, bounds)


def _decode_rest(rpc: pb.RPC, messages: tuple[Message, ...], bounds: GossipBounds) -> Rpc:
    """Most RPCs have one kind of entry, so the others are not looked into."""
    control, most = rpc.control, bounds.max_entries_per_rpc
    subscriptions, ihave, graft, prune = rpc.subscriptions, control.ihave, control.graft, control.prune
    return Rpc(
        messages,
        tuple(_subscriptions(subscriptions, bounds)) if subscriptions else (),
        tuple(_offers(ihave, bounds)) if ihave else (),
        _ids(control.iwant, most, bounds) if control.iwant else (),
        tuple(_topics((entry.topic for entry in islice(graft, most)), bounds)) if graft else (),
        tuple(_prunes(prune, bounds)) if prune else (),
        _ids(control.idontwant, most, bounds) if control.idontwant else (),
    )


def _topics(every: Iterable[bytes], bounds: GossipBounds) -> Iterator[str]:
    for raw in every:
        topic = decode_topic(raw, bounds.max_topic_bytes)
        if topic is not None:
            yield topic


def _ids(lists: Iterable[pb.ControlIds | pb.ControlIHave], room: int, bounds: GossipBounds) -> tuple[bytes, ...]:
    every = (raw for entry in islice(lists, bounds.max_entries_per_rpc) for raw in entry.message_ids)
    return tuple(raw for raw in islice(every, room) if 0 < len(raw) <= bounds.max_message_id_bytes)


def _subscriptions(entries: Iterable[pb.RPC.SubOpts], bounds: GossipBounds) -> Iterator[tuple[str, bool]]:
    for entry in islice(entries, bounds.max_entries_per_rpc):
        for topic in _topics((entry.topic,), bounds):
            yield topic, entry.subscribe


def _offers(entries: Iterable[pb.ControlIHave], bounds: GossipBounds) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    room = bounds.max_entries_per_rpc
    for entry in islice(entries, room):
        ids = _ids((entry,), room, bounds)
        room -= len(ids)
        for topic in _topics((entry.topic,), bounds) if ids else ():
            yield topic, ids


def _prunes(entries: Iterable[pb.ControlPrune], bounds: GossipBounds) -> Iterator[Prune]:
    for entry in islice(entries, bounds.max_entries_per_rpc):
        for topic in _topics((entry.topic,), bounds):
            backoff_us = min(entry.backoff * _SECOND_US, bounds.max_backoff_us)
            yield Prune(topic, backoff_us, tuple(_px_peers(entry, bounds)))


def _px_peers(entry: pb.ControlPrune, bounds: GossipBounds) -> Iterator[PxPeer]:
    for info in islice(entry.peers, bounds.max_px_peers):
        if len(info.signed_peer_record) <= bounds.max_record_bytes:
            yield PxPeer(info.peer_id, info.signed_peer_record)
