"""Bringing files back as they were: done to the disk as a person would, so that it is published like any change.

What is replaced goes to `.lattice/previous` if it fits in there, and else stays beside, under another name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import final

from latticework.crdt import Directory, File, Shown, conflict_path
from latticework.wire import ChunkId, StoreError, Threads

from ..params import CHUNK_GROUP_BYTES, PREVIOUS_SHARE, SMALL_BATCH_FILES
from ..store import Row
from .bring import Assembler, Job, job_for
from .content import digest
from .fetching import Fetching
from .groups import in_groups
from .ledger import FolderLedger
from .ports import ChunkFetcher, Deliver
from .reasons import Pending
from .root import FolderRoot
from .serve import ChunkSource

_BESIDE = "before restore"
"""Stands where the name of the device stands in a conflict copy."""
_GROUP_CHUNKS = CHUNK_GROUP_BYTES // (256 << 10)


@dataclass(slots=True)
class Restored:
    """What was done: paths brought back, what stands beside now, and why others were not."""

    paths: list[bytes] = field(default_factory=list[bytes])
    beside: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    failed: dict[bytes, Pending] = field(default_factory=dict[bytes, Pending])


@final
class Restoring:
    """Restores paths of one folder."""

    def __init__(
        self,
        ledger: FolderLedger,
        assembler: Assembler,
        source: ChunkSource,
        fetcher: ChunkFetcher,
        threads: Threads,
    ) -> None:
        self._ledger = ledger
        self._assembler = assembler
        self._threads = threads
        self._fetching = Fetching(ledger, assembler, _HereFirst(source, fetcher, threads), threads)

    async def restore(self, wanted: Mapping[bytes, Shown], now_hlc: int) -> Restored:
        """Make the disk show `wanted` at its paths; `now_hlc` names what is put beside.

        Raises:
            StoreError: the folder cannot be worked on.
        """
        if self._ledger.stopped is not None or not self._ledger.opened:
            raise StoreError(self._ledger.stopped or "the folder is being opened; try again")
        done = Restored()
        jobs = [job for path, shown in sorted(wanted.items()) if (job := self._job(path, shown)) is not None]
        for group in in_groups(jobs, SMALL_BATCH_FILES):
            batch = list(group)
            await self._fetching.bring(batch)
            await self._fetching.finish(batch)
            async with self._ledger.disk:
                await self._threads.run(partial(self._install, batch, now_hlc, done))
            self._ledger.disk_changed({job.path for job in batch} | set(done.beside.values()))
        return done

    def _job(self, path: bytes, shown: Shown) -> Job | None:
        row = self._ledger.rows.get(path)
        if self._ledger.rules.ignores_below(path, directory=isinstance(shown.value, Directory)):
            return None
        if row is not None and _shows(row, shown):
            return None
        job = job_for(path, shown, row)
        # The same file may be on its way as a change from elsewhere, under the plain name.
        job.temporary += b"-restored"
        return job

    def _install(self, jobs: Sequence[Job], now_hlc: int, done: Restored) -> None:
        budget = int(sum(row.size for row in self._ledger.rows.values()) * PREVIOUS_SHARE)
        with self._fetching.open() as root:
            for job in jobs:
                row = job.row
                replaces = job.failure is None and row is not None and row.kind == "f" and job.needs_content
                if replaces and row is not None and root.kept_bytes + row.size > budget:
                    self._set_aside(root, job, row, now_hlc, done)
                changes = self._assembler.install(root, [job])
                if job.failure is not None:
                    done.failed[job.path] = job.failure
                elif changes:
                    done.paths.append(job.path)

    def _set_aside(self, root: FolderRoot, job: Job, row: Row, now_hlc: int, done: Restored) -> None:
        target = conflict_path(job.path, _BESIDE, now_hlc, None)
        self._assembler.guarded(job, partial(root.set_aside, job.path, row, target))
        if job.failure is None:
            done.beside[job.path] = target
            job.row = None


@final
class _HereFirst:
    """The `ChunkFetcher` that asks this device before the others."""

    def __init__(self, source: ChunkSource, fetcher: ChunkFetcher, threads: Threads) -> None:
        self._source = source
        self._fetcher = fetcher
        self._threads = threads

    async def fetch(self, wanted: Mapping[ChunkId, int], deliver: Deliver) -> None:
        """See the port."""
        left = dict(wanted)
        asked = list(wanted)
        while asked:
            found = await self._threads.run(partial(self._source.get, asked[:_GROUP_CHUNKS], CHUNK_GROUP_BYTES))
            got = [(chunk, bytes(data)) for chunk, data in zip(asked, found, strict=False) if data is not None]
            asked = asked[len(found) :]
            for chunk, _ in got:
                del left[chunk]
            if got:
                await deliver(got)
        if left:
            await self._fetcher.fetch(left, deliver)


def _shows(row: Row, shown: Shown) -> bool:
    """True when the disk shows exactly this already."""
    value = shown.value
    if row.content != digest(value):
        return False
    return not isinstance(value, File) or (row.mtime_ns == value.mtime_ns and row.executable == value.executable)
