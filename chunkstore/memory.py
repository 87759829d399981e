"""Chunks in memory: tests and simulated nodes."""

from typing import final

from blake3 import blake3

from latticework.wire import ChunkId


@final
class MemoryChunks:
    """The `ChunkStore` without a disk."""

    def __init__(self) -> None:
        self._chunks: dict[ChunkId, bytes] = {}

    def put(self, chunk: ChunkId, ciphertext: bytes | bytearray) -> None:
        self._chunks[chunk] = bytes(ciphertext)

    def get(self, chunk: ChunkId) -> bytes | None:
        ciphertext = self._chunks.get(chunk)
        return ciphertext if ciphertext is not None and blake3(ciphertext).digest() == chunk else None

    def close(self) -> None:
        pass
