"""The space store in memory: tests and simulated nodes."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import final

from latticework.crdt import Base, Conviction, Entry, Position
from latticework.crdt.params import MAX_BATCH_ENTRIES, MAX_SEQ
from latticework.crdt.reconcile_events import Range
from latticework.wire import ChunkId, EntryId, LogId

from .store import DiskChange, DiskMoves, Incoming, Piece, Place, Row


@final
class MemoryStore:
    """The `SpaceStore` without a disk; `before_write` may raise StoreError in place of a full one."""

    was_moved = False

    def __init__(self, log_nonce: bytes, before_write: Callable[[], None] = lambda: None) -> None:
        self.log_nonce = log_nonce
        self._before_write = before_write
        self._entries: dict[EntryId, Entry] = {}
        self._order: list[EntryId] = []
        self._logs: dict[LogId, list[EntryId]] = {}
        self._rows: dict[bytes, Row] = {}
        self._pieces: dict[bytes, tuple[Piece, ...]] = {}
        self._proofs: dict[LogId, Conviction] = {}
        self._base: Base | None = None
        self._unchecked: dict[EntryId, None] = {}

    def new_log(self, nonce: bytes) -> None:
        self._before_write()
        self.log_nonce = nonce

    def entries(self) -> Iterator[Entry]:
        return iter([self._entries[identifier] for identifier in self._order])

    def position(self, entry: EntryId) -> Position | None:
        found = self._entries.get(entry)
        return None if found is None else Position(found.body.author, found.body.seq, found.body.hlc)

    def entry(self, entry: EntryId) -> Entry | None:
        return self._entries.get(entry)

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        return next((key for key in self._logs.get(log, ()) if self._entries[key].body.seq == seq), None)

    def entries_from(self, log: LogId, seq: int, last: int = MAX_SEQ) -> list[Entry]:
        entries = (self._entries[key] for key in self._logs.get(log, ()))
        return [entry for entry in entries if seq <= entry.body.seq <= last]

    def recent(self, count: int) -> list[Entry]:
        return [self._entries[identifier] for identifier in reversed(self._order[-count:])]

    def find(self, prefix: bytes) -> list[EntryId]:
        return [identifier for identifier in self._order if identifier.startswith(prefix)][:16]

    def commit(self, entries: Sequence[Incoming], changes: Sequence[DiskChange | DiskMoves], *, durable: bool) -> None:
        del durable
        self._before_write()
        for entry, checked in entries:
            if not checked:
                self._unchecked[entry.id] = None
            self._entries[entry.id] = entry
            self._order.append(entry.id)
            self._logs.setdefault(entry.body.author, []).append(entry.id)
        for change in changes:
            if isinstance(change, DiskMoves):
                _move(self._rows, change.paths)
                _move(self._pieces, change.paths)
            elif change.row is None:
                self._rows.pop(change.path, None)
                self._pieces.pop(change.path, None)
            else:
                self._rows[change.path] = change.row
                if change.pieces is not None:
                    self._pieces[change.path] = tuple(change.pieces)

    def unchecked(self, count: int) -> list[Entry]:
        return [self._entries[identifier] for identifier in list(self._unchecked)[:count]]

    def mark_checked(self, ids: Sequence[EntryId]) -> None:
        for identifier in ids:
            self._unchecked.pop(identifier, None)

    def drop(self, ids: Collection[EntryId]) -> int:
        dropped = set(ids)
        for identifier in self._order:
            body = self._entries[identifier].body
            if body.prev in dropped or not dropped.isdisjoint(body.deps):
                dropped.add(identifier)
        self._order = [identifier for identifier in self._order if identifier not in dropped]
        for identifier in dropped:
            self._logs[self._entries.pop(identifier).body.author].remove(identifier)
            self._unchecked.pop(identifier, None)
        return len(dropped)

    def fill(self, entry: Entry) -> None:
        self._before_write()
        self._entries[entry.id] = entry

    def erase(self, upto: Mapping[LogId, int], lanes: Collection[int]) -> int:
        erased = 0
        for key, entry in self._entries.items():
            body = entry.body
            due = body.lane in lanes and body.seq <= upto.get(body.author, -1)
            if due and entry.envelope.payload is not None:
                self._entries[key] = entry.without_payload()
                erased += 1
        return erased

    def keep_proof(self, conviction: Conviction) -> None:
        self._before_write()
        known = self._proofs.get(conviction.log)
        if known is None or conviction.seq < known.seq:
            self._proofs[conviction.log] = conviction

    def proofs(self) -> list[bytes]:
        return [self._proofs[log].proof for log in sorted(self._proofs)]

    def keep_base(self, base: Base) -> None:
        self._before_write()
        self._base = base

    def base(self) -> Base | None:
        return self._base

    def serve(self, ranges: Sequence[Range], after: int, max_bytes: int) -> tuple[list[Entry], int | None]:
        wanted = {r.log: (r.first, r.last) for r in ranges}
        found: list[Entry] = []
        size = 0
        for index in range(after, len(self._order)):
            entry = self._entries[self._order[index]]
            first, last = wanted.get(entry.body.author, (1, 0))
            if first <= entry.body.seq <= last:
                if entry.id in self._unchecked:
                    del wanted[entry.body.author]
                    continue
                found.append(entry)
                size += len(entry.envelope.body) + len(entry.envelope.payload or b"") + 256
                if size >= max_bytes or len(found) == MAX_BATCH_ENTRIES:
                    return found, index + 1
        return found, None

    def serve_ids(self, ids: Sequence[EntryId], forks: Mapping[LogId, int], max_bytes: int) -> list[Entry]:
        found: dict[EntryId, Entry] = {}
        size = 0
        for identifier in ids:
            branch: list[Entry] = []
            entry = self._entries.get(identifier)
            while entry is not None and entry.id not in found:
                branch.append(entry)
                fork, prev = forks.get(entry.body.author), entry.body.prev
                entry = None if prev is None or fork is None or entry.body.seq <= fork else self._entries.get(prev)
            for entry in reversed(branch):
                size += len(entry.envelope.body) + len(entry.envelope.payload or b"") + 256
                if size > max_bytes or len(found) == MAX_BATCH_ENTRIES:
                    return list(found.values())
                found[entry.id] = entry
        return list(found.values())

    def check(self) -> list[str]:
        return []

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


def _move[T](table: dict[bytes, T], paths: Mapping[bytes, bytes]) -> None:
    found = {new: table[old] for old, new in paths.items() if old in table}
    for path in (*paths, *paths.values()):
        table.pop(path, None)
    table.update(found)
