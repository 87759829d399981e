"""Records on a byte stream: the driver that reads, opens, seals and writes them with as few copies and waits as it can.

At rest a reader waits with a buffer of 512 bytes of its own; a leased one is taken when a record does not fit and given
back after a second of silence. A long record is read to its end and four bytes beyond, so that the next one's length is
known and nothing large is ever moved; short ones are read ahead.
"""

from typing import final

import trio

from latticework.wire import PeerError

from .buffers import SMALL_BUFFER_BYTES, BufferPool
from .errors import TruncatedError
from .params import (
    IDLE_READ_BYTES,
    IDLE_RELEASE_US,
    READ_AHEAD_BYTES,
    RECORD_GROWTH,
    RECORD_HEADER_BYTES,
    RECORD_LENGTH_MASK,
    RECORD_MAX_BYTES,
    RECORD_MIN_BYTES,
    RECORD_TAG_BYTES,
    SEAL_SLACK_BYTES,
)
from .ports import ByteStream, RecordSession

_MAX_SEALED_BYTES = RECORD_MAX_BYTES + RECORD_TAG_BYTES


@final
class RecordReader:
    """Reads records; `leftover` is what came behind the handshake."""

    def __init__(self, stream: ByteStream, records: RecordSession, pool: BufferPool, leftover: bytes) -> None:
        self._stream = stream
        self._records = records
        self._pool = pool
        self._own = memoryview(bytearray(max(IDLE_READ_BYTES, len(leftover))))
        self._own[: len(leftover)] = leftover
        self._buffer = self._own
        self._start = 0
        self._end = len(leftover)

    async def next(self) -> memoryview | None:
        """The plaintext of the next record, in the pool's scratch buffer until the next await; None at a sealed close.

        Raises:
            TruncatedError: the stream ended without a sealed close.
            PeerError: a forged, oversized or malformed record.
        """
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
            else:
                await self._fill(size or RECORD_HEADER_BYTES)

    def close(self) -> None:
        """Give the buffer back."""
        self._use(self._own)

    def _record_size(self) -> int | None:
        if self._end - self._start < RECORD_HEADER_BYTES:
            return None
        header = int.from_bytes(self._buffer[self._start : self._start + RECORD_HEADER_BYTES], "big")
        sealed = header & RECORD_LENGTH_MASK
        if not RECORD_TAG_BYTES <= sealed <= _MAX_SEALED_BYTES:
            raise PeerError("record", f"record of {sealed} bytes")
        return RECORD_HEADER_BYTES + sealed

    async def _fill(self, size: int) -> None:
        """Read more of a record of `size` bytes, and of its successors."""
        held = self._buffer[self._start : self._end]
        if size + RECORD_HEADER_BYTES > len(self._buffer):
            larger = self._pool.lease(size + RECORD_HEADER_BYTES)
            larger[: len(held)] = held
            self._use(larger)
        elif self._start:
            self._buffer[: len(held)] = held
        self._start, self._end = 0, len(held)
        limit = max(size + RECORD_HEADER_BYTES, READ_AHEAD_BYTES)
        count = await self._receive(self._buffer[self._end : limit])
        if count == 0:
            raise TruncatedError("the connection ended without a sealed close")
        self._end += count

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

    def __init__(self) -> None:
        self.size = RECORD_MIN_BYTES

    def wrote(self, count: int) -> None:
        """A record of `count` bytes was filled; a nearly full one makes the next longer."""
        if count * 8 >= self.size * 7:
            self.size = min(self.size * RECORD_GROWTH, RECORD_MAX_BYTES)

    def rest(self) -> None:
        """Nothing waits."""
        self.size = RECORD_MIN_BYTES


def sealed_size(count: int) -> int:
    """The buffer that `seal_into` wants for `count` bytes of plaintext."""
    return max(count + SEAL_SLACK_BYTES, SMALL_BUFFER_BYTES)
