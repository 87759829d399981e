"""gossipsub v1.1 and v1.2 as a pure machine: messages reach every subscriber of a topic, from peer to peer.

Source: libp2p/specs pubsub README and gossipsub v1.0 to v1.2. The parts are `gossip_mesh` (whom we forward to),
`gossip_lazy` (IHAVE, IWANT, IDONTWANT), `gossip_score` (what we think of peers), `gossip_flow` (the way of a message)
and this one: peers, subscriptions and time.

Departures from py-libp2p (report 1, defects 2 and 8, section 2e): nothing that a peer sends raises; no rate limit of
its own on forwarding; no signed record in every RPC; drops are reported. Data is opaque: nothing is delivered or
forwarded before the caller has accepted it. Chance comes from the rng and every set is ordered, so that equal inputs
give equal outputs.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Final, assert_never, final

from latticework.wire import MalformedError, Rng
from latticework.wire.signing import Ed25519Signer

from .gossip_chance import Chance
from .gossip_events import (
    Action,
    AppScore,
    Disconnect,
    Event,
    GossipReason,
    PeerConnected,
    PeerDisconnected,
    PeerRecordLearned,
    Priority,
    Publish,
    Refused,
    Report,
    RpcReceived,
    SendQueueFull,
    SendRpc,
    SetTimer,
    Subscribe,
    TimerFired,
    TimerKey,
    Unsubscribe,
    ValidationResult,
)
from .gossip_flow import MessageFlow
from .gossip_mesh import Mesh
from .gossip_message import MessageIdOf, author_and_seqno, content_hash, is_topic
from .gossip_params import GossipParams, Table
from .gossip_peer import GossipState, Peer
from .gossip_rpc import Rpc, decode_rpc
from .peer_id import PeerId
from .signed_envelope import open_peer_record

_NOBODY: Final[frozenset[PeerId]] = frozenset()
_SHARED_GREETINGS: Final = 64
"""Greetings that are kept to be shared; chosen here."""


@lru_cache(_SHARED_GREETINGS)
def _greeting(topics: tuple[str, ...]) -> Rpc:
    """What tells a new peer of our topics: one object for all routers of a process with the same ones."""
    return Rpc(subscriptions=tuple((topic, True) for topic in topics))


@final
class GossipRouter:
    """One node's router; `signer` is None for STRICT_NO_SIGN, and then messages are known by their content.

    `first_seqno` numbers our messages and must grow from one life of a peer id to the next: wall-clock microseconds do.
    `direct` are peers by agreement (v1.1 "Explicit Peering Agreements"); keeping them connected is the caller's part.
    """

    __slots__ = ("_direct", "_flow", "_greeting", "_mesh", "_next_decay_us", "_state")

    def __init__(
        self,
        own: PeerId,
        params: GossipParams,
        rng: Rng,
        signer: Ed25519Signer | None,
        *,
        first_seqno: int,
        direct: Collection[PeerId] = (),
        message_id: MessageIdOf | None = None,
    ) -> None:
        id_of = message_id or (content_hash if signer is None else author_and_seqno)
        self._direct = frozenset(direct) if direct else _NOBODY
        self._state = GossipState(own, params, Chance(rng), has_direct=bool(direct))
        self._mesh = Mesh(self._state)
        self._flow = MessageFlow(self._state, signer, first_seqno, id_of, self._mesh.fanout)
        self._next_decay_us = 0
        self._greeting: Rpc | None = None
        """What new peers are told; None until the first asks after a change."""

    def start(self, now_us: int) -> list[Action]:
        """The first heartbeat comes after a short while and a random part of a beat."""
        params = self._state.params
        self._next_decay_us = now_us + params.score.decay_interval_us
        spread_us = self._state.chance.below(max(1, params.heartbeat_us))
        return [SetTimer(TimerKey.HEARTBEAT, now_us + params.heartbeat_initial_us + spread_us)]

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """What `event` leads to; never raises for anything a peer sent."""
        match event:
            case RpcReceived():
                self._rpc_received(event, now_us)
            case ValidationResult(message_id, verdict):
                self._flow.validated(message_id, verdict, now_us)
            case TimerFired(TimerKey.HEARTBEAT):
                self._heartbeat(now_us)
            case Publish(topic, data):
                self._flow.publish(topic, data, now_us)
            case PeerConnected():
                self._connected(event)
            case PeerDisconnected(peer_id):
                self._disconnected(peer_id, now_us)
            case PeerRecordLearned(peer_id, envelope):
                self._learn_record(peer_id, envelope)
            case Subscribe(topic):
                self._subscribe(topic, now_us)
            case Unsubscribe(topic):
                self._unsubscribe(topic, now_us)
            case SendQueueFull(peer_id, priority):
                self._queue_full(peer_id, priority)
            case AppScore(peer_id, value):
                self._state.scores.set_app_score(peer_id, value, self._state.peers.get(peer_id))
            case _:
                assert_never(event)
        state = self._state
        actions = state.actions
        if actions:
            state.actions = []
            return actions
        return []

    # What can be asked

    @property
    def own(self) -> PeerId:
        """Our id."""
        return self._state.own

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topics that we are subscribed to."""
        return tuple(self._state.mesh)

    @property
    def duplicates(self) -> int:
        """Messages that came although we had them."""
        return self._flow.duplicates

    def mesh(self, topic: str) -> tuple[PeerId, ...]:
        """Whom messages of `topic` are forwarded to."""
        return tuple(peer.id for peer in self._state.mesh.get(topic, ()))

    def subscribers(self, topic: str) -> tuple[PeerId, ...]:
        """Connected peers that are subscribed to `topic`."""
        return tuple(peer.id for peer in self._state.topics.get(topic, ()))

    def score(self, peer_id: PeerId) -> float | None:
        """The score of a connected peer."""
        peer = self._state.peers.get(peer_id)
        return None if peer is None else self._state.score(peer)

    @property
    def tables(self) -> tuple[Table, ...]:
        """How full everything is that peers can fill."""
        bounds, state = self._state.params.bounds, self._state
        return (
            *self._flow.tables,
            Table("backoffs", self._mesh.backoff_count, bounds.max_backoffs),
            Table("fanout topics", len(state.fanout), bounds.max_fanout_topics),
            Table("retained scores", state.scores.retained_count, state.params.score.max_retained),
        )

    # Peers and subscriptions

    def _connected(self, event: PeerConnected) -> None:
        """A peer that is connected already has changed its connection: it is greeted again, nothing is forgotten."""
        state = self._state
        if event.peer == state.own:
            return
        peer = state.peers.get(event.peer)
        if peer is None:
            peer = state.peers[event.peer] = Peer(event.peer, direct=event.peer in self._direct)
            state.scores.connect(peer, event.ip)
        peer.outbound = event.outbound
        peer.protocol = event.protocol
        if state.mesh:
            if self._greeting is None:
                self._greeting = _greeting(tuple(state.mesh))
            state.send(peer, self._greeting)

    def _disconnected(self, peer_id: PeerId, now_us: int) -> None:
        state = self._state
        peer = state.peers.pop(peer_id, None)
        if peer is None:
            return
        state.scores.disconnect(peer, now_us)
        state.records.pop(peer, None)
        for topic in list(peer.topics):
            self._leave(peer, topic)
        for topic in (*state.mesh, *state.fanout):
            self._mesh.remove(peer, topic)
        self._flow.lazy.left(peer)

    def _learn_record(self, peer_id: PeerId, envelope: bytes) -> None:
        peer = self._state.peers.get(peer_id)
        if peer is None or len(envelope) > self._state.params.bounds.max_record_bytes:
            return
        try:
            if open_peer_record(envelope).peer == peer_id:
                self._state.records[peer] = envelope
        except MalformedError:
            self._state.report(peer, GossipReason.PX_REFUSED)

    def _leave(self, peer: Peer, topic: str) -> None:
        if topic not in peer.topics:
            return
        peer.unsubscribe(topic)
        subscribers = self._state.topics[topic]
        subscribers.remove(peer)
        if not subscribers:
            del self._state.topics[topic]
        self._mesh.remove(peer, topic)

    def _subscribe(self, topic: str, now_us: int) -> None:
        state = self._state
        if not is_topic(topic, state.params.bounds.max_topic_bytes):
            state.act(Refused(f"a topic has 1 to {state.params.bounds.max_topic_bytes} bytes"))
        elif topic not in state.mesh:
            self._announce(topic, subscribe=True)
            self._mesh.subscribe(topic, now_us)
            self._greeting = None

    def _unsubscribe(self, topic: str, now_us: int) -> None:
        if topic in self._state.mesh:
            self._announce(topic, subscribe=False)
            self._mesh.unsubscribe(topic, now_us)
            self._greeting = None

    def _announce(self, topic: str, *, subscribe: bool) -> None:
        everybody = tuple(self._state.peers)
        if everybody:
            self._state.act(SendRpc(everybody, Rpc(subscriptions=((topic, subscribe),)), Priority.CONTROL))

    def _queue_full(self, peer_id: PeerId, priority: Priority) -> None:
        if priority is Priority.CONTROL:
            self._state.act(Disconnect(peer_id, GossipReason.QUEUE_FULL))
        else:
            self._state.act(Report(peer_id, GossipReason.SLOW))

    # Time

    def _heartbeat(self, now_us: int) -> None:
        state, params = self._state, self._state.params
        state.heartbeats += 1
        intervals = (now_us - self._next_decay_us) // params.score.decay_interval_us + 1
        if intervals > 0:
            self._next_decay_us += intervals * params.score.decay_interval_us
            state.scores.decay(state.peers.values(), now_us, intervals)
        self._flow.expire(now_us)
        self._mesh.heartbeat(now_us)
        self._flow.lazy.heartbeat(now_us)
        spread = int(params.heartbeat_us * params.heartbeat_jitter)
        jitter_us = state.chance.below(2 * spread + 1) - spread
        state.act(SetTimer(TimerKey.HEARTBEAT, now_us + params.heartbeat_us + jitter_us))

    # RPCs

    def _rpc_received(self, event: RpcReceived, now_us: int) -> None:
        state, rpc = self._state, event.rpc
        peer = state.peers.get(event.peer)
        if peer is None:
            return
        # This is asked for each RPC.
        if not peer.blameless and state.check_graylist(peer):
            return
        if isinstance(rpc, bytes):
            try:
                rpc = decode_rpc(rpc, state.params.bounds)
            except MalformedError:
                state.scores.penalise(peer)
                state.act(Disconnect(event.peer, GossipReason.MALFORMED))
                return
        if rpc.subscriptions:
            self._subscriptions(peer, rpc)
        for message in rpc.messages:
            self._flow.receive(peer, message, rpc, now_us)
            if peer.graylisted:
                return
        if rpc.ihave or rpc.iwant or rpc.graft or rpc.prune or rpc.idontwant:
            self._control(peer, rpc, now_us)

    def _subscriptions(self, peer: Peer, rpc: Rpc) -> None:
        most = self._state.params.bounds.max_topics_per_peer
        for topic, subscribe in rpc.subscriptions:
            if not subscribe:
                self._leave(peer, topic)
            elif topic in peer.topics:
                continue
            elif len(peer.topics) >= most:
                self._state.report(peer, GossipReason.TOO_MANY_TOPICS)
                return
            else:
                peer.subscribe(topic)
                self._state.topics.setdefault(topic, []).append(peer)

    def _control(self, peer: Peer, rpc: Rpc, now_us: int) -> None:
        if rpc.ihave:
            self._flow.lazy.has(peer, rpc.ihave, now_us)
        if rpc.iwant:
            self._flow.lazy.wants(peer, rpc.iwant)
        if rpc.graft:
            self._mesh.grafted(peer, rpc.graft, now_us)
        if rpc.prune:
            self._mesh.pruned(peer, rpc.prune, now_us)
        if rpc.idontwant:
            self._flow.lazy.does_not_want(peer, rpc.idontwant)
