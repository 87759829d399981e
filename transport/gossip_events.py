"""What happens to a gossipsub router, and what it wants done.

A driver performs the actions in order. `SendRpc` is for the peer's queue (`gossip_outbox`); a driver that hands
`Rpc` objects over in memory may do so without encoding them.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

from .gossip_rpc import Rpc
from .peer_id import PeerId
from .signed_envelope import PeerRecord


class Priority(IntEnum):
    """Which frames go first when a peer's queue is not empty; the lowest number does."""

    CONTROL = 0
    """Subscriptions, GRAFT, PRUNE: who does not take them is out of step with us."""
    REQUEST = 1
    """IWANT, IDONTWANT: early or never."""
    OWN = 2
    """Messages published here."""
    FORWARDED = 3
    """Messages of others, answers to IWANT, and IHAVE."""


class Verdict(Enum):
    """v1.1 "Extended Validators"."""

    ACCEPT = "deliver and forward"
    IGNORE = "neither, and nobody is to blame"
    REJECT = "neither, and whoever sent it is to blame (P4)"


class TimerKey(Enum):
    """The router's one timer."""

    HEARTBEAT = "heartbeat"


class GossipReason(Enum):
    """Why something was dropped or held against a peer."""

    MALFORMED = "an RPC that cannot be parsed or is too long"
    GRAYLISTED = "its score is below the graylist threshold"
    QUEUE_FULL = "it does not read its control messages"
    SLOW = "its queue is full: messages for it were dropped"
    FORGED = "a message that is not signed as the policy says"
    UNSUPPORTED_KEY = "a message signed with a key that is not Ed25519"
    TOO_MANY_PENDING = "more messages than can be validated at once"
    TOO_MANY_TOPICS = "it subscribes to more topics than are remembered"
    REJECTED = "a message that validation refused"
    GRAFT_IN_BACKOFF = "a GRAFT within the back-off"
    IHAVE_FLOOD = "more IHAVE than a heartbeat allows"
    IWANT_REPEATED = "the same message asked for again and again"
    BROKEN_PROMISE = "it did not send what its IHAVE promised"
    PX_REFUSED = "peer exchange without a valid signed record, or from a peer that may not"
    UNKNOWN_MESSAGE = "a verdict on a message that is not being validated"


# Events


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """The peer speaks `protocol` (of `MESHSUB_PROTOCOLS`); `ip` is its address in text, or empty.

    Said again of a peer whose stream was replaced, it is greeted again.
    """

    peer: PeerId
    protocol: str
    outbound: bool
    ip: str = ""


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """Nothing can be sent to the peer any more."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerRecordLearned:
    """A signed peer record of a connected peer (from identify), to be handed on by peer exchange."""

    peer: PeerId
    envelope: bytes


@dataclass(frozen=True, slots=True)
class RpcReceived:
    """An RPC from a peer: bytes without their length, or an object when peers share memory."""

    peer: PeerId
    rpc: bytes | Rpc


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Join a topic: 1 to 256 bytes of UTF-8."""

    topic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Leave a topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Send `data` to everybody in `topic`, whether we are subscribed or not; answered by Published or Refused."""

    topic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The answer to `Validate`."""

    message_id: bytes
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SendQueueFull:
    """A frame of `priority` for `peer` was dropped."""

    peer: PeerId
    priority: Priority


@dataclass(frozen=True, slots=True)
class AppScore:
    """The application's own opinion of a peer (P5); stands until the next one, also over a reconnection."""

    peer: PeerId
    value: float


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by SetTimer is due."""

    key: TimerKey


type Event = (
    RpcReceived
    | ValidationResult
    | TimerFired
    | Publish
    | PeerConnected
    | PeerDisconnected
    | PeerRecordLearned
    | Subscribe
    | Unsubscribe
    | SendQueueFull
    | AppScore
)


# Actions


@dataclass(frozen=True, slots=True)
class SendRpc:
    """Queue `rpc` for each of `peers`."""

    peers: tuple[PeerId, ...]
    rpc: Rpc
    priority: Priority


@dataclass(frozen=True, slots=True)
class Validate:
    """Answer with ValidationResult; `author` is None under STRICT_NO_SIGN. Unanswered for two minutes is IGNORE."""

    message_id: bytes
    topic: str
    data: bytes
    sender: PeerId
    author: PeerId | None


@dataclass(frozen=True, slots=True)
class Deliver:
    """A message of a topic that we are subscribed to, accepted by validation; never one of our own.

    It comes once in `seen_ttl_us`; a copy that somebody keeps back for longer comes again, so what must not happen
    twice needs a number of its own.
    """

    message_id: bytes
    topic: str
    data: bytes
    sender: PeerId
    author: PeerId | None


@dataclass(frozen=True, slots=True)
class Published:
    """A message of ours is on its way to `peers` peers."""

    message_id: bytes
    topic: str
    peers: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Our caller asked for what cannot be done."""

    reason: str


@dataclass(frozen=True, slots=True)
class ConnectTo:
    """Peer exchange: a place where a subscriber of our topics can be dialled, in its own signed words."""

    record: PeerRecord


@dataclass(frozen=True, slots=True)
class Report:
    """Something was dropped or held against `peer`; for logs and counters."""

    peer: PeerId | None
    reason: GossipReason


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End gossip with `peer`; PeerDisconnected is to follow."""

    peer: PeerId
    reason: GossipReason


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire `key` at `at_us`; replaces a timer of the same key."""

    key: TimerKey
    at_us: int


type Action = SendRpc | Validate | Deliver | Published | Refused | ConnectTo | Report | Disconnect | SetTimer
