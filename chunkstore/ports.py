"""Where sealed chunks that no file holds are kept."""

from typing import Protocol

from latticework.wire import ChunkId


class ChunkStore(Protocol):
    """Sealed chunks by id: packs on disk (`packs.py`) or memory (`memory.py`)."""

    def put(self, chunk: ChunkId, ciphertext: bytes | bytearray) -> None:
        """Keep a chunk; it is durable when this returns. Keeping it twice is keeping it once.

        Raises:
            StoreError: the disk refused; nothing half-written is ever returned later.
        """
        ...

    def get(self, chunk: ChunkId) -> bytes | None:
        """The ciphertext, checked against its id; None if it is not kept or no longer intact."""
        ...

    def close(self) -> None:
        """Release files."""
        ...
