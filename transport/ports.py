"""The ports of the transport: a network of byte streams below, a secure channel beside, sessions above.

`Network` has two worlds: TCP (`tcp.py`) and simulated links (`simnet`). `SecureChannel` is implemented where keys live
(`handshake`; libp2p's Noise in `noise.py`) and plugged in by the node; the drivers never see a key. Handshakes are pure
machines; a record session is the pure result that seals and opens records into buffers that the driver owns.
"""

from collections.abc import Buffer
from dataclasses import dataclass
from typing import Protocol

from .multiaddr import Multiaddr
from .params import (
    FRAME_LENGTH_BYTES,
    READ_AHEAD_BYTES,
    RECORD_HEADER_BYTES,
    RECORD_LENGTH_MASK,
    RECORD_MAX_BYTES,
    RECORD_TAG_BYTES,
)


class ByteStream(Protocol):
    """An ordered, reliable, bidirectional stream of bytes; one reader and one writer task at a time."""

    @property
    def remote(self) -> Multiaddr:
        """Where the other end is, as this end sees it."""
        ...

    async def send_all(self, data: Buffer) -> None:
        """Send everything; `data` may be reused as soon as this returns.

        Raises:
            ConnectionLostError: the other end is gone. After cancellation an unknown prefix was sent.
        """
        ...

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for at least one byte, write into `buffer`, return the count; 0 is the end of the stream.

        Raises:
            ConnectionLostError: the other end is gone. Cancellation loses nothing.
        """
        ...

    async def aclose(self) -> None:
        """Close both directions at once; never raises for a dead peer."""
        ...


class Listener(Protocol):
    """A bound address that yields incoming streams."""

    @property
    def addresses(self) -> tuple[Multiaddr, ...]:
        """The addresses really bound: interface addresses and the real port, never a wildcard."""
        ...

    async def accept(self) -> ByteStream:
        """The next incoming stream."""
        ...

    async def aclose(self) -> None:
        """Stop listening."""
        ...


class Network(Protocol):
    """Where streams come from."""

    async def listen(self, address: Multiaddr) -> Listener:
        """Bind `address`; wildcards and port 0 are allowed.

        Raises:
            LocalError: the address cannot be bound; the message says why.
        """
        ...

    async def dial(self, address: Multiaddr) -> ByteStream:
        """Connect to `address`; the caller bounds the time.

        Raises:
            UnreachableError: nobody answers there.
        """
        ...


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What a secure channel negotiated, for people to see."""

    protocol: str
    kem: str
    signature: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Framing:
    """How a channel cuts a byte stream: handshake messages behind a big-endian length, then records.

    A record is a big-endian header, then ciphertext and 16-byte tag; the header's bits under `length_mask` are the
    length of both.
    """

    message_length_bytes: int
    header_bytes: int
    length_mask: int
    max_sealed_bytes: int
    """Ciphertext and tag of one record; a longer one is refused before it is read."""
    max_plaintext_bytes: int
    """What one `seal_into` takes, at most 256 KiB; it may become several records."""
    read_ahead_bytes: int
    """Read at least so far in one system call: large where records are short."""
    sealed_close: bool
    """Whether the end of a direction is authenticated; without, the end of the byte stream is all there is."""


LATTICE_FRAMING = Framing(
    message_length_bytes=FRAME_LENGTH_BYTES,
    header_bytes=RECORD_HEADER_BYTES,
    length_mask=RECORD_LENGTH_MASK,
    max_sealed_bytes=RECORD_MAX_BYTES + RECORD_TAG_BYTES,
    max_plaintext_bytes=RECORD_MAX_BYTES,
    read_ahead_bytes=READ_AHEAD_BYTES,
    sealed_close=True,
)
"""Ours: 4-byte header, of which the top 4 bits are the record type; it is the associated data (decision 17)."""


class RecordSession(Protocol):
    """The keys of an established channel: seals and opens records; owns both nonce counters."""

    @property
    def overhead_bytes(self) -> int:
        """Header and tag."""
        ...

    def seal_into(self, plaintext: Buffer, out: memoryview, now_us: int) -> int:
        """Write `plaintext` (1 byte to `Framing.max_plaintext_bytes`) into `out` as data records; the bytes written.

        `out` needs `SEAL_SLACK_BYTES` more than `plaintext` because a rekey record, or more records, may go too.
        """
        ...

    def seal_close(self) -> bytes:
        """The authenticated end of our direction, b"" where there is none; nothing may be sealed after it."""
        ...

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """Open one whole record (header included) into `out`; the plaintext's length, or -1 for a sealed close.

        A record without plaintext (a rekey) gives 0.

        Raises:
            PeerError: forged, reordered, replayed or oversized.
        """
        ...

    def export(self, label: bytes, length: int) -> bytes:
        """Bytes that only the two ends of this channel know, bound to the whole handshake (as RFC 5705)."""
        ...


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Action of a handshake: send one message; the driver frames it (`Framing.message_length_bytes`)."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Established:
    """Action of a handshake: keys are agreed and confirmed.

    `remote` is the channel's own word for the other side (a DeviceId for pqx, a PeerId's multihash for Noise, empty for
    an anonymous channel); `transport_key` is its 32-byte Ed25519 transport key, authenticated by the handshake, or
    empty. `muxer` is empty if the handshake left it open: it is then negotiated inside the records.
    """

    records: RecordSession
    remote: bytes
    transport_key: bytes
    muxer: str
    algorithms: Algorithms
    protocols: frozenset[str] | None = None
    """All that streams of this connection may ever speak, in either direction; None leaves it to the node."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Action of a handshake: end the connection; `reason` is for our log, nothing is told to the peer."""

    code: str
    reason: str


type HandshakeAction = SendMessage | Established | Refuse


class HandshakeMachine(Protocol):
    """One handshake, pure: messages in, actions out. Messages and actions alternate strictly."""

    @property
    def max_message_bytes(self) -> int:
        """The longest message the next step accepts; the driver refuses a longer frame before allocating."""
        ...

    def start(self) -> list[HandshakeAction]:
        """The initiator's first message; nothing for a responder."""
        ...

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        """What one message from the peer leads to."""
        ...


class SecureChannel(Protocol):
    """A security protocol that a node offers."""

    @property
    def protocol(self) -> str:
        """The multistream-select id, for example `/lattice/pqx/1`."""
        ...

    @property
    def framing(self) -> Framing:
        """How its handshake messages and records lie on the wire."""
        ...

    def initiate(self) -> HandshakeMachine:
        """A fresh machine for the dialling side."""
        ...

    def respond(self) -> HandshakeMachine:
        """A fresh machine for the listening side."""
        ...
