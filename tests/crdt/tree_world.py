"""Replicas of the file tree of one space, without logs and signatures: entries are made by hand and carried by hand."""

import hashlib
from typing import Final, NamedTuple, final, override

from latticework.crdt import (
    ChunkRef,
    Directory,
    Dot,
    File,
    FileOperations,
    FileTree,
    Inline,
    LocalOperation,
    Moved,
    Operation,
    Shown,
    Symlink,
    Value,
    Written,
    next_batch,
    next_hlc,
    operations_for,
)
from latticework.wire import ChunkId, EntryId, LogId, decode, encode

NOW_US: Final = 1_800_000_000_000_000


class Entry(NamedTuple):
    """An entry in the lane of files, as `FileTree.apply_all` takes it."""

    id: EntryId
    hlc: int
    log: LogId
    operations: FileOperations


def entry_of(hlc: int, log: LogId, operations: FileOperations) -> Entry:
    """An entry with an id that depends on all of it; what it says has been on the wire."""
    payload = encode(operations)
    digest = hashlib.sha256(hlc.to_bytes(8) + log + payload).digest()
    return Entry(EntryId(digest), hlc, log, decode(FileOperations, payload, 1 << 20))


@final
class Replica:
    """A device called `name` that writes the log `log`, and everything it has seen."""

    def __init__(self, number: int, name: str, names: dict[LogId, str]) -> None:
        self.log = LogId(hashlib.sha256(b"%d" % number).digest())
        self.name = names[self.log] = name
        self.names = names
        self.now_us = NOW_US
        self.entries: list[Entry] = []
        self.tree = FileTree(names.__getitem__)

    @override
    def __repr__(self) -> str:
        return f"Replica({self.name})"

    @property
    def shown(self) -> dict[bytes, Shown]:
        return self.tree.shown

    def write(self, *operations: Operation) -> list[Entry]:
        """Write operations as they are, in as many entries as they need."""
        self.now_us += 1_000_000
        written: list[Entry] = []
        ends: list[tuple[int, EntryId]] = []
        while (batch := next_batch(operations, ends)) is not None:
            entry = entry_of(next_hlc(max((e.hlc for e in self.entries), default=0), self.now_us), self.log, batch[0])
            ends.append((batch[1], entry.id))
            written.append(entry)
            self.receive(entry)
        return written

    def seen(self, path: bytes) -> tuple[Dot, ...]:
        """What a user who looks at `path` sees there."""
        shown = self.shown.get(path)
        return () if shown is None else shown.dots

    def do(self, *changes: LocalOperation) -> list[Entry]:
        return self.write(*operations_for(self.tree, changes))

    def change(self, *changes: tuple[bytes, Value | None]) -> list[Entry]:
        """What a scan of the folder publishes when a user who saw the tree as it is made `changes` at once."""
        return self.do(*(Written(path, value, self.seen(path)) for path, value in changes))

    def move(self, *moves: tuple[bytes, bytes]) -> list[Entry]:
        """The same for things that were moved."""
        return self.do(*(Moved(old, new, self.seen(old)) for old, new in moves))

    def receive(self, *entries: Entry) -> set[bytes]:
        """Take entries, however often; the visible paths that changed."""
        known = {entry.id for entry in self.entries}
        self.entries += [entry for entry in entries if entry.id not in known]
        return self.tree.apply_all(entries)

    def replayed(self, entries: list[Entry]) -> FileTree:
        """A fresh tree of `entries`, as after a start."""
        other = FileTree(self.names.__getitem__)
        other.apply_all(entries)
        return other


def exchange(*replicas: Replica) -> None:
    """Everyone gets everything."""
    for source in replicas:
        for target in replicas:
            if source is not target:
                target.now_us = max(target.now_us, source.now_us)
                target.receive(*source.entries)


def text(content: bytes) -> File:
    """A file with this content, mtime apart."""
    chunk = ChunkRef(ChunkId(content.ljust(32, b"\0")), bytes(32), len(content))
    return File(len(content), 0, executable=False, content=Inline((chunk,)))


def content_of(value: Value | None) -> bytes:
    match value:
        case File(content=Inline((chunk,))):
            return chunk.id.rstrip(b"\0")
        case Directory():
            return b"<directory>"
        case Symlink(target):
            return b"->" + target
        case _:
            return b"<deleted>"


def tree(replica: Replica) -> dict[bytes, bytes]:
    """Content by visible path."""
    return {path: content_of(shown.value) for path, shown in replica.shown.items()}
