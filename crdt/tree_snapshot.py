"""The state of a file tree as bytes.

It holds the operations and not what they come to: an entry may become void at any time, and then what it replaced is
wanted again; a late one may belong before everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from latticework.wire import Array, Bytes, Const, EntryId, LogId, MalformedError, Nested, UInt, decode, encode, record

from .params import MAX_PAYLOAD_BYTES, MAX_SNAPSHOT_ENTRIES
from .tree_history import Batch
from .tree_ops import FileOperations


@record("tree-entry")
@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One entry of the lane of files without its header: id, clock, log, and the encoded `file-operations`."""

    id: Annotated[EntryId, Bytes(32)]
    hlc: Annotated[int, UInt()]
    log: Annotated[LogId, Bytes(32)]
    operations: Annotated[bytes, Bytes(maximum=MAX_PAYLOAD_BYTES)]


@record("tree-snapshot")
@dataclass(frozen=True, slots=True)
class TreeSnapshot:
    """All entries that were applied, by clock and id, and the ids of the void ones, sorted."""

    version: Annotated[int, Const(1)]
    entries: Annotated[tuple[TreeEntry, ...], Array(Nested(TreeEntry), MAX_SNAPSHOT_ENTRIES)]
    void: Annotated[tuple[EntryId, ...], Array(Bytes(32), MAX_SNAPSHOT_ENTRIES)]


@dataclass(frozen=True, slots=True)
class TreeState:
    """What a snapshot says."""

    entries: Batch
    void: Sequence[EntryId]


def write_snapshot(state: TreeState) -> bytes:
    """The one encoding of `state`."""
    entries = sorted(state.entries, key=lambda item: (item[1], item[0]))
    return encode(
        TreeSnapshot(
            1,
            tuple(TreeEntry(entry, hlc, log, encode(operations)) for entry, hlc, log, operations in entries),
            tuple(sorted(state.void)),
        )
    )


def read_snapshot(data: bytes) -> TreeState:
    """The state that `data` encodes; raises MalformedError."""
    found = decode(TreeSnapshot, data, len(data))
    keys = [(entry.hlc, entry.id) for entry in found.entries]
    if keys != sorted(set(keys)) or len({entry.id for entry in found.entries}) != len(keys):
        raise MalformedError("the entries of a snapshot are not sorted and distinct")
    if list(found.void) != sorted(set(found.void)):
        raise MalformedError("the void entries of a snapshot are not sorted and distinct")
    read = [
        (entry.id, entry.hlc, entry.log, decode(FileOperations, entry.operations, MAX_PAYLOAD_BYTES))
        for entry in found.entries
    ]
    return TreeState(read, found.void)
