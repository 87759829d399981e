"""Records on a byte stream: the driver that reads, opens, seals and writes them with as few copies and waits as it can.

At rest a reader waits with a buffer of 1 KiB of its own; a leased one is taken when a record does not fit and given
back after a second of silence. A record longer than the channel's read-ahead is read to its end and one header beyond,
so that the next one's length is known and nothing large is ever moved; shorter ones are read several at a time.
"""

from typing import final

import trio

from latticework.wire import PeerError

from .buffers import SMALL_BUFFER_BYTES, BufferPool
from .errors import TruncatedError
from .params import (
    IDLE_READ_BYTES,
    IDLE_RELEASE_US,
    RECORD_GROWTH,
    RECORD_MIN_BYTES,
    RECORD_TAG_BYTES,
    SEAL_SLACK_BYTES,
)
from .ports import ByteStream, Framing, RecordSession


@final
class RecordReader:
    """Reads records; `leftover` is what came behind the handshake."""

    def __init__(
        self, stream: ByteStream, records: RecordSession, framing: Framing, pool: BufferPool, leftover: bytes
    ) -> None:
        self._stream = stream
        self._records = records
        self._framing = framing
        self._header_bytes = framing.header_bytes
        self._pool = pool
        self._unread = b""
        self._own = memoryview(bytearray(max(IDLE_READ_BYTES, len(leftover))))
        self._own[: len(leftover)] = leftover
        self._buffer = self._own
        self._start = 0
        self._end = len(leftover)

    async def next(self) -> memoryview | None:
        """The plaintext of the next record, in the pool's scratch buffer until the next await; None at the close.

        Raises:
            TruncatedError: the stream ended without a sealed close, or inside a record where there is none.
            PeerError: a forged, oversized or malformed record.
        """
        if self._unread:
            unread, self._unread = self._unread, b""
            return memoryview(unread)
        while True:
            size = self._record_size()
            if size is not None and self._end - self._start >= size:
                record = self._buffer[self._start : self._start + size]
                self._start += size
                count = self._records.open_into(record, self._pool.scratch)
                if count < 0:
                    return None
                if count:
                    return self._pool.scratch[:count]
            elif not await self._fill(size or self._header_bytes):
                return None

    def unread(self, plaintext: bytes) -> None:
        """Give `plaintext` back to be returned first by `next`."""
        self._unread = plaintext

    def close(self) -> None:
        """Give the buffer back."""
        self._use(self._own)

    def _record_size(self) -> int | None:
        header_bytes = self._header_bytes
        if self._end - self._start < header_bytes:
            return None
        header = int.from_bytes(self._buffer[self._start : self._start + header_bytes], "big")
        sealed = header & self._framing.length_mask
        if not RECORD_TAG_BYTES <= sealed <= self._framing.max_sealed_bytes:
            raise PeerError("record", f"record of {sealed} bytes")
        return header_bytes + sealed

    async def _fill(self, size: int) -> bool:
        """Read more of a record of `size` bytes, and of its successors; False at an end that is no error."""
        held = self._buffer[self._start : self._end]
        reach = size + self._header_bytes
        if reach > len(self._buffer):
            larger = self._pool.lease(reach)
            larger[: len(held)] = held
            self._use(larger)
        elif self._start:
            self._buffer[: len(held)] = held
        self._start, self._end = 0, len(held)
        count = await self._receive(self._buffer[self._end : max(reach, self._framing.read_ahead_bytes)])
        if count == 0 and (self._end or self._framing.sealed_close):
            raise TruncatedError("the connection ended without a sealed close")
        self._end += count
        return count > 0

    async def _receive(self, target: memoryview) -> int:
        if self._end or self._buffer is self._own:
            return await self._stream.receive_into(target)
        with trio.move_on_after(IDLE_RELEASE_US / 1_000_000):
            return await self._stream.receive_into(target)
        self._use(self._own)
        return await self._stream.receive_into(self._own)

    def _use(self, buffer: memoryview) -> None:
        if self._buffer is not self._own:
            self._pool.give_back(self._buffer)
        self._buffer = buffer


@final
class RecordSizer:
    """How long the next record may be: short at rest, for latency; long under load, for throughput."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.size = RECORD_MIN_BYTES

    def wrote(self, count: int) -> None:
        """A record of `count` bytes was filled; a nearly full one makes the next longer."""
        if count * 8 >= self.size * 7:
            self.size = min(self.size * RECORD_GROWTH, self._max_bytes)

    def rest(self) -> None:
        """Nothing waits."""
        self.size = RECORD_MIN_BYTES


def sealed_size(count: int) -> int:
    """The buffer that `seal_into` wants for `count` bytes of plaintext."""
    return max(count + SEAL_SLACK_BYTES, SMALL_BUFFER_BYTES)
