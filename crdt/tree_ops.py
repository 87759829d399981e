"""The operations of the file tree, as they are written into entries of the lane of files.

A node is named by the dot of the operation that made it and keeps that name whatever happens to it, so a renamed
directory is one `Move` however much it holds (Kleppmann, Mulligan, Gomes, Beresford, "A highly-available move operation
for replicated trees", IEEE TPDS 2022). Operations of one entry name each other without the entry's id, which is not
known before the entry is signed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from latticework.wire import Array, Bytes, EntryId, Nested, Nullable, OneOf, UInt, record

from .dots import Dot
from .file_values import Directory, File, Symlink, Value
from .params import BATCH_PAYLOAD_BYTES, MAX_OPS_PER_ENTRY, MAX_PATH_BYTES, MAX_REPLACES


@record("ref")
@dataclass(frozen=True, slots=True)
class Ref:
    """The name of an operation inside another: its dot, with null for the entry that holds both.

    Between `operations_for` and `next_batch` an index without an entry counts through all operations of the change.
    """

    entry: Annotated[EntryId | None, Nullable(Bytes(32))]
    index: Annotated[int, UInt(MAX_OPS_PER_ENTRY)]

    @classmethod
    def to(cls, dot: Dot) -> Self:
        """The name of an operation of an entry that exists already."""
        return cls(dot.entry, dot.index)

    def dot(self, entry: EntryId) -> Dot:
        """The dot that is meant in the entry `entry`."""
        return Dot(entry if self.entry is None else self.entry, self.index)


_Refs = Array(Nested(Ref), MAX_REPLACES)


@record("make", tag=1)
@dataclass(frozen=True, slots=True)
class Make:
    """A new node, named by this operation, called `name` in the directory `parent`; null is the root."""

    parent: Annotated[Ref | None, Nullable(Nested(Ref))]
    name: Annotated[bytes, Bytes(maximum=MAX_PATH_BYTES)]
    value: Annotated[Value, OneOf((File, Directory, Symlink))]


@record("move", tag=2)
@dataclass(frozen=True, slots=True)
class Move:
    """`node`, with everything beneath it, is now called `name` in the directory `parent`.

    `replaces` are the earlier moves of the node that its author had seen, `contents` what it contained for him: that
    comes back where all contents were removed meanwhile, for he has it.
    """

    node: Annotated[Ref, Nested(Ref)]
    parent: Annotated[Ref | None, Nullable(Nested(Ref))]
    name: Annotated[bytes, Bytes(maximum=MAX_PATH_BYTES)]
    replaces: Annotated[tuple[Ref, ...], _Refs]
    contents: Annotated[tuple[Ref, ...], _Refs] = ()


@record("write", tag=3)
@dataclass(frozen=True, slots=True)
class Write:
    """`node` now contains `value`, in place of the contents `replaces`."""

    node: Annotated[Ref, Nested(Ref)]
    value: Annotated[Value, OneOf((File, Directory, Symlink))]
    replaces: Annotated[tuple[Ref, ...], _Refs]


@record("remove", tag=4)
@dataclass(frozen=True, slots=True)
class Remove:
    """`node` is gone, as far as its author knew it: what is not in `seen` keeps it alive."""

    node: Annotated[Ref, Nested(Ref)]
    seen: Annotated[tuple[Ref, ...], _Refs]


type Operation = Make | Move | Write | Remove


@record("file-operations")
@dataclass(frozen=True, slots=True)
class FileOperations:
    """The payload of an entry in the lane of files."""

    operations: Annotated[tuple[Operation, ...], Array(OneOf((Make, Move, Write, Remove)), MAX_OPS_PER_ENTRY)]


def next_batch(
    operations: Sequence[Operation], written: Sequence[tuple[int, EntryId]]
) -> tuple[FileOperations, int] | None:
    """The first of `operations` that are not yet in an entry, near `BATCH_PAYLOAD_BYTES` of them, and where they end.

    `written` are the ends of the batches before, with the ids of their entries; None when nothing is left.
    """
    start = written[-1][0] if written else 0
    if start >= len(operations):
        return None
    end = _end_of_batch(operations, start)
    return FileOperations(tuple(_placed(operation, start, written) for operation in operations[start:end])), end


def _end_of_batch(operations: Sequence[Operation], start: int) -> int:
    size = 0
    for index in range(start, min(len(operations), start + MAX_OPS_PER_ENTRY)):
        size += _size(operations[index])
        if size >= BATCH_PAYLOAD_BYTES:
            return index + 1
    return min(len(operations), start + MAX_OPS_PER_ENTRY)


def _size(operation: Operation) -> int:
    match operation:
        case Make():
            return len(operation.name) + 400
        case Move():
            return len(operation.name) + 36 * (len(operation.replaces) + len(operation.contents)) + 100
        case Write():
            return 36 * len(operation.replaces) + 400
        case Remove():
            return 36 * len(operation.seen) + 50


def _placed(operation: Operation, start: int, places: Sequence[tuple[int, EntryId]]) -> Operation:
    """`operation` with every name of an earlier one as it must be written into the batch that begins at `start`."""

    def named(ref: Ref) -> Ref:
        if ref.entry is not None:
            return ref
        if ref.index >= start:
            return Ref(None, ref.index - start)
        begin = 0
        for end, entry in places:
            if ref.index < end:
                return Ref(entry, ref.index - begin)
            begin = end
        raise AssertionError("a batch names an operation that is in none")

    match operation:
        case Make():
            return operation if operation.parent is None else replace(operation, parent=named(operation.parent))
        case Move():
            parent = None if operation.parent is None else named(operation.parent)
            replaced, contents = (tuple(map(named, refs)) for refs in (operation.replaces, operation.contents))
            return Move(named(operation.node), parent, operation.name, replaced, contents)
        case Write():
            return replace(
                operation, node=named(operation.node), replaces=tuple(named(ref) for ref in operation.replaces)
            )
        case Remove():
            return replace(operation, node=named(operation.node), seen=tuple(named(ref) for ref in operation.seen))
