"""An entry as a row: in parts, without what the rest of the database tells.

The author is the log's key, a payload that is there gives its own length and hash, and `prev` is null where the
predecessor is the newest entry before this row under the number before its own. An id covers all of it but signature
and payload, and the payload by its hash: what does not give the id when it is put together again is damaged.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast, final

import apsw

from latticework.crdt import Body, Entry, rebuild_entry
from latticework.wire import EntryId, LogId, SpaceId

from .store import Incoming, StoreCorruptError

_ID_BYTES: Final = 32
_LENGTH_BYTES: Final = 4

type Parts = tuple[int, int, int, int, bool, bytes, bytes | None, bytes | None, bytes, bytes | None, bytes | None]


class _Row(NamedTuple):
    """The columns of the view `stored`; `key` is null for a log that the table of logs lacks."""

    i: int
    key: bytes
    log: int
    seq: int
    hlc: int
    lane: int
    checked: int
    id: bytes
    prev: bytes | None
    deps: bytes | None
    signature: bytes
    payload: bytes | None
    absent: bytes | None


class StoredEntry(NamedTuple):
    """An entry with its place in admission order; `checked` is False while only a later signature vouches for it."""

    i: int
    checked: bool
    entry: Entry


@final
class EntryRows:
    """Takes entries of one space apart and puts them together."""

    def __init__(self, db: apsw.Connection, path: Path, space: SpaceId) -> None:
        self._db = db
        self._path = path
        self._space = space

    def read(self, rows: Iterable[Sequence[object]]) -> Iterator[StoredEntry]:
        """Entries of rows in rising order of `i`; quickest where a predecessor is the row of its log read before.

        Raises:
            StoreCorruptError: a row does not give its id.
        """
        last: dict[int, EntryId] = {}
        for columns in rows:
            if len(columns) != len(_Row._fields):
                raise StoreCorruptError(f"{self._path} has lost a column of its entries")
            row = _Row(*cast("_Row", columns))
            known = row.prev or last.get(row.log)
            entry = None if known is None else self._rebuild(row, known)
            if entry is None or entry.id != row.id:
                # The first one of its log, or what was read skips its predecessor.
                entry = self._rebuild(row, row.prev or self.newest_at(row.log, row.seq - 1, row.i))
            if entry.id != row.id:
                raise StoreCorruptError(f"{self._path} holds an entry that does not match its id")
            last[row.log] = entry.id
            yield StoredEntry(row.i, bool(row.checked), entry)

    def parts(self, incoming: Sequence[Incoming], logs: Sequence[int]) -> Iterator[Parts]:
        """The parts of entries that are inserted next, in this order; `logs` are the numbers of their logs."""
        placed: dict[tuple[int, int], EntryId] = {}
        for (entry, checked), log in zip(incoming, logs, strict=True):
            body, envelope = entry.body, entry.envelope
            prev = body.prev
            if prev is not None and prev == (placed.get((log, body.seq - 1)) or self.newest_at(log, body.seq - 1)):
                prev = None
            placed[log, body.seq] = entry.id
            deps = b"".join(body.deps) or None
            absent = absent_part(body) if envelope.payload is None else None
            numbers = (log, body.seq, signed(body.hlc), body.lane, checked)
            yield (*numbers, entry.id, prev, deps, envelope.signature, envelope.payload, absent)

    def newest_at(self, log: int, seq: int, before: int = 1 << 62) -> EntryId | None:
        """The newest entry of a log under a number, before the row `before`."""
        query = "SELECT id FROM entry WHERE log=? AND seq=? AND i<? ORDER BY i DESC LIMIT 1"
        found = self._db.execute(query, (log, seq, before)).get
        return EntryId(found) if isinstance(found, bytes) else None

    def _rebuild(self, row: _Row, before: bytes | None) -> Entry:
        deps = row.deps or b""
        if row.payload is not None:
            length, digest = len(row.payload), hashlib.sha256(row.payload).digest()
        else:
            absent = row.absent or b""
            length, digest = int.from_bytes(absent[:_LENGTH_BYTES]), absent[_LENGTH_BYTES:]
        names = tuple(EntryId(deps[at : at + _ID_BYTES]) for at in range(0, len(deps), _ID_BYTES))
        body = Body(
            1,
            LogId(row.key),
            row.seq,
            None if before is None else EntryId(before),
            names,
            unsigned(row.hlc),
            row.lane,
            length,
            digest,
        )
        try:
            return rebuild_entry(self._space, body, row.signature, row.payload)
        except (TypeError, ValueError, OverflowError) as error:
            raise StoreCorruptError(f"{self._path} holds a damaged entry: {error}") from error


def absent_part(body: Body) -> bytes:
    """Length and hash of a payload that is not there: 36 bytes."""
    return body.payload_length.to_bytes(_LENGTH_BYTES) + body.payload_hash


def signed(value: int) -> int:
    """A number below 2^64 as SQLite keeps it."""
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned(value: int) -> int:
    """The number that `signed` was given."""
    return value & ((1 << 64) - 1)
