"""What a change from another device replaced or deleted stays for a while in the folder's own directory.

One version per path, the oldest dropped first, within a small share of the folder's size (decisions 21 and 24): a
deleted archive frees its disk at once, a deleted note can be taken back from `.lattice/previous`.
"""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import final

from latticework.crdt import MARKER_DIRECTORY
from latticework.wire import ChunkId

from ..store import Place
from .content import ContentReader, TornError
from .keeping import PREVIOUS
from .root import FolderRoot

_KEPT = MARKER_DIRECTORY + b"/" + PREVIOUS


def trim_previous(root: FolderRoot, budget_bytes: int) -> None:
    """Drop versions until at most `budget_bytes` are kept: what is larger alone, then what went first; blocking."""
    kept = root.own_directory(PREVIOUS)
    with os.scandir(kept) as entries:
        found = [(status.st_ctime_ns, entry.name, status.st_size) for entry in entries if (status := _status(entry))]
    total = sum(size for _, _, size in found)
    for _, name, size in sorted(found, key=lambda item: (item[2] <= budget_bytes, item)):
        if total <= budget_bytes:
            return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=kept)
        total -= size


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return entry.stat(follow_symlinks=False)
    return None


@final
class PreviousChunks:
    """Which chunks the kept versions hold: each is read once, when somebody asks for what stands nowhere else."""

    def __init__(self, reader: ContentReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._known: dict[tuple[bytes, int, int], Sequence[tuple[ChunkId, Place]]] = {}

    def places(self, root: FolderRoot, wanted: ChunkId) -> list[Place]:
        """Where `wanted` stands; blocking."""
        with self._lock:
            try:
                kept = root.names(_KEPT)
            except OSError:
                return []
            keys = {(name, status.st_ino, status.st_mtime_ns): _KEPT + b"/" + name for name, status in kept}
            for gone in self._known.keys() - keys.keys():
                del self._known[gone]
            for key, path in keys.items():
                if key not in self._known:
                    self._known[key] = self._read(root, path)
            return [place for places in self._known.values() for chunk, place in places if chunk == wanted]

    def _read(self, root: FolderRoot, path: bytes) -> Sequence[tuple[ChunkId, Place]]:
        with suppress(OSError, TornError):
            if (found := self._reader.read(root, path)) is not None:
                return [(piece.chunk, Place(path, piece.offset, piece.length)) for piece in found.pieces]
        return ()
