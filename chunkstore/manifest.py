"""Manifests: the sealed list of a file version's chunks, itself sealed like a chunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from latticework.crdt import ChunkRef
from latticework.wire import Bytes, ChunkId, Const, MalformedError, decode, encode, record

from .params import MAX_MANIFEST_CHUNKS, MAX_SEALED_BYTES, TAG_BYTES

_REF_BYTES = 68


@record("manifest")
@dataclass(frozen=True, slots=True)
class Manifest:
    """Chunk references of 68 bytes each: id (32), key (32), length (4, big-endian)."""

    version: Annotated[int, Const(1)]
    refs: Annotated[bytes, Bytes(maximum=_REF_BYTES * MAX_MANIFEST_CHUNKS)]


def write_manifest(chunks: Sequence[ChunkRef]) -> bytes:
    """The plaintext of the manifest of `chunks`."""
    refs = b"".join([chunk.id + chunk.key + chunk.length.to_bytes(4, "big") for chunk in chunks])
    return encode(Manifest(1, refs))


def read_manifest(plaintext: bytes, size: int) -> tuple[ChunkRef, ...]:
    """The chunks of a file of `size` bytes; raises MalformedError when they do not add up to it."""
    refs = decode(Manifest, plaintext, MAX_SEALED_BYTES).refs
    if len(refs) % _REF_BYTES:
        raise MalformedError("a manifest ends inside a chunk reference")
    chunks = tuple(
        ChunkRef(ChunkId(refs[at : at + 32]), refs[at + 32 : at + 64], int.from_bytes(refs[at + 64 : at + 68], "big"))
        for at in range(0, len(refs), _REF_BYTES)
    )
    check_sizes(chunks, size)
    return chunks


def check_sizes(chunks: Sequence[ChunkRef], size: int) -> None:
    """Raise MalformedError unless the chunks are non-empty, none is too large, and they add up to `size`."""
    lengths = [chunk.length for chunk in chunks]
    if sum(lengths) != size or not all(0 < length <= MAX_SEALED_BYTES - TAG_BYTES for length in lengths):
        raise MalformedError("the chunks do not add up to the file's size")
