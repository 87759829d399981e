"""What a router knows of its peers and topics: the state that its parts share."""

from dataclasses import dataclass, field
from typing import Final, final

from .gossip_chance import Chance
from .gossip_events import Action, Disconnect, GossipReason, Priority, Report, SendRpc
from .gossip_params import GossipParams
from .gossip_rpc import Rpc
from .gossip_score import PeerStats, Scores
from .peer_id import PeerId


@final
@dataclass(slots=True, eq=False)
class Peer:
    """A connected peer; compared by identity, so that sets of peers cost no hashing of ids."""

    id: PeerId
    stats: PeerStats
    direct: bool
    outbound: bool = False
    """We dialled it."""
    knows_px: bool = False
    """Speaks v1.1: PRUNE with back-off and peers."""
    knows_idontwant: bool = False
    """Speaks v1.2."""
    topics: dict[str, None] = field(default_factory=dict[str, None])
    record: bytes = b""
    """Its signed peer record, if we know it."""
    graylisted: bool = False
    pending: int = 0
    """Messages of its that are being validated."""
    ihave_count: int = 0
    asked_count: int = 0
    idontwant_count: int = 0
    unwanted: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """Ids it does not want, with the heartbeat at which that is forgotten."""


@dataclass(slots=True, eq=False)
class Fanout:
    """Peers for a topic that we publish to and are not subscribed to."""

    peers: dict[Peer, None]
    published_us: int


@final
class GossipState:
    """Peers, topics and what is to be done; each dictionary of peers is an ordered set."""

    def __init__(self, own: PeerId, params: GossipParams, chance: Chance, *, has_direct: bool) -> None:
        self.own: Final = own
        self.params: Final = params
        self.chance: Final = chance
        self.has_direct: Final = has_direct
        self.scores: Final = Scores(params.score)
        self.peers: Final[dict[PeerId, Peer]] = {}
        self.topics: Final[dict[str, dict[Peer, None]]] = {}
        """Who is subscribed to what, as far as peers said."""
        self.mesh: Final[dict[str, dict[Peer, None]]] = {}
        """Topics that we are subscribed to."""
        self.fanout: Final[dict[str, Fanout]] = {}
        self.heartbeats = 0
        self._graylist = params.score.graylist_threshold
        self._actions: list[Action] = []

    def score(self, peer: Peer) -> float:
        """The peer's score now."""
        stats = peer.stats
        return self.scores.score(stats) if stats.changed else stats.cached

    def check_graylist(self, peer: Peer) -> bool:
        """True if nothing of the peer's is read; that it is over is said once."""
        stats = peer.stats
        if (self.scores.score(stats) if stats.changed else stats.cached) >= self._graylist or peer.direct:
            peer.graylisted = False
        elif not peer.graylisted:
            peer.graylisted = True
            self.act(Disconnect(peer.id, GossipReason.GRAYLISTED))
        return peer.graylisted

    def act(self, action: Action) -> None:
        """To be done when the event is handled."""
        self._actions.append(action)

    def send(self, peer: Peer, rpc: Rpc, priority: Priority = Priority.CONTROL) -> None:
        """Send to one peer."""
        self._actions.append(SendRpc((peer.id,), rpc, priority))

    def report(self, peer: Peer, reason: GossipReason) -> None:
        """Say what was dropped or held against a peer."""
        self._actions.append(Report(peer.id, reason))

    def take_actions(self) -> list[Action]:
        """What came together since the last call."""
        actions, self._actions = self._actions, []
        return actions
