"""libp2p's signed envelopes, and the peer records inside them: who can be reached where, in the peer's own words.

Source: libp2p RFC 0002 and 0003, with the domain, payload type and field numbers that are deployed
(`libp2p-peer-record`, 0x0301, signature in field 5). Nothing of the payload is parsed before the signature is verified
by the one verifier of `wire.signing`.
"""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from latticework.wire import MalformedError, verify_ed25519
from latticework.wire.signing import Ed25519Signer

from .multiaddr import Multiaddr
from .pb import envelope_pb2 as pb
from .peer_id import PeerId, decode_public_key, encode_public_key
from .varint import encode_varint

_PEER_RECORD_DOMAIN: Final = b"libp2p-peer-record"
_PEER_RECORD_TYPE: Final = bytes.fromhex("0301")
MAX_ENVELOPE_BYTES: Final = 8 * 1024
"""As an identify message, which carries one."""
MAX_RECORD_ADDRESSES: Final = 32
"""As in identify."""


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """Where `peer` says it can be reached; of two records the higher `seq` is the newer (64 bits)."""

    peer: PeerId
    seq: int
    addresses: tuple[Multiaddr, ...]


def seal_envelope(signer: Ed25519Signer, domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
    """An envelope around `payload`, signed for `domain`."""
    return pb.Envelope(
        public_key=encode_public_key(signer.public),
        payload_type=payload_type,
        payload=payload,
        signature=signer.sign_raw(_signed(domain, payload_type, payload)),
    ).SerializeToString(deterministic=True)


def open_envelope(envelope: bytes, domain: bytes, payload_type: bytes) -> tuple[bytes, bytes]:
    """(32-byte Ed25519 key, payload); raises MalformedError if too long, of another type, or not signed by the key."""
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise MalformedError(f"envelope of {len(envelope)} bytes")
    message = pb.Envelope()
    try:
        message.ParseFromString(envelope)
    except DecodeError as error:
        raise MalformedError(f"not an envelope: {error}") from error
    key = decode_public_key(message.public_key)
    payload = message.payload
    if message.payload_type != payload_type:
        raise MalformedError("an envelope of another type")
    if not verify_ed25519(key, _signed(domain, payload_type, payload), message.signature):
        raise MalformedError("an envelope that its key did not sign")
    return key, payload


def seal_peer_record(signer: Ed25519Signer, record: PeerRecord) -> bytes:
    """The signed record; `record.peer` must be the signer's own id."""
    if record.peer != PeerId.of_key(signer.public):
        raise ValueError("a peer record is signed by the peer itself")
    message = pb.PeerRecord(peer_id=record.peer.multihash, seq=record.seq)
    for address in record.addresses[:MAX_RECORD_ADDRESSES]:
        message.addresses.add(multiaddr=address.to_bytes())
    payload = message.SerializeToString(deterministic=True)
    return seal_envelope(signer, _PEER_RECORD_DOMAIN, _PEER_RECORD_TYPE, payload)


def open_peer_record(envelope: bytes) -> PeerRecord:
    """The record in a signed envelope; addresses of kinds that we cannot dial are left out.

    Raises:
        MalformedError: not a signed record, or one that names another peer than the one who signed.
    """
    key, payload = open_envelope(envelope, _PEER_RECORD_DOMAIN, _PEER_RECORD_TYPE)
    message = pb.PeerRecord()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise MalformedError(f"not a peer record: {error}") from error
    peer = PeerId.of_key(key)
    if message.peer_id != peer.multihash:
        raise MalformedError("a peer record about somebody else")
    addresses: list[Multiaddr] = []
    for info in message.addresses[:MAX_RECORD_ADDRESSES]:
        try:
            addresses.append(Multiaddr.from_bytes(info.multiaddr))
        except MalformedError:
            continue
    return PeerRecord(peer, message.seq, tuple(addresses))


def _signed(domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
    return b"".join(encode_varint(len(part)) + part for part in (domain, payload_type, payload))
