"""Every constant of the transport, with its unit and where it comes from; the ones a node may turn are in `Limits`."""

from dataclasses import dataclass, field
from typing import Final

MULTISTREAM_MAX_MESSAGE_BYTES: Final = 1024
"""One line; go-multistream allows the same."""
MULTISTREAM_MAX_ATTEMPTS: Final = 16
"""Proposals per stream; chosen here: a peer of ours makes one or two."""

YAMUX_PROTOCOL: Final = "/yamux/1.0.0"
YAMUX_HEADER_BYTES: Final = 12
"""hashicorp/yamux spec.md, framing."""
YAMUX_INITIAL_WINDOW_BYTES: Final = 256 * 1024
"""hashicorp/yamux spec.md, flow control: each side assumes it, so it cannot be smaller."""
YAMUX_MAX_WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Decision 17: 4,200 MB/s with it, 1,000 with 256 KiB."""
YAMUX_GROWTH_RTTS: Final = 4
"""A window grows when half of it is consumed within so many round trips (go-yamux `sendWindowUpdate`)."""
YAMUX_QUANTUM_BYTES: Final = 64 * 1024
"""One turn of a stream while others wait too; chosen here: a quarter of a record."""
YAMUX_MAX_CONTROL_FRAMES: Final = 1024
"""Resets, pongs and pings waiting to be sent (12 KiB); a peer that causes more without reading is shut out."""
YAMUX_PING_BURST: Final = 32
YAMUX_PING_REFILL_US: Final = 100_000
"""A ping is answered while there is credit: 32 at once, then one per 100 ms; chosen here."""

RECORD_HEADER_BYTES: Final = 4
RECORD_TAG_BYTES: Final = 16
RECORD_LENGTH_MASK: Final = (1 << 28) - 1
"""`ports.LATTICE_FRAMING`: the low 28 bits of the header."""
RECORD_MIN_BYTES: Final = 16 * 1024
RECORD_MAX_BYTES: Final = 256 * 1024
"""Plaintext of a record at rest and under load (decision 17)."""
RECORD_GROWTH: Final = 4
"""A record that was filled makes the next one so many times as long: 16, 64, 256 KiB."""
SEAL_SLACK_BYTES: Final = 96
"""What `ports.RecordSession.seal_into` wants beyond the plaintext: 40 for ours, 72 for a Noise batch."""
READ_AHEAD_BYTES: Final = 32 * 1024
"""Read beyond the current record so that many small ones share a system call; chosen here."""
IDLE_READ_BYTES: Final = 1024
"""What an idle connection keeps of its own, enough for one gossiped entry; a buffer is leased when more arrives."""
IDLE_RELEASE_US: Final = 1_000_000
"""A leased read buffer goes back to the pool after so long without a byte; chosen here."""
POOL_IDLE_BUFFERS: Final = 32
"""Returned buffers of each size that a node keeps: 8 MiB of large ones; chosen here."""

NOISE_PROTOCOL: Final = "/noise"
NOISE_NAME: Final = b"Noise_XX_25519_ChaChaPoly_SHA256"
"""libp2p/specs noise, r5; 32 bytes, so it is the first handshake hash itself (Noise revision 34, 5.2)."""
NOISE_KEY_BYTES: Final = 32
"""X25519 keys and products, SHA-256 (Noise revision 34, 12.1 and 12.5)."""
NOISE_TAG_BYTES: Final = 16
NOISE_LENGTH_BYTES: Final = 2
NOISE_MAX_MESSAGE_BYTES: Final = 65535
"""Noise revision 34, section 3; behind a length of 2 bytes (libp2p/specs noise, wire format)."""
NOISE_MAX_PLAINTEXT_BYTES: Final = NOISE_MAX_MESSAGE_BYTES - NOISE_TAG_BYTES
NOISE_BATCH_MESSAGES: Final = 4
"""Full messages sealed into one buffer and sent with one call: 256 KiB less 68 bytes, as long as our own records."""
NOISE_READ_AHEAD_BYTES: Final = 256 * 1024
"""Four messages for one system call; chosen here."""
NOISE_MAX_HANDSHAKE_BYTES: Final = 4096
"""A handshake message has 250 bytes; chosen here, so that a stranger's 64 KiB are not read."""
NOISE_MAX_MUXERS: Final = 16
"""Named in one payload; chosen here."""
PRIVATE_PROTOCOL_PREFIX: Final = "/lattice/"
"""Protocols for devices of ours and for pairing; never on Noise (decision 16)."""
NOISE_MAX_NONCE: Final = (1 << 64) - 1
"""Reserved (Noise revision 34, 5.1): a counter that reaches it is used up."""

SMALL_WRITE_BYTES: Final = 16 * 1024
"""Writes up to here are copied and return at once; longer ones are sent from the caller's buffer."""
QUEUED_WRITE_BYTES: Final = 64 * 1024
"""Copied bytes that may wait on one stream before a writer waits too."""
COALESCE_BYTES: Final = 4 * 1024
"""Arriving pieces below this are joined, so that one-byte frames cannot cost 60 bytes each."""

FRAME_LENGTH_BYTES: Final = 4
"""Length prefix of handshake messages and of `Stream.send_message`."""
CLOSE_GRACE_US: Final = 1_000_000
"""How long a goodbye may take (style 27)."""

IDENTIFY_MAX_BYTES: Final = 8 * 1024
"""go-libp2p `signedIDSize`; without signed records 4 KiB would do."""
IDENTIFY_MAX_ADDRESSES: Final = 32
IDENTIFY_MAX_PROTOCOLS: Final = 128
IDENTIFY_MAX_TEXT_BYTES: Final = 256
"""Per protocol id and agent; chosen here."""
PING_BYTES: Final = 32
"""libp2p/specs ping."""

TCP_BACKLOG: Final = 256
TCP_UNSENT_BYTES: Final = 128 * 1024
"""TCP_NOTSENT_LOWAT: what the kernel may hold unsent, so that pings and resets are not queued behind megabytes."""
TCP_ACCEPT_RETRY_US: Final = 100_000
"""Pause when the process is out of file descriptors."""


@dataclass(frozen=True, slots=True)
class YamuxLimits:
    """What one connection may cost.

    Unread bytes are at most `(max_inbound_streams + max_outbound_streams) * 256 KiB + growth_bytes`: 48 MiB.
    """

    max_inbound_streams: int = 64
    max_outbound_streams: int = 64
    max_window_bytes: int = YAMUX_MAX_WINDOW_BYTES
    growth_bytes: int = 16 * 1024 * 1024
    """Sum over all streams of what their windows have grown."""
    keep_alive_us: int = 15_000_000
    """Silence after which a ping is sent; chosen here."""
    dead_after_us: int = 10_000_000
    """Silence after that ping which means the peer is gone; chosen here: 25 s in all."""
    linger_us: int = 30_000_000
    """How long a stream that we closed may wait for the peer's end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What strangers and peers may cost a node."""

    max_pending_handshakes: int = 64
    max_pending_handshakes_per_host: int = 8
    handshake_us: int = 10_000_000
    """From accept to authenticated."""
    max_pre_auth_bytes: int = 64 * 1024
    """Sent by a peer before it is authenticated; pqx needs about 20 KiB."""
    negotiation_us: int = 10_000_000
    """multistream-select on one inbound stream."""
    yamux: YamuxLimits = field(default_factory=YamuxLimits)
