"""Reading a file of the folder into chunk references, and never a torn version of it."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from latticework.chunkstore import Chunker, ChunkSealer, ChunkStore, write_manifest
from latticework.crdt import ChunkRef, Content, Directory, File, Inline, ManifestRef, Symlink, Value
from latticework.crdt.params import MAX_INLINE_CHUNKS
from latticework.wire import LocalError, encode

from ..store import Piece, Row
from .kinds import is_executable, kind_of
from .root import FolderRoot

_DIRECTORY_DIGEST = bytes(32)


class TornError(LocalError):
    """The file changed while it was read; it is read again later."""


@dataclass(frozen=True, slots=True)
class Found:
    """A path as it stands on disk: its value for the tree, its status, and its chunks."""

    path: bytes
    value: File | Directory | Symlink
    status: os.stat_result
    pieces: tuple[Piece, ...]

    def row(self, dots: tuple[object, ...]) -> Row:
        """The disk row that shows the heads `dots`."""
        return row_of(self.value, self.status, dots)


def row_of(value: Value, status: os.stat_result, dots: tuple[object, ...]) -> Row:
    """The disk row for `value` standing with `status`."""
    kind = kind_of(status)
    assert kind is not None
    return Row(
        kind,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        kind == "f" and is_executable(status),
        digest(value),
        dots,  # type: ignore[arg-type]  # dots by construction
    )


def digest(value: Value) -> bytes:
    """32 bytes that are equal for equal content; times and executable bit are no content."""
    match value:
        case File():
            return hashlib.sha256(b"f" + encode(value.content)).digest()
        case Symlink():
            return hashlib.sha256(b"l" + value.target).digest()
        case _:
            return _DIRECTORY_DIGEST


@final
class ContentReader:
    """Cuts, seals and names file content for one space. Thread-safe; a call holds one buffer of 8 MiB."""

    def __init__(self, sealer: ChunkSealer, chunks: ChunkStore) -> None:
        self._sealer = sealer
        self._chunker = Chunker(sealer.chunker_seed)
        self._chunks = chunks

    def read(self, root: FolderRoot, path: bytes) -> Found | None:
        """What stands at `path`, or None if nothing that is synced does.

        Raises:
            TornError: it changed meanwhile.
            OSError: it cannot be read.
        """
        status = root.status(path)
        if status is None:
            return None
        match kind_of(status):
            case "d":
                return Found(path, Directory(), status, ())
            case "l":
                return Found(path, Symlink(root.link_target(path)), status, ())
            case "f":
                return self._read_file(root, path)
            case _:
                return None

    def _read_file(self, root: FolderRoot, path: bytes) -> Found | None:
        descriptor = root.open_file(path)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # an open descriptor
            before = os.fstat(descriptor)
            refs: list[ChunkRef] = []
            pieces: list[Piece] = []
            offset = 0
            for chunk in self._chunker.cut(file, before.st_size):
                sealed = self._sealer.seal(chunk)
                refs.append(ChunkRef(sealed.id, sealed.key, len(chunk)))
                pieces.append(Piece(sealed.id, offset, len(chunk)))
                offset += len(chunk)
                if offset > before.st_size:
                    raise TornError(f"{path!r} grew while it was read")
            after = os.fstat(descriptor)
        if _moment(before) != _moment(after) or offset != after.st_size:
            raise TornError(f"{path!r} changed while it was read")
        content = self._content(refs)
        value = File(after.st_size, after.st_mtime_ns, is_executable(after), content)
        return Found(path, value, after, (*pieces, *manifest_piece(content)))

    def _content(self, refs: Sequence[ChunkRef]) -> Content:
        if len(refs) <= MAX_INLINE_CHUNKS:
            return Inline(tuple(refs))
        plaintext = write_manifest(refs)
        sealed = self._sealer.seal(plaintext)
        self._chunks.put(sealed.id, sealed.ciphertext)
        return ManifestRef(ChunkRef(sealed.id, sealed.key, len(plaintext)))


def manifest_piece(content: Content) -> tuple[Piece, ...]:
    """The manifest of a file as a piece of it: when the packs are lost it is made again from the file."""
    match content:
        case ManifestRef(manifest):
            return (Piece(manifest.id, 0, 0),)
        case Inline():
            return ()


def _moment(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
