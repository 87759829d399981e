"""The records of `/lattice/pqx/1` and `/lattice/pqx-anonymous/1`; what is sealed is padded to one size (params.py)."""

from dataclasses import dataclass
from typing import Annotated

from latticework.wire import Array, Bytes, Const, MalformedError, Nested, Text, UInt, decode, encode, record
from latticework.wire.padding import pad, unpad

from .params import (
    EXCHANGE_BYTES,
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    MAX_MUXER_BYTES,
    MAX_MUXERS,
    MAX_SIGNED_BUNDLE_BYTES,
    MAX_SIGNED_CERTIFICATE_BYTES,
    MAX_VERSIONS,
    PREKEY_CHOICE_BYTES,
    PROOF_BYTES,
    RESPONDER_PROOF_BYTES,
    SIGNATURE_BYTES,
    TAG_BYTES,
)


@record("pqx-hello")
@dataclass(frozen=True, slots=True)
class Hello:
    """f1: what the initiator offers, and its ephemeral keys."""

    format: Annotated[int, Const(1)]
    versions: Annotated[tuple[int, ...], Array(UInt(0xFF), MAX_VERSIONS)]
    muxers: Annotated[tuple[str, ...], Array(Text(MAX_MUXER_BYTES), MAX_MUXERS)]
    share: Annotated[bytes, Bytes(EXCHANGE_BYTES)]
    kem_key: Annotated[bytes, Bytes(KEM_PUBLIC_BYTES)]


@record("pqx-head")
@dataclass(frozen=True, slots=True)
class Head:
    """The clear part of f2, and all of it in an anonymous handshake."""

    version: Annotated[int, UInt(0xFF)]
    muxer: Annotated[str, Text(MAX_MUXER_BYTES)]
    share: Annotated[bytes, Bytes(EXCHANGE_BYTES)]
    ciphertext: Annotated[bytes, Bytes(KEM_CIPHERTEXT_BYTES)]


@record("pqx-answer")
@dataclass(frozen=True, slots=True)
class Answer:
    """f2: the responder's ephemeral share and its sealed `ResponderProof`."""

    head: Annotated[Head, Nested(Head)]
    sealed: Annotated[bytes, Bytes(RESPONDER_PROOF_BYTES + TAG_BYTES)]


@record("pqx-proof")
@dataclass(frozen=True, slots=True)
class Proof:
    """Who one end is: its certificate, its transport key, and the transcript signed by both keys."""

    certificate: Annotated[bytes, Bytes(maximum=MAX_SIGNED_CERTIFICATE_BYTES)]
    transport_key: Annotated[bytes, Bytes(32)]
    signature: Annotated[bytes, Bytes(SIGNATURE_BYTES)]
    transport_signature: Annotated[bytes, Bytes(64)]


@record("pqx-responder-proof")
@dataclass(frozen=True, slots=True)
class ResponderProof:
    """What f2 seals."""

    proof: Annotated[Proof, Nested(Proof)]
    bundle: Annotated[bytes, Bytes(maximum=MAX_SIGNED_BUNDLE_BYTES)]


@record("pqx-prekey-choice")
@dataclass(frozen=True, slots=True)
class PrekeyChoice:
    """The first seal of f3: the responder's prekey, and a ciphertext to its KEM half."""

    prekey: Annotated[int, UInt((1 << 32) - 1)]
    ciphertext: Annotated[bytes, Bytes(KEM_CIPHERTEXT_BYTES)]


@record("pqx-finish")
@dataclass(frozen=True, slots=True)
class Finish:
    """f3: a sealed `PrekeyChoice`, and a `Proof` sealed under a key that also needs the responder's prekeys."""

    choice: Annotated[bytes, Bytes(PREKEY_CHOICE_BYTES + TAG_BYTES)]
    proof: Annotated[bytes, Bytes(PROOF_BYTES + TAG_BYTES)]


@record("pqx-confirmation")
@dataclass(frozen=True, slots=True)
class Confirmation:
    """f4, and f3 and f4 of an anonymous handshake: an empty seal."""

    sealed: Annotated[bytes, Bytes(TAG_BYTES)]


MAX_ANSWER_BYTES = (
    1
    + len(encode(Head(255, "m" * MAX_MUXER_BYTES, bytes(32), bytes(KEM_CIPHERTEXT_BYTES))))
    + (3 + RESPONDER_PROOF_BYTES + TAG_BYTES)
)
FINISH_BYTES = 1 + (3 + PREKEY_CHOICE_BYTES + TAG_BYTES) + (3 + PROOF_BYTES + TAG_BYTES)
CONFIRMATION_BYTES = len(encode(Confirmation(bytes(TAG_BYTES))))


def encode_padded(value: object, size: int) -> bytes:
    """The record's bytes, padded to exactly `size`."""
    return pad(encode(value), size)


def decode_padded[T](cls: type[T], padded: bytes, size: int) -> T:
    """Undo `encode_padded`; raises MalformedError."""
    data = unpad(padded)
    if data is None or len(padded) != size:
        raise MalformedError("not padded as it should be")
    return decode(cls, data, size)
