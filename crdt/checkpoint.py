"""Checkpoints: a device's signed word on everything it has seen (crdt-sync report 3.12, decision 7).

A checkpoint names the frontier in its entry's past, the root of the state that these entries add up to, and how many
they are. Its composite signature makes the prefix final even against a quantum computer; its statement, signed by the
log key, makes two checkpoints of one number a FraudProof.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

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
    SignatureProvider,
    Signer,
    SpaceId,
    UInt,
    encode,
    record,
)
from latticework.wire.signing import Ed25519Signer

from .params import MAX_CHECKPOINT_HEADS
from .statements import FraudKind, Statement, sign_statement, statement_verifies


@record("checkpoint-head")
@dataclass(frozen=True, slots=True)
class CheckpointHead:
    """The newest entry of one log in the past of a checkpoint."""

    log: Annotated[LogId, Bytes(32)]
    seq: Annotated[int, UInt()]
    entry: Annotated[EntryId, Bytes(32)]


@record("checkpoint")
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is said; `number` counts the checkpoints of one log from 0, `prev` is the hash of the one before.

    `heads` are sorted by log. `state_root` is that of the state at `heads`, `entry_count` the entries below them.
    """

    version: Annotated[int, Const(1)]
    number: Annotated[int, UInt()]
    prev: Annotated[bytes | None, Nullable(Bytes(32))]
    heads: Annotated[tuple[CheckpointHead, ...], Array(Nested(CheckpointHead), MAX_CHECKPOINT_HEADS)]
    state_root: Annotated[bytes, Bytes(32)]
    entry_count: Annotated[int, UInt()]

    @property
    def content(self) -> bytes:
        """SHA-256 over the label and the record."""
        return hashlib.sha256(Label.CHECKPOINT.value + encode(self)).digest()

    def covers(self, log: LogId, seq: int) -> bool:
        """True when entry `seq` of `log` stands at or below the heads."""
        return any(head.log == log and head.seq >= seq for head in self.heads)


@record("signed-checkpoint")
@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The payload of an entry in the lane of checkpoints: signed by the log key and by the device."""

    checkpoint: Annotated[Checkpoint, Nested(Checkpoint)]
    log_signature: Annotated[bytes, Bytes(64)]
    device_signature: Annotated[bytes, Bytes(3373)]


def statement_of(space: SpaceId, log: LogId, seq: int, checkpoint: Checkpoint) -> Statement:
    """The statement that the checkpoint in entry `seq` of `log` makes."""
    slot = checkpoint.number.to_bytes(8, "big")
    return Statement(1, FraudKind.CHECKPOINT, space, log, seq, slot, checkpoint.content)


def sign_checkpoint(
    space: SpaceId, signer: Ed25519Signer, device: Signer, seq: int, checkpoint: Checkpoint
) -> SignedCheckpoint:
    """Sign a checkpoint that will stand in entry `seq` of the log of `signer`."""
    statement = statement_of(space, LogId(signer.public), seq, checkpoint)
    return SignedCheckpoint(
        checkpoint, sign_statement(signer, statement), device.sign(encode(statement), Label.CHECKPOINT)
    )


def checkpoint_refusal(
    signatures: SignatureProvider, device_key: bytes, space: SpaceId, log: LogId, seq: int, signed: SignedCheckpoint
) -> str | None:
    """Why the checkpoint in entry `seq` of `log` is not its device's word, or None."""
    logs = [head.log for head in signed.checkpoint.heads]
    if logs != sorted(set(logs)):
        return "the heads of its checkpoint are not sorted and distinct"
    statement = statement_of(space, log, seq, signed.checkpoint)
    if not statement_verifies(statement, signed.log_signature):
        return "the log's signature on its checkpoint does not verify"
    if not signatures.verify(device_key, encode(statement), signed.device_signature, Label.CHECKPOINT):
        return "the device's signature on its checkpoint does not verify"
    return None


def stable_frontier(newest: Iterable[Mapping[LogId, int]]) -> dict[LogId, int]:
    """Per log the number up to which every active device has everything; from each one's newest checkpoint.

    A log that one of them has not seen is absent. Payloads at or below may be pruned: nobody will ask for them.
    """
    known = list(newest)
    if not known:
        return {}
    common = set(known[0]).intersection(*known[1:])
    return {log: min(seqs[log] for seqs in known) for log in sorted(common)}


def check_root(checkpoint: Checkpoint, snapshot: bytes) -> None:
    """Raise MalformedError unless `snapshot` is the state that the checkpoint speaks of."""
    if state_root(snapshot) != checkpoint.state_root:
        raise MalformedError("the snapshot is not the state of the checkpoint")


def state_root(snapshot: bytes) -> bytes:
    """SHA-256 over the label and a canonical snapshot of the state."""
    return hashlib.sha256(Label.STATE_ROOT.value + snapshot).digest()
