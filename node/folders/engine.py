"""One folder at work: publishing what a person changes, applying what others changed, and a watcher that tells."""

from pathlib import Path
from typing import final

import trio

from latticework.wire import StoreError, Threads

from ..params import RETRY_LAST_S
from ..store import Row
from .applying import Applying
from .bring import Assembler
from .content import ContentReader
from .ledger import FolderLedger
from .ports import ChunkFetcher, Publisher, Watcher
from .publishing import Publishing
from .reasons import Reason


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
        fetcher: ChunkFetcher,
        watcher: Watcher,
        threads: Threads,
    ) -> None:
        self.ledger = FolderLedger(path, folder_id, rows, publisher)
        self._publishing = Publishing(self.ledger, reader, threads)
        self._applying = Applying(self.ledger, assembler, fetcher, threads)
        self._watcher = watcher

    async def run(self) -> None:
        """Work until cancelled."""
        self.ledger.check_all()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            nursery.start_soon(self._publishing.run)
            nursery.start_soon(self._applying.run)

    def retry_without_source(self) -> None:
        """Try again now what had no source: one may have appeared."""
        pending = self.ledger.pending
        self.ledger.tree_changed([path for path, why in pending.items() if why.reason is Reason.NO_SOURCE])

    async def _watch(self) -> None:
        while True:
            try:
                await self._watcher.watch(self.ledger.disk_changed)
            except StoreError as error:
                self.ledger.watch_problem = str(error)
            await trio.sleep(RETRY_LAST_S)
            self.ledger.disk_changed(None)
