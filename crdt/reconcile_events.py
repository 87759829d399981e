"""What drives a `Reconciler`, and what it asks of its driver."""

from dataclasses import dataclass

from latticework.wire import EntryId, LogId

from .reconcile_messages import Message


@dataclass(frozen=True, slots=True)
class Received:
    """Event: a message arrived."""

    message: Message


@dataclass(frozen=True, slots=True)
class LocalChanged:
    """Event: our heads, our proofs or our pending count may have changed.

    `carried`: only by entries that gossip takes to the peer as well. Then the peer's last word is out of date rather
    than a difference, and is asked for before a round begins.
    """

    pending: int
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """Event: an `Admit` was carried out; whatever can be admitted of it is. `pending` is our count from then on."""

    pending: int


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """Event: an `Admit` could not be stored. The same is asked for again, so come with this when there may be room."""

    pending: int


@dataclass(frozen=True, slots=True)
class Reconsider:
    """Event: what was refused may be admissible now; the roster grew, or a clock has come."""


@dataclass(frozen=True, slots=True)
class MissingIds:
    """Event: admitted or waiting entries depend on these, and we lack them."""

    ids: tuple[EntryId, ...]


type Event = Received | LocalChanged | Admitted | StoreFailed | Reconsider | MissingIds


@dataclass(frozen=True, slots=True)
class Send:
    """Action: send a message, after those before it."""

    message: Message


@dataclass(frozen=True, slots=True)
class Range:
    """Entries `first` to `last` of one log, both included."""

    log: LogId
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Serve:
    """Action: send `Entries` with these ranges in admission order; the final one says `last`, also if there is none."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class ServeIds:
    """Action: send `Entries` with those of these entries that we hold, of any branch; the final one says `last`."""

    ids: tuple[EntryId, ...]


@dataclass(frozen=True, slots=True)
class Admit:
    """Action: offer a batch to the space, then come back with `Admitted` or `StoreFailed`, once for each `Admit`."""

    batch: bytes


@dataclass(frozen=True, slots=True)
class TakeProofs:
    """Action: check these proofs and keep the good ones, then come back with `LocalChanged`."""

    proofs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ForkFound:
    """Action: the log parts at `seq`. The peer was asked for `theirs`; if it sent it, an `Admit` has brought it."""

    log: LogId
    seq: int
    ours: EntryId
    theirs: EntryId


@dataclass(frozen=True, slots=True)
class Close:
    """Action: the peer broke the protocol; end the connection."""

    code: str


type Action = Send | Serve | ServeIds | Admit | TakeProofs | ForkFound | Close
