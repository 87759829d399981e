"""The space store on SQLite in WAL mode.

Own entries are committed with `synchronous=FULL` before any byte of them leaves the process; others' may be fetched
again and commit with NORMAL (crdt-sync report 3.3).

The instance marker (decision 27) is machine id, inode and change time of the main database file. In WAL mode that file
changes only at a checkpoint, and we alone run checkpoints and record the marker right after; so a crash leaves the
marker valid, while a copy, a restore or a clone does not match it, and a new log is opened before the first write.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast, final

import apsw

from latticework.crdt import Dot, Entry, Position, read_stored_entry
from latticework.crdt.frontier import Range
from latticework.wire import ChunkId, EntryId, LogId, MalformedError, SpaceId, StoreError, decode_plain, encode
from latticework.wire import encode_plain as encode_cbor

from .params import SCHEMA_VERSION, WAL_CHECKPOINT_PAGES
from .store import DiskChange, Place, Row, StoreCorruptError

_SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE log(n INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE entry(i INTEGER PRIMARY KEY, h8 INTEGER NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL,
  hlc INTEGER NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL);
CREATE INDEX entry_h8 ON entry(h8);
CREATE INDEX entry_place ON entry(log, seq);
CREATE TABLE fork(id BLOB PRIMARY KEY, envelope BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE disk(n INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode BLOB NOT NULL, executable INTEGER NOT NULL,
  content BLOB NOT NULL, dots BLOB NOT NULL);
CREATE TABLE piece(n INTEGER NOT NULL, chunk BLOB NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL);
CREATE INDEX piece_n ON piece(n);
CREATE INDEX piece_chunk ON piece(chunk);
"""
_CORRUPT = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)


@final
class SqliteStore:
    """The database of one space at `path`."""

    def __init__(self, path: Path, space: SpaceId, fresh_nonce: bytes) -> None:
        self._path = path
        self._space = space
        self._lock = threading.RLock()
        self._uncommitted: dict[EntryId, Position] = {}
        self._log_numbers: dict[LogId, int] = {}
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = apsw.Connection(str(path))
            self._open(fresh_nonce)
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
            for identifier, envelope in self._db.execute("SELECT id, envelope FROM entry ORDER BY i"):
                yield self._checked(cast("bytes", identifier), cast("bytes", envelope))

    def position(self, entry: EntryId) -> Position | None:
        known = self._uncommitted.get(entry)
        if known is not None:
            return known
        query = "SELECT log.key, entry.seq, entry.hlc FROM entry JOIN log ON log.n=entry.log WHERE h8=? AND id=?"
        with self._lock, self._translated():
            for key, seq, hlc in self._db.execute(query, (_h8(entry), entry)):
                return Position(LogId(cast("bytes", key)), cast("int", seq), _unsigned(cast("int", hlc)))
        return None

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        query = "SELECT id FROM entry JOIN log ON log.n=entry.log WHERE key=? AND seq=?"
        with self._lock, self._translated():
            found = self._db.execute(query, (log, seq)).get
        return EntryId(found) if isinstance(found, bytes) else None

    def remember(self, entry: Entry) -> None:
        self._uncommitted[entry.id] = Position(entry.body.author, entry.body.seq, entry.body.hlc)

    def commit(self, entries: Sequence[Entry], changes: Sequence[DiskChange], *, durable: bool) -> None:
        with self._lock, self._translated():
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            try:
                with self._db:
                    self._insert(entries)
                    for change in changes:
                        self._apply(change)
            finally:
                for entry in entries:
                    self._uncommitted.pop(entry.id, None)
            self._fold_wal()

    def keep_fork(self, entry: Entry) -> None:
        with self._lock, self._translated():
            self._db.execute("INSERT OR IGNORE INTO fork VALUES(?,?)", (entry.id, encode(entry.envelope)))

    def serve(self, ranges: Sequence[Range], after: int, max_bytes: int) -> tuple[list[bytes], int | None]:
        with self._lock, self._translated():
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted(log INTEGER PRIMARY KEY, first INT, last INT)")
            self._db.execute("DELETE FROM temp.wanted")
            self._db.executemany(
                "INSERT OR REPLACE INTO temp.wanted SELECT n, ?, ? FROM log WHERE key=?",
                [(r.first, r.last, r.log) for r in ranges],
            )
            found: list[bytes] = []
            size = 0
            for index, envelope in self._db.execute(
                "SELECT i, envelope FROM entry JOIN temp.wanted w ON w.log=entry.log"
                " WHERE i>? AND seq BETWEEN w.first AND w.last ORDER BY i",
                (after,),
            ):
                found.append(cast("bytes", envelope))
                size += len(found[-1])
                if size >= max_bytes:
                    return found, cast("int", index)
            return found, None

    def rows(self) -> dict[bytes, Row]:
        with self._lock, self._translated():
            return {
                cast("bytes", row[0]): _row(row)
                for row in self._db.execute(
                    "SELECT path, kind, size, mtime, ctime, inode, executable, content, dots FROM disk"
                )
            }

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

    def _open(self, fresh_nonce: bytes) -> None:
        db = self._db
        db.set_busy_timeout(5000)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        # A checkpoint on close would change the file after its marker was recorded.
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        version = db.execute("PRAGMA user_version").get
        if version == 0:
            with db:
                db.execute(_SCHEMA)
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
        self._moved = self._meta("marker") != self._marker() or self._wal_has_lost_its_end()

    def _insert(self, entries: Sequence[Entry]) -> None:
        self._db.executemany(
            "INSERT INTO entry(h8, log, seq, hlc, id, envelope) VALUES(?,?,?,?,?,?)",
            [
                (
                    _h8(entry.id),
                    self._log_number(entry.body.author),
                    entry.body.seq,
                    _signed(entry.body.hlc),
                    entry.id,
                    encode(entry.envelope),
                )
                for entry in entries
            ],
        )

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

    def _log_number(self, log: LogId) -> int:
        number = self._log_numbers.get(log)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO log(key) VALUES(?)", (log,))
            number = cast("int", self._db.execute("SELECT n FROM log WHERE key=?", (log,)).get)
            # A rolled-back transaction would leave a wrong number behind: remember committed ones only.
            if not self._db.in_transaction:
                self._log_numbers[log] = number
        return number

    def _checked(self, identifier: bytes, envelope: bytes) -> Entry:
        try:
            entry = read_stored_entry(self._space, envelope)
        except MalformedError as error:
            raise StoreCorruptError(f"{self._path} holds a damaged entry: {error}") from error
        if entry.id != identifier:
            raise StoreCorruptError(f"{self._path} holds an entry that does not match its id")
        return entry

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
        return encode_cbor([machine, status.st_ino, status.st_ctime_ns])

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
    kind, size, mtime, ctime, inode, executable, content, dots = values[1:]
    plain = cast("list[list[object]]", decode_plain(cast("bytes", dots), 1 << 20))
    return Row(
        cast("str", kind),
        cast("int", size),
        cast("int", mtime),
        cast("int", ctime),
        int.from_bytes(cast("bytes", inode), "big"),
        bool(executable),
        cast("bytes", content),
        tuple(Dot(EntryId(cast("bytes", entry)), cast("int", index)) for entry, index in plain),
    )


def _h8(entry: EntryId) -> int:
    return int.from_bytes(entry[:8], "big", signed=True)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _unsigned(value: int) -> int:
    return value & ((1 << 64) - 1)
