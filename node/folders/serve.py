"""Serving chunks: the folder's own files are the source, packs and kept versions hold the rest (decision 21)."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import final

from latticework.chunkstore import ChunkSealer, ChunkStore
from latticework.wire import ChunkId, StoreError

from ..store import Place, SpaceStore
from .content import ContentReader, TornError
from .previous import PreviousChunks
from .root import FolderRoot


@final
class ChunkSource:
    """Answers requests for the chunks of one space."""

    def __init__(
        self, sealer: ChunkSealer, chunks: ChunkStore, store: SpaceStore, folder: tuple[Path, bytes] | None
    ) -> None:
        self._sealer = sealer
        self._reader = ContentReader(sealer, chunks)
        self._chunks = chunks
        self._store = store
        self._previous = PreviousChunks(self._reader)
        self.folder = folder

    def get(self, wanted: Sequence[ChunkId], max_bytes: int) -> list[bytes | bytearray | None]:
        """The ciphertext of the first chunks, until `max_bytes` are reached; None for what is not here any more.

        A chunk of a file is sealed again and checked, so a file that changed since its row was written gives None.
        """
        try:
            places = self._store.places(wanted)
        except StoreError:
            places = {}
        root = self._open_root()
        try:
            found: list[bytes | bytearray | None] = []
            size = 0
            for chunk in wanted:
                ciphertext = self._one(root, chunk, places.get(chunk, ()))
                if ciphertext is None and root is not None:
                    ciphertext = self._from_places(root, chunk, self._previous.places(root, chunk))
                found.append(ciphertext)
                size += len(ciphertext or b"")
                if size >= max_bytes:
                    break
            return found
        finally:
            if root is not None:
                root.close()

    def _open_root(self) -> FolderRoot | None:
        if self.folder is None:
            return None
        with suppress(StoreError):
            return FolderRoot.open(*self.folder)
        return None

    def _one(self, root: FolderRoot | None, chunk: ChunkId, places: Sequence[Place]) -> bytes | bytearray | None:
        with suppress(StoreError):
            if (kept := self._chunks.get(chunk)) is not None:
                return kept
        return None if root is None else self._from_places(root, chunk, places)

    def _from_places(self, root: FolderRoot, chunk: ChunkId, places: Sequence[Place]) -> bytes | bytearray | None:
        for place in places:
            with suppress(OSError, StoreError, TornError):
                if (found := self._from_file(root, chunk, place)) is not None:
                    return found
        return None

    def _from_file(self, root: FolderRoot, chunk: ChunkId, place: Place) -> bytes | bytearray | None:
        if place.length == 0:
            self._reader.read(root, place.path)  # puts the manifest back into the packs
            return self._chunks.get(chunk)
        descriptor = root.open_file(place.path)
        try:
            plaintext = os.pread(descriptor, place.length, place.offset)
        finally:
            os.close(descriptor)
        if len(plaintext) != place.length:
            return None
        sealed = self._sealer.seal(plaintext)
        return sealed.ciphertext if sealed.id == chunk else None
