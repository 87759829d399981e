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
from .identify import IDENTIFY_PROTOCOL, Identity, answer_identify, request_identify
from .multiaddr import Multiaddr
from .params import RECORD_MAX_BYTES, YAMUX_PROTOCOL, Limits, YamuxLimits
from .peer_id import PeerId
from .ping import PING_PROTOCOL, answer_pings, ping
from .ports import (
    Algorithms,
    ByteStream,
    Established,
    HandshakeAction,
    HandshakeMachine,
    Listener,
    Network,
    RecordSession,
    Refuse,
    SecureChannel,
    SendMessage,
)
from .stream import Stream
from .tcp import TcpNetwork
from .upgrade import Upgrader

__all__ = [
    "IDENTIFY_PROTOCOL",
    "PING_PROTOCOL",
    "RECORD_MAX_BYTES",
    "YAMUX_PROTOCOL",
    "Algorithms",
    "BufferPool",
    "ByteStream",
    "Connection",
    "ConnectionEnded",
    "ConnectionLostError",
    "EndKind",
    "Established",
    "Handler",
    "HandshakeAction",
    "HandshakeError",
    "HandshakeMachine",
    "Identity",
    "Limits",
    "Listener",
    "Multiaddr",
    "Network",
    "PeerId",
    "ProtocolRefusedError",
    "RecordSession",
    "Refuse",
    "SecureChannel",
    "SendMessage",
    "Stream",
    "StreamResetError",
    "TcpNetwork",
    "TruncatedError",
    "UnreachableError",
    "Upgrader",
    "YamuxLimits",
    "answer_identify",
    "answer_pings",
    "ping",
    "request_identify",
]
