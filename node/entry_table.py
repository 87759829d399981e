"""The entries of one space in its SQLite database, with the FraudProofs and the state kept for them.

Callers hold the store's lock and translate SQLite's errors. The index on (log, seq) is not unique: both sides of a fork
are stored where an honest entry depends on them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast, final

import apsw

from latticework.crdt import (
    Base,
    Conviction,
    Entry,
    Position,
    read_proof,
    signature_verifies,
)
from latticework.crdt.params import MAX_BATCH_ENTRIES
from latticework.crdt.reconcile_events import Range
from latticework.wire import EntryId, LogId, MalformedError, SpaceId

from .entry_rows import EntryRows, StoredEntry, absent_part, signed, unsigned
from .params import SERVE_SCAN_ENTRIES
from .store import Incoming, StoreCorruptError

ENTRY_SCHEMA = """
CREATE TABLE log(n INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE entry(i INTEGER PRIMARY KEY, log INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,
  lane INTEGER NOT NULL, checked INTEGER NOT NULL, id BLOB NOT NULL, prev BLOB, deps BLOB, signature BLOB NOT NULL,
  payload BLOB, absent BLOB) STRICT;
CREATE INDEX entry_id ON entry(substr(id, 1, 4));
CREATE VIEW stored AS SELECT i, key, log, seq, hlc, lane, checked, id, prev, deps, signature, payload, absent
  FROM entry LEFT JOIN log ON log.n=entry.log;
CREATE INDEX entry_place ON entry(log, seq);
CREATE INDEX entry_unchecked ON entry(i) WHERE checked=0;
CREATE TABLE proof(log BLOB PRIMARY KEY, seq INTEGER NOT NULL, proof BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE base(n INTEGER PRIMARY KEY, checkpoint BLOB NOT NULL, snapshot BLOB NOT NULL) STRICT;
"""


@final
class EntryTable:
    """Entries, proofs and base of one database."""

    def __init__(self, db: apsw.Connection, path: Path, space: SpaceId) -> None:
        self._db = db
        self._path = path
        self._space = space
        self._rows = EntryRows(db, path, space)
        self._log_numbers: dict[LogId, int] = {}

    def all(self) -> Iterator[Entry]:
        """Every entry in admission order."""
        return (stored.entry for stored in self._select("SELECT * FROM stored ORDER BY i"))

    def position(self, entry: EntryId) -> Position | None:
        """Where an entry stands."""
        query = "SELECT key, seq, hlc FROM stored WHERE substr(id, 1, 4)=? AND id=?"
        for key, seq, hlc in self._db.execute(query, (entry[:4], entry)):
            return Position(LogId(cast("bytes", key)), cast("int", seq), unsigned(cast("int", hlc)))
        return None

    def entry(self, entry: EntryId) -> Entry | None:
        """One entry."""
        return next(
            (
                stored.entry
                for stored in self._select("SELECT * FROM stored WHERE substr(id, 1, 4)=? AND id=?", entry[:4], entry)
            ),
            None,
        )

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        """The first entry with this number."""
        query = "SELECT id FROM entry JOIN log ON log.n=entry.log WHERE key=? AND seq=? ORDER BY i LIMIT 1"
        found = self._db.execute(query, (log, seq)).get
        return EntryId(found) if isinstance(found, bytes) else None

    def entries_from(self, log: LogId, seq: int, last: int) -> list[Entry]:
        """Entries of a log in a range of numbers."""
        found = self._select("SELECT * FROM stored WHERE key=? AND seq BETWEEN ? AND ? ORDER BY i", log, seq, last)
        return [stored.entry for stored in found]

    def recent(self, count: int) -> list[Entry]:
        """The last entries, newest first."""
        first = self._db.execute("SELECT min(i) FROM (SELECT i FROM entry ORDER BY i DESC LIMIT ?)", (count,)).get
        found = self._select("SELECT * FROM stored WHERE i>=? ORDER BY i", cast("int", first or 0))
        return [stored.entry for stored in found][::-1]

    def find(self, prefix: bytes) -> list[EntryId]:
        """Ids that begin with `prefix`."""
        query = "SELECT id FROM entry WHERE substr(id, 1, ?)=? LIMIT 16"
        return [EntryId(cast("bytes", found)) for (found,) in self._db.execute(query, (len(prefix), prefix))]

    def insert(self, incoming: Sequence[Incoming]) -> None:
        """Append entries."""
        logs = [self._log_number(entry.body.author) for entry, _ in incoming]
        query = (
            "INSERT INTO entry(log, seq, hlc, lane, checked, id, prev, deps, signature, payload, absent)"
            " VALUES(?,?,?,?,?,?,?,?,?,?,?)"
        )
        self._db.executemany(query, list(self._rows.parts(incoming, logs)))

    def unchecked(self, count: int) -> list[Entry]:
        """The first entries whose signature was not checked."""
        return [
            stored.entry for stored in self._select("SELECT * FROM stored WHERE checked=0 ORDER BY i LIMIT ?", count)
        ]

    def mark_checked(self, ids: Sequence[EntryId]) -> None:
        """Their signatures verify."""
        self._db.executemany(
            "UPDATE entry SET checked=1 WHERE substr(id, 1, 4)=? AND id=?", [(entry[:4], entry) for entry in ids]
        )

    def drop(self, ids: Collection[EntryId]) -> int:
        """Delete entries and all that depend on them; how many."""
        dropped = set(ids)
        for entry in self.all():
            if entry.body.prev in dropped or not dropped.isdisjoint(entry.body.deps):
                dropped.add(entry.id)
        self._db.executemany(
            "DELETE FROM entry WHERE substr(id, 1, 4)=? AND id=?", [(entry[:4], entry) for entry in dropped]
        )
        return len(dropped)

    def fill(self, entry: Entry) -> None:
        """Put a payload into an entry that lacks it."""
        query = "UPDATE entry SET payload=?, absent=NULL WHERE substr(id, 1, 4)=? AND id=?"
        self._db.execute(query, (entry.envelope.payload, entry.id[:4], entry.id))

    def erase(self, upto: Mapping[LogId, int], lanes: Collection[int]) -> int:
        """Erase payloads; how many."""
        erased = 0
        for log, seq in upto.items():
            for index, _, entry in list(
                self._select("SELECT * FROM stored WHERE key=? AND seq<=? ORDER BY i", log, seq)
            ):
                if entry.body.lane in lanes and entry.envelope.payload is not None:
                    query = "UPDATE entry SET payload=NULL, absent=? WHERE i=?"
                    self._db.execute(query, (absent_part(entry.body), index))
                    erased += 1
        return erased

    def keep_proof(self, conviction: Conviction) -> None:
        """Keep a proof, in place of one with a higher number."""
        self._db.execute(
            "INSERT INTO proof VALUES(?,?,?) ON CONFLICT(log) DO UPDATE SET seq=excluded.seq, proof=excluded.proof"
            " WHERE excluded.seq < proof.seq",
            (conviction.log, signed(conviction.seq), conviction.proof),
        )

    def proofs(self) -> list[bytes]:
        """All proofs."""
        return [cast("bytes", proof) for (proof,) in self._db.execute("SELECT proof FROM proof ORDER BY log")]

    def keep_base(self, base: Base) -> None:
        """Keep a state."""
        self._db.execute("INSERT OR REPLACE INTO base VALUES(0,?,?)", (base.checkpoint, base.snapshot))

    def base(self) -> Base | None:
        """The kept state."""
        for checkpoint, snapshot in self._db.execute("SELECT checkpoint, snapshot FROM base"):
            return Base(EntryId(cast("bytes", checkpoint)), cast("bytes", snapshot))
        return None

    def serve(self, ranges: Sequence[Range], after: int, max_bytes: int) -> tuple[list[Entry], int | None]:
        """See the port."""
        db = self._db
        db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted(log INTEGER PRIMARY KEY, first INT, last INT)")
        db.execute("DELETE FROM temp.wanted")
        db.executemany(
            "INSERT OR REPLACE INTO temp.wanted SELECT n, ?, ? FROM log WHERE key=?",
            [(r.first, r.last, r.log) for r in ranges],
        )
        found: list[Entry] = []
        size = 0
        untold: set[LogId] = set()
        rows = self._select(
            "SELECT stored.* FROM stored JOIN temp.wanted w ON w.log=stored.log"
            " WHERE i>? AND i<=? AND seq BETWEEN w.first AND w.last ORDER BY i",
            after,
            after + SERVE_SCAN_ENTRIES,
        )
        for index, checked, entry in rows:
            if not checked or entry.body.author in untold:
                untold.add(entry.body.author)
                continue
            found.append(entry)
            size += _size(entry)
            if size >= max_bytes or len(found) == MAX_BATCH_ENTRIES:
                return found, index
        last = db.execute("SELECT max(i) FROM entry").get
        more = isinstance(last, int) and last > after + SERVE_SCAN_ENTRIES
        return found, after + SERVE_SCAN_ENTRIES if more else None

    def serve_ids(self, ids: Sequence[EntryId], forks: Mapping[LogId, int], max_bytes: int) -> list[Entry]:
        """See the port."""
        found: dict[EntryId, Entry] = {}
        size = 0
        for identifier in ids:
            # A branch may be long and its payloads large: only ids are kept of it on the way down.
            branch: list[EntryId] = []
            entry = self.entry(identifier)
            while entry is not None and entry.id not in found:
                branch.append(entry.id)
                fork = forks.get(entry.body.author)
                prev = entry.body.prev
                entry = None if prev is None or fork is None or entry.body.seq <= fork else self.entry(prev)
            for name in reversed(branch):
                entry = self.entry(name)
                assert entry is not None
                size += _size(entry)
                if size > max_bytes or len(found) == MAX_BATCH_ENTRIES:
                    return list(found.values())
                found[name] = entry
        return list(found.values())

    def problems(self) -> Iterator[str]:
        """Read and verify everything that needs no key."""
        for (message,) in self._db.execute("PRAGMA integrity_check"):
            if message != "ok":
                yield f"database: {message}"
        known: dict[EntryId, tuple[bytes, int]] = {}
        for columns in self._db.execute("SELECT * FROM stored ORDER BY i"):
            name = f"entry {cast('int', columns[0])} in order of admission"
            try:
                (entry,) = (stored.entry for stored in self._rows.read([columns]))
            except StoreCorruptError as error:
                yield f"{name}: {error}"
                continue
            body = entry.body
            if not signature_verifies(entry):
                yield f"{name}: its signature does not verify"
            if body.prev is not None and known.get(body.prev) != (body.author, body.seq - 1):
                yield f"{name}: its predecessor is not stored before it"
            if any(dep not in known for dep in body.deps):
                yield f"{name}: something it depends on is not stored before it"
            known[entry.id] = (body.author, body.seq)
        for log, seq, proof in self._db.execute("SELECT log, seq, proof FROM proof"):
            try:
                conviction = read_proof(self._space, cast("bytes", proof))
            except MalformedError as error:
                yield f"proof: {error}"
                continue
            if (conviction.log, conviction.seq) != (log, unsigned(cast("int", seq))):
                yield "proof: it is kept for another log or number"

    def _select(self, query: str, *values: bytes | int) -> Iterator[StoredEntry]:
        return self._rows.read(self._db.execute(query, values))

    def _log_number(self, log: LogId) -> int:
        number = self._log_numbers.get(log)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO log(key) VALUES(?)", (log,))
            number = cast("int", self._db.execute("SELECT n FROM log WHERE key=?", (log,)).get)
            # A rolled-back transaction would leave a wrong number behind: remember committed ones only.
            if not self._db.in_transaction:
                self._log_numbers[log] = number
        return number


def _size(entry: Entry) -> int:
    """About what an entry takes in a batch."""
    return len(entry.envelope.body) + len(entry.envelope.payload or b"") + 256
