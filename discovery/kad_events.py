"""What happens to a `KadMachine`, and what it wants done.

`operation` is a number of the caller's choice that no running operation has; the result carries it.
"""

from dataclasses import dataclass
from enum import Enum

from latticework.transport import PeerId

from .kad_contact import Contact
from .kad_messages import Message


class TimerKey(Enum):
    """The machine's four timers."""

    REQUESTS = "the oldest request in flight may be unanswered for too long"
    REFRESH = "buckets that no lookup has touched are due"
    REPUBLISH = "our own records are due"
    EXPIRY = "a record held for others expires"


class KadReason(Enum):
    """What a peer did wrong."""

    UNASKED = "an answer that was not asked for, or asked of somebody else"
    LATE = "an answer after its time, or a second one"
    WRONG_ANSWER = "an answer of another kind than the request"
    TOO_MANY_CONTACTS = "an answer with more than k contacts"
    TOO_LARGE = "a name, key or value that is empty or beyond its bound"
    INVALID_VALUE = "a value that its validator refuses"
    STORE_FLOOD = "more records than one peer may bring"


# Events


@dataclass(frozen=True, slots=True)
class Received:
    """A message from an authenticated peer.

    `sender` has the addresses at which the peer says it listens, not the one it came from. `request` numbers requests
    for each sender; an answer repeats it. `serves` is False for a peer that only asks: it enters no table.
    """

    sender: Contact
    request: int
    message: Message
    serves: bool = True


@dataclass(frozen=True, slots=True)
class SendFailed:
    """Our request number `request` cannot be delivered or answered; the time-out need not be waited for."""

    request: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by SetTimer is due; one too many does no harm."""

    key: TimerKey


@dataclass(frozen=True, slots=True)
class Join:
    """Enter the network, again or for the first time, through `contacts`; answered by Found with our neighbours."""

    operation: int
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class FindClosest:
    """Find the k peers closest to the key of `name`, which is a multihash or any 1 to `max_name_bytes` bytes."""

    operation: int
    name: bytes


@dataclass(frozen=True, slots=True)
class GetRecord:
    """Find the best value at `key` of `quorum` that hold one; 0 asks everybody whom the lookup meets."""

    operation: int
    key: bytes
    quorum: int = 0


@dataclass(frozen=True, slots=True)
class PutRecord:
    """Store a value with the k peers closest to `key`, and again every `republish_us` unless `once`."""

    operation: int
    key: bytes
    value: bytes
    once: bool = False


@dataclass(frozen=True, slots=True)
class Unpublish:
    """Publish the record at `key` no more; copies expire."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget an operation; it gives no result any more. Nothing happens if it has ended."""

    operation: int


type Event = Received | SendFailed | TimerFired | Join | FindClosest | GetRecord | PutRecord | Unpublish | Cancel


# Actions


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request of ours, or the answer to request number `request` of `to`."""

    to: Contact
    request: int
    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire `key` at `at_us`; replaces a timer of the same key."""

    key: TimerKey
    at_us: int


@dataclass(frozen=True, slots=True)
class PeerFault:
    """A message of `peer` was dropped, all or in part; what follows from it is the driver's part."""

    peer: PeerId
    reason: KadReason


@dataclass(frozen=True, slots=True)
class Found:
    """The peers closest to what was looked for, the closest first: at most k, and each has answered.

    `hops` is the length of the chain of answers that led to the first (1: it was in our table; 0: nobody was found),
    `asked` the requests that were sent.
    """

    operation: int
    contacts: tuple[Contact, ...]
    hops: int
    asked: int


@dataclass(frozen=True, slots=True)
class Got:
    """The best value at `key`, None if there is none; `copies` peers, we among them, hold this very one."""

    operation: int
    key: bytes
    value: bytes | None
    copies: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A record was stored with `copies` peers."""

    operation: int
    key: bytes
    copies: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Our caller asked for what cannot be done."""

    operation: int
    reason: str


type Action = Send | SetTimer | PeerFault | Found | Got | Placed | Refused
