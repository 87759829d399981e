"""Snapshots: the entries that documents are made of, written down in one order.

Nothing of what is shown is in a snapshot, because all of it follows. Ids are 32 random bytes each, so every entry is
named once, and others are named by their place.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from latticework.wire import (
    Array,
    Bool,
    Bytes,
    Const,
    EntryId,
    LogId,
    MalformedError,
    Nested,
    UInt,
    decode,
    encode,
    record,
)

from .doc_ops import DocOperations
from .operations import Applied
from .params import MAX_ENTRY_REFERENCES, MAX_PAYLOAD_BYTES, MAX_SNAPSHOT_BYTES, MAX_SNAPSHOT_ITEMS


@record("snapshot-past")
@dataclass(frozen=True, slots=True)
class SnapshotPast:
    """The causal past of an entry reaches number `seq` in the log at place `log` of the snapshot."""

    log: Annotated[int, UInt(MAX_SNAPSHOT_ITEMS)]
    seq: Annotated[int, UInt()]


@record("snapshot-entry")
@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One entry. Without `whole`, what `past` leaves out is as in the entry of the same log before it.

    `entries` are the ones it names, by their places in the snapshot; `content` is its payload without them.
    """

    id: Annotated[EntryId, Bytes(32)]
    hlc: Annotated[int, UInt()]
    log: Annotated[int, UInt(MAX_SNAPSHOT_ITEMS)]
    seq: Annotated[int, UInt()]
    whole: Annotated[bool, Bool()]
    past: Annotated[tuple[SnapshotPast, ...], Array(Nested(SnapshotPast), MAX_SNAPSHOT_ITEMS)]
    entries: Annotated[tuple[int, ...], Array(UInt(2 * MAX_SNAPSHOT_ITEMS), MAX_ENTRY_REFERENCES)]
    content: Annotated[bytes, Bytes(maximum=MAX_PAYLOAD_BYTES)]


@record("documents-snapshot")
@dataclass(frozen=True, slots=True)
class DocumentsSnapshot:
    """Entries in order of clock and id; the logs they name, the entries they name that are not among them, and the
    void entries, each in order. The places of `strangers` follow those of `entries`.
    """

    version: Annotated[int, Const(1)]
    logs: Annotated[tuple[LogId, ...], Array(Bytes(32), MAX_SNAPSHOT_ITEMS)]
    entries: Annotated[tuple[SnapshotEntry, ...], Array(Nested(SnapshotEntry), MAX_SNAPSHOT_ITEMS)]
    strangers: Annotated[tuple[EntryId, ...], Array(Bytes(32), MAX_SNAPSHOT_ITEMS)]
    void: Annotated[tuple[EntryId, ...], Array(Bytes(32), MAX_SNAPSHOT_ITEMS)]


def write_snapshot(applied: Iterable[Applied], void: Iterable[EntryId]) -> bytes:
    """The canonical snapshot of these entries."""
    entries = sorted(applied, key=lambda entry: (entry.hlc, entry.id))
    logs = sorted({log for entry in entries for log in (entry.log, *entry.past)})
    known = {entry.id for entry in entries}
    strangers = sorted({name for entry in entries for name in entry.content.entries} - known)
    log_places = {log: at for at, log in enumerate(logs)}
    places = {name: at for at, name in enumerate([*(entry.id for entry in entries), *strangers])}
    before: dict[LogId, Mapping[LogId, int]] = {}
    rows: list[SnapshotEntry] = []
    for entry in entries:
        old, new = before.get(entry.log, {}), entry.past
        before[entry.log] = new
        whole = not old.keys() <= new.keys()
        past = sorted((log_places[log], seq) for log, seq in new.items() if whole or old.get(log) != seq)
        rows.append(
            SnapshotEntry(
                entry.id,
                entry.hlc,
                log_places[entry.log],
                entry.seq,
                whole,
                tuple([SnapshotPast(log, seq) for log, seq in past]),
                tuple([places[name] for name in entry.content.entries]),
                encode(replace(entry.content, entries=())),
            )
        )
    return encode(DocumentsSnapshot(1, tuple(logs), tuple(rows), tuple(strangers), tuple(sorted(void))))


def read_snapshot(snapshot: bytes) -> tuple[Iterator[Applied], set[EntryId]]:
    """The entries of a snapshot, not applied to anything yet, and the void ones.

    Raises:
        MalformedError: it is no snapshot; also while the entries are read.
    """
    stored = decode(DocumentsSnapshot, snapshot, MAX_SNAPSHOT_BYTES)
    return _entries(stored), set(stored.void)


def _entries(stored: DocumentsSnapshot) -> Iterator[Applied]:
    names = [*(row.id for row in stored.entries), *stored.strangers]
    before: dict[int, dict[LogId, int]] = {}
    for row in stored.entries:
        content = decode(DocOperations, row.content, MAX_PAYLOAD_BYTES)
        try:
            past = {stored.logs[item.log]: item.seq for item in row.past}
            log = stored.logs[row.log]
            content = replace(content, entries=tuple([names[at] for at in row.entries]))
        except IndexError:
            raise MalformedError("the snapshot names something that it does not hold") from None
        if not row.whole:
            past = before.get(row.log, {}) | past
        before[row.log] = past
        yield Applied(row.id, row.hlc, log, row.seq, past, content, void=False)
