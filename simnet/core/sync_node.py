"""One node of a sync run on tier C: its store, its ends of connections with a real `Reconciler` each, and its news.

An end is a stream: what is sent arrives in order, late instead of never, and what a partition stops is held back until
it ends. When the connection goes, both reconcilers go with it, and the next connection begins with new ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

from latticework.crdt import Reconciler
from latticework.crdt.reconcile_events import (
    Action,
    Admit,
    Admitted,
    Close,
    ForkFound,
    LocalChanged,
    Range,
    Received,
    Send,
    Serve,
    ServeIds,
    TakeProofs,
)
from latticework.crdt.reconcile_messages import Compare, Entries, Message, Root, Want
from latticework.node.params import ANNOUNCE_AT_ONCE_LINKS, ANNOUNCE_EVERY_S, ANNOUNCE_SETTLE_S, SERVE_BATCH_BYTES
from latticework.wire import LocalError, LogId

from ..result import Deliveries
from .connections import Connections
from .ledger import LedgerEntry, Store, read_ranges, write_ranges
from .links import MessageLinks
from .scheduler import BucketScheduler
from .streams import carry
from .sync_size import batch_bytes, message_bytes

_SECOND_US: Final = 1_000_000
_ADMITTED: Final = Admitted(0)
_NO_PROOFS: Final[Mapping[bytes, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Announcing:
    """When neighbours are told of news, as `node.announcing` does it.

    What a node writes is told at once on up to `at_once_links` connections; on more, `settle_us` later and not within
    `every_us` after the last such time or fetch. What it fetched is told at once.
    """

    at_once_links: int = ANNOUNCE_AT_ONCE_LINKS
    settle_us: int = int(ANNOUNCE_SETTLE_S * _SECOND_US)
    every_us: int = int(ANNOUNCE_EVERY_S * _SECOND_US)


@dataclass(slots=True, eq=False)
class SyncCounters:
    """Messages sent, by kind, and entries in answers; `held` are messages that a partition held back."""

    messages: int = 0
    roots: int = 0
    compares: int = 0
    wants: int = 0
    entries: int = 0
    held: int = 0

    def count(self, message: Message) -> None:
        """A message was sent."""
        self.messages += 1
        match message:
            case Root():
                self.roots += 1
            case Compare():
                self.compares += 1
            case Want():
                self.wants += 1
            case _:
                pass


@dataclass(slots=True, eq=False)
class SyncAir:
    """What the nodes of a run share; `holding` are the ends that hold messages back."""

    scheduler: BucketScheduler
    links: MessageLinks
    connections: Connections
    deliveries: Deliveries
    counters: SyncCounters
    announcing: Announcing
    holding: "dict[End, None]"


@final
class End:
    """A node's half of a connection."""

    __slots__ = ("far", "held", "is_open", "node", "other", "reconciler")

    def __init__(self, node: "SyncNode", far: int, salt: bytes) -> None:
        self.node = node
        self.far = far
        self.other: End | None = None
        self.is_open = True
        self.held: list[tuple[Message, int]] = []
        self.reconciler = Reconciler(node.store.heads, _NO_PROOFS, node.store, salt)


@final
class SyncNode:
    """A node by its number; `ends` are its connections by the number of the other end."""

    __slots__ = ("_air", "_has_news", "_is_set", "_quiet_until_us", "duplicates", "ends", "number", "sent", "store")

    def __init__(self, number: int, store: Store, air: SyncAir) -> None:
        self.number = number
        self.store = store
        self.ends: dict[int, End] = {}
        self.sent = (0, 0)
        """Bytes and messages."""
        self.duplicates = 0
        self._air = air
        self._has_news = False
        self._is_set = False
        """Whether `_wake` will come."""
        self._quiet_until_us = 0

    def begin(self, end: End) -> None:
        """The connection stands."""
        self._perform(end, end.reconciler.start(0))

    def close(self, far: int) -> None:
        """The connection is gone."""
        end = self.ends.pop(far, None)
        if end is not None:
            end.is_open = False
            self._air.holding.pop(end, None)

    def stop(self) -> None:
        """The node goes down; what it holds stays on its disk."""
        for far in list(self.ends):
            self.close(far)
        self._has_news = False
        self._is_set = False
        self._quiet_until_us = 0

    # News

    def write(self, size_bytes: int) -> None:
        """Add an entry to the node's own log."""
        store, now_us = self.store, self._air.scheduler.now_us
        log = store.own_log
        message = self._air.deliveries.publish(self.number, now_us)
        store.ledger.write(log, store.clock, now_us, size_bytes, message)
        store.take(log, store.next_seq(log))
        self._note()

    def _note(self) -> None:
        pace = self._air.announcing
        if len(self.ends) <= pace.at_once_links:
            self._tell(paced=False)
            return
        self._has_news = True
        if not self._is_set:
            self._is_set = True
            at_us = max(self._quiet_until_us, self._air.scheduler.now_us + pace.settle_us)
            self._air.scheduler.post(at_us, self._wake, self._air.connections.life[self.number], None)

    def _wake(self, now_us: int, life: int, _: None) -> None:
        if life == self._air.connections.life[self.number]:
            self._is_set = False
            if self._has_news:
                self._quiet_until_us = now_us + self._air.announcing.every_us
                self._tell(paced=True)

    def _tell(self, *, paced: bool) -> None:
        self._has_news = False
        for end in list(self.ends.values()):
            self._perform(end, end.reconciler.handle(LocalChanged(0, paced)))

    # Messages

    def hear(self, _now_us: int, end: End, message: Message) -> None:
        """A message arrives on a connection, unless that is gone."""
        if end.is_open:
            self._perform(end, end.reconciler.handle(Received(message)))

    def _perform(self, end: End, actions: list[Action]) -> None:
        """Do what a reconciler wants done; raises LocalError for what honest nodes never come to."""
        for action in actions:
            match action:
                case Send(message):
                    self._send(end, message, message_bytes(message))
                case Serve(ranges):
                    self._serve(end, ranges)
                case Admit(batch):
                    self._admit(end, batch)
                case ServeIds() | TakeProofs() | ForkFound() | Close():
                    raise LocalError(f"node {self.number}: {action} among honest nodes without dependencies")

    def _serve(self, end: End, ranges: tuple[Range, ...]) -> None:
        parts = list(_parts(self.store, ranges)) or [([], 0)]
        for number, (part, size) in enumerate(parts, start=1):
            message = Entries(write_ranges(part), int(number == len(parts)))
            self._air.counters.entries += sum(told.last - told.first + 1 for told in part)
            self._send(end, message, message_bytes(message, size))

    def _admit(self, end: End, batch: bytes) -> None:
        """Take what follows on what is here, tell its asker, and then everybody."""
        store, air = self.store, self._air
        moved = False
        for told in read_ranges(batch):
            first = store.next_seq(told.log)
            self.duplicates += max(0, min(first, told.last + 1) - told.first)
            if told.first <= first <= told.last:
                moved = True
                store.take(told.log, told.last)
                known = store.lost.get(told.log, -1)
                for seq in range(max(first, known + 1), told.last + 1):
                    air.deliveries.deliver(store.ledger.at(told.log, seq).message, self.number, air.scheduler.now_us)
        self._perform(end, end.reconciler.handle(_ADMITTED))
        if moved:
            self._tell(paced=False)

    def _send(self, end: End, message: Message, size: int) -> None:
        air = self._air
        air.counters.count(message)
        sent_bytes, sent_messages = self.sent
        self.sent = sent_bytes + size, sent_messages + 1
        other = end.other
        if air.connections.quick and other is not None:
            at_us = air.scheduler.now_us + air.links.latency_us(self.number, end.far)
            air.scheduler.post(at_us, other.node.hear, other, message)
        elif end.held or not air.links.reachable(self.number, end.far):
            air.counters.held += 1
            end.held.append((message, size))
            air.holding[end] = None
        else:
            self._travel(end, message, size)

    def release(self, end: End) -> None:
        """Send what was held back, if it gets through now."""
        if self._air.links.reachable(self.number, end.far):
            held, end.held = end.held, []
            self._air.holding.pop(end, None)
            for message, size in held:
                self._travel(end, message, size)

    def _travel(self, end: End, message: Message, size: int) -> None:
        other = end.other
        if other is not None:
            way = self.number, end.far
            carry(self._air.scheduler, self._air.links, way, size, other.node.hear, other, message)


def _parts(store: Store, ranges: tuple[Range, ...]) -> Iterator[tuple[list[Range], int]]:
    """Entries in messages of about `SERVE_BATCH_BYTES`, as ranges and the length of their batch."""
    part: list[tuple[LogId, int, LedgerEntry]] = []
    payload = 0
    for told in ranges:
        for seq in range(told.first, told.last + 1):
            entry = store.ledger.at(told.log, seq)
            part.append((told.log, seq, entry))
            payload += entry.size_bytes
            if payload >= SERVE_BATCH_BYTES:
                yield _ranges_of(part), batch_bytes(part)
                part, payload = [], 0
    if part:
        yield _ranges_of(part), batch_bytes(part)


def _ranges_of(part: list[tuple[LogId, int, LedgerEntry]]) -> list[Range]:
    spans: dict[LogId, tuple[int, int]] = {}
    for log, seq, _ in part:
        spans[log] = spans.get(log, (seq, seq))[0], seq
    return [Range(log, first, last) for log, (first, last) in spans.items()]
