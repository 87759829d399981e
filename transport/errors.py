"""What goes wrong on the network, one class per decision a caller can take.

Each is a `PeerError`: the other end, or the path to it, is at fault. `translate` is the one table from foreign errors.
"""

import trio

from latticework.wire import PeerError


class UnreachableError(PeerError):
    """Nobody answers at an address: try another address, or later."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", message)


class ConnectionLostError(PeerError):
    """The connection is gone: dial again."""

    def __init__(self, message: str, code: str = "connection-lost") -> None:
        super().__init__(code, message)


class TruncatedError(ConnectionLostError):
    """The bytes ended without the sealed close: cut off by a crash, a network or an attacker."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "truncated")


class StreamResetError(PeerError):
    """The peer, or a local `reset`, ended one stream; the connection lives on."""

    def __init__(self, message: str) -> None:
        super().__init__("stream-reset", message)


class ProtocolRefusedError(PeerError):
    """The peer speaks none of the protocols offered: do not ask this peer again."""

    def __init__(self, message: str) -> None:
        super().__init__("protocol-refused", message)


class HandshakeError(PeerError):
    """No authenticated connection came to be; `code` is the machine's word, or `timeout`, `busy`, `malformed`."""


def translate(error: OSError | trio.ClosedResourceError, what: str) -> ConnectionLostError:
    """The error of ours for what a connected socket raises; `what` is told to people."""
    return ConnectionLostError(f"{what}: {str(error) or type(error).__name__}")
