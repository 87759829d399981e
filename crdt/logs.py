"""Admission: which entries may enter the logs of a space, in which order, and what waits.

An entry is admitted once its predecessor and its dependencies are. The verdict depends on the entry's causal past
alone; the local clock may delay an entry from the far future, never refuse one (Kleppmann, "Making CRDTs Byzantine
Fault Tolerant", 2022). What waits is bounded per sender, so that nobody can fill our memory with orphans.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, final

from latticework.wire import EntryId, LogId

from .entry import Entry
from .hlc import hlc_us
from .params import MAX_CLOCK_AHEAD_US, PENDING_BYTES_PER_SENDER, PENDING_ENTRIES_PER_SENDER


class Position(NamedTuple):
    """Where an admitted entry stands."""

    log: LogId
    seq: int
    hlc: int


class Head(NamedTuple):
    """The newest entry of a log."""

    seq: int
    id: EntryId
    hlc: int


class Positions(Protocol):
    """Looks up admitted entries; the entry store of the node, or a dict in tests."""

    def position(self, entry: EntryId) -> Position | None:
        """Where `entry` stands, or None if it was never admitted."""
        ...

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        """The admitted entry with this number."""
        ...


@dataclass(frozen=True, slots=True)
class Admitted:
    """The entry extends its log."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Waiting:
    """The entry waits: for the entry `missing`, or until `due_us` when its clock is ahead of ours."""

    entry: EntryId
    missing: EntryId | None
    due_us: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The entry can never be admitted; whoever made it is wrong."""

    entry: EntryId
    reason: str


@dataclass(frozen=True, slots=True)
class Forked:
    """The entry's author has signed another entry with the same number: equivocation, or a careless restore."""

    entry: Entry
    other: EntryId


type Verdict = Admitted | Waiting | Refused | Forked


@dataclass(slots=True)
class _Orphans:
    entries: dict[EntryId, tuple[Entry, EntryId | None]] = field(
        default_factory=dict[EntryId, tuple[Entry, EntryId | None]]
    )
    size_bytes: int = 0


@final
class Logs:
    """The logs of one space: their heads, and the entries that wait."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._orphans: dict[bytes, _Orphans] = {}
        self._waiting_for: dict[EntryId, list[tuple[bytes, EntryId]]] = {}
        self._fresh: dict[EntryId, Position] = {}
        self.heads: dict[LogId, Head] = {}
        self.forked: dict[LogId, tuple[EntryId, EntryId]] = {}

    def position(self, entry: EntryId) -> Position | None:
        """Where an admitted entry stands; knows what an `offer` admitted before its caller has stored it."""
        return self._fresh.get(entry) or self._positions.position(entry)

    def restore(self, entry: Entry) -> None:
        """Take an entry that was admitted in an earlier run, in admission order."""
        body = entry.body
        self.heads[body.author] = Head(body.seq, entry.id, body.hlc)

    def offer(self, entry: Entry, sender: bytes, now_us: int, allow: Callable[[Entry], str | None]) -> list[Verdict]:
        """Judge `entry`, then whatever waited for it.

        `allow` has the last word on an entry that is otherwise admissible: a reason to refuse it, or None. It may keep
        what it learnt from an entry it allows, because that entry is admitted at once.
        """
        verdicts: list[Verdict] = []
        queue = [(entry, sender)]
        self._fresh.clear()
        while queue:
            current, sender = queue.pop(0)
            verdict = self._judge(current, now_us, allow)
            match verdict:
                case Admitted():
                    body = current.body
                    self.heads[body.author] = Head(body.seq, current.id, body.hlc)
                    self._fresh[current.id] = Position(body.author, body.seq, body.hlc)
                    queue += self._release(current.id)
                case Waiting():
                    verdict = self._hold(current, sender, verdict)
                case Forked():
                    self.forked.setdefault(current.body.author, (verdict.other, current.id))
                case Refused() | None:
                    pass
            if verdict is not None:
                verdicts.append(verdict)
        return verdicts

    def due(self, now_us: int) -> list[tuple[Entry, bytes]]:
        """Take out the entries whose clock we have caught up with, each with its sender, to offer again."""
        ready: list[tuple[Entry, bytes]] = []
        for sender, orphans in self._orphans.items():
            for identifier, (entry, missing) in list(orphans.entries.items()):
                if missing is None and not _ahead(entry, now_us):
                    self._drop(sender, identifier)
                    ready.append((entry, sender))
        return ready

    def forget_sender(self, sender: bytes) -> None:
        """Drop what `sender` left waiting: its connection ended."""
        for identifier in list(self._orphans.get(sender, _Orphans()).entries):
            self._drop(sender, identifier)
        self._orphans.pop(sender, None)

    def waiting_count(self) -> int:
        """Entries that wait."""
        return sum(len(orphans.entries) for orphans in self._orphans.values())

    def _judge(self, entry: Entry, now_us: int, allow: Callable[[Entry], str | None]) -> Verdict | None:
        body = entry.body
        if self._known(entry):
            return None
        floor = 0
        if body.prev is not None:
            prev = self.position(body.prev)
            if prev is None:
                return Waiting(entry.id, body.prev, 0)
            if prev.log != body.author or prev.seq + 1 != body.seq:
                return Refused(entry.id, "its predecessor is not the one before it in its log")
            floor = prev.hlc
        for dep in body.deps:
            position = self.position(dep)
            if position is None:
                return Waiting(entry.id, dep, 0)
            if position.log == body.author:
                return Refused(entry.id, "it depends on its own log")
            floor = max(floor, position.hlc)
        if body.hlc <= floor:
            return Refused(entry.id, "its clock is not ahead of what it depends on")
        head = self.heads.get(body.author)
        if head is not None and head.seq >= body.seq:
            return Forked(entry, self._positions.entry_at(body.author, body.seq) or head.id)
        if _ahead(entry, now_us):
            return Waiting(entry.id, None, hlc_us(body.hlc) - MAX_CLOCK_AHEAD_US)
        if reason := allow(entry):
            return Refused(entry.id, reason)
        return Admitted(entry)

    def _known(self, entry: Entry) -> bool:
        return self.position(entry.id) is not None

    def _hold(self, entry: Entry, sender: bytes, verdict: Waiting) -> Verdict | None:
        orphans = self._orphans.setdefault(sender, _Orphans())
        if entry.id in orphans.entries:
            return None
        size = len(entry.envelope.payload or b"")
        if len(orphans.entries) >= PENDING_ENTRIES_PER_SENDER or orphans.size_bytes + size > PENDING_BYTES_PER_SENDER:
            return Refused(entry.id, "its sender keeps too many entries waiting")
        orphans.entries[entry.id] = (entry, verdict.missing)
        orphans.size_bytes += size
        if verdict.missing is not None:
            self._waiting_for.setdefault(verdict.missing, []).append((sender, entry.id))
        return verdict

    def _release(self, admitted: EntryId) -> list[tuple[Entry, bytes]]:
        released: list[tuple[Entry, bytes]] = []
        for sender, identifier in self._waiting_for.pop(admitted, []):
            if (entry := self._drop(sender, identifier)) is not None:
                released.append((entry, sender))
        return released

    def _drop(self, sender: bytes, identifier: EntryId) -> Entry | None:
        orphans = self._orphans.get(sender)
        if orphans is None or identifier not in orphans.entries:
            return None
        entry, missing = orphans.entries.pop(identifier)
        orphans.size_bytes -= len(entry.envelope.payload or b"")
        waiting = self._waiting_for.get(missing, []) if missing is not None else []
        if (sender, identifier) in waiting:
            waiting.remove((sender, identifier))
            if not waiting and missing is not None:
                del self._waiting_for[missing]
        return entry


def _ahead(entry: Entry, now_us: int) -> bool:
    return hlc_us(entry.body.hlc) > now_us + MAX_CLOCK_AHEAD_US
