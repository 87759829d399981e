"""The error roots: every exception of ours says who is wrong.

`LocalError` is our caller, `PeerError` is the other side, `StoreError` is the disk. A leaf exists per decision a caller
can take, not per place that raises.
"""


class LatticeError(Exception):
    """Root of every error Latticework raises on purpose."""


class LocalError(LatticeError):
    """We, or the program that called us, asked for something that cannot be done."""


class PeerError(LatticeError):
    """A peer broke a protocol or refused; `code` is the short wire word, for example `handshake`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class MalformedError(PeerError):
    """Bytes that are not the record they should be; the author of the bytes is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__("malformed", message)


class StoreError(LatticeError):
    """The disk failed us: full, read-only, vanished or corrupt."""
