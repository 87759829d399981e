"""What stands at a place of the file tree: files with their content, directories, symbolic links."""

from dataclasses import dataclass
from typing import Annotated

from latticework.wire import Array, Bool, Bytes, ChunkId, Nested, OneOf, SInt, UInt, record

from .params import MAX_INLINE_CHUNKS


@record("chunk-ref")
@dataclass(frozen=True, slots=True)
class ChunkRef:
    """One chunk of a file: its id, the key that opens it, and its true length before padding."""

    id: Annotated[ChunkId, Bytes(32)]
    key: Annotated[bytes, Bytes(32)]
    length: Annotated[int, UInt(1 << 26)]


@record("inline-content", tag=1)
@dataclass(frozen=True, slots=True)
class Inline:
    """The chunks themselves, in order: small files."""

    chunks: Annotated[tuple[ChunkRef, ...], Array(Nested(ChunkRef), MAX_INLINE_CHUNKS)]


@record("manifest-content", tag=2)
@dataclass(frozen=True, slots=True)
class ManifestRef:
    """The chunk that holds the file's sealed manifest."""

    manifest: Annotated[ChunkRef, Nested(ChunkRef)]


type Content = Inline | ManifestRef


@record("file", tag=1)
@dataclass(frozen=True, slots=True)
class File:
    """A regular file: size in bytes, modification time in nanoseconds since 1970, owner-executable bit, content."""

    size: Annotated[int, UInt(1 << 62)]
    mtime_ns: Annotated[int, SInt()]
    executable: Annotated[bool, Bool()]
    content: Annotated[Content, OneOf((Inline, ManifestRef))]


@record("directory", tag=2)
@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that exists even when empty."""


@record("symlink", tag=3)
@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link as data: its target is never followed by us."""

    target: Annotated[bytes, Bytes(maximum=4095, minimum=1)]


type Value = File | Directory | Symlink


def content_key(value: Value) -> tuple[object, ...]:
    """Equal for values that are the same to a user; modification time and executable bit are no content."""
    match value:
        case File():
            return ("file", value.content)
        case Directory():
            return ("directory",)
        case Symlink():
            return ("symlink", value.target)
