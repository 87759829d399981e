"""Chunks: content-defined cutting, deterministic sealing, manifests, and packs for what no file holds."""

from .chunking import Chunker
from .manifest import check_sizes, read_manifest, write_manifest
from .memory import MemoryChunks
from .packs import Packs
from .params import AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES, MAX_SEALED_BYTES, MIN_CHUNK_BYTES, TAG_BYTES
from .ports import ChunkStore
from .sealing import ChunkSealer, Sealed

__all__ = [
    "AVERAGE_CHUNK_BYTES",
    "MAX_CHUNK_BYTES",
    "MAX_SEALED_BYTES",
    "MIN_CHUNK_BYTES",
    "TAG_BYTES",
    "ChunkSealer",
    "ChunkStore",
    "Chunker",
    "MemoryChunks",
    "Packs",
    "Sealed",
    "check_sizes",
    "read_manifest",
    "write_manifest",
]
