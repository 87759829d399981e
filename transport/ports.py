"""The ports of the transport: a network of byte streams below, a secure channel beside, sessions above.

`Network` has two worlds: TCP (`tcp.py`) and simulated links (`simnet`). `SecureChannel` is implemented where keys live
(`handshake`) and plugged in by the node; the transport never sees a key. Handshakes are pure machines; a record session
is the pure result that seals and opens records into buffers that the driver owns.
"""

from collections.abc import Buffer
from dataclasses import dataclass
from typing import Protocol

from .multiaddr import Multiaddr


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


class RecordSession(Protocol):
    """The keys of an established channel: seals and opens records; owns both nonce counters.

    A record on the wire is a 4-byte big-endian header, then ciphertext and 16-byte tag. The header's top 4 bits are the
    record type, its low 28 bits the length of ciphertext and tag; it is the associated data.
    """

    @property
    def overhead_bytes(self) -> int:
        """Header and tag: 20."""
        ...

    def seal_into(self, plaintext: Buffer, out: memoryview, now_us: int) -> int:
        """Write one data record of `plaintext` (1 to 256 KiB) into `out`; the bytes written.

        `out` needs 64 bytes more than `plaintext` because a rekey record may go first.
        """
        ...

    def seal_close(self) -> bytes:
        """The authenticated end of our direction; nothing may be sealed after it."""
        ...

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """Open one whole record (header included) into `out`; the plaintext's length, or -1 for a sealed close.

        A rekey record gives 0.

        Raises:
            PeerError: forged, reordered, replayed or oversized.
        """
        ...

    def export(self, label: bytes, length: int) -> bytes:
        """Bytes that only the two ends of this channel know, bound to the whole handshake (as RFC 5705)."""
        ...


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Action of a handshake: send one message; the driver frames it with a 4-byte big-endian length."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Established:
    """Action of a handshake: keys are agreed and confirmed.

    `remote` is the channel's own word for the other side (a DeviceId for pqx, empty for an anonymous channel);
    `transport_key` is its 32-byte Ed25519 transport key, authenticated by the handshake, or empty.
    """

    records: RecordSession
    remote: bytes
    transport_key: bytes
    muxer: str
    algorithms: Algorithms


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

    def initiate(self) -> HandshakeMachine:
        """A fresh machine for the dialling side."""
        ...

    def respond(self) -> HandshakeMachine:
        """A fresh machine for the listening side."""
        ...
