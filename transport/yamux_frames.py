"""The words of yamux 1.0.0: frame header, types, flags, and what goes in and out of the machine.

Source: hashicorp/yamux spec.md. A header is version, type, flags, stream id and length, 12 bytes big-endian; `length`
is payload bytes (data), credit (window update), an opaque value (ping) or a code (go-away).
"""

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

HEADER: Final = struct.Struct(">BBHII")

# Plain integers: an IntFlag costs a Python call per operation, on every frame.
DATA: Final = 0
WINDOW_UPDATE: Final = 1
PING: Final = 2
GO_AWAY: Final = 3
SYN: Final = 1
ACK: Final = 2
FIN: Final = 4
RST: Final = 8
KNOWN_FLAGS: Final = SYN | ACK | FIN | RST


class GoAwayCode(IntEnum):
    """Why a session ends, on the wire."""

    NORMAL = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


class TimerKey(Enum):
    """The session's timers."""

    KEEP_ALIVE = "keep-alive"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Received:
    """Event: plaintext arrived, cut anywhere; `data` is borrowed until the actions are applied."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Event: a timer is due."""

    key: TimerKey


@dataclass(frozen=True, slots=True)
class Open:
    """Event: we want a stream; answered by Opened or OpenRefused."""


@dataclass(frozen=True, slots=True)
class Write:
    """Event: queue `pieces` on `stream`; they are borrowed until Drained."""

    stream: int
    pieces: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Event: forget the last `count` queued bytes of `stream`, or as many of them as are not sent."""

    stream: int
    count: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Event: we write no more on `stream`."""

    stream: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Event: we write no more and read no more; data that still comes resets the stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Event: drop `stream` now, in both directions."""

    stream: int


@dataclass(frozen=True, slots=True)
class Consumed:
    """Event: the application took `count` bytes of `stream`; credit goes back to the peer."""

    stream: int
    count: int


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Event: say goodbye with `code`."""

    code: GoAwayCode


type Event = Received | TimerFired | Open | Write | Withdraw | Finish | Abandon | Reset | Consumed | ShutDown


@dataclass(frozen=True, slots=True)
class Opened:
    """Action: `stream` exists; `inbound` if the peer opened it."""

    stream: int
    inbound: bool


@dataclass(frozen=True, slots=True)
class OpenRefused:
    """Action: no stream for now, or for ever; `over` when one side has said goodbye."""

    reason: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Action: bytes for the application; a slice of Received.data, so copy it."""

    stream: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class RemoteFinished:
    """Action: the peer writes no more on `stream`."""

    stream: int


@dataclass(frozen=True, slots=True)
class WasReset:
    """Action: the peer dropped `stream`."""

    stream: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Action: both ends of `stream` are finished and nothing more is said about it."""

    stream: int


@dataclass(frozen=True, slots=True)
class Drained:
    """Action: nothing of `stream` is queued any more; its borrowed pieces are free."""

    stream: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Action: fire `key` after so long; replaces a timer of the same key."""

    key: TimerKey
    after_us: int


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Action: the peer broke the protocol; a go-away with `code` is queued and nothing more is read."""

    code: GoAwayCode
    reason: str


@dataclass(frozen=True, slots=True)
class DeclareDead:
    """Action: the peer has been silent for `silent_us` although asked."""

    silent_us: int


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """Action: the peer says goodbye; no stream can be opened any more."""

    code: int


type Action = (
    Opened
    | OpenRefused
    | Data
    | RemoteFinished
    | WasReset
    | Gone
    | Drained
    | SetTimer
    | CloseSession
    | DeclareDead
    | PeerLeft
)
