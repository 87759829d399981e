"""Statements: what a log's author may say once only, and FraudProofs: two signed sayings that convict it.

A FraudProof holds no payload and needs no other entry: whoever has the space's id verifies it with two Ed25519 checks
(crdt-sync report 3.8). Kind 1 is a fork, two headers under one number of one log. Kinds 2 to 4 are two different
statements about one slot: two checkpoints of one number, two results of one task, two epochs of one number.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, final

from latticework.wire import (
    Bytes,
    Const,
    Label,
    LogId,
    MalformedError,
    SpaceId,
    UInt,
    decode,
    encode,
    record,
    verify_ed25519,
)
from latticework.wire.signing import Ed25519Signer

from .entry import Body, Entry, entry_id
from .params import MAX_BODY_BYTES, MAX_PROOF_BYTES, MAX_SEQ


class FraudKind(IntEnum):
    """What an author did twice. Wire numbers; never reused."""

    FORK = 1
    CHECKPOINT = 2
    TASK_RESULT = 3
    EPOCH = 4


@record("statement")
@dataclass(frozen=True, slots=True)
class Statement:
    """Something that an author says once per `slot`; `seq` is the number of the entry that carries it.

    `slot` is a checkpoint's or an epoch's number (8 bytes, big-endian) or a task's id (32 bytes); `content` is the
    SHA-256 of what is said.
    """

    version: Annotated[int, Const(1)]
    kind: Annotated[int, UInt(FraudKind.EPOCH)]
    space: Annotated[SpaceId, Bytes(32)]
    log: Annotated[LogId, Bytes(32)]
    seq: Annotated[int, UInt()]
    slot: Annotated[bytes, Bytes(maximum=32, minimum=8)]
    content: Annotated[bytes, Bytes(32)]


@record("fraud-proof")
@dataclass(frozen=True, slots=True)
class FraudProof:
    """Two signed sayings of one author that exclude each other, the one with the smaller id first.

    For kind 1 `first` and `second` are entry bodies and sign their entry ids; for the others, statements.
    """

    version: Annotated[int, Const(1)]
    kind: Annotated[int, UInt(FraudKind.EPOCH)]
    space: Annotated[SpaceId, Bytes(32)]
    first: Annotated[bytes, Bytes(maximum=MAX_BODY_BYTES)]
    first_signature: Annotated[bytes, Bytes(64)]
    second: Annotated[bytes, Bytes(maximum=MAX_BODY_BYTES)]
    second_signature: Annotated[bytes, Bytes(64)]


@final
@dataclass(frozen=True, slots=True)
class Conviction:
    """What a verified proof says: from its entry number `seq` on, `log` cannot be trusted."""

    log: LogId
    seq: int
    kind: FraudKind
    proof: bytes

    @property
    def key(self) -> bytes:
        """32 bytes, equal for proofs that convict the same log at the same number."""
        return hashlib.sha256(Label.CONVICTION.value + self.log + self.seq.to_bytes(8, "big")).digest()


def statement_id(statement: bytes) -> bytes:
    """SHA-256 over the label and the statement's exact bytes."""
    return hashlib.sha256(Label.STATEMENT.value + statement).digest()


def sign_statement(signer: Ed25519Signer, statement: Statement) -> bytes:
    """The log key's 64-byte signature of `statement`."""
    return signer.sign_raw(Label.STATEMENT_SIGNATURE.value + statement_id(encode(statement)))


def statement_verifies(statement: Statement, signature: bytes) -> bool:
    """True if the statement's own log signed it."""
    message = Label.STATEMENT_SIGNATURE.value + statement_id(encode(statement))
    return verify_ed25519(statement.log, message, signature)


def prove_fork(space: SpaceId, one: Entry, other: Entry) -> FraudProof:
    """The proof that the author of both signed two entries under one number."""
    first, second = sorted((one, other), key=lambda entry: entry.id)
    return FraudProof(
        1,
        FraudKind.FORK,
        space,
        first.envelope.body,
        first.envelope.signature,
        second.envelope.body,
        second.envelope.signature,
    )


def prove_contradiction(one: Statement, one_signature: bytes, other: Statement, other_signature: bytes) -> FraudProof:
    """The proof that the author of both statements said two things about one slot."""
    pair = sorted(((encode(one), one_signature), (encode(other), other_signature)), key=lambda s: statement_id(s[0]))
    (first, first_signature), (second, second_signature) = pair
    return FraudProof(1, one.kind, one.space, first, first_signature, second, second_signature)


def read_proof(space: SpaceId, data: bytes) -> Conviction:
    """Verify a proof that anybody sent.

    Raises:
        MalformedError: it proves nothing in this space.
    """
    proof = decode(FraudProof, data, MAX_PROOF_BYTES)
    if proof.space != space:
        raise MalformedError("the proof is about another space")
    try:
        kind = FraudKind(proof.kind)
    except ValueError:
        raise MalformedError(f"there is no fraud of kind {proof.kind}") from None
    log, seq = _forked_at(proof) if kind is FraudKind.FORK else _contradicted_at(proof)
    if seq > MAX_SEQ:
        raise MalformedError("the proof is about a number that no log reaches")
    return Conviction(log, seq, kind, data)


def _forked_at(proof: FraudProof) -> tuple[LogId, int]:
    one = decode(Body, proof.first, MAX_BODY_BYTES)
    other = decode(Body, proof.second, MAX_BODY_BYTES)
    ids = (entry_id(proof.space, proof.first), entry_id(proof.space, proof.second))
    if one.author != other.author or one.seq != other.seq:
        raise MalformedError("the two entries of the proof have different places")
    _check_order(ids)
    for identifier, signature in zip(ids, (proof.first_signature, proof.second_signature), strict=True):
        if not verify_ed25519(one.author, Label.ENTRY_SIGNATURE.value + identifier, signature):
            raise MalformedError("a signature of the proof does not verify")
    return one.author, one.seq


def _contradicted_at(proof: FraudProof) -> tuple[LogId, int]:
    one = decode(Statement, proof.first, MAX_BODY_BYTES)
    other = decode(Statement, proof.second, MAX_BODY_BYTES)
    about = (proof.kind, proof.space, one.log, one.slot)
    if any((s.kind, s.space, s.log, s.slot) != about for s in (one, other)):
        raise MalformedError("the two statements of the proof are about different things")
    if one.content == other.content:
        raise MalformedError("the two statements of the proof say the same")
    _check_order((statement_id(proof.first), statement_id(proof.second)))
    if not (statement_verifies(one, proof.first_signature) and statement_verifies(other, proof.second_signature)):
        raise MalformedError("a signature of the proof does not verify")
    return one.log, min(one.seq, other.seq)


def _check_order(ids: tuple[bytes, bytes]) -> None:
    if ids[0] >= ids[1]:
        raise MalformedError("the two halves of the proof are not in order, or are one")
