"""Every constant of gossipsub, with its unit and where it comes from.

Sources: libp2p/specs gossipsub v1.0, v1.1, v1.2 (the names are theirs); "go" is go-libp2p-pubsub `gossipsub.go` and
`pubsub.go`, whose defaults most networks run; "Lotus" is the scoring of the Filecoin network, the one public set of
values for a network with few messages. The specification gives no values for scoring.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from latticework.wire import LocalError

MESHSUB_12: Final = "/meshsub/1.2.0"
MESHSUB_11: Final = "/meshsub/1.1.0"
MESHSUB_10: Final = "/meshsub/1.0.0"
MESHSUB_PROTOCOLS: Final = (MESHSUB_12, MESHSUB_11, MESHSUB_10)
"""In order of preference; gossipsub v1.1 and v1.2, "Protocol Id"."""

SIGNING_PREFIX: Final = b"libp2p-pubsub:"
"""pubsub README, message signing."""
SEQNO_BYTES: Final = 8
"""pubsub README: 64-bit big-endian."""

_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US
_DECAY_TO_ZERO: Final = 0.01
"""go `DefaultDecayToZero`."""


def decay(to_zero_us: int, interval_us: int = _SECOND_US) -> float:
    """The factor that brings 1 down to `decay_to_zero` within `to_zero_us` (go `ScoreParameterDecay`)."""
    return math.pow(_DECAY_TO_ZERO, interval_us / to_zero_us)


def _check(*rules: tuple[bool, str]) -> None:
    for holds, rule in rules:
        if not holds:
            raise LocalError(f"gossip parameters: {rule}")


@dataclass(frozen=True, slots=True)
class TopicScoreParams:
    """What behaviour in one topic is worth (v1.1 "Overview of New Parameters"); values of Lotus unless said."""

    topic_weight: float = 0.1
    time_in_mesh_weight: float = 0.00027
    time_in_mesh_quantum_us: int = _SECOND_US
    time_in_mesh_cap: float = 3600
    """Lotus writes 1 beside a comment that means an hour."""
    first_message_deliveries_weight: float = 5
    first_message_deliveries_decay: float = decay(_HOUR_US)
    first_message_deliveries_cap: float = 100
    mesh_message_deliveries_weight: float = 0
    """Off, as in Lotus: a topic with few messages has no rate to fall short of. Negative where a rate is known."""
    mesh_message_deliveries_decay: float = decay(60 * _SECOND_US)
    mesh_message_deliveries_threshold: float = 1
    mesh_message_deliveries_cap: float = 100
    mesh_message_deliveries_activation_us: int = 60 * _SECOND_US
    mesh_message_deliveries_window_us: int = 10_000
    mesh_failure_penalty_weight: float = 0
    mesh_failure_penalty_decay: float = decay(_HOUR_US)
    invalid_message_deliveries_weight: float = -1000
    """With the topic weight, 100 for the first invalid message and 2,500 for five."""
    invalid_message_deliveries_decay: float = decay(_HOUR_US)

    def __post_init__(self) -> None:
        decays = (
            self.first_message_deliveries_decay,
            self.mesh_message_deliveries_decay,
            self.mesh_failure_penalty_decay,
            self.invalid_message_deliveries_decay,
        )
        _check(
            (self.topic_weight >= 0, "topic_weight is not negative"),
            (self.time_in_mesh_weight >= 0 and self.time_in_mesh_quantum_us > 0, "P1 rewards"),
            (self.first_message_deliveries_weight >= 0, "P2 rewards"),
            (self.mesh_message_deliveries_weight <= 0 and self.mesh_failure_penalty_weight <= 0, "P3 penalises"),
            (self.mesh_message_deliveries_cap >= self.mesh_message_deliveries_threshold, "P3 can be reached"),
            (self.invalid_message_deliveries_weight <= 0, "P4 penalises"),
            (all(0 < factor < 1 for factor in decays), "decay factors lie between 0 and 1"),
        )

    @property
    def watches_mesh(self) -> bool:
        """True if P3 or P3b counts."""
        return bool(self.mesh_message_deliveries_weight or self.mesh_failure_penalty_weight)


@dataclass(frozen=True, slots=True)
class ScoreParams:
    """What a peer's behaviour is worth, and from which score on it has consequences; values of Lotus unless said."""

    topics: Mapping[str, TopicScoreParams] = field(default_factory=dict[str, TopicScoreParams])
    other_topics: TopicScoreParams | None = field(default_factory=TopicScoreParams)
    """For topics that are not in `topics`; None leaves them out of the score, as the specification does."""
    topic_score_cap: float = 0
    """0 is no cap."""
    app_specific_weight: float = 1
    ip_colocation_factor_weight: float = -100
    ip_colocation_factor_threshold: int = 5
    behaviour_penalty_weight: float = -10
    behaviour_penalty_threshold: float = 6
    behaviour_penalty_decay: float = decay(_HOUR_US)
    decay_interval_us: int = _SECOND_US
    """go `DefaultDecayInterval`."""
    decay_to_zero: float = _DECAY_TO_ZERO
    retain_score_us: int = 6 * _HOUR_US
    max_retained: int = 4096
    """Scores kept of peers that left; chosen here."""
    gossip_threshold: float = -500
    publish_threshold: float = -1000
    graylist_threshold: float = -2500
    accept_px_threshold: float = 1000
    """Only the application's own score (P5) reaches it."""
    opportunistic_graft_threshold: float = 3.5

    def __post_init__(self) -> None:
        order = self.graylist_threshold < self.publish_threshold <= self.gossip_threshold < 0
        _check(
            (order, "graylist < publish <= gossip < 0"),
            (self.accept_px_threshold >= 0 and self.opportunistic_graft_threshold >= 0, "px, opportunistic >= 0"),
            (self.app_specific_weight >= 0, "P5 may be negative, its weight not"),
            (self.ip_colocation_factor_weight <= 0 and self.ip_colocation_factor_threshold >= 1, "P6 penalises"),
            (self.behaviour_penalty_weight <= 0 and 0 < self.behaviour_penalty_decay < 1, "P7 penalises"),
            (self.decay_interval_us > 0 and self.topic_score_cap >= 0, "intervals and caps are not negative"),
        )

    def of_topic(self, topic: str) -> TopicScoreParams | None:
        """The parameters of `topic`, None if it is not scored."""
        return self.topics.get(topic, self.other_topics)


@dataclass(frozen=True, slots=True)
class GossipBounds:
    """What peers may cost; the router ends a peer, forgets the oldest or drops with a report beyond these."""

    max_rpc_bytes: int = 1024 * 1024
    """pubsub README; go `DefaultMaxMessageSize`. Bounded before parsing, ours and theirs."""
    max_topic_bytes: int = 256
    max_message_id_bytes: int = 128
    """Ours have 46; chosen here."""
    max_messages_per_rpc: int = 5000
    max_entries_per_rpc: int = 5000
    """Subscriptions, and topics or ids in each kind of control message; what is beyond is not read. As IHAVE."""
    max_topics_per_peer: int = 1024
    max_px_peers: int = 16
    """Read per PRUNE; go `GossipSubPrunePeers`."""
    max_record_bytes: int = 4096
    """One signed peer record; chosen here."""
    seen_ttl_us: int = 120 * _SECOND_US
    """go `TimeCacheDuration`."""
    max_seen: int = 65_536
    max_pending: int = 1024
    """Messages whose validation is under way; chosen here."""
    max_pending_per_peer: int = 256
    max_cache_bytes: int = 64 * 1024 * 1024
    """Messages kept for IWANT, each counted three times (data, encoding, frame); chosen here."""
    max_backoffs: int = 16_384
    max_backoff_us: int = _HOUR_US
    """The longest that a peer can keep us away; chosen here."""
    max_fanout_topics: int = 256
    max_promises: int = 4096
    max_unwanted: int = 4096
    """Ids a peer does not want, per peer; chosen here."""
    control_frames: int = 512
    request_frames: int = 512
    own_frames: int = 128
    forwarded_frames: int = 512
    """Waiting for one peer; go has 32 of all kinds, which silently loses bursts (report 1, defect 8)."""
    queued_bytes: int = 8 * 1024 * 1024
    """Waiting for one peer, of all kinds together; chosen here: eight of the longest RPCs."""


class Table(NamedTuple):
    """Something that peers can fill: how much is in it, and how much ever may be."""

    name: str
    used: int
    most: int


@dataclass(frozen=True, slots=True)
class GossipParams:
    """One router's parameters; go's defaults unless said."""

    d: int = 6
    d_lo: int = 5
    d_hi: int = 12
    d_score: int = 4
    d_out: int = 2
    d_lazy: int = 6
    gossip_factor: float = 0.25
    """v1.1 adaptive gossip."""
    gossip_retransmission: int = 3
    """Answers to one peer for one message id."""
    history_length: int = 5
    history_gossip: int = 3
    heartbeat_us: int = _SECOND_US
    heartbeat_initial_us: int = 100_000
    heartbeat_jitter: float = 0.05
    """Chosen here: heartbeats of nodes that started together drift apart."""
    fanout_ttl_us: int = 60 * _SECOND_US
    prune_backoff_us: int = 60 * _SECOND_US
    unsubscribe_backoff_us: int = 10 * _SECOND_US
    backoff_slack_heartbeats: int = 2
    graft_flood_us: int = 10 * _SECOND_US
    """A GRAFT so soon behind a PRUNE counts twice."""
    prune_peers: int = 16
    do_px: bool = False
    """Whether PRUNE names other peers; v1.1 means it for bootstrap nodes."""
    flood_publish: bool = True
    opportunistic_graft_ticks: int = 60
    opportunistic_graft_peers: int = 2
    max_ihave_length: int = 5000
    max_ihave_messages: int = 10
    iwant_followup_us: int = 3 * _SECOND_US
    idontwant_threshold_bytes: int = 1024
    max_idontwant_length: int = 10
    max_idontwant_messages: int = 1000
    idontwant_ttl_heartbeats: int = 3
    score: ScoreParams = field(default_factory=ScoreParams)
    bounds: GossipBounds = field(default_factory=GossipBounds)

    def __post_init__(self) -> None:
        empty = self.d == self.d_lo == self.d_hi == self.d_out == 0
        _check(
            (empty or 0 <= self.d_lo <= self.d <= self.d_hi, "d_lo <= d <= d_hi"),
            (empty or (self.d_out < self.d_lo and 2 * self.d_out <= self.d), "d_out < d_lo and at most d / 2"),
            (0 <= self.d_score <= self.d_hi, "d_score <= d_hi"),
            (0 < self.history_gossip <= self.history_length, "0 < history_gossip <= history_length"),
            (0 <= self.gossip_factor <= 1 and 0 <= self.heartbeat_jitter < 1, "fractions lie between 0 and 1"),
            (self.heartbeat_us > 0 and self.opportunistic_graft_ticks > 0, "a heartbeat takes time"),
        )
