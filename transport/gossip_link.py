"""One peer as the gossip driver sees it: frames out by priority, frames in by length."""

from typing import Final, final

import trio

from latticework.wire import MalformedError

from .gossip_events import GossipReason, Priority
from .gossip_outbox import Outbox
from .gossip_params import GossipBounds
from .stream import Stream
from .varint import decode_varint

_BATCH_BYTES: Final = 64 * 1024
"""Frames written together; a quarter of a record, as yamux's quantum."""
_READ_BYTES: Final = 64 * 1024
_MAX_PREFIX_BYTES: Final = 4
"""A length of up to 28 bits: more than any bound on an RPC."""


@final
class PeerLink:
    """What waits for one peer, and how its tasks are ended."""

    def __init__(self, bounds: GossipBounds) -> None:
        self._outbox = Outbox(bounds)
        self._scope = trio.CancelScope()
        self._reading: trio.CancelScope | None = None
        self._waiting = trio.Event()
        self._idle: Stream | None = None
        self.turn: Final = trio.Lock()
        """Held by whoever writes."""
        self.attendants = 0
        """Connections that write or wait for their turn."""
        self.opened = False
        """Whether the router knows of the peer."""
        self.reason: GossipReason | None = None
        """Why the router had enough of the peer."""

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return len(self._outbox)

    def push(self, frame: bytes, priority: Priority) -> bool:
        """Send a frame at once if nothing waits, or queue it; False if it was dropped."""
        if self._idle is not None and self._idle.send_nowait(frame):
            return True
        # What waits goes first, so nothing is sent past it until the writer has taken it.
        self._idle = None
        queued = self._outbox.push(frame, priority)
        self._waiting.set()
        return queued

    def end(self, reason: GossipReason | None) -> None:
        """Stop writing to the peer and reading from it; the first reason stands."""
        self.reason = self.reason or reason
        self._scope.cancel()
        if self._reading is not None:
            self._reading.cancel()

    async def write(self, stream: Stream) -> None:
        """Send what is queued until the link is ended; raises PeerError when the stream is."""
        with trio.CancelScope() as self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, stream)
                while True:
                    batch = self._batch()
                    if batch:
                        await stream.send_all(b"".join(batch))
                    else:
                        self._waiting = trio.Event()
                        self._idle = stream
                        try:
                            await self._waiting.wait()
                        finally:
                            self._idle = None

    async def _watch(self, stream: Stream) -> None:
        """Notice that an idle stream is gone; a peer that ends its own direction is still there."""
        if await stream.receive(1):
            self.end(GossipReason.MALFORMED)

    def _batch(self) -> list[bytes]:
        frames: list[bytes] = []
        size = 0
        while size < _BATCH_BYTES and (frame := self._outbox.pop()) is not None:
            frames.append(frame)
            size += len(frame)
        return frames

    def begin_reading(self) -> trio.CancelScope:
        """The scope of a new reader; a peer's newer stream ends its older one."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading = trio.CancelScope()
        return self._reading


@final
class FrameReader:
    """RPCs from a stream, each behind its varint length; the length is bounded before anything is kept."""

    def __init__(self, stream: Stream, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    async def next(self) -> bytes | None:
        """The next RPC, None at the end of the stream.

        Raises:
            MalformedError: longer than allowed, or cut off.
        """
        while (frame := self._pop()) is None:
            data = await self._stream.receive(_READ_BYTES)
            if not data:
                if self._buffer:
                    raise MalformedError("the stream ended inside an RPC")
                return None
            self._buffer += data
        return frame

    def _pop(self) -> bytes | None:
        prefix = decode_varint(self._buffer, 0, _MAX_PREFIX_BYTES)
        if prefix is None:
            return None
        length, start = prefix
        if length > self._max_bytes:
            raise MalformedError(f"RPC of {length} bytes")
        if len(self._buffer) < start + length:
            return None
        frame = bytes(memoryview(self._buffer)[start : start + length])
        del self._buffer[: start + length]
        return frame
