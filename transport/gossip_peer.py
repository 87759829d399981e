"""What a router knows of its peers and topics: the state that its parts share."""

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final, final

from .gossip_chance import Chance
from .gossip_events import Action, Disconnect, GossipReason, Priority, Report, SendRpc
from .gossip_params import GossipParams
from .gossip_rpc import Rpc
from .gossip_score import PeerStats, Scores
from .peer_id import PeerId

_SHARED_TOPICS: Final = 1024
"""Topics whose dictionary is kept to be shared; chosen here."""


@cache
def _no_topics() -> dict[str, None]:
    return {}


@lru_cache(_SHARED_TOPICS)
def _only(topic: str) -> dict[str, None]:
    """Most peers are subscribed to one topic: one dictionary for all of them, in all routers of a process."""
    return {topic: None}


@final
@dataclass(slots=True, eq=False)
class Peer(PeerStats):
    """A connected peer; compared by identity, so that sets of peers cost no hashing of ids.

    There are many: what only some of them have is kept by those who need it, by peer.
    """

    direct: bool = False
    outbound: bool = False
    """We dialled it."""
    protocol: str = ""
    """Which of `MESHSUB_PROTOCOLS` it speaks."""
    topics: dict[str, None] = field(default_factory=_no_topics)
    """What it is subscribed to; with at most one entry the dictionary is shared, and never changed."""
    graylisted: bool = False

    def subscribe(self, topic: str) -> None:
        """The peer says that it is subscribed."""
        if not self.topics:
            self.topics = _only(topic)
        elif len(self.topics) > 1:
            self.topics[topic] = None
        elif topic not in self.topics:
            self.topics = {**self.topics, topic: None}

    def unsubscribe(self, topic: str) -> None:
        """The peer says that it is not; it was."""
        if len(self.topics) > 2:
            del self.topics[topic]
        else:
            left = [other for other in self.topics if other != topic]
            self.topics = _only(left[0]) if left else _no_topics()


@dataclass(slots=True, eq=False)
class Fanout:
    """Peers for a topic that we publish to and are not subscribed to."""

    peers: dict[Peer, None]
    published_us: int


@final
class GossipState:
    """Peers, topics and what is to be done; a dictionary of peers with None is an ordered set."""

    __slots__ = (
        "actions",
        "chance",
        "fanout",
        "graylist",
        "has_direct",
        "heartbeats",
        "mesh",
        "own",
        "params",
        "peers",
        "records",
        "scores",
        "topics",
    )

    def __init__(self, own: PeerId, params: GossipParams, chance: Chance, *, has_direct: bool) -> None:
        self.own: Final = own
        self.params: Final = params
        self.chance: Final = chance
        self.has_direct: Final = has_direct
        self.scores: Final = Scores(params.score)
        self.peers: Final[dict[PeerId, Peer]] = {}
        self.records: Final[dict[Peer, bytes]] = {}
        """Signed peer records, as far as we know them."""
        self.topics: Final[dict[str, list[Peer]]] = {}
        """Who is subscribed to what, as far as peers said. Not as dictionaries: they are four times as large."""
        self.mesh: Final[dict[str, dict[Peer, None]]] = {}
        """Topics that we are subscribed to."""
        self.fanout: Final[dict[str, Fanout]] = {}
        self.heartbeats = 0
        self.graylist: Final = params.score.graylist_threshold
        self.actions: list[Action] = []
        """What came together since the router was last asked."""

    def score(self, peer: Peer) -> float:
        """The peer's score now."""
        return self.scores.score(peer) if peer.changed else peer.cached

    def is_bad(self, peer: Peer) -> bool:
        """Whether the peer's score is below 0."""
        return not peer.blameless and self.scores.is_bad(peer)

    def is_below(self, peer: Peer, threshold: float) -> bool:
        """Whether the peer's score is below one of the thresholds, all of which are negative."""
        return not peer.blameless and self.score(peer) < threshold

    def check_graylist(self, peer: Peer) -> bool:
        """True if nothing of the peer's is read; that it is over is said once."""
        if self.score(peer) >= self.graylist or peer.direct:
            peer.graylisted = False
        elif not peer.graylisted:
            peer.graylisted = True
            self.act(Disconnect(peer.id, GossipReason.GRAYLISTED))
        return peer.graylisted

    def act(self, action: Action) -> None:
        """To be done when the event is handled."""
        self.actions.append(action)

    def send(self, peer: Peer, rpc: Rpc, priority: Priority = Priority.CONTROL) -> None:
        """Send to one peer."""
        self.actions.append(SendRpc((peer.id,), rpc, priority))

    def report(self, peer: Peer, reason: GossipReason) -> None:
        """Say what was dropped or held against a peer."""
        self.actions.append(Report(peer.id, reason))
