"""Where spaces keep their data: directories of a home, or memory."""

from collections.abc import Callable
from pathlib import Path
from typing import final

from latticework.chunkstore import ChunkStore, MemoryChunks, Packs
from latticework.wire import SpaceId, StoreError

from .home import Home
from .memory_store import MemoryStore
from .sqlite_store import SqliteStore
from .store import SpaceStore


@final
class HomeShelves:
    """One directory per space inside a home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def open_store(self, space: SpaceId, fresh_nonce: bytes) -> SpaceStore:
        directory = self._home.space(space)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {directory}: {error.strerror}") from error
        return SqliteStore(directory / "space.db", space, fresh_nonce)

    def open_chunks(self, space: SpaceId) -> ChunkStore:
        return Packs(self._home.space(space) / "packs")

    def set_aside(self, space: SpaceId, when_us: int) -> Path | None:
        path = self._home.space(space) / "space.db"
        aside = path.with_name(f"space.db.damaged-{when_us}")
        try:
            for suffix in ("-wal", "-shm"):
                journal = path.with_name(path.name + suffix)
                if journal.exists():
                    journal.replace(aside.with_name(aside.name + suffix))
            path.replace(aside)
        except OSError as error:
            raise StoreError(f"cannot set {path} aside: {error.strerror}") from error
        return aside


@final
class MemoryShelves:
    """Stores in memory, kept for as long as this object lives; see `MemoryStore` for `before_write`."""

    def __init__(self, before_write: Callable[[], None] = lambda: None) -> None:
        self._before_write = before_write
        self._stores: dict[SpaceId, MemoryStore] = {}
        self._chunks: dict[SpaceId, MemoryChunks] = {}

    def open_store(self, space: SpaceId, fresh_nonce: bytes) -> SpaceStore:
        return self._stores.setdefault(space, MemoryStore(fresh_nonce, self._before_write))

    def open_chunks(self, space: SpaceId) -> ChunkStore:
        return self._chunks.setdefault(space, MemoryChunks())

    def set_aside(self, space: SpaceId, when_us: int) -> Path | None:
        del when_us
        self._stores.pop(space, None)
        return None
