"""Entries: signed items of a device's log in a space (crdt-sync report 3.1; hashes by decision 2).

The signature covers the body, and the body names the payload by length and hash. So a payload can be erased or withheld
while header, signature and chain still verify, and a relay checks everything without any key. The space is bound by the
id and not sent. `seq` shows gaps at once, `prev` makes the chain, `deps` the graph, `hlc` the order.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, final

from latticework.wire import (
    Array,
    Bytes,
    Const,
    EntryId,
    Label,
    LogId,
    MalformedError,
    Nullable,
    SpaceId,
    UInt,
    decode,
    encode,
    record,
    verify_ed25519,
)
from latticework.wire.signing import Ed25519Signer

from .params import MAX_BODY_BYTES, MAX_DEPS, MAX_ENTRY_BYTES, MAX_PAYLOAD_BYTES

LANE_LOG = 0
"""Operations about the log itself: its opening."""
LANE_FILES = 1
"""File-tree operations, version 1."""
LANE_CHECKPOINT = 2
"""Checkpoints, version 1."""
LANE_DOCUMENTS = 3
"""Document operations, version 1."""
LANE_MERGE = 4
"""No operation: an entry that only depends on what its author has seen."""
STATE_LANES = frozenset({LANE_FILES, LANE_DOCUMENTS})
"""Lanes whose payloads make up the state."""


@record("entry-body")
@dataclass(frozen=True, slots=True)
class Body:
    """The signed part of an entry."""

    version: Annotated[int, Const(1)]
    author: Annotated[LogId, Bytes(32)]
    seq: Annotated[int, UInt()]
    prev: Annotated[EntryId | None, Nullable(Bytes(32))]
    deps: Annotated[tuple[EntryId, ...], Array(Bytes(32), MAX_DEPS)]
    hlc: Annotated[int, UInt()]
    lane: Annotated[int, UInt(0xFFFF)]
    payload_length: Annotated[int, UInt(MAX_PAYLOAD_BYTES)]
    payload_hash: Annotated[bytes, Bytes(32)]


@record("entry")
@dataclass(frozen=True, slots=True)
class Envelope:
    """An entry on the wire and on disk: exact body bytes, Ed25519 signature of the id, payload unless erased."""

    body: Annotated[bytes, Bytes(maximum=MAX_BODY_BYTES)]
    signature: Annotated[bytes, Bytes(64)]
    payload: Annotated[bytes | None, Nullable(Bytes(maximum=MAX_PAYLOAD_BYTES))]


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """A parsed entry with its id."""

    id: EntryId
    body: Body
    envelope: Envelope

    def without_payload(self) -> "Entry":
        """The same entry, its payload erased."""
        return Entry(self.id, self.body, Envelope(self.envelope.body, self.envelope.signature, None))


def entry_id(space: SpaceId, body: bytes) -> EntryId:
    """SHA-256 over label, space and the exact body bytes."""
    return EntryId(hashlib.sha256(Label.ENTRY.value + space + body).digest())


def read_entry(space: SpaceId, data: bytes) -> Entry:
    """Parse and check everything that needs no other entry: encoding, payload, signature.

    Raises:
        MalformedError: any of these fails.
    """
    entry = read_stored_entry(space, data)
    check_body(entry.body)
    payload = entry.envelope.payload
    if payload is not None and len(payload) != entry.body.payload_length:
        raise MalformedError("the payload has another length than the body says")
    if not signature_verifies(entry):
        raise MalformedError("the signature does not verify")
    return entry


def check_body(body: Body) -> None:
    """What must hold of a body by itself; raises MalformedError."""
    if list(body.deps) != sorted(set(body.deps)):
        raise MalformedError("dependencies are not sorted and distinct")
    if (body.prev is None) != (body.seq == 0):
        raise MalformedError("only the first entry of a log has no predecessor")


def signature_verifies(entry: Entry) -> bool:
    """True if the entry's author signed its id."""
    return verify_ed25519(entry.body.author, Label.ENTRY_SIGNATURE.value + entry.id, entry.envelope.signature)


def read_stored_entry(space: SpaceId, data: bytes) -> Entry:
    """Parse an entry whose signature was checked before it was stored; raises MalformedError."""
    envelope = decode(Envelope, data, MAX_ENTRY_BYTES)
    body = decode(Body, envelope.body, MAX_BODY_BYTES)
    if envelope.payload is not None and hashlib.sha256(envelope.payload).digest() != body.payload_hash:
        raise MalformedError("the payload has another hash than the body says")
    return Entry(entry_id(space, envelope.body), body, envelope)


def rebuild_entry(space: SpaceId, body: Body, signature: bytes, payload: bytes | None) -> Entry:
    """The entry of these parts, as a store keeps them; its id tells whether they are the right ones."""
    data = body_bytes(body)
    return Entry(entry_id(space, data), body, Envelope(data, signature, payload))


def body_bytes(body: Body) -> bytes:
    """`encode(body)`, three times as fast; a test compares the two."""
    prev = b"\xf6" if body.prev is None else b"\x58\x20" + body.prev
    deps = b"\x80" if not body.deps else bytes([0x80 + len(body.deps)]) + b"".join([b"\x58\x20" + d for d in body.deps])
    numbers = _uint(body.hlc) + _uint(body.lane) + _uint(body.payload_length)
    return b"".join(
        (b"\x89\x01\x58\x20", body.author, _uint(body.seq), prev, deps, numbers, b"\x58\x20", body.payload_hash)
    )


def _uint(value: int) -> bytes:
    """RFC 8949, section 3.1, major type 0 in its shortest form."""
    if value < 24:
        return bytes((value,))
    if value < 0x100:
        return bytes((0x18, value))
    if value < 0x1_0000:
        return b"\x19" + value.to_bytes(2)
    if value < 0x1_0000_0000:
        return b"\x1a" + value.to_bytes(4)
    return b"\x1b" + value.to_bytes(8)


def write_entry(
    space: SpaceId,
    signer: Ed25519Signer,
    *,
    seq: int,
    prev: EntryId | None,
    deps: tuple[EntryId, ...],
    hlc: int,
    lane: int,
    payload: bytes,
) -> Entry:
    """Sign a new entry of the log whose key `signer` holds."""
    body = Body(
        version=1,
        author=LogId(signer.public),
        seq=seq,
        prev=prev,
        deps=tuple(sorted(set(deps))),
        hlc=hlc,
        lane=lane,
        payload_length=len(payload),
        payload_hash=hashlib.sha256(payload).digest(),
    )
    body_bytes = encode(body)
    identifier = entry_id(space, body_bytes)
    signature = signer.sign_raw(Label.ENTRY_SIGNATURE.value + identifier)
    return Entry(identifier, body, Envelope(body_bytes, signature, payload))
