"""Content-defined chunking: FastCDC with a seed per space (Xia et al., USENIX ATC 2016; decision 22)."""

from collections.abc import Iterator
from typing import Protocol, final

from pyfastcdc import FastCDC

from .params import AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, READ_BUFFER_BYTES


class _Reader(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


@final
class Chunker:
    """Cuts streams at boundaries that depend on the content and the seed alone."""

    def __init__(self, seed: int) -> None:
        self._cdc = FastCDC(avg_size=AVERAGE_CHUNK_BYTES, min_size=MIN_CHUNK_BYTES, max_size=MAX_CHUNK_BYTES, seed=seed)

    def cut(self, reader: _Reader, size_hint: int) -> Iterator[memoryview]:
        """The chunks of everything `reader` yields, in order; each view is valid until the next is taken.

        Memory is `READ_BUFFER_BYTES` whatever the size; a small `size_hint` takes less.
        """
        buffer = memoryview(bytearray(min(READ_BUFFER_BYTES, max(size_hint, 1) + 1)))
        filled = 0
        while True:
            filled, at_end = _fill(reader, buffer, filled)
            if filled == len(buffer) < READ_BUFFER_BYTES and not at_end:
                larger = memoryview(bytearray(READ_BUFFER_BYTES))
                larger[:filled] = buffer
                buffer = larger
                continue
            start = 0
            while start < filled and (at_end or filled - start >= MAX_CHUNK_BYTES):
                length = self._next_length(buffer[start:filled])
                yield buffer[start : start + length]
                start += length
            if at_end:
                return
            rest = bytes(buffer[start:filled])
            buffer[: len(rest)] = rest
            filled = len(rest)

    def _next_length(self, data: memoryview) -> int:
        if len(data) <= MIN_CHUNK_BYTES:
            return len(data)
        return next(iter(self._cdc.cut_buf(data[:MAX_CHUNK_BYTES]))).length


def _fill(reader: _Reader, buffer: memoryview, filled: int) -> tuple[int, bool]:
    while filled < len(buffer):
        count = reader.readinto(buffer[filled:])
        if not count:
            return filled, True
        filled += count
    return filled, False
