"""Frontier exchange with one peer about one space, as a pure machine.

Both sides announce the heads they hold; each asks for the ranges it lacks and receives them in causal order. Chains are
gap-free, so the cost follows the authors that changed, not the size of the logs (crdt-sync report 3.4). Announcements
are idempotent; a repeated or stale one costs a request at most, and the next one, or the next connection, puts it
right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, assert_never, final

from latticework.wire import Array, Bytes, EntryId, LogId, Nested, UInt, record

from .logs import Head

MAX_LOGS = 65_536
"""Logs in one announcement; 76 bytes each."""
MAX_RANGES = 4096
"""Ranges in one request."""


@record("frontier-head")
@dataclass(frozen=True, slots=True)
class FrontierHead:
    """One log's newest entry."""

    log: Annotated[LogId, Bytes(32)]
    seq: Annotated[int, UInt(1 << 48)]
    entry: Annotated[EntryId, Bytes(32)]


@record("range")
@dataclass(frozen=True, slots=True)
class Range:
    """Entries `first` to `last` of one log, both included."""

    log: Annotated[LogId, Bytes(32)]
    first: Annotated[int, UInt(1 << 48)]
    last: Annotated[int, UInt(1 << 48)]


@record("frontier", tag=1)
@dataclass(frozen=True, slots=True)
class Frontier:
    """All heads of the sender, and how many files it has not brought to its disk yet."""

    heads: Annotated[tuple[FrontierHead, ...], Array(Nested(FrontierHead), MAX_LOGS)]
    pending: Annotated[int, UInt()]


@record("want", tag=2)
@dataclass(frozen=True, slots=True)
class Want:
    """The ranges that the sender asks for."""

    ranges: Annotated[tuple[Range, ...], Array(Nested(Range), MAX_RANGES)]


@record("entries", tag=3)
@dataclass(frozen=True, slots=True)
class Entries:
    """Entries in causal order; `last` ends the answer to one request."""

    envelopes: Annotated[tuple[bytes, ...], Array(Bytes(maximum=(1 << 20) + 4096), 4096)]
    last: Annotated[int, UInt(1)]


type Message = Frontier | Want | Entries


@dataclass(frozen=True, slots=True)
class Received:
    """Event: a message arrived."""

    message: Message


@dataclass(frozen=True, slots=True)
class LocalChanged:
    """Event: our frontier or our pending count changed."""

    pending: int


type Event = Received | LocalChanged


@dataclass(frozen=True, slots=True)
class Send:
    """Action: send a message."""

    message: Message


@dataclass(frozen=True, slots=True)
class Serve:
    """Action: answer with the entries of these ranges, in admission order."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Admit:
    """Action: offer these envelopes to the space."""

    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ForkSeen:
    """Action: the peer holds another entry than ours under one number of this log."""

    log: LogId


type Action = Send | Serve | Admit | ForkSeen


@final
class FrontierSync:
    """The exchange with one peer. `heads` is the live frontier of our replica, read and never written here."""

    def __init__(self, heads: Mapping[LogId, Head]) -> None:
        self._heads = heads
        self._remote: dict[LogId, FrontierHead] = {}
        self._asked = False
        self._last_asked: tuple[Range, ...] = ()
        self._announced: Frontier | None = None
        self._pending = 0
        self._heard = False
        self.remote_pending: int | None = None

    def start(self, pending: int) -> list[Action]:
        """Announce our frontier."""
        return self._announce(pending)

    def handle(self, event: Event) -> list[Action]:
        """What one event leads to."""
        match event:
            case LocalChanged(pending):
                return self._announce(pending)
            case Received(message):
                return self._on_message(message)
            case _:
                assert_never(event)

    def _on_message(self, message: Message) -> list[Action]:
        match message:
            case Frontier() as frontier:
                self._remote = {head.log: head for head in frontier.heads}
                self.remote_pending = frontier.pending
                again: list[Action] = []
                if not self._heard:
                    # The peer may have taken up this space only now and missed what we announced before.
                    self._heard, self._announced = True, None
                    again = self._announce(self._pending)
                return again + self._ask()
            case Want(ranges):
                return [Serve(ranges)]
            case Entries(envelopes, last):
                actions: list[Action] = [Admit(envelopes)]
                if last:
                    self._asked = False
                return actions
            case _:
                assert_never(message)

    def admitted(self) -> list[Action]:
        """Call after an `Admit` was carried out: ask for what is still missing.

        An answer that brought nothing forward is not asked for again until the peer announces anew.
        """
        return self._ask(unless=self._last_asked)

    @property
    def in_step(self) -> bool:
        """True when the peer has told us that it holds exactly our entries and has brought them to its disk."""
        return self.remote_pending == 0 and self.same_frontier

    @property
    def same_frontier(self) -> bool:
        """True when the peer's last announcement equals our frontier."""
        remote, heads = self._remote, self._heads
        return len(remote) == len(heads) and all(
            log in remote and remote[log].entry == head.id for log, head in heads.items()
        )

    def retry(self) -> list[Action]:
        """Ask again after an answer that could not be stored."""
        self._asked = False
        return self._ask()

    def _announce(self, pending: int) -> list[Action]:
        self._pending = pending
        heads = tuple(FrontierHead(log, head.seq, head.id) for log, head in sorted(self._heads.items()))
        frontier = Frontier(heads, pending)
        if frontier == self._announced:
            return []
        self._announced = frontier
        return [Send(frontier)]

    def _ask(self, unless: tuple[Range, ...] = ()) -> list[Action]:
        actions: list[Action] = []
        wanted: list[Range] = []
        for log, theirs in sorted(self._remote.items()):
            ours = self._heads.get(log)
            if ours is None or ours.seq < theirs.seq:
                wanted.append(Range(log, 0 if ours is None else ours.seq + 1, theirs.seq))
            elif ours.seq == theirs.seq and ours.id != theirs.entry:
                actions.append(ForkSeen(log))
        ranges = tuple(wanted[:MAX_RANGES])
        if ranges and not self._asked and ranges != unless:
            self._asked, self._last_asked = True, ranges
            actions.append(Send(Want(ranges)))
        return actions
