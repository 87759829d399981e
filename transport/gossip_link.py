"""One peer as the gossip driver sees it: frames out by priority, frames in by length."""

from collections.abc import Awaitable, Callable
from typing import Final, final

import trio

from latticework.wire import LatticeError, MalformedError, PeerError

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
            stream.listen(self._stir)
            try:
                while True:
                    batch = self._batch()
                    if batch:
                        await stream.send_all(b"".join(batch))
                    else:
                        await self._rest(stream)
            finally:
                stream.listen(None)

    async def _rest(self, stream: Stream) -> None:
        """Wait until a frame is queued; notice that an idle stream is gone, or that the peer writes to it."""
        self._waiting = trio.Event()
        if stream.receive_nowait(1):
            # A peer that ends its own direction is still there.
            self.end(GossipReason.MALFORMED)
        self._idle = stream
        try:
            await self._waiting.wait()
        finally:
            self._idle = None

    def _stir(self) -> None:
        self._idle = None
        self._waiting.set()

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
    """RPCs from a stream, each behind its varint length; the length is bounded before anything is kept.

    `take` takes one, or says False for want of room, and is offered the same again; it is called from the connection's
    own tasks, which spares a turn of the loop for each RPC.
    """

    def __init__(self, stream: Stream, max_bytes: int, take: Callable[[bytes], bool]) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._take = take
        self._buffer = bytearray()
        self._frame: bytes | None = None
        self._ended = False
        self._failure: LatticeError | None = None
        self._stopped = trio.Event()

    async def run(self, room: Callable[[], Awaitable[None]]) -> None:
        """Hand over RPCs until the end of the stream; `room` waits until there may be some.

        Raises:
            MalformedError: one is longer than allowed, or cut off.
            PeerError: the stream failed.
        """
        self._stream.listen(self._hear)
        try:
            while True:
                self._stopped = trio.Event()
                self._hear()
                await self._stopped.wait()
                if self._failure is not None:
                    raise self._failure
                if self._ended:
                    return
                await room()
        finally:
            self._stream.listen(None)

    def _hear(self) -> None:
        """Hand over what has come; while there is no room it stays in the stream, whose window holds the peer back."""
        if self._stopped.is_set():
            return
        try:
            while self._hand_over() and (data := self._stream.receive_nowait(_READ_BYTES)) is not None:
                if not data:
                    self._end()
                    return
                self._buffer += data
        except (MalformedError, PeerError) as error:
            self._failure = error
            self._stopped.set()

    def _end(self) -> None:
        if self._buffer:
            raise MalformedError("the stream ended inside an RPC")
        self._ended = True
        self._stopped.set()

    def _hand_over(self) -> bool:
        """Hand over the RPCs that are here; False for want of room."""
        while (frame := self._pop() if self._frame is None else self._frame) is not None:
            if not self._take(frame):
                self._frame = frame
                self._stopped.set()
                return False
            self._frame = None
        return True

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
