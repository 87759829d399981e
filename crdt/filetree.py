"""The file tree of a space: a multi-value register per path, and the one way in which everyone shows it.

An operation lists the heads it replaces; what was written concurrently stays beside it, so no acknowledged write is
lost. Showing the tree is a pure function of the admitted operations:

- a deletion that meets a concurrent edit loses;
- equal content is one head, however often it was written;
- among different contents the smaller (clock, entry, index) keeps the name, the others are shown beside it as
  `name (device, UTC time).ext`;
- where a file meets a directory the directory keeps the name (decision 23).
"""

import hashlib
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Literal, NamedTuple, final

from latticework.wire import (
    Array,
    Bool,
    Bytes,
    ChunkId,
    EntryId,
    LogId,
    Nested,
    OneOf,
    SInt,
    UInt,
    encode_plain,
    record,
)

from .dots import Dot
from .params import MAX_INLINE_CHUNKS, MAX_OPS_PER_ENTRY, MAX_PATH_BYTES, MAX_REPLACES
from .paths import ancestors, conflict_path, path_refusal


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


@record("deleted", tag=4)
@dataclass(frozen=True, slots=True)
class Deleted:
    """Nothing is here any more."""


type Value = File | Directory | Symlink | Deleted


@record("put")
@dataclass(frozen=True, slots=True)
class Put:
    """An operation: `path` now has `value`, in place of the heads `replaces`."""

    path: Annotated[bytes, Bytes(maximum=MAX_PATH_BYTES)]
    value: Annotated[Value, OneOf((File, Directory, Symlink, Deleted))]
    replaces: Annotated[tuple[Dot, ...], Array(Nested(Dot), MAX_REPLACES)]


@record("file-operations")
@dataclass(frozen=True, slots=True)
class FileOperations:
    """The payload of an entry in the lane of files."""

    puts: Annotated[tuple[Put, ...], Array(Nested(Put), MAX_OPS_PER_ENTRY)]


class Version(NamedTuple):
    """One head of a path."""

    dot: Dot
    hlc: int
    log: LogId
    value: Value

    @property
    def order(self) -> tuple[int, Dot]:
        """Total order of heads, the same on every replica."""
        return (self.hlc, self.dot)


class Shown(NamedTuple):
    """What stands at one visible path: the head, the register it belongs to, and every head that it stands for."""

    register: bytes
    value: File | Directory | Symlink
    dots: tuple[Dot, ...]
    hlc: int
    log: LogId
    role: Literal["primary", "copy"]


def content_key(value: Value) -> tuple[object, ...]:
    """Equal for values that are the same to a user; modification time and executable bit are no content."""
    match value:
        case File():
            return ("file", value.content)
        case Directory():
            return ("directory",)
        case Symlink():
            return ("symlink", value.target)
        case Deleted():
            return ("deleted",)


@final
class FileTree:
    """The registers of one space and their visible form `shown`, keyed by visible path."""

    def __init__(self, author_name: Callable[[LogId], str]) -> None:
        self._author_name = author_name
        self._heads: dict[bytes, dict[Dot, Version]] = {}
        self._live_beneath: dict[bytes, int] = {}
        self._emitted: dict[bytes, tuple[bytes, ...]] = {}
        self._copies_near: dict[bytes, dict[bytes, None]] = {}
        self._replaced_early: set[tuple[bytes, Dot]] = set()
        self.shown: dict[bytes, Shown] = {}
        self.refused_paths = 0

    def heads(self, path: bytes) -> tuple[Version, ...]:
        """The heads of the register `path`, in their total order."""
        return tuple(sorted(self._heads.get(path, {}).values(), key=lambda version: version.order))

    def is_directory(self, path: bytes) -> bool:
        """True when something live stands beneath `path`, so that it is a directory whatever its own register says."""
        return self._live_beneath.get(path, 0) > 0

    def conflicts(self) -> list[bytes]:
        """Registers that are shown with at least one copy, sorted."""
        return sorted(
            register
            for register, paths in self._emitted.items()
            if any(self.shown[path].role == "copy" for path in paths)
        )

    def emitted(self, register: bytes) -> tuple[bytes, ...]:
        """The visible paths of `register`."""
        return self._emitted.get(register, ())

    def copied_to(self, path: bytes) -> tuple[bytes, ...]:
        """Registers that had, or might have had, a conflict copy at `path`."""
        return tuple(self._copies_near.get(path, ()))

    def apply(self, entry: EntryId, hlc: int, log: LogId, puts: Iterable[Put]) -> set[bytes]:
        """Apply the operations of one admitted entry, in causal order; the visible paths that changed or are gone."""
        touched: dict[bytes, None] = {}
        for index, put in enumerate(puts):
            if path_refusal(put.path) is not None:
                self.refused_paths += 1
                continue
            self._put(put, Version(Dot(entry, index), hlc, log, put.value), touched)
        # A directory without a head of its own was never shown, so nothing of it changes when its last child goes.
        return self._project_all(touched) | {path for path in touched if path not in self.shown}

    def _put(self, put: Put, version: Version, touched: dict[bytes, None]) -> None:
        heads = self._heads.setdefault(put.path, {})
        was_live = _live(heads)
        for dot in put.replaces:
            if heads.pop(dot, None) is None:
                # Its author did not wait for it, or somebody else replaced it too: the order must not matter.
                self._replaced_early.add((put.path, dot))
        if (put.path, version.dot) not in self._replaced_early:
            heads[version.dot] = version
        touched[put.path] = None
        is_live = _live(heads)
        if was_live == is_live:
            return
        for directory in ancestors(put.path):
            live = self._live_beneath.get(directory, 0) + (1 if is_live else -1)
            self._live_beneath[directory] = live
            if live == (1 if is_live else 0):
                touched[directory] = None
                touched |= self._copies_near.get(directory, {})
        touched |= self._copies_near.get(put.path, {})

    def _project_all(self, touched: dict[bytes, None]) -> set[bytes]:
        before: dict[bytes, Shown] = {}
        for register in touched:
            for path in self._emitted.pop(register, ()):
                before[path] = self.shown.pop(path)
        after: dict[bytes, Shown] = {}
        for register in sorted(touched):
            projected = self._project(register)
            after |= projected
            if projected:
                self._emitted[register] = tuple(projected)
        self.shown |= after
        return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    def _project(self, register: bytes) -> dict[bytes, Shown]:
        groups = _grouped(self._heads.get(register, {}).values())
        directories = [group for group in groups if isinstance(group[0].value, Directory)]
        result: dict[bytes, Shown] = {}
        if directories or self._live_beneath.get(register, 0) > 0:
            if directories:
                result[register] = _shown(register, directories[0], "primary")
            copies = [group for group in groups if not isinstance(group[0].value, Directory)]
        else:
            if groups:
                result[register] = _shown(register, groups[0], "primary")
            copies = groups[1:]
        for group in copies:
            path = self._copy_path(register, group[0], result)
            result[path] = _shown(register, group, "copy")
        return result

    def _copy_path(self, register: bytes, version: Version, taken: dict[bytes, Shown]) -> bytes:
        name = self._author_name(version.log)
        path = conflict_path(register, name, version.hlc, None)
        for attempt in count(1):
            self._copies_near.setdefault(path, {})[register] = None
            if path not in taken and not self._name_in_use(path):
                break
            salt = hashlib.sha256(encode_plain([version.dot.entry, version.dot.index, attempt])).digest()
            path = conflict_path(register, name, version.hlc, salt[: 2 if attempt == 1 else 8])
        return path

    def _name_in_use(self, path: bytes) -> bool:
        return self._live_beneath.get(path, 0) > 0 or _live(self._heads.get(path, {}))

    def puts_for(
        self, path: bytes, value: Value, based_on: tuple[Dot, ...], also_changed: Container[bytes] = ()
    ) -> list[Put]:
        """The operations that make the visible `path` have `value`, written by somebody who saw the heads `based_on`.

        Conflict copies elsewhere stay as they are: an edited copy becomes a file of its own, a deleted copy settles
        its conflict, and changing the file beside a copy leaves the copy under its name, as a file of its own.
        `also_changed` are the visible paths that change together with this one.
        """
        owner = self.shown.get(path)
        if owner is not None and owner.role == "copy" and set(based_on) & set(owner.dots):
            return self._puts_for_copy(path, value, owner)
        replaces = [dot for dot in based_on if dot in self._heads.get(path, {})]
        replaces += [
            version.dot
            for version in self.heads(path)
            if isinstance(version.value, Deleted) and version.dot not in replaces
        ]
        puts: list[Put] = []
        for copy_path in self.emitted(path):
            copy = self.shown[copy_path]
            if copy.role == "copy" and copy_path not in also_changed:
                replaces += copy.dots
                puts.append(Put(copy_path, copy.value, self._tombstones(copy_path)))
        puts.append(Put(path, value, tuple(sorted(replaces))[:MAX_REPLACES]))
        return puts

    def _puts_for_copy(self, path: bytes, value: Value, copy: Shown) -> list[Put]:
        puts: list[Put] = []
        if not isinstance(value, Deleted):
            puts.append(Put(path, value, self._tombstones(path)))
        # A deletion loses against what stands beside it, so this takes the copy away and nothing else.
        replaces = {*copy.dots, *self._tombstones(copy.register)}
        puts.append(Put(copy.register, Deleted(), tuple(sorted(replaces))[:MAX_REPLACES]))
        return puts

    def _tombstones(self, path: bytes) -> tuple[Dot, ...]:
        return tuple(version.dot for version in self.heads(path) if isinstance(version.value, Deleted))[:MAX_REPLACES]


def _live(heads: dict[Dot, Version]) -> bool:
    return any(not isinstance(version.value, Deleted) for version in heads.values())


def _grouped(heads: Iterable[Version]) -> list[list[Version]]:
    """Live heads by content, each group and the groups themselves in total order."""
    groups: dict[tuple[object, ...], list[Version]] = {}
    for version in sorted(heads, key=lambda version: version.order):
        if not isinstance(version.value, Deleted):
            groups.setdefault(content_key(version.value), []).append(version)
    return list(groups.values())


def _shown(register: bytes, group: list[Version], role: Literal["primary", "copy"]) -> Shown:
    newest = group[-1]
    assert not isinstance(newest.value, Deleted)
    dots = tuple(sorted(version.dot for version in group))
    return Shown(register, newest.value, dots, group[0].hlc, group[0].log, role)
