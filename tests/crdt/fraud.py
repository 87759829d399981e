"""FraudProofs of every kind, as records, for tests that verify and damage them."""

import hashlib
from typing import Final

from latticework.crdt import LANE_DOCUMENTS, Entry, FraudKind, FraudProof, Statement, write_entry
from latticework.crdt.statements import prove_contradiction, prove_fork, sign_statement
from latticework.wire import EntryId, LogId, SpaceId
from latticework.wire.signing import Ed25519Signer

from .world import SPACE

KEY: Final = Ed25519Signer(b"guilty".ljust(32))
OTHER: Final = Ed25519Signer(b"other".ljust(32))
KINDS: Final = list(FraudKind)


def entry(payload: bytes, seq: int = 3, *, key: Ed25519Signer = KEY, space: SpaceId = SPACE) -> Entry:
    prev = EntryId(b"p" * 32) if seq else None
    return write_entry(space, key, seq=seq, prev=prev, deps=(), hlc=9, lane=LANE_DOCUMENTS, payload=payload)


def statement(
    kind: FraudKind,
    content: bytes,
    seq: int = 3,
    *,
    slot: bytes | None = None,
    key: Ed25519Signer = KEY,
    space: SpaceId = SPACE,
) -> tuple[Statement, bytes]:
    slot = slot or (b"t" * 32 if kind is FraudKind.TASK_RESULT else (7).to_bytes(8))
    said = Statement(1, kind, space, LogId(key.public), seq, slot, hashlib.sha256(content).digest())
    return said, sign_statement(key, said)


def proof(kind: FraudKind, seq: int = 3, other_seq: int = 5) -> FraudProof:
    """A good proof; the second of two statements stands in another entry."""
    if kind is FraudKind.FORK:
        return prove_fork(SPACE, entry(b"one", seq), entry(b"other", seq))
    return prove_contradiction(*statement(kind, b"one", seq), *statement(kind, b"other", other_seq))
