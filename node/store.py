"""The store of one space: its entries, and what of the tree is on this disk.

Both live behind one port because both must be committed together: a local change is an entry *and* the row that says
which version the disk now shows. Two implementations, SQLite and memory, pass one contract test.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from latticework.crdt import Base, Conviction, Dot, Entry, Position
from latticework.crdt.params import MAX_SEQ
from latticework.crdt.reconcile_events import Range
from latticework.wire import ChunkId, EntryId, LogId, StoreError


class StoreCorruptError(StoreError):
    """The database is damaged; the node sets it aside and rebuilds it from peers and the folder."""


class Row(NamedTuple):
    """What stood on disk when we last looked, and the heads that it shows.

    `kind` is `f`, `d` or `l`. `content` is a 32-byte digest of what a user would call the content.
    """

    kind: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    executable: bool
    content: bytes
    dots: tuple[Dot, ...]


class Piece(NamedTuple):
    """Where a chunk's plaintext stands inside a file; of length 0, the file's manifest, which it can be made from."""

    chunk: ChunkId
    offset: int
    length: int


class Place(NamedTuple):
    """A file of the folder that holds a chunk; of length 0, the file whose manifest it is."""

    path: bytes
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class DiskChange:
    """One path's new row, or None when it is gone from disk.

    `pieces` of a file, in order; None keeps those that are stored, for a row whose content did not change.
    """

    path: bytes
    row: Row | None
    pieces: Sequence[Piece] | None = None


class Incoming(NamedTuple):
    """An entry to store; `checked` is False when only a later signature of its log vouches for it."""

    entry: Entry
    checked: bool


@dataclass(frozen=True, slots=True)
class DiskMoves:
    """Rows with their pieces are now those of other paths: new paths by old ones, all at once, so that paths may swap.

    What was recorded at a new path that is no old one is forgotten.
    """

    paths: Mapping[bytes, bytes]


class SpaceStore(Protocol):
    """Entries and disk rows of one space. Safe to call from several threads; calls are serialised."""

    @property
    def log_nonce(self) -> bytes:
        """16 bytes from which the key of our current log is derived."""
        ...

    @property
    def was_moved(self) -> bool:
        """True when this database was copied or restored since we last wrote it (decision 27)."""
        ...

    def new_log(self, nonce: bytes) -> None:
        """Durably begin a new log of ours."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All entries in admission order; raises StoreCorruptError at the first damaged one."""
        ...

    def position(self, entry: EntryId) -> Position | None:
        """Where a stored entry stands."""
        ...

    def entry(self, entry: EntryId) -> Entry | None:
        """A stored entry; raises StoreCorruptError if it is damaged."""
        ...

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        """The stored entry with this number; of a forked log, the one that came first."""
        ...

    def entries_from(self, log: LogId, seq: int, last: int = MAX_SEQ) -> Sequence[Entry]:
        """The entries of a log from number `seq` to `last`, of all branches, in admission order."""
        ...

    def recent(self, count: int) -> list[Entry]:
        """The entries that were admitted last, newest first."""
        ...

    def find(self, prefix: bytes) -> list[EntryId]:
        """The ids of stored entries that begin with `prefix`, at most 16."""
        ...

    def commit(self, entries: Sequence[Incoming], changes: Sequence[DiskChange | DiskMoves], *, durable: bool) -> None:
        """Store all or nothing, changes in their order. With `durable` the data is on the disk when this returns.

        Raises:
            StoreError: nothing was stored (disk full, read-only).
        """
        ...

    def unchecked(self, count: int) -> list[Entry]:
        """The first `count` entries whose own signature was not checked, in admission order."""
        ...

    def mark_checked(self, ids: Sequence[EntryId]) -> None:
        """The signatures of these entries verify."""
        ...

    def drop(self, ids: Collection[EntryId]) -> int:
        """Delete these entries and all that depend on them; how many."""
        ...

    def fill(self, entry: Entry) -> None:
        """Give a stored entry the payload that it lacked."""
        ...

    def erase(self, upto: Mapping[LogId, int], lanes: Collection[int]) -> int:
        """Erase the payloads of entries in `lanes` up to these numbers; how many there were. Headers stay."""
        ...

    def keep_proof(self, conviction: Conviction) -> None:
        """Durably keep a FraudProof, in place of one that says less about the same log."""
        ...

    def proofs(self) -> list[bytes]:
        """The FraudProofs kept."""
        ...

    def keep_base(self, base: Base) -> None:
        """Keep the state that the entries below a checkpoint add up to, in place of the last one."""
        ...

    def base(self) -> Base | None:
        """The state kept last."""
        ...

    def serve(self, ranges: Sequence[Range], after: int, max_bytes: int) -> tuple[list[Entry], int | None]:
        """Entries of `ranges` in admission order from cursor `after` (0 first), and the next cursor or None.

        As many as one batch holds; none with a cursor means that none were found so far.

        Of a log with an entry whose signature was not checked yet, nothing from there on is served.
        """
        ...

    def serve_ids(self, ids: Sequence[EntryId], forks: Mapping[LogId, int], max_bytes: int) -> list[Entry]:
        """These entries, each after its predecessors down to the fork of its log, in admission order."""
        ...

    def check(self) -> list[str]:
        """Read and verify everything: entries, signatures, chains, indexes, proofs, base; what is wrong, for people."""
        ...

    def rows(self) -> dict[bytes, Row]:
        """All disk rows by path."""
        ...

    def places(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, list[Place]]:
        """Files that held these chunks when their rows were written."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...
