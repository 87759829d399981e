"""The messages of `/lattice/sync/1` and `/lattice/chunks/1`, both inside a pqx connection only (decision 16)."""

from dataclasses import dataclass
from typing import Annotated

from latticework.crdt.params import MAX_CERTIFICATE_BYTES, MAX_ROSTER_RECORDS, MAX_SNAPSHOT_BYTES
from latticework.crdt.reconcile_messages import MESSAGES, Message
from latticework.wire import Array, Bytes, ChunkId, EntryId, Nullable, OneOf, SpaceId, Text, UInt, record

from .params import BASE_PART_BYTES, MAX_CHUNK_REQUEST

SYNC_PROTOCOL = "/lattice/sync/1"
CHUNKS_PROTOCOL = "/lattice/chunks/1"
PAIR_PROTOCOL = "/lattice/pair/1"

NO_CHUNK = 0xFFFF_FFFF
"""In place of a chunk's 4-byte length: it is not here."""


@record("roster-root", tag=22)
@dataclass(frozen=True, slots=True)
class RosterRoot:
    """`Roster.root` of the sender: equal roots need no further word."""

    root: Annotated[bytes, Bytes(32)]


@record("roster-hashes", tag=16)
@dataclass(frozen=True, slots=True)
class RosterHashes:
    """Hashes of every certificate that the sender holds."""

    hashes: Annotated[tuple[bytes, ...], Array(Bytes(32), MAX_ROSTER_RECORDS)]


@record("roster-records", tag=17)
@dataclass(frozen=True, slots=True)
class RosterRecords:
    """Signed certificates that the receiver lacks, in an order in which they build on each other."""

    records: Annotated[tuple[bytes, ...], Array(Bytes(maximum=MAX_CERTIFICATE_BYTES), 256)]


@record("space-offer", tag=18)
@dataclass(frozen=True, slots=True)
class SpaceOffer:
    """A space of the account, with its epoch secret: the channel ends in a device of the same account."""

    genesis: Annotated[bytes, Bytes(maximum=256)]
    name: Annotated[str, Text(255)]
    epoch_secret: Annotated[bytes, Bytes(32)]

    def __repr__(self) -> str:
        return f"SpaceOffer({self.name!r})"


@record("about-space", tag=19)
@dataclass(frozen=True, slots=True)
class AboutSpace:
    """A message of the reconciliation of one space."""

    space: Annotated[SpaceId, Bytes(32)]
    message: Annotated[Message, OneOf(MESSAGES)]


@record("base-request", tag=20)
@dataclass(frozen=True, slots=True)
class BaseRequest:
    """Send the state kept below a checkpoint from `offset` on; the newest that is kept if none is named."""

    space: Annotated[SpaceId, Bytes(32)]
    checkpoint: Annotated[EntryId | None, Nullable(Bytes(32))]
    offset: Annotated[int, UInt(MAX_SNAPSHOT_BYTES)]


@record("base-part", tag=21)
@dataclass(frozen=True, slots=True)
class BasePart:
    """A part of the snapshot below `checkpoint`, which is an entry; null if there is none to send.

    Its hash is checked when the last part is here: against the state root that the checkpoint signs.
    """

    space: Annotated[SpaceId, Bytes(32)]
    checkpoint: Annotated[EntryId | None, Nullable(Bytes(32))]
    total: Annotated[int, UInt(MAX_SNAPSHOT_BYTES)]
    offset: Annotated[int, UInt(MAX_SNAPSHOT_BYTES)]
    data: Annotated[bytes, Bytes(maximum=BASE_PART_BYTES)]


type SyncMessage = RosterRoot | RosterHashes | RosterRecords | SpaceOffer | AboutSpace | BaseRequest | BasePart
SYNC_MESSAGES: tuple[type[SyncMessage], ...] = (
    RosterRoot,
    RosterHashes,
    RosterRecords,
    SpaceOffer,
    AboutSpace,
    BaseRequest,
    BasePart,
)


@record("chunk-request")
@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """Chunks of one space. The answer gives each in order: 4-byte big-endian length, then the sealed bytes."""

    space: Annotated[SpaceId, Bytes(32)]
    chunks: Annotated[tuple[ChunkId, ...], Array(Bytes(32), MAX_CHUNK_REQUEST)]
