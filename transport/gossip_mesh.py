"""The mesh: whom messages of a topic are forwarded to, and the GRAFT and PRUNE that keep it.

Source: gossipsub v1.0 "Topic Membership", "Mesh maintenance"; v1.1 "PRUNE Backoff and Peer Exchange", "Outbound Mesh
Quotas", "Opportunistic Grafting".
"""

from collections.abc import Callable
from enum import Enum
from typing import final

from latticework.wire import MalformedError

from .gossip_backoff import Backoffs
from .gossip_choice import better_than_median, survivors
from .gossip_events import ConnectTo, GossipReason
from .gossip_params import MESHSUB_10
from .gossip_peer import Fanout, GossipState, Peer
from .gossip_rpc import Prune, PxPeer, Rpc
from .signed_envelope import open_peer_record

_BACKOFF_SWEEP_HEARTBEATS = 15
"""go `clearBackoff`."""


class _Grafting(Enum):
    ACCEPTED = "in the mesh now"
    NO_ROOM = "the mesh is full"
    UNWELCOME = "too early, of bad score, or a peer by agreement"


@final
class Mesh:
    """The meshes and fanouts of one router."""

    __slots__ = ("_backoffs", "_grafts", "_prunes", "_state")

    def __init__(self, state: GossipState) -> None:
        self._state = state
        self._backoffs = Backoffs(state.params.bounds.max_backoffs)
        self._grafts: dict[Peer, list[str]] = {}
        self._prunes: dict[Peer, list[Prune]] = {}

    @property
    def backoff_count(self) -> int:
        """Topics and peers that are left alone for now."""
        return len(self._backoffs)

    def subscribe(self, topic: str, now_us: int) -> None:
        """Build the mesh of a topic, from its fanout first."""
        state, params = self._state, self._state.params
        mesh = state.mesh[topic] = {}
        fanout = state.fanout.pop(topic, None)
        if fanout is not None:
            for peer in fanout.peers:
                if not self._backing_off(topic, peer, now_us) and not state.is_bad(peer):
                    self._graft(topic, peer, now_us)
        self._graft_some(topic, params.d - len(mesh), now_us)
        self.flush()

    def unsubscribe(self, topic: str, now_us: int) -> None:
        """Leave: everybody in the mesh hears it, and is not grafted again for a while."""
        for peer in list(self._state.mesh[topic]):
            self._prune(topic, peer, now_us, self._state.params.unsubscribe_backoff_us, px=self._state.params.do_px)
        del self._state.mesh[topic]
        self.flush()

    def remove(self, peer: Peer, topic: str) -> None:
        """The peer left the topic, or us."""
        mesh = self._state.mesh.get(topic)
        if mesh is not None and peer in mesh:
            del mesh[peer]
            self._state.scores.prune(peer, topic)
        fanout = self._state.fanout.get(topic)
        if fanout is not None:
            fanout.peers.pop(peer, None)

    # What peers say

    def grafted(self, peer: Peer, topics: tuple[str, ...], now_us: int) -> None:
        """GRAFT: accepted, or answered with PRUNE; for unknown topics neither (v1.1 "Spam Protection Measures")."""
        px = self._state.params.do_px
        for topic in dict.fromkeys(topics):
            mesh = self._state.mesh.get(topic)
            if mesh is None:
                px = False
            elif peer not in mesh:
                grafting = self._judge(peer, topic, mesh, now_us)
                px = px and grafting is not _Grafting.UNWELCOME
                if grafting is _Grafting.ACCEPTED:
                    mesh[peer] = None
                    self._state.scores.graft(peer, topic, now_us)
                else:
                    self._say_prune(topic, peer, now_us, self._state.params.prune_backoff_us, px=px)
        self.flush()

    def _judge(self, peer: Peer, topic: str, mesh: dict[Peer, None], now_us: int) -> _Grafting:
        state, params = self._state, self._state.params
        until_us = self._backoffs.until(topic, peer.id, now_us)
        if until_us is not None:
            flood = now_us < until_us - params.prune_backoff_us + params.graft_flood_us
            state.scores.penalise(peer, 2 if flood else 1)
            state.report(peer, GossipReason.GRAFT_IN_BACKOFF)
            return _Grafting.UNWELCOME
        if peer.direct or state.is_bad(peer):
            return _Grafting.UNWELCOME
        full = len(mesh) >= params.d_hi and not peer.outbound
        return _Grafting.NO_ROOM if full else _Grafting.ACCEPTED

    def pruned(self, peer: Peer, prunes: tuple[Prune, ...], now_us: int) -> None:
        """PRUNE: obeyed; of the peers that an RPC recommends a few are dialled, on their own signed word only."""
        state, params = self._state, self._state.params
        offered: list[PxPeer] = []
        for prune in prunes:
            mesh = state.mesh.get(prune.topic)
            if mesh is None:
                continue
            if peer in mesh:
                del mesh[peer]
                state.scores.prune(peer, prune.topic)
            self._backoffs.extend(prune.topic, peer.id, now_us + (prune.backoff_us or params.prune_backoff_us))
            offered += prune.peers
        if offered and state.score(peer) >= params.score.accept_px_threshold:
            self._exchange(peer, offered)
        elif offered:
            state.report(peer, GossipReason.PX_REFUSED)

    def _exchange(self, peer: Peer, offered: list[PxPeer]) -> None:
        state = self._state
        for entry in state.chance.sample(offered, state.params.prune_peers):
            try:
                record = open_peer_record(entry.record)
            except MalformedError:
                state.report(peer, GossipReason.PX_REFUSED)
                continue
            if record.peer.multihash != entry.peer_id or not record.addresses:
                state.report(peer, GossipReason.PX_REFUSED)
            elif record.peer != state.own and record.peer not in state.peers:
                state.act(ConnectTo(record))

    # Heartbeat

    def heartbeat(self, now_us: int) -> None:
        """Bring every mesh and fanout back into bounds."""
        state, params = self._state, self._state.params
        opportunistic = state.heartbeats % params.opportunistic_graft_ticks == 0
        for topic, mesh in state.mesh.items():
            # Inline, as in `LazyGossip._emit`: of every heartbeat, asking for scores took most.
            bad = [peer for peer in mesh if not peer.blameless and state.is_bad(peer)]
            for peer in bad:
                self._prune(topic, peer, now_us, params.prune_backoff_us, px=False)
            if len(mesh) < params.d_lo:
                self._graft_some(topic, params.d - len(mesh), now_us)
            elif len(mesh) > params.d_hi:
                kept = dict.fromkeys(survivors(state, mesh))
                for peer in [peer for peer in mesh if peer not in kept]:
                    self._prune(topic, peer, now_us, params.prune_backoff_us, px=params.do_px)
            if len(mesh) >= params.d_lo and params.d_out:
                missing = params.d_out - sum(peer.outbound for peer in mesh)
                self._graft_some(topic, missing, now_us, lambda peer: peer.outbound)
            median = better_than_median(state, mesh) if opportunistic else None
            if median is not None:
                self._graft_better(topic, median, now_us)
        self._tend_fanouts(now_us)
        if state.heartbeats % _BACKOFF_SWEEP_HEARTBEATS == 0:
            self._backoffs.expire(now_us - params.backoff_slack_heartbeats * params.heartbeat_us)
        self.flush()

    def _graft_better(self, topic: str, median: float, now_us: int) -> None:
        state = self._state
        count = state.params.opportunistic_graft_peers
        self._graft_some(topic, count, now_us, lambda peer: state.score(peer) > median)

    def _graft_some(
        self, topic: str, count: int, now_us: int, fits: Callable[[Peer], bool] = lambda _peer: True
    ) -> None:
        """Graft up to `count` subscribers by chance."""
        if count <= 0:
            return
        state, mesh = self._state, self._state.mesh[topic]
        found = [
            peer
            for peer in state.topics.get(topic, ())
            if peer not in mesh
            and not peer.direct
            and fits(peer)
            and not state.is_bad(peer)
            and not self._backing_off(topic, peer, now_us)
        ]
        for peer in state.chance.sample(found, count):
            self._graft(topic, peer, now_us)

    def _tend_fanouts(self, now_us: int) -> None:
        state, params = self._state, self._state.params
        for topic, fanout in list(state.fanout.items()):
            if fanout.published_us + params.fanout_ttl_us < now_us:
                del state.fanout[topic]
                continue
            for peer in [peer for peer in fanout.peers if state.is_below(peer, params.score.publish_threshold)]:
                del fanout.peers[peer]
            self._fill_fanout(topic, fanout)

    def fanout(self, topic: str, now_us: int) -> dict[Peer, None]:
        """Peers for a message of ours in a topic that we are not subscribed to."""
        state = self._state
        fanout = state.fanout.get(topic)
        if fanout is None:
            if len(state.fanout) >= state.params.bounds.max_fanout_topics:
                del state.fanout[next(iter(state.fanout))]
            fanout = state.fanout[topic] = Fanout({}, now_us)
            self._fill_fanout(topic, fanout)
        fanout.published_us = now_us
        return fanout.peers

    def _fill_fanout(self, topic: str, fanout: Fanout) -> None:
        state, threshold = self._state, self._state.params.score.publish_threshold
        missing = state.params.d - len(fanout.peers)
        if missing > 0:
            found = [
                peer
                for peer in state.topics.get(topic, ())
                if peer not in fanout.peers and not peer.direct and not state.is_below(peer, threshold)
            ]
            fanout.peers.update(dict.fromkeys(state.chance.sample(found, missing)))

    # What we say

    def _graft(self, topic: str, peer: Peer, now_us: int) -> None:
        self._state.mesh[topic][peer] = None
        self._state.scores.graft(peer, topic, now_us)
        self._grafts.setdefault(peer, []).append(topic)

    def _prune(self, topic: str, peer: Peer, now_us: int, backoff_us: int, *, px: bool) -> None:
        del self._state.mesh[topic][peer]
        self._state.scores.prune(peer, topic)
        self._say_prune(topic, peer, now_us, backoff_us, px=px)

    def _backing_off(self, topic: str, peer: Peer, now_us: int) -> bool:
        """With some slack, since the peer's clock began later (v1.1)."""
        slack_us = self._state.params.backoff_slack_heartbeats * self._state.params.heartbeat_us
        return self._backoffs.until(topic, peer.id, now_us - slack_us) is not None

    def _say_prune(self, topic: str, peer: Peer, now_us: int, backoff_us: int, *, px: bool) -> None:
        self._backoffs.extend(topic, peer.id, now_us + backoff_us)
        if peer.protocol == MESHSUB_10:
            said = Prune(topic)
        elif px and not self._state.is_bad(peer):
            said = Prune(topic, backoff_us, self._recommend(topic, peer))
        else:
            said = Prune(topic, backoff_us)
        self._prunes.setdefault(peer, []).append(said)

    def _recommend(self, topic: str, peer: Peer) -> tuple[PxPeer, ...]:
        """Other subscribers that behave and whose signed record we have."""
        state = self._state
        known = [
            other
            for other in state.topics.get(topic, ())
            if other is not peer and other in state.records and not state.is_bad(other)
        ]
        chosen = state.chance.sample(known, state.params.prune_peers)
        return tuple(PxPeer(other.id.multihash, state.records[other]) for other in chosen)

    def flush(self) -> None:
        """Send what came together, one RPC for each peer."""
        if not self._grafts and not self._prunes:
            return
        for peer in {**dict.fromkeys(self._grafts), **dict.fromkeys(self._prunes)}:
            rpc = Rpc(graft=tuple(self._grafts.get(peer, ())), prune=tuple(self._prunes.get(peer, ())))
            self._state.send(peer, rpc)
        self._grafts.clear()
        self._prunes.clear()
