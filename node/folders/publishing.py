"""From the disk to the tree: scan, read what changed, publish it."""

from collections.abc import Sequence
from functools import partial
from typing import final

import trio

from latticework.wire import LocalError, StoreError, Threads

from ..groups import first_error
from ..params import (
    MANY_DELETIONS,
    MANY_DELETIONS_SHARE,
    MANY_DELETIONS_WAIT_S,
    READ_BATCH_BYTES,
    READ_BATCH_FILES,
    RESCAN_INTERVAL_S,
    RETRY_FIRST_S,
    RETRY_LAST_S,
)
from ..store import DiskChange
from .content import ContentReader, Found, TornError
from .groups import in_groups
from .ignore import IgnoreFileError, IgnoreRules, load_rules
from .ledger import FolderLedger
from .ports import NO_MOVES, LocalChange, LocalMoves
from .reasons import Pending, Reason, pending_for
from .refusals import FolderStoppedError
from .root import FolderRoot
from .scan import Differences, scan
from .scan_moves import find_moves


@final
class Publishing:
    """The task that publishes what a person changed."""

    def __init__(self, ledger: FolderLedger, reader: ContentReader, threads: Threads) -> None:
        self._ledger = ledger
        self._publisher = ledger.publisher
        self._reader = reader
        self._threads = threads
        self._retry_s = RETRY_FIRST_S

    async def run(self) -> None:
        """Scan whenever something may have changed, until cancelled."""
        delay = RESCAN_INTERVAL_S
        while True:
            prefixes, self._ledger.to_scan, self._ledger.scan_wake = self._ledger.to_scan, set(), trio.Event()
            self._ledger.scanning = True
            try:
                delay = await self._scan_round(prefixes)
            except (StoreError, LocalError, OSError) as error:
                self._ledger.stopped = str(error)
                at_once = isinstance(error, IgnoreFileError | FolderStoppedError | LocalError)
                delay = RETRY_FIRST_S if at_once else RETRY_LAST_S
                self._ledger.to_scan = None
            finally:
                self._ledger.scanning = False
                self._publisher.pending_changed()
            if self._ledger.stopped is not None:
                # A stopped folder is watched by trying, and only so: events of a mount that is gone never come, and a
                # round that fails may itself ask for another.
                await trio.sleep(delay)
                self._ledger.to_scan = None
                continue
            with trio.move_on_after(delay) as timeout:
                await self._ledger.scan_wake.wait()
            if timeout.cancelled_caught:
                self._ledger.to_scan = set(self._ledger.unreadable) if delay < RESCAN_INTERVAL_S else None

    async def _scan_round(self, prefixes: set[bytes] | None) -> float:
        async with self._ledger.disk:
            self._ledger.moved.clear()
            found, rules = await self._threads.run(lambda: self._scan_disk(prefixes))
            moves = find_moves(found, self._ledger.rows, self._ledger.is_void)
            if rules.source != self._ledger.rules.source:
                self._ledger.rules = rules
                self._ledger.check_tree()
                if prefixes is not None:
                    self._ledger.disk_changed(None)
            self._ledger.opened = True
            self._ledger.apply_wake.set()
            if self._ledger.stopped is not None:
                self._ledger.stopped = None
                self._ledger.check_all()
            gone = await self._really_gone(found.gone)
            gone += moves.overwritten
            await self._publish([LocalChange(path, None, self._ledger.rows[path]) for path in gone], moves.moves)
            if found.untracked:
                await self._forget(found.untracked)
        self._note_refused(found, prefixes)
        await self._read_and_publish(found.changed)
        if self._ledger.unreadable:
            self._retry_s = min(self._retry_s * 2, RETRY_LAST_S)
            return self._retry_s
        self._retry_s = RETRY_FIRST_S
        return RESCAN_INTERVAL_S

    async def _really_gone(self, paths: list[bytes]) -> list[bytes]:
        """Look twice before much is deleted: a folder that is going away as a whole loses its marker in a moment."""
        if len(paths) < MANY_DELETIONS or len(paths) < len(self._ledger.rows) * MANY_DELETIONS_SHARE:
            return paths
        await trio.sleep(MANY_DELETIONS_WAIT_S)
        return await self._threads.run(lambda: self._still_gone(paths))

    def _still_gone(self, paths: list[bytes]) -> list[bytes]:
        with self._ledger.open_root() as root:
            return [path for path in paths if root.status(path) is None]

    def _scan_disk(self, prefixes: set[bytes] | None) -> tuple[Differences, IgnoreRules]:
        with self._ledger.open_root() as root:
            rules = load_rules(root)
            return scan(root, self._ledger.rows, rules, prefixes), rules

    async def _read_and_publish(self, paths: Sequence[bytes]) -> None:
        """Read the next files while the last ones are published."""
        send, read = trio.open_memory_channel[list[LocalChange]](1)
        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read_all, paths, send)
                async for changes in read:
                    await self._publish_read(changes)

    async def _publish_read(self, changes: Sequence[LocalChange]) -> None:
        """Publish what still stands where it was read; what was renamed meanwhile is found again where it is now."""
        async with self._ledger.disk:
            here = [change for change in changes if not self._ledger.has_left(change.path)]
            await self._publish(here)
        if len(here) < len(changes):
            self._ledger.disk_changed(None)

    async def _read_all(self, paths: Sequence[bytes], read: trio.MemorySendChannel[list[LocalChange]]) -> None:
        async with read:
            for group in in_groups(paths, READ_BATCH_FILES):
                todo = list(group)
                while todo:
                    changes, todo = await self._threads.run(partial(self._read, todo))
                    await read.send(changes)

    def _read(self, paths: list[bytes]) -> tuple[list[LocalChange], list[bytes]]:
        changes: list[LocalChange] = []
        size = 0
        with self._ledger.open_root() as root:
            for index, path in enumerate(paths):
                if size > READ_BATCH_BYTES:
                    return changes, paths[index:]
                found = self._read_one(root, path)
                if found is not None:
                    changes.append(LocalChange(path, found, self._ledger.rows.get(path)))
                    size += found.status.st_size
        return changes, []

    def _read_one(self, root: FolderRoot, path: bytes) -> Found | None:
        try:
            found = self._reader.read(root, path)
        except TornError as error:
            self._ledger.unreadable[path] = Pending(Reason.TORN, str(error))
            return None
        except FileNotFoundError:
            found = None
        except OSError as error:
            self._ledger.unreadable[path] = pending_for(error)
            return None
        self._ledger.unreadable.pop(path, None)
        return found

    async def _publish(self, changes: Sequence[LocalChange], moves: LocalMoves = NO_MOVES) -> None:
        if not changes and not moves.moves:
            return
        rows = await self._publisher.publish(changes, self._ledger.rows, moves)
        for path, row in rows.items():
            self._ledger.set_row(path, row)
        self._ledger.tree_changed(path for path in rows if not self._ledger.in_step(path))

    async def _forget(self, paths: Sequence[bytes]) -> None:
        await self._publisher.record([DiskChange(path, None) for path in paths])
        for path in paths:
            self._ledger.rows.pop(path, None)

    def _note_refused(self, found: Differences, prefixes: set[bytes] | None) -> None:
        for path, message in found.refused.items():
            self._ledger.unreadable[path] = Pending(Reason.NAME, message)
        for path, error in found.failed.items():
            self._ledger.unreadable[path] = pending_for(error)
        looked_at = {*found.changed, *found.refused, *found.failed}
        for path, why in list(self._ledger.unreadable.items()):
            # It is as its row says, or gone, or ignored by now.
            if path not in looked_at and (prefixes is None or (path in prefixes and why.reason is not Reason.NAME)):
                del self._ledger.unreadable[path]
