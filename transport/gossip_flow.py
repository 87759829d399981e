"""The way of a message: seen, signature, validation by the caller, delivery, forwarding; and of our own, out.

Source: gossipsub v1.0 "Message Processing", v1.1 "Flood Publishing" and "Extended Validators", v1.2 "IDONTWANT". An id
counts as seen only when the signature was found good, or a forged copy could keep the genuine one away.
"""

from collections.abc import Callable
from typing import assert_never, final

from latticework.wire.signing import Ed25519Signer

from .gossip_cache import MessageCache, Seen, SeenCache, Status
from .gossip_events import Deliver, GossipReason, Priority, Published, Refused, Report, SendRpc, Validate, Verdict
from .gossip_lazy import LazyGossip
from .gossip_message import Message, MessageIdOf, Proof, SignaturePolicy, is_topic
from .gossip_params import Table
from .gossip_peer import GossipState, Peer
from .gossip_pending import Pending, PendingMessages
from .gossip_rpc import Rpc
from .peer_id import PeerId

_FRAMING_BYTES = 512
"""What an RPC adds to a message's data: topic, ids, number, signature, lengths."""

type FanoutOf = Callable[[str, int], dict[Peer, None]]
"""(topic, now) to peers for a topic that we are not subscribed to."""


@final
class MessageFlow:
    """Messages of one router."""

    __slots__ = (
        "_cache",
        "_fanout",
        "_id_of",
        "_pending",
        "_policy",
        "_seen",
        "_seqno",
        "_signer",
        "_state",
        "duplicates",
        "lazy",
    )

    def __init__(
        self,
        state: GossipState,
        signer: Ed25519Signer | None,
        first_seqno: int,
        id_of: MessageIdOf,
        fanout: FanoutOf,
    ) -> None:
        params = state.params
        self._state = state
        self._policy = SignaturePolicy.STRICT_NO_SIGN if signer is None else SignaturePolicy.STRICT_SIGN
        self._signer = signer
        self._seqno = first_seqno
        self._id_of = id_of
        self._fanout = fanout
        self._seen = SeenCache(params.bounds)
        self._cache = MessageCache(params.history_length, params.history_gossip, params.bounds.max_cache_bytes)
        self._pending = PendingMessages(params.bounds.max_pending, params.bounds.max_pending_per_peer)
        self.lazy = LazyGossip(state, self._seen, self._cache)
        self.duplicates = 0

    @property
    def tables(self) -> tuple[Table, ...]:
        """How full everything is that messages fill."""
        bounds = self._state.params.bounds
        return (
            Table("seen messages", len(self._seen), bounds.max_seen),
            Table("messages being validated", len(self._pending), bounds.max_pending),
            Table("bytes of messages kept", self._cache.size_bytes, bounds.max_cache_bytes),
            *self.lazy.tables,
        )

    def expire(self, now_us: int) -> None:
        """Forget what is too old."""
        self._seen.expire(now_us)
        self._pending.expire(self._seen)

    def receive(self, peer: Peer, message: Message, rpc: Rpc, now_us: int) -> None:
        """A message came in `rpc`."""
        state, topic = self._state, message.topic
        if topic not in state.mesh:
            return
        message_id = self._id_of(message)
        seen = self._seen.entries.get(message_id)
        if seen is not None:
            self.duplicates += 1
            # Of a message that is settled, most copies need no more than this.
            if seen.senders is not None or seen.status is Status.INVALID:
                self._duplicate(peer, seen, topic, now_us)
        elif not self._pending.has_room(peer):
            state.report(peer, GossipReason.TOO_MANY_PENDING)
        elif self._is_proven(peer, message):
            seen = self._seen.add(message_id, now_us)
            self.lazy.arrived(message_id)
            if message.author == state.own.multihash:
                seen.status, seen.senders = Status.IGNORED, None
                return
            if len(message.data) >= state.params.idontwant_threshold_bytes:
                self.lazy.decline(topic, (message_id,), peer)
            seen.senders = {peer: None}
            self._pending.add(message_id, Pending(message, peer, seen, rpc if rpc.is_bare else Rpc((message,))))
            author = PeerId(message.author) if message.author else None
            state.act(Validate(message_id, topic, message.data, peer.id, author))

    def _is_proven(self, peer: Peer, message: Message) -> bool:
        proof = message.proof(self._policy)
        if proof is Proof.FORGED:
            self._blame(peer, message.topic)
            self._state.report(peer, GossipReason.FORGED)
        elif proof is Proof.UNSUPPORTED:
            self._state.report(peer, GossipReason.UNSUPPORTED_KEY)
        return proof is Proof.GOOD

    def _blame(self, peer: Peer, topic: str) -> None:
        self._state.scores.invalid_delivery(peer, topic)
        self._state.check_graylist(peer)

    def _duplicate(self, peer: Peer, seen: Seen, topic: str, now_us: int) -> None:
        if seen.status is Status.INVALID:
            self._blame(peer, topic)
        elif seen.senders is not None and peer not in seen.senders:
            seen.senders[peer] = None
            if seen.status is Status.VALID:
                self._state.scores.near_first_delivery(peer, topic, now_us - seen.validated_us)

    def validated(self, message_id: bytes, verdict: Verdict, now_us: int) -> None:
        pending = self._pending.take(message_id)
        if pending is None:
            self._state.act(Report(None, GossipReason.UNKNOWN_MESSAGE))
            return
        seen = pending.seen
        senders = seen.senders or {}
        topic = pending.message.topic
        match verdict:
            case Verdict.IGNORE:
                seen.status, seen.senders = Status.IGNORED, None
            case Verdict.REJECT:
                seen.status, seen.senders = Status.INVALID, None
                for peer in senders:
                    self._blame(peer, topic)
                    self._state.report(peer, GossipReason.REJECTED)
            case Verdict.ACCEPT:
                seen.status, seen.validated_us = Status.VALID, now_us
                self._accept(message_id, pending, senders)
            case _:
                assert_never(verdict)

    def _accept(self, message_id: bytes, pending: Pending, senders: dict[Peer, None]) -> None:
        state, message, first = self._state, pending.message, pending.sender
        topic = message.topic
        state.scores.first_delivery(first, topic)
        for peer in senders:
            if peer is not first:
                state.scores.near_first_delivery(peer, topic, 0)
        mesh = state.mesh.get(topic)
        if mesh is None:
            return
        rpc = pending.rpc
        self._cache.put(message_id, topic, rpc)
        author = PeerId(message.author) if message.author else None
        state.act(Deliver(message_id, topic, message.data, first.id, author))
        unwanted = self.lazy.unwanted
        peers = [
            peer.id
            for peer in (self._with_direct(topic, mesh) if state.has_direct else mesh)
            if peer not in senders and not (unwanted and message_id in unwanted.get(peer, ()))
        ]
        if message.author:
            peers = [peer_id for peer_id in peers if peer_id.multihash != message.author]
        if peers:
            state.act(SendRpc(tuple(peers), rpc, Priority.FORWARDED))
        params = state.params.score.of_topic(topic)
        if params is None or not params.watches_mesh:
            pending.seen.senders = None

    def _with_direct(self, topic: str, peers: dict[Peer, None]) -> dict[Peer, None]:
        if not self._state.has_direct:
            return peers
        return {**peers, **{peer: None for peer in self._state.topics.get(topic, ()) if peer.direct}}

    def publish(self, topic: str, data: bytes, now_us: int) -> None:
        state, bounds = self._state, self._state.params.bounds
        if not is_topic(topic, bounds.max_topic_bytes):
            state.act(Refused(f"a topic has 1 to {bounds.max_topic_bytes} bytes"))
            return
        if len(data) + _FRAMING_BYTES > bounds.max_rpc_bytes:
            state.act(Refused(f"{len(data)} bytes do not fit into an RPC of {bounds.max_rpc_bytes}"))
            return
        message = self._new_message(topic, data)
        message_id = self._id_of(message)
        if message_id in self._seen:
            state.act(Refused("published already"))
            return
        seen = self._seen.add(message_id, now_us)
        seen.status, seen.senders = Status.IGNORED, None
        rpc = Rpc((message,))
        self._cache.put(message_id, topic, rpc)
        audience = self._audience(topic, now_us)
        unwanted = self.lazy.unwanted
        peers = tuple(peer.id for peer in audience if message_id not in unwanted.get(peer, ()))
        if peers:
            state.act(SendRpc(peers, rpc, Priority.OWN))
        state.act(Published(message_id, topic, len(peers)))

    def _new_message(self, topic: str, data: bytes) -> Message:
        if self._signer is None:
            return Message.anonymous(topic, data)
        self._seqno += 1
        return Message.signed(self._signer, self._seqno, topic, data)

    def _audience(self, topic: str, now_us: int) -> dict[Peer, None]:
        """v1.1 "Flood Publishing": everybody whose score allows it; otherwise mesh or fanout."""
        state, threshold = self._state, self._state.params.score.publish_threshold
        if state.params.flood_publish:
            known = state.topics.get(topic, ())
            return {peer: None for peer in known if peer.direct or not state.is_below(peer, threshold)}
        mesh = state.mesh.get(topic)
        if mesh is not None and not mesh and state.topics.get(topic):
            # A mesh that is still empty would swallow the message.
            return dict.fromkeys(state.chance.sample(state.topics[topic], state.params.d))
        return self._with_direct(topic, self._fanout(topic, now_us) if mesh is None else mesh)
