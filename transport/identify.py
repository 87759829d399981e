"""identify: a peer says its transport key, addresses and protocols, and how it sees us (`/ipfs/id/1.0.0`).

Source: libp2p/specs identify. The answer is bounded before it is parsed; addresses of kinds that we cannot dial are
left out; a key that is not the one the handshake proved is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from latticework.wire import MalformedError

from .multiaddr import Multiaddr
from .params import (
    IDENTIFY_MAX_ADDRESSES,
    IDENTIFY_MAX_BYTES,
    IDENTIFY_MAX_PROTOCOLS,
    IDENTIFY_MAX_TEXT_BYTES,
)
from .pb.identify_pb2 import Identify
from .peer_id import decode_public_key, encode_public_key
from .stream import Stream
from .varint import MAX_VARINT_BYTES, decode_varint, encode_varint

IDENTIFY_PROTOCOL: Final = "/ipfs/id/1.0.0"
_PROTOCOL_VERSION: Final = "latticework/1"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a peer says of itself; `transport_key` is its 32-byte Ed25519 key, `observed` our address as it sees it.

    `signed_record` is a peer record in its signed envelope (`signed_envelope`), or empty; it is not checked here.
    """

    transport_key: bytes
    agent: str
    protocols: tuple[str, ...]
    addresses: tuple[Multiaddr, ...]
    observed: Multiaddr | None
    signed_record: bytes = b""


def encode_identity(identity: Identity) -> bytes:
    """The message behind its varint length."""
    message = Identify(
        public_key=encode_public_key(identity.transport_key),
        listen_addrs=[address.to_bytes() for address in identity.addresses[:IDENTIFY_MAX_ADDRESSES]],
        protocols=identity.protocols[:IDENTIFY_MAX_PROTOCOLS],
        protocol_version=_PROTOCOL_VERSION,
        agent_version=identity.agent,
    )
    if identity.observed is not None:
        message.observed_addr = identity.observed.to_bytes()
    if identity.signed_record:
        message.signed_peer_record = identity.signed_record
    body = message.SerializeToString()
    return encode_varint(len(body)) + body


def decode_identity(body: bytes) -> Identity:
    """The identity in a message without its length; raises MalformedError."""
    if len(body) > IDENTIFY_MAX_BYTES:
        raise MalformedError(f"identify message of {len(body)} bytes")
    message = Identify()
    try:
        message.ParseFromString(body)
    except (DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"not an identify message: {error}") from error
    if len(message.protocols) > IDENTIFY_MAX_PROTOCOLS or len(message.listen_addrs) > IDENTIFY_MAX_ADDRESSES:
        raise MalformedError("too many protocols or addresses in identify")
    texts = (message.agent_version, *message.protocols)
    if any(len(text) > IDENTIFY_MAX_TEXT_BYTES or not text.isprintable() for text in texts):
        raise MalformedError("a protocol or agent that is too long or not printable")
    observed = _usable([message.observed_addr])
    return Identity(
        transport_key=decode_public_key(message.public_key),
        agent=message.agent_version,
        protocols=tuple(message.protocols),
        addresses=_usable(message.listen_addrs),
        observed=observed[0] if observed else None,
        signed_record=message.signed_peer_record,
    )


def _usable(raw: Sequence[bytes]) -> tuple[Multiaddr, ...]:
    """The addresses of kinds that we know; other peers speak QUIC, WebRTC and more."""
    usable: list[Multiaddr] = []
    for data in raw:
        try:
            usable.append(Multiaddr.from_bytes(data))
        except MalformedError:
            continue
    return tuple(usable)


async def answer_identify(stream: Stream, identity: Identity) -> None:
    """Serve one identify stream; the caller closes it."""
    await stream.send_all(encode_identity(identity))


async def request_identify(stream: Stream, transport_key: bytes) -> Identity:
    """Ask the peer behind a stream of `IDENTIFY_PROTOCOL`; `transport_key` is what the handshake proved, or empty.

    Raises:
        MalformedError: too long, cut off, not identify, or another key.
    """
    length = await _receive_length(stream)
    if length > IDENTIFY_MAX_BYTES:
        raise MalformedError(f"identify message of {length} bytes")
    identity = decode_identity(await stream.receive_exactly(length))
    if transport_key and identity.transport_key != transport_key:
        raise MalformedError("identify names a key that the handshake did not prove")
    return identity


async def _receive_length(stream: Stream) -> int:
    prefix = b""
    while len(prefix) < MAX_VARINT_BYTES:
        prefix += await stream.receive_exactly(1)
        decoded = decode_varint(prefix)
        if decoded is not None:
            return decoded[0]
    raise MalformedError("identify message of unbounded length")
