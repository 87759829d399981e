"""Entries that wait for others, bounded per sender."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, final

from latticework.wire import EntryId

from .entry import Entry
from .params import PENDING_BYTES_PER_SENDER, PENDING_ENTRIES_PER_SENDER


@dataclass(slots=True)
class _Share:
    entries: dict[EntryId, tuple[Entry, EntryId | None]] = field(
        default_factory=dict[EntryId, tuple[Entry, EntryId | None]]
    )
    size_bytes: int = 0


@final
class Orphans:
    """What waits, by sender and by what it waits for; None stands for the clock."""

    def __init__(self) -> None:
        self._shares: dict[bytes, _Share] = {}
        self._waiting_for: dict[EntryId, dict[tuple[bytes, EntryId], bool]] = {}
        self._holders: dict[EntryId, list[bytes]] = {}

    def hold(
        self, entry: Entry, sender: bytes, missing: EntryId | None, *, vital: bool = False
    ) -> tuple[Literal["held", "known", "full"], list[EntryId]]:
        """Keep `entry` until `missing` is released; also what is awaited from now on.

        What a `vital` entry waits for is awaited; if that waits itself, so is what it waits for, and so on.
        """
        share = self._shares.setdefault(sender, _Share())
        known = entry.id in share.entries
        if not known:
            size = _size_bytes(entry)
            if len(share.entries) >= PENDING_ENTRIES_PER_SENDER or share.size_bytes + size > PENDING_BYTES_PER_SENDER:
                return "full", []
            share.entries[entry.id] = (entry, missing)
            share.size_bytes += size
            self._holders.setdefault(entry.id, []).append(sender)
            if missing is not None:
                self._waiting_for.setdefault(missing, {})[sender, entry.id] = False
        awaited = self._await(entry.id) if vital or self.is_awaited(entry.id) else []
        return "known" if known else "held", awaited

    def release(self, admitted: EntryId) -> list[tuple[Entry, bytes]]:
        """Take out what waited for `admitted`."""
        released: list[tuple[Entry, bytes]] = []
        for sender, identifier in self._waiting_for.pop(admitted, {}):
            if (entry := self._drop(sender, identifier)) is not None:
                released.append((entry, sender))
        return released

    def is_awaited(self, entry: EntryId) -> bool:
        """True when something vital waits for `entry`."""
        return any(self._waiting_for.get(entry, {}).values())

    def missing(self) -> list[EntryId]:
        """What is waited for and does not wait itself, sorted."""
        return sorted(self._waiting_for.keys() - self._holders.keys())

    def take_if(self, ready: Callable[[Entry, EntryId | None], bool]) -> list[tuple[Entry, bytes]]:
        """Take out the entries that are `ready`, each with its sender."""
        taken: list[tuple[Entry, bytes]] = []
        for sender, share in self._shares.items():
            for identifier, (entry, missing) in list(share.entries.items()):
                if ready(entry, missing):
                    self._drop(sender, identifier)
                    taken.append((entry, sender))
        return taken

    def forget_sender(self, sender: bytes) -> None:
        """Drop what `sender` left."""
        for identifier in list(self._shares.get(sender, _Share()).entries):
            self._drop(sender, identifier)
        self._shares.pop(sender, None)

    def holds(self, entry: EntryId) -> bool:
        """True while `entry` waits, whoever sent it."""
        return entry in self._holders

    def count(self) -> int:
        """Entries that wait."""
        return sum(len(share.entries) for share in self._shares.values())

    def _await(self, vital: EntryId) -> list[EntryId]:
        """Mark what `vital` waits for, and what that waits for."""
        awaited: list[EntryId] = []
        queue = [vital]
        while queue:
            identifier = queue.pop()
            for sender in self._holders.get(identifier, ()):
                _, missing = self._shares[sender].entries[identifier]
                if missing is not None and not self._waiting_for[missing][sender, identifier]:
                    self._waiting_for[missing][sender, identifier] = True
                    awaited.append(missing)
                    queue.append(missing)
        return awaited

    def _drop(self, sender: bytes, identifier: EntryId) -> Entry | None:
        share = self._shares.get(sender)
        if share is None or identifier not in share.entries:
            return None
        entry, missing = share.entries.pop(identifier)
        share.size_bytes -= _size_bytes(entry)
        self._holders[identifier].remove(sender)
        if not self._holders[identifier]:
            del self._holders[identifier]
        waiting = None if missing is None else self._waiting_for.get(missing)
        if missing is not None and waiting is not None:
            waiting.pop((sender, identifier), None)
            if not waiting:
                del self._waiting_for[missing]
        return entry


def _size_bytes(entry: Entry) -> int:
    return len(entry.envelope.payload or b"") + len(entry.envelope.body)
