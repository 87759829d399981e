"""From the tree to the disk: bring what others changed, remove what others deleted.

Nothing on disk is replaced or removed unless it is exactly what its row says, and what lost a conflict is safe under
its new name before its old place is reused.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import final

import trio

from latticework.crdt import Directory, File, Shown, shown_name
from latticework.wire import StoreError, Threads

from ..groups import first_error
from ..params import PREVIOUS_SHARE, RETRY_FIRST_S, RETRY_LAST_S, SMALL_BATCH_FILES
from ..store import DiskChange, Row
from .bring import Assembler, Job, job_for, remove_paths
from .fetching import Fetching
from .groups import in_groups
from .ledger import FolderLedger
from .ports import ChunkFetcher
from .previous import trim_previous
from .reasons import Pending, Reason
from .refusals import FolderStoppedError
from .renaming import Rename, has_moved, plan_renames, rename_all, renamed_rows
from .root import FolderRoot
from .voiding import VoidFile, is_to_be_kept, set_aside, void_files

_APPLY_BATCH_BYTES = 64 << 20


@final
class Applying:
    """The task that makes the disk show the tree."""

    def __init__(self, ledger: FolderLedger, assembler: Assembler, fetcher: ChunkFetcher, threads: Threads) -> None:
        self._ledger = ledger
        self._publisher = ledger.publisher
        self._assembler = assembler
        self._fetching = Fetching(ledger, assembler, fetcher, threads)
        self._threads = threads

    async def run(self) -> None:
        """Apply whatever is due, until cancelled."""
        delay = RETRY_FIRST_S
        while True:
            if not self._ledger.to_apply:
                if self._ledger.retryable() and self._ledger.stopped is None:
                    with trio.move_on_after(delay):
                        await self._ledger.apply_wake.wait()
                    delay = min(delay * 2, RETRY_LAST_S)
                    self._ledger.to_apply |= dict.fromkeys(self._ledger.retryable())
                else:
                    delay = RETRY_FIRST_S
                    await self._ledger.apply_wake.wait()
            self._ledger.apply_wake = trio.Event()
            await self._wait_until_running()
            todo, self._ledger.to_apply = self._ledger.to_apply, {}
            self._ledger.applying, self._ledger.under_way = True, dict(todo)
            try:
                await self._apply(todo)
            except StoreError as error:
                self._ledger.pending |= dict.fromkeys(todo, Pending(Reason.IO, str(error)))
                if isinstance(error, FolderStoppedError):
                    self._ledger.stopped = str(error)
                    self._ledger.scan_wake.set()
            finally:
                self._ledger.applying, self._ledger.under_way = False, {}
                self._publisher.pending_changed()

    async def _wait_until_running(self) -> None:
        while self._ledger.stopped is not None or not self._ledger.opened:
            await self._ledger.apply_wake.wait()
            self._ledger.apply_wake = trio.Event()

    async def _apply(self, paths: Iterable[bytes]) -> None:
        rounds = 0
        todo = dict.fromkeys(sorted(paths))
        while todo and rounds < 4:
            rounds += 1
            before = len(todo)
            await self._keep_void(todo)
            todo |= dict.fromkeys(await self._rename(todo))
            await self._bring_all(todo)
            await self._remove(todo)
            todo = {path: None for path in todo if not self._settle(path)}
            if len(todo) == before:
                break
        for path in todo:
            self._ledger.pending.setdefault(path, Pending(Reason.BLOCKED, "it waits for another path"))

    async def _keep_void(self, paths: Iterable[bytes]) -> None:
        """Set aside what lost its effect; its place is free then."""
        if not void_files(self._ledger, paths):
            return
        async with self._ledger.disk:
            files = void_files(self._ledger, paths)
            for group in in_groups(files, SMALL_BATCH_FILES):
                copies, failed = await self._threads.run(partial(self._set_aside, group))
                await self._publisher.record([DiskChange(path, None) for path in copies])
                for path in copies:
                    self._ledger.set_row(path, None)
                self._ledger.moved |= copies.keys()
                self._ledger.pending |= failed
                changed = {path for path, why in failed.items() if why.reason is Reason.LOCAL_CHANGE}
                self._ledger.disk_changed({*copies.values(), *changed})

    def _set_aside(self, files: Sequence[VoidFile]) -> tuple[dict[bytes, bytes], dict[bytes, Pending]]:
        with self._fetching.open() as root:
            return set_aside(root, files)

    async def _rename(self, paths: Iterable[bytes]) -> list[bytes]:
        """Rename on disk what the tree moved; the new paths that still differ from it."""
        if not has_moved(self._ledger, paths):
            return []
        async with self._ledger.disk:
            steps = plan_renames(self._ledger, paths)
            if not steps:
                return []
            outcome = await self._threads.run(lambda: self._rename_now(steps))
            renamed = renamed_rows(self._ledger, *outcome)
            await self._publisher.record([renamed.moves, *renamed.changes])
            self._ledger.take_moves(renamed.moves.paths)
            for change in renamed.changes:
                self._ledger.set_row(change.path, change.row)
            changed = {path for path, why in renamed.failed.items() if why.reason is Reason.LOCAL_CHANGE}
            if changed:
                self._ledger.disk_changed(changed | {step.old for step in steps if step.new in changed})
        return [path for path in renamed.moves.paths.values() if not self._ledger.in_step(path)]

    def _rename_now(self, steps: Sequence[Rename]) -> tuple[list[tuple[Rename, Row]], dict[bytes, Pending]]:
        with self._fetching.open() as root:
            outcome = rename_all(root, steps)
            self._trim_previous(root)
            return outcome

    def _settle(self, path: bytes) -> bool:
        """True when nothing more can be done for `path` in this round."""
        if self._ledger.in_step(path):
            self._ledger.pending.pop(path, None)
            return True
        why = self._ledger.pending.get(path)
        return why is not None and why.reason is not Reason.BLOCKED

    def _batches(self, paths: Iterable[bytes]) -> Iterable[list[Job]]:
        batch: list[Job] = []
        size = 0
        for path in paths:
            shown = self._publisher.tree.shown.get(path)
            if shown is None or self._ledger.in_step(path) or not self._may_bring(path, shown):
                continue
            batch.append(job_for(path, shown, self._ledger.rows.get(path)))
            size += shown.value.size if isinstance(shown.value, File) else 0
            if len(batch) >= SMALL_BATCH_FILES or size >= _APPLY_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _may_bring(self, path: bytes, shown: Shown) -> bool:
        if self._ledger.rules.ignores_below(path, directory=isinstance(shown.value, Directory)):
            self._ledger.pending[path] = Pending(Reason.IGNORED)
            return False
        row = self._ledger.rows.get(path)
        if row is not None and (why := self._protected(path, row)) is not None:
            self._ledger.pending[path] = why
            return False
        return True

    def _protected(self, path: bytes, row: Row) -> Pending | None:
        """Why what stands at `path` may not be replaced or removed yet."""
        if (other := self._homeless_copy(path, row)) is not None:
            return Pending(Reason.BLOCKED, f"{shown_name(other)} is written first")
        if is_to_be_kept(self._ledger, path, row):
            return Pending(Reason.BLOCKED, "it is set aside first")
        if any(self._publisher.tree.is_hidden(dot) for dot in row.dots):
            return Pending(Reason.NAME, "its directory was moved, and its path has no valid name now")
        return None

    def _homeless_copy(self, path: bytes, row: Row) -> bytes | None:
        """Another visible path whose content so far stands only here, at `path`."""
        for dot in row.dots:
            other = self._publisher.tree.place_of(dot)
            if other is not None and other != path and not self._ledger.in_step(other):
                return other
        return None

    async def _bring_all(self, paths: Iterable[bytes]) -> None:
        """Fetch the next batch while the last one is moved into place."""
        send, fetched = trio.open_memory_channel[list[Job]](1)
        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fetch_all, paths, send)
                async for jobs in fetched:
                    await self._install_batch(jobs)

    async def _fetch_all(self, paths: Iterable[bytes], fetched: trio.MemorySendChannel[list[Job]]) -> None:
        async with fetched:
            for jobs in self._batches(paths):
                for job in jobs:
                    self._ledger.pending[job.path] = Pending(Reason.DOWNLOADING)
                await self._fetching.bring(jobs)
                await fetched.send(jobs)

    async def _install_batch(self, jobs: list[Job]) -> None:
        await self._fetching.finish(jobs)
        async with self._ledger.disk:
            # Rows and tree may have moved on while content was fetched: a job for an old row fails its check and is
            # redone, and what the tree has taken back meanwhile must not be replaced.
            for job in jobs:
                if job.failure is None and self._publisher.tree.shown.get(job.path) != job.shown:
                    job.failure = Pending(Reason.BLOCKED, "it changed again meanwhile")
                elif job.row is not None and job.failure is None:
                    job.failure = self._protected(job.path, job.row)
            changes = await self._threads.run(lambda: self._install(jobs))
            await self._publisher.record(changes)
            for change in changes:
                self._ledger.set_row(change.path, change.row)
        for job in jobs:
            self._note_outcome(job)

    def _install(self, jobs: list[Job]) -> list[DiskChange]:
        with self._fetching.open() as root:
            changes = self._assembler.install(root, jobs)
            self._trim_previous(root)
            return changes

    def _note_outcome(self, job: Job) -> None:
        if job.failure is None:
            self._ledger.pending.pop(job.path, None)
            if not self._ledger.in_step(job.path):
                self._ledger.to_apply[job.path] = None
            return
        self._ledger.pending[job.path] = job.failure
        if job.failure.reason is Reason.LOCAL_CHANGE:
            self._ledger.disk_changed({job.path})

    async def _remove(self, paths: Iterable[bytes]) -> None:
        for group in in_groups(self._doomed(sorted(paths, reverse=True)), SMALL_BATCH_FILES):
            async with self._ledger.disk:
                # Somebody may have taken it back while we waited for the disk.
                doomed = self._doomed([path for path, _ in group])
                removed, failed = await self._threads.run(partial(self._remove_now, doomed))
                await self._publisher.record([DiskChange(path, None) for path in removed])
                for path in removed:
                    self._ledger.set_row(path, None)
            self._ledger.pending |= failed
            self._ledger.disk_changed({path for path, why in failed.items() if why.reason is Reason.LOCAL_CHANGE})

    def _doomed(self, paths: Iterable[bytes]) -> list[tuple[bytes, Row]]:
        """What stands on disk and is in the tree no more, with its row."""
        doomed: list[tuple[bytes, Row]] = []
        for path in paths:
            row = self._ledger.rows.get(path)
            if row is None or self._ledger.in_step(path) or self._publisher.tree.shown.get(path) is not None:
                continue
            if self._ledger.rules.ignores_below(path, directory=row.kind == "d"):
                continue
            if (why := self._protected(path, row)) is not None:
                self._ledger.pending[path] = why
                continue
            doomed.append((path, row))
        return doomed

    def _remove_now(self, doomed: Sequence[tuple[bytes, Row]]) -> tuple[list[bytes], dict[bytes, Pending]]:
        with self._fetching.open() as root:
            outcome = remove_paths(root, doomed)
            self._trim_previous(root)
            return outcome

    def _trim_previous(self, root: FolderRoot) -> None:
        if root.kept_bytes:
            folder_bytes = sum(row.size for row in self._ledger.rows.values())
            # As well as the disk allows: what was done before must be recorded in any case.
            with suppress(OSError):
                trim_previous(root, int(folder_bytes * PREVIOUS_SHARE))
