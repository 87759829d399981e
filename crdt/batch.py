"""Batches: many entries in fewer bytes, and bulk ingest by head signatures (crdt-sync report 3.1, 3.2).

An author stands once in a table. An entry that follows the one before it in its log says neither number nor
predecessor: the reader computes the predecessor's id, so the chain is checked by being rebuilt. Length and hash of a
payload that is there are computed too.

In *chain mode* only the last entry of a run has its signature checked: it covers its predecessor's id, and so the whole
run. The other signatures are kept with the entries and checked before they are shown to anybody else.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, cast

from latticework.wire import (
    Array,
    Bytes,
    Const,
    EntryId,
    Label,
    LogId,
    MalformedError,
    Nested,
    Nullable,
    Plain,
    SpaceId,
    UInt,
    decode_plain,
    encode,
    from_plain,
    record,
)

from .entry import Body, Entry, Envelope, body_bytes, check_body, signature_verifies
from .params import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_DEPS, MAX_PAYLOAD_BYTES, MIN_CHAIN_RUN

_LAST_SEQ = (1 << 64) - 1


@record("batch-place")
@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands whose predecessor is not in the batch before it."""

    seq: Annotated[int, UInt()]
    prev: Annotated[EntryId | None, Nullable(Bytes(32))]


@record("batch-missing")
@dataclass(frozen=True, slots=True)
class Missing:
    """Length and SHA-256 of a payload that is not sent."""

    length: Annotated[int, UInt(MAX_PAYLOAD_BYTES)]
    hash: Annotated[bytes, Bytes(32)]


@record("batch-item")
@dataclass(frozen=True, slots=True)
class Item:
    """One entry; `author` is an index into the table, `place` None for the next one of its log."""

    author: Annotated[int, UInt(MAX_BATCH_ENTRIES)]
    place: Annotated[Place | None, Nullable(Nested(Place))]
    deps: Annotated[tuple[EntryId, ...], Array(Bytes(32), MAX_DEPS)]
    hlc: Annotated[int, UInt()]
    lane: Annotated[int, UInt(0xFFFF)]
    signature: Annotated[bytes, Bytes(64)]
    payload: Annotated[bytes | None, Nullable(Bytes(maximum=MAX_PAYLOAD_BYTES))]
    missing: Annotated[Missing | None, Nullable(Nested(Missing))]


@record("batch")
@dataclass(frozen=True, slots=True)
class Batch:
    """Entries in causal order."""

    version: Annotated[int, Const(1)]
    authors: Annotated[tuple[LogId, ...], Array(Bytes(32), MAX_BATCH_ENTRIES)]
    items: Annotated[tuple[Item, ...], Array(Nested(Item), MAX_BATCH_ENTRIES)]


class Run(NamedTuple):
    """Entries of a batch, and those whose own signature was not checked."""

    entries: list[Entry]
    unchecked: frozenset[EntryId]


def write_batch(entries: Sequence[Entry], *, payloads: bool = True) -> bytes:
    """Encode entries that stand in causal order; without `payloads`, their headers alone."""
    authors: dict[LogId, int] = {}
    last: dict[LogId, EntryId] = {}
    items: list[Item] = []
    for entry in entries:
        body, envelope = entry.body, entry.envelope
        follows = body.prev is not None and last.get(body.author) == body.prev
        payload = envelope.payload if payloads else None
        items.append(
            Item(
                authors.setdefault(body.author, len(authors)),
                None if follows else Place(body.seq, body.prev),
                body.deps,
                body.hlc,
                body.lane,
                envelope.signature,
                payload,
                Missing(body.payload_length, body.payload_hash) if payload is None else None,
            )
        )
        last[body.author] = entry.id
    return encode(Batch(1, tuple(authors), tuple(items)))


def read_batch(space: SpaceId, data: bytes, *, chain: bool = False) -> Run:
    """Parse and check everything that needs no entry from outside the batch.

    With `chain`, runs of `MIN_CHAIN_RUN` entries or more are checked by their last signature alone.

    Raises:
        MalformedError: an encoding, a payload or a signature is wrong; nothing of the batch may be used.
    """
    entries = _rebuild(space, data)
    unchecked = _covered_by_their_heads(entries) if chain else frozenset[EntryId]()
    for entry in entries:
        if entry.id not in unchecked and not signature_verifies(entry):
            raise MalformedError("the signature does not verify")
    return Run(entries, unchecked)


def _rebuild(space: SpaceId, data: bytes) -> list[Entry]:
    # The items are read by hand, in half the time that the generic records take; a test compares the two.
    plain = decode_plain(data, MAX_BATCH_BYTES)
    if type(plain) is not list or len(plain) != 3 or type(plain[2]) is not list:
        raise MalformedError("batch: expected an array of 3 items")
    authors = from_plain(Batch, [*plain[:2], []]).authors
    if len(set(authors)) != len(authors):
        raise MalformedError("an author stands in the table twice")
    if len(plain[2]) > MAX_BATCH_ENTRIES:
        raise MalformedError(f"batch: expected at most {MAX_BATCH_ENTRIES} entries")
    last: list[Entry | None] = [None] * len(authors)
    entries: list[Entry] = []
    prefix = Label.ENTRY.value + space
    for item in plain[2]:
        if not isinstance(item, list) or len(item) != 8:
            raise MalformedError("an entry has eight fields")
        number = item[0]
        if type(number) is not int or not 0 <= number < len(authors):
            raise MalformedError("an entry has an author that is not in the table")
        entry = _entry(prefix, authors[number], item, last[number])
        entries.append(entry)
        last[number] = entry
    return entries


def _entry(prefix: bytes, author: LogId, item: Sequence[Plain], before: Entry | None) -> Entry:
    _, place, deps, hlc, lane, signature, payload, missing = item
    if place is not None:
        seq, prev = _place(place)
    elif before is not None and before.body.seq < _LAST_SEQ:
        seq, prev = before.body.seq + 1, before.id
    else:
        raise MalformedError("the first entry of an author has no place, or a last one has a follower")
    if type(deps) is not list or len(deps) > MAX_DEPS or any(type(dep) is not bytes or len(dep) != 32 for dep in deps):
        raise MalformedError("the dependencies of an entry are no ids")
    if type(hlc) is not int or hlc < 0 or type(lane) is not int or not 0 <= lane <= 0xFFFF:
        raise MalformedError("an entry has a clock or a lane that cannot be")
    if type(signature) is not bytes or len(signature) != 64:
        raise MalformedError("an entry has no signature")
    if type(payload) is bytes and missing is None and len(payload) <= MAX_PAYLOAD_BYTES:
        length, digest = len(payload), hashlib.sha256(payload).digest()
    elif payload is None and missing is not None:
        absent = from_plain(Missing, missing)
        length, digest = absent.length, absent.hash
    else:
        raise MalformedError("an entry needs its payload, or the payload's length and hash")
    names = tuple(cast("list[EntryId]", deps))
    body = Body(1, author, seq, prev, names, hlc, lane, length, digest)
    if names:
        check_body(body)
    elif (prev is None) != (seq == 0):
        raise MalformedError("only the first entry of a log has no predecessor")
    data = body_bytes(body)
    identifier = EntryId(hashlib.sha256(prefix + data).digest())
    return Entry(identifier, body, Envelope(data, signature, payload))


def _place(plain: Plain) -> tuple[int, EntryId | None]:
    place = from_plain(Place, plain)
    return place.seq, place.prev


def _covered_by_their_heads(entries: Sequence[Entry]) -> frozenset[EntryId]:
    """Entries that a later one of the batch names as its predecessor, in runs that are long enough."""
    runs: dict[LogId, list[EntryId]] = {}
    covered: set[EntryId] = set()

    def close(run: list[EntryId]) -> None:
        if len(run) >= MIN_CHAIN_RUN:
            covered.update(run[:-1])

    for entry in entries:
        run = runs.setdefault(entry.body.author, [])
        if run and run[-1] != entry.body.prev:
            close(run)
            run.clear()
        run.append(entry.id)
    for run in runs.values():
        close(run)
    return frozenset(covered)
