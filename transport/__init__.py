"""Byte streams, secured and multiplexed: the network port, multistream-select, records, yamux, identify and ping.

The transport never sees a key: a `SecureChannel` is plugged in from above.
"""

from .buffers import BufferPool
from .connection import Connection, ConnectionEnded, EndKind, Handler
from .errors import (
    ConnectionLostError,
    HandshakeError,
    ProtocolRefusedError,
    StreamResetError,
    TruncatedError,
    UnreachableError,
)
from .gossip_driver import Gossip, Router, Validator
from .gossip_events import Deliver, GossipReason, Published, Validate, Verdict
from .gossip_params import MESHSUB_PROTOCOLS, GossipBounds, GossipParams, ScoreParams, TopicScoreParams
from .gossip_router import GossipRouter
from .identify import IDENTIFY_PROTOCOL, Identity, answer_identify, request_identify
from .multiaddr import Multiaddr
from .noise import NoiseChannel
from .noise_payload import IdentitySigner
from .params import NOISE_PROTOCOL, RECORD_MAX_BYTES, YAMUX_PROTOCOL, Limits, YamuxLimits
from .peer_id import PeerId
from .ping import PING_PROTOCOL, answer_pings, ping
from .ports import (
    LATTICE_FRAMING,
    Algorithms,
    ByteStream,
    Established,
    Framing,
    HandshakeAction,
    HandshakeMachine,
    Listener,
    Network,
    RecordSession,
    Refuse,
    SecureChannel,
    SendMessage,
)
from .signed_envelope import PeerRecord, open_peer_record, seal_peer_record
from .stream import Stream
from .tcp import TcpNetwork
from .upgrade import Upgrader

__all__ = [
    "IDENTIFY_PROTOCOL",
    "LATTICE_FRAMING",
    "MESHSUB_PROTOCOLS",
    "NOISE_PROTOCOL",
    "PING_PROTOCOL",
    "RECORD_MAX_BYTES",
    "YAMUX_PROTOCOL",
    "Algorithms",
    "BufferPool",
    "ByteStream",
    "Connection",
    "ConnectionEnded",
    "ConnectionLostError",
    "Deliver",
    "EndKind",
    "Established",
    "Framing",
    "Gossip",
    "GossipBounds",
    "GossipParams",
    "GossipReason",
    "GossipRouter",
    "Handler",
    "HandshakeAction",
    "HandshakeError",
    "HandshakeMachine",
    "Identity",
    "IdentitySigner",
    "Limits",
    "Listener",
    "Multiaddr",
    "Network",
    "NoiseChannel",
    "PeerId",
    "PeerRecord",
    "ProtocolRefusedError",
    "Published",
    "RecordSession",
    "Refuse",
    "Router",
    "ScoreParams",
    "SecureChannel",
    "SendMessage",
    "Stream",
    "StreamResetError",
    "TcpNetwork",
    "TopicScoreParams",
    "TruncatedError",
    "UnreachableError",
    "Upgrader",
    "Validate",
    "Validator",
    "Verdict",
    "YamuxLimits",
    "answer_identify",
    "answer_pings",
    "open_peer_record",
    "ping",
    "request_identify",
    "seal_peer_record",
]
