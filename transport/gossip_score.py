"""What a router thinks of its peers: the score of gossipsub v1.1, P1 to P7.

Source: gossipsub v1.1 "The Score Function", with go-libp2p-pubsub `score.go` where the text leaves room (a penalty
threshold for P7; positive scores are forgotten when a peer leaves, others are kept). A score is computed when it is
asked for after something changed, so a message costs a few counters.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from .gossip_params import ScoreParams, TopicScoreParams
from .peer_id import PeerId

_SITE_PREFIX_BITS = 64
"""An IPv6 host can take any address of its /64, so the /64 is counted too (go `getIPs`)."""


@dataclass(slots=True, eq=False)
class TopicStats:
    """One peer in one topic; counters decay, `graft_us` and what follows from it are valid while in the mesh.

    `rest` is what is known of the peer in other topics, of which there are few: only those that we are subscribed to
    ourselves. A mesh with one topic has no containers for them.
    """

    topic: str
    params: TopicScoreParams
    rest: "TopicStats | None" = None
    in_mesh: bool = False
    graft_us: int = 0
    mesh_quanta: int = 0
    """Whole quanta of P1; a number that is mostly small costs no memory of its own."""
    first_deliveries: float = 0
    mesh_deliveries: float = 0
    mesh_deliveries_active: bool = False
    mesh_failure_penalty: float = 0
    invalid_deliveries: float = 0

    @property
    def deficit(self) -> float:
        """How far P3 falls short, 0 while it does not apply."""
        if not self.mesh_deliveries_active:
            return 0
        return max(0, self.params.mesh_message_deliveries_threshold - self.mesh_deliveries)

    def score(self) -> float:
        """The topic's part of the score."""
        params = self.params
        total = self.first_deliveries * params.first_message_deliveries_weight
        if self.in_mesh:
            total += min(self.mesh_quanta, params.time_in_mesh_cap) * params.time_in_mesh_weight
        if params.mesh_message_deliveries_weight:
            total += self.deficit**2 * params.mesh_message_deliveries_weight
        total += self.mesh_failure_penalty * params.mesh_failure_penalty_weight
        total += self.invalid_deliveries**2 * params.invalid_message_deliveries_weight
        return total * params.topic_weight

    def leave_mesh(self) -> None:
        """The peer is pruned: what it owed stays on its account (P3b)."""
        self.mesh_failure_penalty += self.deficit**2
        self.in_mesh = self.mesh_deliveries_active = False

    def decay(self, now_us: int, intervals: int, to_zero: float) -> bool:
        """So many decay intervals passed; True if the score may be another."""
        params, moved = self.params, self.in_mesh
        if self.first_deliveries:
            self.first_deliveries = _faded(
                self.first_deliveries, params.first_message_deliveries_decay**intervals, to_zero
            )
            moved = True
        if self.mesh_deliveries:
            self.mesh_deliveries = _faded(
                self.mesh_deliveries, params.mesh_message_deliveries_decay**intervals, to_zero
            )
            moved = True
        if self.mesh_failure_penalty:
            self.mesh_failure_penalty = _faded(
                self.mesh_failure_penalty, params.mesh_failure_penalty_decay**intervals, to_zero
            )
            moved = True
        if self.invalid_deliveries:
            self.invalid_deliveries = _faded(
                self.invalid_deliveries, params.invalid_message_deliveries_decay**intervals, to_zero
            )
            moved = True
        if self.in_mesh:
            mesh_time_us = now_us - self.graft_us
            self.mesh_quanta = mesh_time_us // params.time_in_mesh_quantum_us
            if mesh_time_us > params.mesh_message_deliveries_activation_us:
                self.mesh_deliveries_active = True
        return moved


@dataclass(slots=True, eq=False)
class PeerStats:
    """What the score of a peer is made of; `cached` is its score unless `changed`.

    Nothing of it is to decay unless `fading`. `behaviour` is None until there is something to remember. While a peer is
    `blameless`, nothing of it can bring its score below 0: nobody needs to compute it to know, and `owed` decay
    intervals wait until somebody asks. Of most peers nobody ever does, and this is most of a heartbeat.
    """

    id: PeerId
    behaviour: TopicStats | None = None
    ips: tuple[str, ...] = ()
    penalty: float = 0
    cached: float = 0
    changed: bool = False
    fading: bool = False
    blameless: bool = True
    owed: int = 0

    def touch(self) -> None:
        """A counter was changed."""
        self.changed = self.fading = True


@dataclass(frozen=True, slots=True)
class _Retained:
    stats: PeerStats
    until_us: int


@final
class Scores:
    """The scores of one router's peers; the router knows which are connected."""

    __slots__ = ("_app", "_by_ip", "_decayed_us", "_params", "_retained")

    def __init__(self, params: ScoreParams) -> None:
        self._params = params
        self._retained: dict[PeerId, _Retained] = {}
        self._by_ip: dict[str, dict[PeerId, PeerStats]] = {}
        self._decayed_us = 0
        self._app: dict[PeerId, float] = {}

    @property
    def retained_count(self) -> int:
        """Peers that left and are remembered."""
        return len(self._retained)

    def connect(self, stats: PeerStats, ip: str) -> None:
        """A peer arrived, of which nothing is known; what is remembered of it is its own again."""
        retained = self._retained.pop(stats.id, None)
        if retained is not None:
            self._leave_ips(retained.stats)
            stats.behaviour, stats.penalty = retained.stats.behaviour, retained.stats.penalty
            stats.blameless = retained.stats.blameless
        if self._app.get(stats.id, 0) < 0:
            stats.blameless = False
        stats.ips = tuple(_counted(ip)) if ip else ()
        stats.touch()
        for own in stats.ips:
            self._by_ip.setdefault(own, {})[stats.id] = stats
            self._neighbours_changed(own)

    def disconnect(self, stats: PeerStats, now_us: int) -> None:
        """The peer left: a good score is forgotten, another kept for `retain_score_us`."""
        if self.score(stats) > 0:
            self._leave_ips(stats)
            return
        entry = stats.behaviour
        while entry is not None:
            entry.first_deliveries = 0
            if entry.in_mesh:
                entry.leave_mesh()
            entry = entry.rest
        stats.changed = True
        self._retained[stats.id] = _Retained(stats, now_us + self._params.retain_score_us)
        while len(self._retained) > self._params.max_retained:
            oldest = next(iter(self._retained))
            self._leave_ips(self._retained.pop(oldest).stats)

    def score(self, stats: PeerStats) -> float:
        """The score, from the counters as they are."""
        if stats.changed:
            self._settle(stats)
            stats.cached = self._compute(stats)
            stats.changed = False
        return stats.cached

    def is_bad(self, stats: PeerStats) -> bool:
        """Whether the score is below 0."""
        return not stats.blameless and self.score(stats) < 0

    def _settle(self, stats: PeerStats) -> None:
        """Let what was put off happen; before any counter is read or changed."""
        if stats.owed:
            owed, stats.owed = stats.owed, 0
            self._fade(stats, owed)

    def _compute(self, stats: PeerStats) -> float:
        params = self._params
        score = 0.0
        entry = stats.behaviour
        while entry is not None:
            score += entry.score()
            entry = entry.rest
        if params.topic_score_cap:
            score = min(score, params.topic_score_cap)
        if self._app:
            score += self._app.get(stats.id, 0) * params.app_specific_weight
        for ip in stats.ips:
            surplus = len(self._by_ip[ip]) - params.ip_colocation_factor_threshold
            if surplus > 0:
                score += surplus**2 * params.ip_colocation_factor_weight
        excess = stats.penalty - params.behaviour_penalty_threshold
        if excess > 0:
            score += excess**2 * params.behaviour_penalty_weight
        return score

    def set_app_score(self, peer: PeerId, value: float, stats: PeerStats | None) -> None:
        """P5; remembered as long as the router lives, since the application says it of few. `stats` if connected."""
        if value:
            self._app[peer] = value
        else:
            self._app.pop(peer, None)
        if stats is not None:
            stats.changed = True
            stats.blameless = stats.blameless and value >= 0

    def penalise(self, stats: PeerStats, count: int = 1) -> None:
        """P7."""
        self._settle(stats)
        stats.penalty += count
        stats.blameless = False
        stats.touch()

    def graft(self, stats: PeerStats, topic: str, now_us: int) -> None:
        """The peer is in the mesh of `topic` now."""
        entry = self._topic(stats, topic)
        if entry is not None:
            entry.in_mesh, entry.graft_us, entry.mesh_quanta = True, now_us, 0
            entry.mesh_deliveries_active = False
            stats.touch()

    def prune(self, stats: PeerStats, topic: str) -> None:
        """The peer is in the mesh of `topic` no more."""
        entry = _in_topic(stats, topic)
        if entry is not None and entry.in_mesh:
            entry.leave_mesh()
            stats.touch()

    def first_delivery(self, stats: PeerStats, topic: str) -> None:
        """The peer sent us a valid message before anybody else did (P2, P3)."""
        entry = self._topic(stats, topic)
        if entry is not None:
            cap = entry.params.first_message_deliveries_cap
            entry.first_deliveries = min(entry.first_deliveries + 1, cap)
            self._mesh_delivery(entry)
            stats.touch()

    def near_first_delivery(self, stats: PeerStats, topic: str, late_us: int) -> None:
        """The peer sent us a valid message `late_us` after it was validated, 0 for before (P3)."""
        entry = self._topic(stats, topic)
        if entry is not None and late_us <= entry.params.mesh_message_deliveries_window_us:
            self._mesh_delivery(entry)
            stats.touch()

    def _mesh_delivery(self, entry: TopicStats) -> None:
        if entry.in_mesh:
            entry.mesh_deliveries = min(entry.mesh_deliveries + 1, entry.params.mesh_message_deliveries_cap)

    def invalid_delivery(self, stats: PeerStats, topic: str) -> None:
        """The peer sent us an invalid message (P4)."""
        entry = self._topic(stats, topic)
        if entry is not None:
            entry.invalid_deliveries += 1
            stats.blameless = False
            stats.touch()

    def decay(self, connected: Iterable[PeerStats], now_us: int, intervals: int = 1) -> None:
        """So many decay intervals passed; peers that left do not fade, or leaving would clear their name."""
        self._decayed_us = now_us
        for stats in connected:
            if stats.fading:
                stats.owed += intervals
                stats.changed = True
                if not stats.blameless:
                    self._settle(stats)
        while self._retained:
            oldest, retained = next(iter(self._retained.items()))
            if retained.until_us > now_us:
                break
            del self._retained[oldest]
            self._leave_ips(retained.stats)

    def _fade(self, stats: PeerStats, intervals: int) -> None:
        """So many decay intervals had passed at the last decay."""
        params = self._params
        stats.fading = False
        entry = stats.behaviour
        while entry is not None:
            if entry.decay(self._decayed_us, intervals, params.decay_to_zero):
                stats.touch()
            entry = entry.rest
        if stats.penalty:
            factor = params.behaviour_penalty_decay**intervals
            stats.penalty = _faded(stats.penalty, factor, params.decay_to_zero)
            stats.touch()

    def _topic(self, stats: PeerStats, topic: str) -> TopicStats | None:
        """What is remembered of the peer in a topic, up to date, for a counter that is about to change."""
        self._settle(stats)
        entry = _in_topic(stats, topic)
        if entry is None:
            params = self._params.of_topic(topic)
            if params is not None:
                entry = stats.behaviour = TopicStats(topic, params, stats.behaviour)
                stats.blameless = stats.blameless and not params.watches_mesh
        return entry

    def _leave_ips(self, stats: PeerStats) -> None:
        for ip in stats.ips:
            group = self._by_ip[ip]
            group.pop(stats.id, None)
            if group:
                self._neighbours_changed(ip)
            else:
                del self._by_ip[ip]
        stats.ips = ()

    def _neighbours_changed(self, ip: str) -> None:
        crowded = len(self._by_ip[ip]) > self._params.ip_colocation_factor_threshold
        for stats in self._by_ip[ip].values():
            stats.changed = True
            stats.blameless = stats.blameless and not crowded


def _in_topic(stats: PeerStats, topic: str) -> TopicStats | None:
    entry = stats.behaviour
    while entry is not None and entry.topic != topic:
        entry = entry.rest
    return entry


def _faded(value: float, factor: float, to_zero: float) -> float:
    value *= factor
    return value if value >= to_zero else 0.0


def _counted(ip: str) -> Iterator[str]:
    """The names under which an address is counted: none for loopback or no address."""
    if not ip:
        return
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return
    if address.is_loopback:
        return
    yield str(address)
    if address.version == 6:
        yield str(ipaddress.ip_network((address, _SITE_PREFIX_BITS), strict=False))
