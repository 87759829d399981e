"""One folder at work: scanning publishes what a person changed, applying brings what others changed.

Two tasks share the rows. The lock is held while the disk is compared with the rows, and while files are moved into
place and their rows replaced; reading, hashing and fetching happen outside it. Nothing on disk is replaced or removed
unless it is exactly what its row says, and what lost a conflict is safe under its new name before its old place is
reused.
"""

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import final

import trio

from latticework.chunkstore import TAG_BYTES
from latticework.crdt import ChunkRef, Directory, File, Shown
from latticework.wire import ChunkId, Clock, StoreError, Threads, padme

from ..params import (
    READ_BATCH_BYTES,
    READ_BATCH_FILES,
    RESCAN_INTERVAL_S,
    RETRY_FIRST_S,
    RETRY_LAST_S,
    SMALL_BATCH_FILES,
)
from ..store import DiskChange, Row
from .bring import Assembler, Job, job_for, remove_paths
from .content import ContentReader, Found, TornError
from .ignore import IgnoreFileError, IgnoreRules, load_rules
from .ports import ChunkFetcher, LocalChange, Publisher, Watcher
from .reasons import Pending, Reason, pending_for
from .root import FolderRoot, FolderStoppedError
from .scan import Differences, scan

_APPLY_BATCH_BYTES = 64 << 20


@final
class FolderEngine:
    """Keeps the directory `path` and the tree of its space the same."""

    def __init__(
        self,
        path: Path,
        folder_id: bytes,
        rows: dict[bytes, Row],
        *,
        publisher: Publisher,
        reader: ContentReader,
        assembler: Assembler,
        fetcher: ChunkFetcher,
        watcher: Watcher,
        threads: Threads,
        clock: Clock,
    ) -> None:
        self.path = path
        self.folder_id = folder_id
        self.rows = rows
        self._publisher = publisher
        self._reader = reader
        self._assembler = assembler
        self._fetcher = fetcher
        self._watcher = watcher
        self._threads = threads
        self._clock = clock
        self._disk = trio.Lock()
        self._to_scan: set[bytes] | None = None
        self._to_apply: dict[bytes, None] = {}
        self._scan_wake = trio.Event()
        self._apply_wake = trio.Event()
        self._rules = IgnoreRules(b"")
        self._retry_s = RETRY_FIRST_S
        self.pending: dict[bytes, Pending] = {}
        self.unreadable: dict[bytes, Pending] = {}
        self.stopped: str | None = None
        self.watch_problem: str | None = None
        self.scanning = True
        self.applying = False

    @property
    def rules(self) -> IgnoreRules:
        """The ignore rules in force."""
        return self._rules

    @property
    def pending_count(self) -> int:
        """Paths that are not on this disk as the tree shows them, and local changes not yet published."""
        failed = sum(path not in self._to_apply for path in self._retryable())
        return len(self._to_apply) + failed + len(self.unreadable) + bool(self.stopped)

    @property
    def busy(self) -> bool:
        """True while a scan or an apply round is due or runs."""
        return self.scanning or self.applying or bool(self._to_apply) or self._to_scan is None or bool(self._to_scan)

    async def run(self) -> None:
        """Work until cancelled."""
        self.check_all()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            nursery.start_soon(self._scan_loop)
            nursery.start_soon(self._apply_loop)

    def _retryable(self) -> list[bytes]:
        return [path for path, why in self.pending.items() if why.reason is not Reason.IGNORED]

    def tree_changed(self, paths: Iterable[bytes]) -> None:
        """These visible paths of the tree may differ from the disk now."""
        self._to_apply |= dict.fromkeys(paths)
        self._apply_wake.set()

    def disk_changed(self, paths: set[bytes] | None) -> None:
        """These paths of the disk, or any, may differ from the rows now."""
        if paths is None or self._to_scan is None:
            self._to_scan = None
        else:
            self._to_scan |= paths
        self._scan_wake.set()

    def check_all(self) -> None:
        """Compare everything again, both ways."""
        tree = self._publisher.tree
        self.tree_changed(sorted(path for path in tree.shown.keys() | self.rows.keys() if not self._in_step(path)))
        self.disk_changed(None)

    def retry_without_source(self) -> None:
        """Try again now what had no source: one may have appeared."""
        self.tree_changed([path for path, why in self.pending.items() if why.reason is Reason.NO_SOURCE])

    async def _watch(self) -> None:
        while True:
            try:
                await self._watcher.watch(self.disk_changed)
            except StoreError as error:
                self.watch_problem = str(error)
            await trio.sleep(RETRY_LAST_S)
            self.disk_changed(None)

    # --- from the disk to the tree ---

    async def _scan_loop(self) -> None:
        delay = RESCAN_INTERVAL_S
        while True:
            prefixes, self._to_scan, self._scan_wake = self._to_scan, set(), trio.Event()
            self.scanning = True
            try:
                delay = await self._scan_round(prefixes)
            except StoreError as error:
                self._stop(str(error))
                delay = RETRY_FIRST_S if isinstance(error, IgnoreFileError | FolderStoppedError) else RETRY_LAST_S
                self._to_scan = None
            finally:
                self.scanning = False
                self._publisher.pending_changed()
            with trio.move_on_after(delay) as timeout:
                await self._scan_wake.wait()
            if self.stopped is not None:
                # A stopped folder is watched by trying: events of a mount that is gone never come.
                self._to_scan = None
            elif timeout.cancelled_caught:
                self._to_scan = set(self.unreadable) if delay < RESCAN_INTERVAL_S else None

    async def _scan_round(self, prefixes: set[bytes] | None) -> float:
        async with self._disk:
            found, rules = await self._threads.run(lambda: self._scan_disk(prefixes))
            if rules.source != self._rules.source:
                self._rules = rules
                self.tree_changed(self.pending)
                if prefixes is not None:
                    self.disk_changed(None)
            if self.stopped is not None:
                self.stopped = None
                self.check_all()
            changes = [LocalChange(path, None, self.rows[path]) for path in found.gone]
            await self._publish(changes)
            if found.untracked:
                await self._forget(found.untracked)
        self._note_refused(found, prefixes)
        for batch in _in_groups(found.changed, READ_BATCH_FILES):
            await self._read_and_publish(batch)
        if self.unreadable:
            self._retry_s = min(self._retry_s * 2, RETRY_LAST_S)
            return self._retry_s
        self._retry_s = RETRY_FIRST_S
        return RESCAN_INTERVAL_S

    def _scan_disk(self, prefixes: set[bytes] | None) -> tuple[Differences, IgnoreRules]:
        with FolderRoot.open(self.path, self.folder_id) as root:
            rules = load_rules(root)
            return scan(root, self.rows, rules, prefixes), rules

    async def _read_and_publish(self, paths: Sequence[bytes]) -> None:
        todo = list(paths)
        while todo:
            found, todo = await self._threads.run(partial(self._read, todo))
            await self._publish(found)

    def _read(self, paths: list[bytes]) -> tuple[list[LocalChange], list[bytes]]:
        changes: list[LocalChange] = []
        size = 0
        with FolderRoot.open(self.path, self.folder_id) as root:
            for index, path in enumerate(paths):
                if size > READ_BATCH_BYTES:
                    return changes, paths[index:]
                found = self._read_one(root, path)
                if found is not None:
                    changes.append(LocalChange(path, found, self.rows.get(path)))
                    size += found.status.st_size
        return changes, []

    def _read_one(self, root: FolderRoot, path: bytes) -> Found | None:
        try:
            found = self._reader.read(root, path)
        except TornError as error:
            self.unreadable[path] = Pending(Reason.TORN, str(error))
            return None
        except FileNotFoundError:
            found = None
        except OSError as error:
            self.unreadable[path] = pending_for(error)
            return None
        self.unreadable.pop(path, None)
        return found

    async def _publish(self, changes: Sequence[LocalChange]) -> None:
        if not changes:
            return
        rows = await self._publisher.publish(changes, self.rows)
        for path, row in rows.items():
            self._set_row(path, row)
        self.tree_changed(path for path in rows if not self._in_step(path))

    async def _forget(self, paths: Sequence[bytes]) -> None:
        await self._publisher.record([DiskChange(path, None) for path in paths])
        for path in paths:
            self.rows.pop(path, None)

    def _note_refused(self, found: Differences, prefixes: set[bytes] | None) -> None:
        if prefixes is None:
            for path in [path for path, why in self.unreadable.items() if why.reason is Reason.NAME]:
                del self.unreadable[path]
        for path, message in found.refused.items():
            self.unreadable[path] = Pending(Reason.NAME, message)
        for path in [path for path in self.unreadable if path in set(found.gone)]:
            del self.unreadable[path]

    # --- from the tree to the disk ---

    async def _apply_loop(self) -> None:
        delay = RETRY_FIRST_S
        while True:
            if not self._to_apply:
                if self._retryable() and self.stopped is None:
                    with trio.move_on_after(delay):
                        await self._apply_wake.wait()
                    delay = min(delay * 2, RETRY_LAST_S)
                    self._to_apply |= dict.fromkeys(self._retryable())
                else:
                    delay = RETRY_FIRST_S
                    await self._apply_wake.wait()
            self._apply_wake = trio.Event()
            if self.stopped is not None:
                await self._wait_until_running()
            todo, self._to_apply = self._to_apply, {}
            self.applying = True
            try:
                await self._apply(todo)
            except StoreError as error:
                self.pending |= dict.fromkeys(todo, Pending(Reason.IO, str(error)))
                if isinstance(error, FolderStoppedError):
                    self._stop(str(error))
                    self._scan_wake.set()
            finally:
                self.applying = False
                self._publisher.pending_changed()

    async def _wait_until_running(self) -> None:
        while self.stopped is not None:
            await self._apply_wake.wait()
            self._apply_wake = trio.Event()

    async def _apply(self, paths: Iterable[bytes]) -> None:
        rounds = 0
        todo = dict.fromkeys(sorted(paths))
        while todo and rounds < 4:
            rounds += 1
            before = len(todo)
            for batch in self._batches(todo):
                await self._bring(batch)
            await self._remove(todo)
            todo = {path: None for path in todo if not self._settle(path)}
            if len(todo) == before:
                break
        for path in todo:
            self.pending.setdefault(path, Pending(Reason.BLOCKED, "it waits for another path"))

    def _settle(self, path: bytes) -> bool:
        """True when nothing more can be done for `path` in this round."""
        if self._in_step(path):
            self.pending.pop(path, None)
            return True
        why = self.pending.get(path)
        return why is not None and why.reason is not Reason.BLOCKED

    def _batches(self, paths: Iterable[bytes]) -> Iterable[list[Job]]:
        batch: list[Job] = []
        size = 0
        for path in paths:
            shown = self._publisher.tree.shown.get(path)
            if shown is None or self._in_step(path) or not self._may_bring(path, shown):
                continue
            batch.append(job_for(path, shown, self.rows.get(path)))
            size += shown.value.size if isinstance(shown.value, File) else 0
            if len(batch) >= SMALL_BATCH_FILES or size >= _APPLY_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _may_bring(self, path: bytes, shown: Shown) -> bool:
        if self._rules.ignores_below(path, directory=isinstance(shown.value, Directory)):
            self.pending[path] = Pending(Reason.IGNORED)
            return False
        row = self.rows.get(path)
        if row is not None and (other := self._homeless_copy(path, row)) is not None:
            self.pending[path] = Pending(Reason.BLOCKED, f"{os.fsdecode(other)!r} is written first")
            return False
        return True

    def _homeless_copy(self, path: bytes, row: Row) -> bytes | None:
        """Another visible path whose content so far stands only here, at `path`."""
        tree = self._publisher.tree
        shown = tree.shown.get(path)
        registers = {path} if shown is None else {path, shown.register}
        for register in sorted(registers):
            for other in tree.emitted(register):
                if other != path and set(tree.shown[other].dots) & set(row.dots) and not self._in_step(other):
                    return other
        return None

    async def _bring(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.pending[job.path] = Pending(Reason.DOWNLOADING)
        await self._fetch_manifests(jobs)
        await self._threads.run(lambda: self._prepare(jobs))
        await self._fetch_missing(jobs)
        async with self._disk:
            # The rows may have moved on while content was fetched: a job for an old row fails its check and is redone.
            changes = await self._threads.run(lambda: self._install(jobs))
            await self._publisher.record(changes)
            for change in changes:
                self._set_row(change.path, change.row)
        for job in jobs:
            self._note_outcome(job)

    async def _fetch_manifests(self, jobs: list[Job]) -> None:
        absent = await self._threads.run(lambda: self._assembler.plan(jobs))
        if absent:
            by_id = {ref.id: ref for ref in absent}

            async def keep(group: list[tuple[ChunkId, bytes]]) -> None:
                await self._threads.run(lambda: self._assembler.keep_manifests(by_id, group))

            await self._fetcher.fetch({ref.id: _sealed_bytes(ref) for ref in absent}, keep)
            await self._threads.run(lambda: self._assembler.plan(jobs))
        for job in jobs:
            value = job.shown.value
            if isinstance(value, File) and job.needs_content and value.size and not job.refs and job.failure is None:
                job.failure = Pending(Reason.NO_SOURCE, "no connected device has the list of its chunks")

    def _prepare(self, jobs: list[Job]) -> None:
        with FolderRoot.open(self.path, self.folder_id) as root:
            self._assembler.prepare(root, jobs)

    async def _fetch_missing(self, jobs: list[Job]) -> None:
        waiting: dict[ChunkId, list[Job]] = {}
        sizes: dict[ChunkId, int] = {}
        for job in jobs:
            for ref in job.missing.values() if job.failure is None else ():
                holders = waiting.setdefault(ref.id, [])
                if not holders or holders[-1] is not job:
                    holders.append(job)
                sizes[ref.id] = _sealed_bytes(ref)
        if not waiting:
            return

        async def write(group: list[tuple[ChunkId, bytes]]) -> None:
            await self._threads.run(lambda: self._write(waiting, group))

        await self._fetcher.fetch(sizes, write)
        for job in jobs:
            if job.missing and job.failure is None:
                job.failure = Pending(Reason.NO_SOURCE, f"{len(job.missing)} chunks are on no connected device")

    def _write(self, waiting: dict[ChunkId, list[Job]], group: list[tuple[ChunkId, bytes]]) -> None:
        with FolderRoot.open(self.path, self.folder_id) as root:
            self._assembler.write(root, waiting, group)

    def _install(self, jobs: list[Job]) -> list[DiskChange]:
        with FolderRoot.open(self.path, self.folder_id) as root:
            self._assembler.finish(root, jobs)
            return self._assembler.install(root, jobs)

    def _note_outcome(self, job: Job) -> None:
        if job.failure is None:
            self.pending.pop(job.path, None)
            if not self._in_step(job.path):
                self._to_apply[job.path] = None
            return
        self.pending[job.path] = job.failure
        if job.failure.reason is Reason.LOCAL_CHANGE:
            self.disk_changed({job.path})

    async def _remove(self, paths: Iterable[bytes]) -> None:
        tree = self._publisher.tree
        doomed: list[tuple[bytes, Row]] = []
        for path in sorted(paths, reverse=True):
            row = self.rows.get(path)
            if row is None or self._in_step(path) or tree.shown.get(path) is not None:
                continue
            if self._rules.ignores_below(path, directory=row.kind == "d") or self._homeless_copy(path, row) is not None:
                continue
            doomed.append((path, row))
        for group in _in_groups(doomed, SMALL_BATCH_FILES):
            async with self._disk:
                removed, failed = await self._threads.run(partial(self._remove_now, group))
                await self._publisher.record([DiskChange(path, None) for path in removed])
                for path in removed:
                    self._set_row(path, None)
            self.pending |= failed
            self.disk_changed({path for path, why in failed.items() if why.reason is Reason.LOCAL_CHANGE})

    def _remove_now(self, doomed: Sequence[tuple[bytes, Row]]) -> tuple[list[bytes], dict[bytes, Pending]]:
        with FolderRoot.open(self.path, self.folder_id) as root:
            return remove_paths(root, doomed)

    def _in_step(self, path: bytes) -> bool:
        shown = self._publisher.tree.shown.get(path)
        row = self.rows.get(path)
        if shown is None:
            return row is None or (row.kind == "d" and self._publisher.tree.is_directory(path))
        return row is not None and row.dots == shown.dots

    def _set_row(self, path: bytes, row: Row | None) -> None:
        if row is None:
            self.rows.pop(path, None)
        else:
            self.rows[path] = row

    def _stop(self, why: str) -> None:
        self.stopped = why


def _sealed_bytes(ref: ChunkRef) -> int:
    return padme(ref.length) + TAG_BYTES


def _in_groups[T](items: Sequence[T], count: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), count):
        yield items[start : start + count]
