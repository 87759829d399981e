"""One application stream: what handlers and openers hold, and the half that the connection's driver feeds.

A write of up to 16 KiB is copied and returns at once, so that many share a record; a longer one is sent from the
caller's buffer and returns when its last byte is in a record. A slow reader holds the peer back through the window,
for as long as it likes.
"""

from collections.abc import Buffer, Callable, Sequence
from types import TracebackType
from typing import Final, Self, final

import trio

from latticework.wire import LocalError, PeerError

from .buffers import ReceiveBuffer
from .errors import ConnectionLostError, StreamResetError
from .params import FRAME_LENGTH_BYTES, QUEUED_WRITE_BYTES, SMALL_WRITE_BYTES
from .yamux_frames import Abandon, Consumed, Event, Finish, Reset, Withdraw, Write


@final
class StreamCore:
    """What driver and stream share; the driver calls the `on_` methods, from its own tasks, without waiting."""

    def __init__(self, number: int, submit: Callable[[Event], None]) -> None:
        self.number: Final = number
        self.submit: Final = submit
        self.inbox: Final = ReceiveBuffer()
        self.ended = False
        self.failure: PeerError | None = None
        self.queued = 0
        self.heard: Callable[[], None] | None = None
        """Called in place of a waiting reader whenever bytes, the end or a failure came."""
        self._readable: trio.Event | None = None
        self._drained: trio.Event | None = None

    def on_data(self, data: memoryview) -> None:
        self.inbox.append(data)
        self._wake_reader()

    def on_remote_finished(self) -> None:
        self.ended = True
        self._wake_reader()

    def on_drained(self) -> None:
        self.queued = 0
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def on_failure(self, error: PeerError) -> None:
        """The stream is gone; what had arrived whole stays readable."""
        if self.failure is None:
            self.failure = error
        self._wake_reader()
        self.on_drained()

    def _wake_reader(self) -> None:
        if self.heard is not None:
            self.heard()
        elif self._readable is not None:
            self._readable.set()
            self._readable = None

    async def readable(self) -> bool:
        """Wait for bytes (True) or the end (False); raises the failure when nothing is left to read."""
        while not self.inbox.count:
            if self.ended:
                return False
            if self.failure is not None:
                raise self.failure
            if self._readable is not None:
                raise LocalError("two tasks read one stream")
            self._readable = trio.Event()
            try:
                await self._readable.wait()
            finally:
                self._readable = None
        return True

    async def drained(self) -> None:
        """Wait until nothing is queued; raises the failure."""
        while self.queued:
            if self._drained is None:
                self._drained = trio.Event()
            await self._drained.wait()
        if self.failure is not None:
            raise self.failure


@final
class Stream:
    """A bidirectional byte stream inside a connection; one task may read and one may write at a time.

    Every method that waits raises ConnectionLostError when the connection ends, StreamResetError when the stream does.
    Whoever opened a stream must end it, best with `async with`: that closes it, or resets it when the body raises.
    """

    def __init__(self, core: StreamCore, protocol: str) -> None:
        self._core = core
        self.protocol: Final = protocol
        self._writing = False
        self._write_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.aclose()
        else:
            self.reset()

    async def send_all(self, data: Buffer) -> None:
        """Send `data`; it may be reused when this returns. After cancellation an unknown prefix was sent."""
        await self.send_buffers((data,))

    def send_nowait(self, data: bytes) -> bool:
        """Queue a small write without waiting; False, and nothing queued, where `send_all` would wait or raise."""
        core = self._core
        blocked = core.failure is not None or self._writing or self._write_closed
        if blocked or len(data) > SMALL_WRITE_BYTES or core.queued + len(data) > QUEUED_WRITE_BYTES:
            return False
        core.queued += len(data)
        core.submit(Write(core.number, (memoryview(data),)))
        return True

    async def send_buffers(self, buffers: Sequence[Buffer]) -> None:
        """Send all `buffers` as if they were one."""
        await trio.lowlevel.checkpoint_if_cancelled()
        core = self._core
        if core.failure is not None:
            raise core.failure
        if self._writing or self._write_closed:
            raise LocalError("two tasks write one stream" if self._writing else "the stream is closed for writing")
        pieces = tuple(memoryview(buffer).cast("B") for buffer in buffers)
        total = sum(map(len, pieces))
        if total <= SMALL_WRITE_BYTES and core.queued + total <= QUEUED_WRITE_BYTES:
            core.queued += total
            core.submit(Write(core.number, (memoryview(b"".join(pieces)),)))
            return
        self._writing = True
        try:
            core.queued += total
            core.submit(Write(core.number, pieces))
            await core.drained()
        except BaseException:
            core.submit(Withdraw(core.number, total))
            raise
        finally:
            self._writing = False
            for piece in pieces:
                piece.release()

    async def receive(self, max_bytes: int) -> bytes:
        """Wait for at least one byte, return at most `max_bytes`; b"" is the end of the stream."""
        await trio.lowlevel.checkpoint_if_cancelled()
        core = self._core
        if not await core.readable():
            return b""
        data = core.inbox.take(max_bytes)
        core.submit(Consumed(core.number, len(data)))
        return data

    def listen(self, heard: Callable[[], None] | None) -> None:
        """Call `heard` whenever there may be something for `receive_nowait`, until told otherwise; nobody may wait.

        It is called from the connection's own tasks, which do nothing else meanwhile: it must neither wait nor raise.
        """
        self._core.heard = heard

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """At most `max_bytes` of what has come, None if nothing has; b"" is the end of the stream."""
        core = self._core
        if not core.inbox.count:
            if core.ended:
                return b""
            if core.failure is not None:
                raise core.failure
            return None
        data = core.inbox.take(max_bytes)
        core.submit(Consumed(core.number, len(data)))
        return data

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for at least one byte, fill `buffer` with what is there, return the count; 0 is the end."""
        await trio.lowlevel.checkpoint_if_cancelled()
        core = self._core
        if not await core.readable():
            return 0
        count = core.inbox.take_into(buffer)
        core.submit(Consumed(core.number, count))
        return count

    async def receive_exactly(self, count: int) -> bytes:
        """Wait for `count` bytes.

        Raises:
            PeerError: the stream ended before.
        """
        data = await self._receive_up_to(count)
        if len(data) != count:
            raise PeerError("stream-ended", f"the stream ended after {len(data)} of {count} bytes")
        return data

    async def _receive_up_to(self, count: int) -> bytes:
        pieces: list[bytes] = []
        missing = count
        while missing:
            piece = await self.receive(missing)
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def send_message(self, message: Buffer) -> None:
        """Send one message behind its 4-byte big-endian length."""
        view = memoryview(message).cast("B")
        await self.send_buffers((len(view).to_bytes(FRAME_LENGTH_BYTES, "big"), view))

    async def receive_message(self, max_bytes: int) -> bytes | None:
        """The next message of `send_message`, or None at the end of the stream.

        Raises:
            PeerError: a message longer than `max_bytes` (nothing of it is read), or cut off.
        """
        prefix = await self._receive_up_to(FRAME_LENGTH_BYTES)
        if not prefix:
            return None
        length = int.from_bytes(prefix, "big")
        if len(prefix) != FRAME_LENGTH_BYTES or length > max_bytes:
            raise PeerError("message-length", f"message of {length} bytes where at most {max_bytes} are allowed")
        return await self.receive_exactly(length)

    async def close_write(self) -> None:
        """Say that no more comes; reading goes on. What was sent before still arrives."""
        if not self._write_closed:
            self._write_closed = True
            self._core.submit(Finish(self._core.number))
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Send what is queued, say that no more comes, and read no more; never raises for a dead peer.

        After cancellation the stream is reset.
        """
        core = self._core
        try:
            await self.close_write()
            await core.drained()
        except (StreamResetError, ConnectionLostError):
            return
        except trio.Cancelled:
            self.reset()
            raise
        core.inbox.clear()
        core.submit(Abandon(core.number))
        core.on_failure(StreamResetError("the stream was closed here"))

    def reset(self) -> None:
        """Drop the stream now, in both directions."""
        self._core.inbox.clear()
        self._core.submit(Reset(self._core.number))
        self._core.on_failure(StreamResetError("the stream was reset here"))
