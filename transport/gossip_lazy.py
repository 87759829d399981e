"""Gossip about messages: IHAVE and IWANT for those whom the mesh missed, IDONTWANT against what it sends twice.

Source: gossipsub v1.0 "Control messages"; v1.1 "Adaptive Gossip Dissemination", "Spam Protection Measures"; v1.2.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from .gossip_cache import MessageCache, Promises, SeenCache
from .gossip_events import GossipReason, Priority, SendRpc
from .gossip_params import MESHSUB_12, Table
from .gossip_peer import GossipState, Peer
from .gossip_rpc import Rpc


@dataclass(slots=True, eq=False)
class _Counts:
    """What one peer said since the last heartbeat, and how much we asked of it."""

    ihave: int = 0
    asked: int = 0
    idontwant: int = 0


@final
class LazyGossip:
    """Who knows of which message, beside the mesh."""

    __slots__ = ("_cache", "_counts", "_promises", "_seen", "_state", "unwanted")

    def __init__(self, state: GossipState, seen: SeenCache, cache: MessageCache) -> None:
        params = state.params
        self._state = state
        self._seen = seen
        self._cache = cache
        self._counts: dict[Peer, _Counts] = {}
        """Of peers that spoke since the last heartbeat, which touches no others."""
        self.unwanted: Final[dict[Peer, dict[bytes, int]]] = {}
        """Ids that peers do not want, with the heartbeat at which that is forgotten."""
        self._promises = Promises(params.iwant_followup_us, params.bounds.max_promises)

    @property
    def tables(self) -> tuple[Table, ...]:
        """How full everything is that promises and refusals fill."""
        bounds = self._state.params.bounds
        unwanted = max(map(len, self.unwanted.values()), default=0)
        return (
            Table("promises", len(self._promises), bounds.max_promises),
            Table("ids that one peer does not want", unwanted, bounds.max_unwanted),
        )

    # What peers say

    def has(self, peer: Peer, offered: Iterable[tuple[str, tuple[bytes, ...]]], now_us: int) -> None:
        """IHAVE: ask for what we miss, within what one heartbeat allows."""
        state, params = self._state, self._state.params
        if state.is_below(peer, params.score.gossip_threshold):
            return
        counts = self._counts_of(peer)
        counts.ihave += 1
        room = params.max_ihave_length - counts.asked
        if counts.ihave > params.max_ihave_messages or room <= 0:
            state.report(peer, GossipReason.IHAVE_FLOOD)
            return
        seen = self._seen.entries
        missed: dict[bytes, None] = {}
        for topic, ids in offered:
            if topic in state.mesh:
                missed.update([(message_id, None) for message_id in ids if message_id not in seen])
        if not missed:
            return
        asked = state.chance.sample(list(missed), room)
        counts.asked += len(asked)
        self._promises.add(asked[0], peer, now_us)
        state.send(peer, Rpc(iwant=tuple(asked)), Priority.REQUEST)

    def wants(self, peer: Peer, ids: Iterable[bytes]) -> None:
        """IWANT: send what we have, to each peer a few times at most."""
        state, params = self._state, self._state.params
        if state.is_below(peer, params.score.gossip_threshold):
            return
        repeated = False
        for message_id in dict.fromkeys(ids):
            cached = self._cache.get(message_id)
            if cached is None:
                continue
            answers = cached.answers = {} if cached.answers is None else cached.answers
            count = answers[peer] = answers.get(peer, 0) + 1
            if count > params.gossip_retransmission:
                repeated = True
            elif message_id not in self.unwanted.get(peer, ()):
                state.send(peer, cached.rpc, Priority.FORWARDED)
        if repeated:
            state.report(peer, GossipReason.IWANT_REPEATED)

    def does_not_want(self, peer: Peer, ids: tuple[bytes, ...]) -> None:
        """IDONTWANT: remembered for a few heartbeats; what is too much is ignored, as the specification allows."""
        state, params = self._state, self._state.params
        counts = self._counts_of(peer)
        counts.idontwant += 1
        if counts.idontwant > params.max_idontwant_messages:
            return
        until = state.heartbeats + params.idontwant_ttl_heartbeats
        unwanted = self.unwanted.setdefault(peer, {})
        for message_id in ids[: params.max_idontwant_length]:
            if len(unwanted) < params.bounds.max_unwanted:
                unwanted[message_id] = until

    def _counts_of(self, peer: Peer) -> _Counts:
        counts = self._counts.get(peer)
        if counts is None:
            counts = self._counts[peer] = _Counts()
        return counts

    def arrived(self, message_id: bytes) -> None:
        """A message came, properly signed."""
        self._promises.fulfilled(message_id)

    def left(self, peer: Peer) -> None:
        """The peer is gone."""
        self._promises.forget(peer)
        self._counts.pop(peer, None)
        self.unwanted.pop(peer, None)

    # What we say

    def decline(self, topic: str, ids: tuple[bytes, ...], sender: Peer) -> None:
        """Tell the mesh that these messages are here; `sender` knows."""
        peers = tuple(peer.id for peer in self._state.mesh[topic] if peer.protocol == MESHSUB_12 and peer is not sender)
        if peers:
            self._state.act(SendRpc(peers, Rpc(idontwant=ids), Priority.REQUEST))

    def heartbeat(self, now_us: int) -> None:
        """Collect on promises, tell peers outside the mesh what we have, and count from zero."""
        state = self._state
        for peer, count in self._promises.broken(now_us).items():
            state.scores.penalise(peer, count)
            state.report(peer, GossipReason.BROKEN_PROMISE)
        for topic, mesh in state.mesh.items():
            self._emit(topic, mesh)
        for topic, fanout in state.fanout.items():
            self._emit(topic, fanout.peers)
        for peer, ids in list(self.unwanted.items()):
            left = {name: until for name, until in ids.items() if until > state.heartbeats}
            if left:
                self.unwanted[peer] = left
            else:
                del self.unwanted[peer]
        self._counts.clear()
        self._cache.shift()

    def _emit(self, topic: str, members: dict[Peer, None]) -> None:
        state, params = self._state, self._state.params
        ids = self._cache.gossip_ids(topic)
        if not ids:
            return
        threshold = params.score.gossip_threshold
        others = [
            peer
            for peer in state.topics.get(topic, ())
            if peer not in members and not peer.direct and (peer.blameless or state.score(peer) >= threshold)
        ]
        chosen = state.chance.sample(others, max(params.d_lazy, int(params.gossip_factor * len(others))))
        if len(ids) <= params.max_ihave_length:
            if chosen:
                rpc = Rpc(ihave=((topic, tuple(ids)),))
                state.act(SendRpc(tuple(peer.id for peer in chosen), rpc, Priority.FORWARDED))
            return
        for peer in chosen:
            some = state.chance.sample(ids, params.max_ihave_length)
            state.send(peer, Rpc(ihave=((topic, tuple(some)),)), Priority.FORWARDED)
