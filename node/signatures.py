"""Signatures that were not checked when a long run of entries came: checked before anything is built on them.

Bulk ingest checks the last signature of a run, which covers the others' ids (crdt-sync report 3.2). Replicas must still
agree on every entry, and a run may carry a wrong signature inside; so nothing of ours depends on such an entry, and
nobody is shown it, before its own signature was checked. One that does not verify is dropped with all that depends on
it, as if it had been refused on arrival.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import final

from latticework.crdt import Entry, signature_verifies
from latticework.wire import EntryId, Threads, short

from .params import SIGNATURES_PER_HOP
from .store import Incoming, SpaceStore

_log = logging.getLogger(__name__)


@final
class PendingSignatures:
    """Which entries of one space are still to be checked."""

    def __init__(self, store: SpaceStore, threads: Threads) -> None:
        self._store = store
        self._threads = threads
        self._waiting: set[EntryId] = set()
        self.any_stored = True

    def note(self, unchecked: Iterable[EntryId]) -> None:
        """These came unchecked; some may wait for others before they are stored."""
        self._waiting.update(unchecked)

    def incoming(self, entries: Iterable[Entry]) -> list[Incoming]:
        """What is to be stored now, and whether it was checked."""
        found = [Incoming(entry, entry.id not in self._waiting) for entry in entries]
        self._waiting.difference_update(entry.id for entry, _ in found)
        self.any_stored |= any(not checked for _, checked in found)
        return found

    def keep_only(self, waits: Callable[[EntryId], bool]) -> None:
        """Of what was noted and not stored, only what still waits for other entries may yet be stored."""
        self._waiting = {entry for entry in self._waiting if waits(entry)}

    async def check(self, hops: int | None = None) -> bool:
        """Check what is stored, in at most `hops` hops; True if something was dropped, and the state must be anew."""
        dropped = 0
        while self.any_stored and hops != 0:
            entries = await self._threads.run(self._next)
            self.any_stored = bool(entries)
            bad = await self._threads.run(partial(self._check, entries))
            if bad:
                dropped += await self._threads.run(partial(self._store.drop, bad))
                _log.warning("entries dropped: a signature does not verify entry=%s count=%d", short(bad[0]), dropped)
            hops = None if hops is None else hops - 1
        return dropped > 0

    def _next(self) -> list[Entry]:
        return self._store.unchecked(SIGNATURES_PER_HOP)

    def _check(self, entries: list[Entry]) -> list[EntryId]:
        good = {entry.id: None for entry in entries if signature_verifies(entry)}
        self._store.mark_checked(list(good))
        return [entry.id for entry in entries if entry.id not in good]
