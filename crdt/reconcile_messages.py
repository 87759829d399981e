"""The messages of frontier reconciliation, `/lattice/sync/1` inside one space.

A log is named by 6 bytes and a head by another 6: BLAKE3 under the connection's key, to which both sides contribute 16
bytes of salt. So short names cannot be made to meet. Every length is bounded here; what the bounds cannot say (columns
of equal length, ascending bounds) `Reconciler` checks, and closes.
"""

from dataclasses import dataclass
from typing import Annotated

from latticework.wire import Array, Bytes, EntryId, Nested, Nullable, UInt, record

from .params import (
    FINGERPRINT_BYTES,
    MAX_BATCH_BYTES,
    MAX_SEQ,
    SYNC_CHECK_BYTES,
    SYNC_MAX_HEADS,
    SYNC_MAX_KEYS,
    SYNC_MAX_PROOF_BYTES,
    SYNC_MAX_PROOFS,
    SYNC_MAX_RANGES,
    SYNC_MAX_STEPS,
    SYNC_MAX_WANT,
    SYNC_MAX_WANT_IDS,
    SYNC_NAME_BYTES,
    SYNC_PROBES,
    SYNC_PROOFS_PER_MESSAGE,
    SYNC_SALT_BYTES,
)


@record("sync-root", tag=1)
@dataclass(frozen=True, slots=True)
class Root:
    """The heartbeat: SHA-256 over all heads and proofs, and the files that are not on the sender's disk yet.

    `salt` is the sender's part of the connection's key; it comes with the first message and again when the other side
    turns out to have begun later.
    """

    root: Annotated[bytes, Bytes(32)]
    pending: Annotated[int, UInt()]
    salt: Annotated[bytes | None, Nullable(Bytes(SYNC_SALT_BYTES))]


@record("sync-heads")
@dataclass(frozen=True, slots=True)
class Heads:
    """Heads as columns: names of 6 bytes, numbers, checks of 6 bytes."""

    names: Annotated[bytes, Bytes(maximum=SYNC_MAX_HEADS * SYNC_NAME_BYTES)]
    seqs: Annotated[tuple[int, ...], Array(UInt(MAX_SEQ), SYNC_MAX_HEADS)]
    checks: Annotated[bytes, Bytes(maximum=SYNC_MAX_HEADS * SYNC_CHECK_BYTES)]


@record("sync-range")
@dataclass(frozen=True, slots=True)
class HeadRange:
    """Heads that neither side has named in this round, from the bound before to below `upper` (empty: infinity).

    `told` is a fingerprint of 16 bytes; or empty: the sender has no further ones there; or null: both agree.
    Bounds are prefixes of 8 bytes of 2^64 - 1 - clock and the name, so the newest come first.
    """

    upper: Annotated[bytes, Bytes(maximum=8 + SYNC_NAME_BYTES)]
    told: Annotated[bytes | None, Nullable(Bytes(maximum=FINGERPRINT_BYTES))]


@record("sync-compare", tag=2)
@dataclass(frozen=True, slots=True)
class Compare:
    """One step of a round: heads by name, and the ranges of all others. `proofs` fingerprints the set of proofs."""

    round: Annotated[int, UInt(1 << 32)]
    step: Annotated[int, UInt(SYNC_MAX_STEPS)]
    proofs: Annotated[bytes | None, Nullable(Bytes(FINGERPRINT_BYTES))]
    heads: Annotated[Heads, Nested(Heads)]
    ranges: Annotated[tuple[HeadRange, ...], Array(Nested(HeadRange), SYNC_MAX_RANGES)]


@record("sync-want-range")
@dataclass(frozen=True, slots=True)
class WantRange:
    """Entries `first` to `last` of the log with this name.

    `after` is the check of the asker's head before `first`, or null if it has none: a sender whose chain is another one
    sends nothing of it.
    """

    log: Annotated[bytes, Bytes(SYNC_NAME_BYTES)]
    first: Annotated[int, UInt(MAX_SEQ)]
    last: Annotated[int, UInt(MAX_SEQ)]
    after: Annotated[bytes | None, Nullable(Bytes(SYNC_CHECK_BYTES))]


@record("sync-want", tag=3)
@dataclass(frozen=True, slots=True)
class Want:
    """Asks for these ranges."""

    ranges: Annotated[tuple[WantRange, ...], Array(Nested(WantRange), SYNC_MAX_WANT)]


@record("sync-want-ids", tag=4)
@dataclass(frozen=True, slots=True)
class WantIds:
    """Asks for these entries, on whatever branch they are."""

    ids: Annotated[tuple[EntryId, ...], Array(Bytes(32), SYNC_MAX_WANT_IDS)]


@record("sync-entries", tag=5)
@dataclass(frozen=True, slots=True)
class Entries:
    """Entries in causal order, encoded as a batch (empty: none); `last` ends the answer to one request."""

    batch: Annotated[bytes, Bytes(maximum=MAX_BATCH_BYTES)]
    last: Annotated[int, UInt(1)]


@record("sync-probe", tag=6)
@dataclass(frozen=True, slots=True)
class Probe:
    """Asks which entries of a log have these numbers."""

    log: Annotated[bytes, Bytes(SYNC_NAME_BYTES)]
    seqs: Annotated[tuple[int, ...], Array(UInt(MAX_SEQ), SYNC_PROBES)]


@record("sync-hashes", tag=7)
@dataclass(frozen=True, slots=True)
class Hashes:
    """The answer to a probe: an id for each number, or null."""

    log: Annotated[bytes, Bytes(SYNC_NAME_BYTES)]
    ids: Annotated[tuple[EntryId | None, ...], Array(Nullable(Bytes(32)), SYNC_PROBES)]


@record("sync-proof-hashes", tag=8)
@dataclass(frozen=True, slots=True)
class ProofHashes:
    """Proofs that the sender holds, by hash."""

    hashes: Annotated[tuple[bytes, ...], Array(Bytes(32), SYNC_MAX_PROOFS)]


@record("sync-proofs", tag=9)
@dataclass(frozen=True, slots=True)
class Proofs:
    """Proofs of equivocation that the receiver lacks."""

    proofs: Annotated[tuple[bytes, ...], Array(Bytes(maximum=SYNC_MAX_PROOF_BYTES), SYNC_PROOFS_PER_MESSAGE)]


type Message = Root | Compare | Want | WantIds | Entries | Probe | Hashes | ProofHashes | Proofs
MESSAGES: tuple[type[Message], ...] = (
    Root,
    Compare,
    Want,
    WantIds,
    Entries,
    Probe,
    Hashes,
    ProofHashes,
    Proofs,
)


@record("set-range")
@dataclass(frozen=True, slots=True)
class SetRange:
    """A range of a reconciled set of entries; `upper` empty is infinity.

    Exactly one is told: a fingerprint, or keys (8 bytes of clock and the entry id), or neither when both agree.
    """

    upper: Annotated[bytes, Bytes(maximum=40)]
    fingerprint: Annotated[bytes | None, Nullable(Bytes(FINGERPRINT_BYTES))]
    keys: Annotated[tuple[bytes, ...] | None, Nullable(Array(Bytes(40), SYNC_MAX_KEYS))]


@record("set-ranges", tag=10)
@dataclass(frozen=True, slots=True)
class SetRanges:
    """One message of the reconciliation of a set of entries that are no chains."""

    ranges: Annotated[tuple[SetRange, ...], Array(Nested(SetRange), SYNC_MAX_RANGES)]
