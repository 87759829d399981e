"""One folder at work: publishing what a person changes, applying what others changed, and a watcher that tells."""

from pathlib import Path
from typing import final

import trio

from latticework.wire import StoreError, Threads

from ..params import IDENTITY_CHECK_S, RETRY_LAST_S
from ..store import Row
from .applying import Applying
from .bring import Assembler
from .content import ContentReader
from .ledger import FolderLedger
from .ports import ChunkFetcher, Publisher, Watcher
from .publishing import Publishing
from .reasons import Reason
from .restoring import Restoring
from .serve import ChunkSource


@final
class FolderEngine:
    """Keeps the directory `path` and the tree of its space the same; `ledger` tells how it stands."""

    def __init__(
        self,
        path: Path,
        folder_id: bytes,
        rows: dict[bytes, Row],
        *,
        publisher: Publisher,
        reader: ContentReader,
        assembler: Assembler,
        source: ChunkSource,
        fetcher: ChunkFetcher,
        watcher: Watcher,
        threads: Threads,
    ) -> None:
        self.ledger = FolderLedger(path, folder_id, rows, publisher)
        self._publishing = Publishing(self.ledger, reader, threads)
        self._applying = Applying(self.ledger, assembler, fetcher, threads)
        self.restoring = Restoring(self.ledger, assembler, source, fetcher, threads)
        self._watcher = watcher
        self._threads = threads
        self._watching = trio.CancelScope()

    async def run(self) -> None:
        """Work until cancelled."""
        self.ledger.check_all()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            nursery.start_soon(self._check_identity)
            nursery.start_soon(self._publishing.run)
            nursery.start_soon(self._applying.run)

    def retry_without_source(self) -> None:
        """Try again now what had no source: one may have appeared."""
        pending = self.ledger.pending
        self.ledger.tree_changed([path for path, why in pending.items() if why.reason is Reason.NO_SOURCE])

    async def _watch(self) -> None:
        while True:
            with trio.CancelScope() as self._watching:
                try:
                    self.ledger.watch_problem = None
                    await self._watcher.watch(self.ledger.disk_changed)
                except StoreError as error:
                    self.ledger.watch_problem = str(error)
                await trio.sleep(RETRY_LAST_S)
            self.ledger.disk_changed(None)

    async def _check_identity(self) -> None:
        """Notice that another directory stands at the path: a disk was unmounted, mounted, or moved away."""
        known = await self._threads.run(self._identity)
        while True:
            await trio.sleep(IDENTITY_CHECK_S)
            found = await self._threads.run(self._identity)
            if found != known:
                known = found
                # What is watched is the directory that stood there before.
                self._watching.cancel()
                self.ledger.disk_changed(None)

    def _identity(self) -> tuple[int, int] | None:
        try:
            with self.ledger.open_root():
                status = self.ledger.path.stat()
        except (StoreError, OSError):
            return None
        return status.st_dev, status.st_ino
