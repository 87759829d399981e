"""Packs: append-only files of sealed chunks, found through an SQLite index.

A chunk is appended and synced before its index row is committed, so a crash leaves at most unindexed bytes at a pack's
end. Every chunk is checked against its id when it is read; a damaged one is forgotten and can be stored again.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import final

import apsw
from blake3 import blake3

from latticework.wire import ChunkId, StoreError

from .params import MAX_SEALED_BYTES, PACK_TARGET_BYTES

_MAX_OFFSET = 1 << 40
_DAMAGED = (apsw.CorruptError, apsw.NotADBError)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunk(
  id BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID
"""


@final
class Packs:
    """The packs of one space in `directory`. Calls may come from several threads; they are serialised."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._index = self._open_index()
        except (OSError, apsw.Error) as error:
            raise StoreError(f"cannot open the packs in {directory}: {error}") from error

    def put(self, chunk: ChunkId, ciphertext: bytes | bytearray) -> None:
        with self._lock:
            self._healing(lambda: self._put(chunk, ciphertext), f"cannot store a chunk in {self._directory}")

    def get(self, chunk: ChunkId) -> bytes | None:
        with self._lock:
            return self._healing(lambda: self._get(chunk), f"cannot read a chunk in {self._directory}")

    def close(self) -> None:
        with self._lock:
            self._index.close()

    def _open_index(self) -> apsw.Connection:
        try:
            return _connect(self._directory / "index.db")
        except _DAMAGED:
            return self._fresh_index()

    def _fresh_index(self) -> apsw.Connection:
        """The index only locates what can be fetched or made again; a damaged one is set aside, never trusted."""
        path = self._directory / "index.db"
        path.replace(path.with_suffix(".damaged"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connect(path)

    def _healing[T](self, work: Callable[[], T], what: str) -> T:
        """Run `work`; if the index turns out to be damaged, begin a new one and run it again."""
        try:
            try:
                return work()
            except _DAMAGED:
                self._index.close(force=True)
                self._index = self._fresh_index()
                return work()
        except (OSError, apsw.Error) as error:
            raise StoreError(f"{what}: {error}") from error

    def _put(self, chunk: ChunkId, ciphertext: bytes | bytearray) -> None:
        if self._row(chunk) is None:
            pack, offset = self._append(ciphertext)
            self._index.execute("INSERT OR REPLACE INTO chunk VALUES(?,?,?,?)", (chunk, pack, offset, len(ciphertext)))

    def _get(self, chunk: ChunkId) -> bytes | None:
        row = self._row(chunk)
        if row is None:
            return None
        ciphertext = self._read(*row)
        if ciphertext is None or blake3(ciphertext).digest() != chunk:
            self._index.execute("DELETE FROM chunk WHERE id=?", (chunk,))
            return None
        return ciphertext

    def _row(self, chunk: ChunkId) -> tuple[int, int, int] | None:
        rows = list(self._index.execute("SELECT pack, offset, length FROM chunk WHERE id=?", (chunk,)))
        match rows:
            case [(int(pack), int(offset), int(length))] if (
                pack >= 0 and 0 <= offset < _MAX_OFFSET and 0 <= length <= MAX_SEALED_BYTES
            ):
                return pack, offset, length
            case _:  # not there, or damaged: SQLite has no checksums
                return None

    def _append(self, ciphertext: bytes | bytearray) -> tuple[int, int]:
        number = max(
            (int(path.stem) for path in self._directory.glob("*.pack") if path.stem.isascii() and path.stem.isdigit()),
            default=0,
        )
        path = self._directory / f"{number}.pack"
        if path.exists() and path.stat().st_size >= PACK_TARGET_BYTES:
            number += 1
            path = self._directory / f"{number}.pack"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            offset = os.fstat(descriptor).st_size
            view = memoryview(ciphertext)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            if offset == 0:
                self._sync_directory()
        finally:
            os.close(descriptor)
        return number, offset

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, pack: int, offset: int, length: int) -> bytes | None:
        try:
            with (self._directory / f"{pack}.pack").open("rb") as file:
                file.seek(offset)
                data = file.read(length)
        except FileNotFoundError:
            return None
        return data if len(data) == length else None


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_SCHEMA)
    path.chmod(0o600)
    return connection
