"""Getting what files are made of: from what is here already, then from the devices that are connected."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import final

from latticework.chunkstore import TAG_BYTES
from latticework.crdt import ChunkRef, File
from latticework.wire import ChunkId, StoreError, Threads, padme

from .bring import Assembler, Job
from .ledger import FolderLedger
from .ports import ChunkFetcher
from .reasons import Pending, Reason
from .root import FolderRoot


@final
class Fetching:
    """Fills the temporary files of jobs; what cannot be had is left as the failure of its job."""

    def __init__(self, ledger: FolderLedger, assembler: Assembler, fetcher: ChunkFetcher, threads: Threads) -> None:
        self._ledger = ledger
        self._assembler = assembler
        self._fetcher = fetcher
        self._threads = threads

    async def bring(self, jobs: list[Job]) -> None:
        """Have every chunk of the jobs in their temporary files, as far as anybody has them; raises StoreError."""
        await self._manifests(jobs)
        await self._threads.run(partial(self._prepare, jobs))
        await self._missing(jobs)

    async def finish(self, jobs: list[Job]) -> None:
        """Give the complete files their length, mode and times; raises StoreError."""
        await self._threads.run(partial(self._finish, jobs))

    @contextmanager
    def open(self) -> Generator[FolderRoot]:
        """The open folder; what its disk refuses beyond single files is the folder's error, not the node's."""
        with self._ledger.open_root() as root:
            try:
                yield root
            except OSError as error:
                raise StoreError(f"{self._ledger.path}: {error.strerror or error}") from error

    async def _manifests(self, jobs: list[Job]) -> None:
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
        with self.open() as root:
            self._assembler.prepare(root, jobs)

    async def _missing(self, jobs: list[Job]) -> None:
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
        with self.open() as root:
            self._assembler.write(root, waiting, group)

    def _finish(self, jobs: list[Job]) -> None:
        with self.open() as root:
            self._assembler.finish(root, jobs)


def _sealed_bytes(ref: ChunkRef) -> int:
    return padme(ref.length) + TAG_BYTES
