"""The space store on SQLite in WAL mode.

Own entries are committed with `synchronous=FULL` before any byte of them leaves the process; others' may be fetched
again and commit with NORMAL (crdt-sync report 3.3).

The instance marker (decision 27) is machine id, inode and change time of the main database file, and the inode of its
journal. In WAL mode the main file changes only at a checkpoint, and we alone run checkpoints and record the marker
right after; so a crash leaves the marker valid, while a copy, a restore or a clone does not match it, and a new log is
opened before the first write. A backup tool may leave the main file alone, which has not changed, and bring back an
older journal: that is a file of its own, or another one than a seal tells that is left when the store is closed.
"""

import os
import threading
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast, final

import apsw

from latticework.crdt import Base, Conviction, Dot, Entry, Position
from latticework.crdt.params import MAX_SEQ
from latticework.crdt.reconcile_events import Range
from latticework.wire import ChunkId, EntryId, LogId, MalformedError, SpaceId, StoreError, decode_plain
from latticework.wire import encode_plain as encode_cbor

from .entry_table import ENTRY_SCHEMA, EntryTable
from .params import SCHEMA_VERSION, WAL_CHECKPOINT_PAGES
from .store import DiskChange, DiskMoves, Incoming, Place, Row, StoreCorruptError

_SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE disk(n INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode BLOB NOT NULL, executable INTEGER NOT NULL,
  content BLOB NOT NULL, dots BLOB NOT NULL) STRICT;
CREATE TABLE piece(n INTEGER NOT NULL, chunk BLOB NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL) STRICT;
CREATE INDEX piece_n ON piece(n);
CREATE INDEX piece_chunk ON piece(chunk);
"""
_CORRUPT = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)


@final
class SqliteStore:
    """The database of one space at `path`."""

    def __init__(self, path: Path, space: SpaceId, fresh_nonce: bytes) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._seal = path.with_name(path.name + "-seal")
        self._space = space
        self._lock = threading.RLock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            # SQLite sets owner and mode of the journal when it opens it: what its times said is gone then.
            whole = self._seal_is_whole()
            self._db = apsw.Connection(str(path))
            self._table = EntryTable(self._db, path, space)
            self._open(fresh_nonce, whole=whole)
        except _CORRUPT as error:
            raise StoreCorruptError(f"{path} is damaged: {error}") from error
        except (apsw.Error, OSError) as error:
            raise StoreError(f"cannot open {path}: {error}") from error

    @property
    def log_nonce(self) -> bytes:
        return self._meta("log nonce")

    @property
    def was_moved(self) -> bool:
        return self._moved

    def new_log(self, nonce: bytes) -> None:
        with self._lock, self._translated():
            self._db.execute("PRAGMA synchronous=FULL")
            with self._db:
                self._set_meta("log nonce", nonce)
                self._set_meta("marker", self._marker())
            self._moved = False

    def entries(self) -> Iterator[Entry]:
        with self._lock, self._translated():
            yield from self._table.all()

    def position(self, entry: EntryId) -> Position | None:
        with self._lock, self._translated():
            return self._table.position(entry)

    def entry(self, entry: EntryId) -> Entry | None:
        with self._lock, self._translated():
            return self._table.entry(entry)

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        with self._lock, self._translated():
            return self._table.entry_at(log, seq)

    def entries_from(self, log: LogId, seq: int, last: int = MAX_SEQ) -> list[Entry]:
        with self._lock, self._translated():
            return self._table.entries_from(log, seq, last)

    def recent(self, count: int) -> list[Entry]:
        with self._lock, self._translated():
            return self._table.recent(count)

    def find(self, prefix: bytes) -> list[EntryId]:
        with self._lock, self._translated():
            return self._table.find(prefix)

    def commit(self, entries: Sequence[Incoming], changes: Sequence[DiskChange | DiskMoves], *, durable: bool) -> None:
        with self._transaction(durable=durable):
            self._table.insert(entries)
            for change in changes:
                if isinstance(change, DiskMoves):
                    self._move(change.paths)
                else:
                    self._apply(change)

    def unchecked(self, count: int) -> list[Entry]:
        with self._lock, self._translated():
            return self._table.unchecked(count)

    def mark_checked(self, ids: Sequence[EntryId]) -> None:
        with self._transaction(durable=False):
            self._table.mark_checked(ids)

    def drop(self, ids: Collection[EntryId]) -> int:
        with self._transaction(durable=True):
            return self._table.drop(ids)

    def fill(self, entry: Entry) -> None:
        with self._transaction(durable=False):
            self._table.fill(entry)

    def erase(self, upto: Mapping[LogId, int], lanes: Collection[int]) -> int:
        with self._transaction(durable=False):
            return self._table.erase(upto, lanes)

    def keep_proof(self, conviction: Conviction) -> None:
        with self._transaction(durable=True):
            self._table.keep_proof(conviction)

    def proofs(self) -> list[bytes]:
        with self._lock, self._translated():
            return self._table.proofs()

    def keep_base(self, base: Base) -> None:
        with self._transaction(durable=False):
            self._table.keep_base(base)

    def base(self) -> Base | None:
        with self._lock, self._translated():
            return self._table.base()

    def serve(self, ranges: Sequence[Range], after: int, max_bytes: int) -> tuple[list[Entry], int | None]:
        with self._lock, self._translated():
            return self._table.serve(ranges, after, max_bytes)

    def serve_ids(self, ids: Sequence[EntryId], forks: Mapping[LogId, int], max_bytes: int) -> list[Entry]:
        with self._lock, self._translated():
            return self._table.serve_ids(ids, forks, max_bytes)

    def check(self) -> list[str]:
        with self._lock, self._translated():
            found = list(self._table.problems())
        try:
            self.rows()
        except StoreCorruptError as error:
            found.append(str(error))
        return found

    def rows(self) -> dict[bytes, Row]:
        query = "SELECT path, kind, size, mtime, ctime, inode, executable, content, dots FROM disk"
        try:
            with self._lock, self._translated():
                return {cast("bytes", row[0]): _row(row) for row in self._db.execute(query)}
        except (MalformedError, ValueError, TypeError) as error:
            raise StoreCorruptError(f"{self._path} holds a damaged row: {error}") from error

    def places(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, list[Place]]:
        found: dict[ChunkId, list[Place]] = {}
        query = "SELECT path, offset, length FROM piece JOIN disk ON disk.n=piece.n WHERE chunk=? LIMIT 4"
        with self._lock, self._translated():
            for chunk in chunks:
                rows = self._db.execute(query, (chunk,)).fetchall()
                if rows:
                    found[chunk] = [Place(cast("bytes", p), cast("int", o), cast("int", n)) for p, o, n in rows]
        return found

    def close(self) -> None:
        with self._lock, suppress(apsw.Error):
            self._db.close()
            self._leave_seal()

    def _open(self, fresh_nonce: bytes, *, whole: bool) -> None:
        db = self._db
        db.set_busy_timeout(5000)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        # A checkpoint on close would change the file after its marker was recorded.
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        version = db.execute("PRAGMA user_version").get
        if version == 0:
            with db:
                db.execute(_SCHEMA + ENTRY_SCHEMA)
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
                self._set_meta("space", self._space)
                self._set_meta("log nonce", fresh_nonce)
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._set_meta("marker", self._marker())
        elif version != SCHEMA_VERSION:
            raise StoreError(f"{self._path} was written by another version of Latticework (layout {version})")
        if db.execute("PRAGMA quick_check(1)").get != "ok":
            # A page that is rarely read may be gone without anybody noticing; entries and rows are read at the start.
            raise StoreCorruptError(f"{self._path} is damaged")
        if self._meta("space") != self._space:
            raise StoreCorruptError(f"{self._path} belongs to another space")
        self._moved = self._meta("marker") != self._marker() or self._wal_has_lost_its_end() or not whole

    @contextmanager
    def _transaction(self, *, durable: bool) -> Generator[None]:
        with self._lock, self._translated():
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with self._db:
                yield
            self._fold_wal()

    def _apply(self, change: DiskChange) -> None:
        db = self._db
        number = db.execute("SELECT n FROM disk WHERE path=?", (change.path,)).get
        if number is not None and (change.row is None or change.pieces is not None):
            db.execute("DELETE FROM piece WHERE n=?", (number,))
        if change.row is None:
            db.execute("DELETE FROM disk WHERE path=?", (change.path,))
            return
        row = change.row
        dots = encode_cbor([[dot.entry, dot.index] for dot in row.dots])
        inode = row.inode.to_bytes(8, "big")
        values = (row.kind, row.size, row.mtime_ns, row.ctime_ns, inode, row.executable, row.content, dots)
        db.execute(
            "INSERT OR REPLACE INTO disk(n, path, kind, size, mtime, ctime, inode, executable, content, dots)"
            " VALUES(?,?,?,?,?,?,?,?,?,?)",
            (number, change.path, *values),
        )
        if change.pieces:
            number = db.last_insert_rowid() if number is None else number
            db.executemany(
                "INSERT INTO piece VALUES(?,?,?,?)", [(number, p.chunk, p.offset, p.length) for p in change.pieces]
            )

    def _move(self, paths: Mapping[bytes, bytes]) -> None:
        for new in paths.values():
            if new not in paths:
                self._apply(DiskChange(new, None))
        # A zero byte is in no path: nothing collides on the way, whatever swaps with what.
        away = [(b"\0" + old, old) for old in paths]
        self._db.executemany("UPDATE disk SET path=? WHERE path=?", away)
        self._db.executemany("UPDATE disk SET path=? WHERE path=?", [(new, b"\0" + old) for old, new in paths.items()])

    def _fold_wal(self) -> None:
        if self._wal_is_long():
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._db.execute("PRAGMA synchronous=FULL")
            self._set_meta("marker", self._marker())

    def _wal_has_lost_its_end(self) -> bool:
        """SQLite drops what follows a damaged frame in silence; it may have been entries that others hold."""
        frames, _ = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        page = cast("int", self._db.execute("PRAGMA page_size").get)
        with suppress(OSError):
            return self._path.with_name(self._path.name + "-wal").stat().st_size >= 32 + (frames + 1) * (24 + page)
        return False

    def _wal_is_long(self) -> bool:
        with suppress(OSError):
            return self._path.with_name(self._path.name + "-wal").stat().st_size > WAL_CHECKPOINT_PAGES * 4096
        return False

    def _marker(self) -> bytes:
        try:
            machine = Path("/etc/machine-id").read_bytes().strip()
        except OSError:
            machine = os.uname().nodename.encode()
        status = self._path.stat()
        return encode_cbor([machine, status.st_ino, status.st_ctime_ns, self._wal.stat().st_ino])

    def _leave_seal(self) -> None:
        """What the journal looks like when nobody has it open; lost in a crash, and then nothing is concluded."""
        with suppress(OSError):
            self._seal.write_bytes(self._sealed())

    def _seal_is_whole(self) -> bool:
        """False when the journal was replaced since it was closed; the seal is broken from here on."""
        try:
            seal = self._seal.read_bytes()
        except FileNotFoundError:
            return True
        self._seal.unlink()
        return seal == self._sealed()

    def _sealed(self) -> bytes:
        try:
            status = self._wal.stat()
        except FileNotFoundError:
            return b""
        return encode_cbor([status.st_ino, status.st_size, status.st_ctime_ns])

    def _meta(self, name: str) -> bytes:
        with self._lock, self._translated():
            value = self._db.execute("SELECT value FROM meta WHERE name=?", (name,)).get
        if not isinstance(value, bytes):
            raise StoreCorruptError(f"{self._path} has lost its {name}")
        return value

    def _set_meta(self, name: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES(?,?)", (name, value))

    def _translated(self) -> "_Translated":
        return _Translated(self._path)


class _Translated:
    """Turns SQLite's errors into ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _CORRUPT):
            raise StoreCorruptError(f"{self._path} is damaged: {error}") from error
        if isinstance(error, (apsw.Error, OSError)):
            raise StoreError(f"{self._path}: {error}") from error


def _row(values: tuple[object, ...]) -> Row:
    """A row from its columns; raises MalformedError, ValueError or TypeError where those make none."""
    kind, size, mtime, ctime, inode, executable, content, dots = values[1:]
    plain = cast("list[list[object]]", decode_plain(cast("bytes", dots), 1 << 20))
    if not isinstance(kind, str) or kind not in {"f", "d", "l"}:
        raise ValueError("no such kind")  # it is data, not an argument
    if any(not isinstance(entry, bytes) or len(entry) != 32 for entry, _ in plain):
        raise ValueError("no such content")
    return Row(
        kind,
        cast("int", size),
        cast("int", mtime),
        cast("int", ctime),
        int.from_bytes(cast("bytes", inode), "big"),
        bool(executable),
        cast("bytes", content),
        tuple(Dot(EntryId(cast("bytes", entry)), cast("int", index)) for entry, index in plain),
    )
