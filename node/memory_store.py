"""The space store in memory: tests and simulated nodes."""

from collections.abc import Iterator, Sequence
from typing import final

from latticework.crdt import Entry, Position
from latticework.crdt.frontier import Range
from latticework.wire import ChunkId, EntryId, LogId, encode

from .store import DiskChange, Piece, Place, Row


@final
class MemoryStore:
    """The `SpaceStore` without a disk."""

    was_moved = False

    def __init__(self, log_nonce: bytes) -> None:
        self.log_nonce = log_nonce
        self._entries: list[Entry] = []
        self._positions: dict[EntryId, Position] = {}
        self._rows: dict[bytes, Row] = {}
        self._pieces: dict[bytes, tuple[Piece, ...]] = {}
        self.forks: list[Entry] = []

    def new_log(self, nonce: bytes) -> None:
        self.log_nonce = nonce

    def entries(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def position(self, entry: EntryId) -> Position | None:
        return self._positions.get(entry)

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        for entry in self._entries:
            if entry.body.author == log and entry.body.seq == seq:
                return entry.id
        return None

    def remember(self, entry: Entry) -> None:
        self._positions[entry.id] = Position(entry.body.author, entry.body.seq, entry.body.hlc)

    def commit(self, entries: Sequence[Entry], changes: Sequence[DiskChange], *, durable: bool) -> None:
        del durable
        for entry in entries:
            self.remember(entry)
            self._entries.append(entry)
        for change in changes:
            if change.row is None:
                self._rows.pop(change.path, None)
                self._pieces.pop(change.path, None)
            else:
                self._rows[change.path] = change.row
                if change.pieces is not None:
                    self._pieces[change.path] = tuple(change.pieces)

    def keep_fork(self, entry: Entry) -> None:
        self.forks.append(entry)

    def serve(self, ranges: Sequence[Range], after: int, max_bytes: int) -> tuple[list[bytes], int | None]:
        wanted = {r.log: (r.first, r.last) for r in ranges}
        found: list[bytes] = []
        size = 0
        for index in range(after, len(self._entries)):
            entry = self._entries[index]
            first, last = wanted.get(entry.body.author, (1, 0))
            if first <= entry.body.seq <= last:
                found.append(encode(entry.envelope))
                size += len(found[-1])
                if size >= max_bytes:
                    return found, index + 1
        return found, None

    def rows(self) -> dict[bytes, Row]:
        return dict(self._rows)

    def places(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, list[Place]]:
        wanted = dict.fromkeys(chunks)
        found: dict[ChunkId, list[Place]] = {}
        for path, pieces in self._pieces.items():
            for piece in pieces:
                if piece.chunk in wanted:
                    found.setdefault(piece.chunk, []).append(Place(path, piece.offset, piece.length))
        return found

    def close(self) -> None:
        pass
