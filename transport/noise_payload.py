"""What libp2p says inside Noise's second and third message: whose static key it is, and the muxers spoken.

Source: libp2p/specs noise r5, "The libp2p Handshake Payload"; connections/inlined-muxer-negotiation.md r1. The identity
key signs the static key; only Ed25519 is verified here, by libsodium like every signature of ours. WebTransport's
certificate hashes are skipped: they matter to a transport that we do not speak.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from latticework.wire import MalformedError, PeerError, verify_ed25519

from .params import IDENTIFY_MAX_TEXT_BYTES, NOISE_MAX_MUXERS
from .pb.noise_pb2 import NoiseExtensions, NoiseHandshakePayload
from .peer_id import decode_public_key, encode_public_key

_SIGNED_PREFIX: Final = b"noise-libp2p-static-key:"
_OTHER_KEY_TYPES: Final = {b"\x08\x00": "RSA", b"\x08\x02": "Secp256k1", b"\x08\x03": "ECDSA"}
"""How a protobuf `PublicKey` of libp2p/specs peer-ids begins."""


class IdentitySigner(Protocol):
    """The Ed25519 transport key of this run of the node (decision 14)."""

    @property
    def public(self) -> bytes:
        """32 bytes."""
        ...

    def sign_raw(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified payload: the peer's 32-byte transport key, and its muxers in its order, none if it did not say."""

    transport_key: bytes
    muxers: tuple[str, ...]


def encode_payload(signer: IdentitySigner, static: bytes, muxers: Sequence[str]) -> bytes:
    """Our payload; the same for every handshake with the 32-byte `static` key."""
    payload = NoiseHandshakePayload(
        identity_key=encode_public_key(signer.public),
        identity_sig=signer.sign_raw(_SIGNED_PREFIX + static),
        extensions=NoiseExtensions(stream_muxers=muxers),
    )
    return payload.SerializeToString()


def verify_payload(body: bytes, static: bytes) -> Proof:
    """What the peer whose static key is `static` proves with `body`.

    Raises:
        MalformedError: not a payload, or one with too much in it.
        PeerError: an identity key of another type (`identity-key`), or a signature of another key (`identity`).
    """
    payload = NoiseHandshakePayload()
    try:
        payload.ParseFromString(body)
        muxers = tuple(payload.extensions.stream_muxers)
    except (DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"not a Noise payload: {error}") from error
    if len(muxers) > NOISE_MAX_MUXERS or any(len(muxer) > IDENTIFY_MAX_TEXT_BYTES for muxer in muxers):
        raise MalformedError("too many muxers in a Noise payload")
    transport_key = _identity_key(payload.identity_key)
    if not verify_ed25519(transport_key, _SIGNED_PREFIX + static, payload.identity_sig):
        raise PeerError("identity", "the identity key did not sign this Noise key")
    return Proof(transport_key, muxers)


def _identity_key(wrapped: bytes) -> bytes:
    other = _OTHER_KEY_TYPES.get(wrapped[:2])
    if other is not None:
        raise PeerError("identity-key", f"an identity key of type {other}; only Ed25519 is spoken here")
    return decode_public_key(wrapped)


def choose_muxer(initiator: Sequence[str], responder: Sequence[str]) -> str:
    """The first of the initiator's that the responder has too; "" if either did not say.

    Raises:
        PeerError: both said, and nothing is in common.
    """
    if not initiator or not responder:
        return ""
    for muxer in initiator:
        if muxer in responder:
            return muxer
    raise PeerError("muxer", "the two ends have no muxer in common")
