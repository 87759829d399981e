"""Memory of the byte path: buffers leased per node, and what waits for a reader.

Sealing and opening are synchronous, so one plaintext buffer serves a whole node (`scratch`); only ciphertext lives
across a wait, in a leased buffer. An idle connection holds no lease (decision 17).
"""

from typing import Final, final

from .params import (
    COALESCE_BYTES,
    POOL_IDLE_BUFFERS,
    RECORD_HEADER_BYTES,
    RECORD_MAX_BYTES,
    RECORD_MIN_BYTES,
    RECORD_TAG_BYTES,
    SEAL_SLACK_BYTES,
)

_SLACK: Final = SEAL_SLACK_BYTES + RECORD_HEADER_BYTES + RECORD_TAG_BYTES
SMALL_BUFFER_BYTES: Final = RECORD_MIN_BYTES + _SLACK
LARGE_BUFFER_BYTES: Final = RECORD_MAX_BYTES + _SLACK


@final
class BufferPool:
    """The buffers of one node; used from one thread."""

    def __init__(self, idle_buffers: int = POOL_IDLE_BUFFERS) -> None:
        self._idle_buffers = idle_buffers
        self._idle: dict[int, list[memoryview]] = {SMALL_BUFFER_BYTES: [], LARGE_BUFFER_BYTES: []}
        self.leased_bytes = 0
        """What connections hold now."""
        self.scratch = memoryview(bytearray(LARGE_BUFFER_BYTES))
        """Plaintext of the record at hand; valid only until the next await."""

    def lease(self, size: int) -> memoryview:
        """A buffer of at least `size` bytes, which is at most `LARGE_BUFFER_BYTES`; give it back."""
        size = SMALL_BUFFER_BYTES if size <= SMALL_BUFFER_BYTES else LARGE_BUFFER_BYTES
        self.leased_bytes += size
        idle = self._idle[size]
        return idle.pop() if idle else memoryview(bytearray(size))

    def give_back(self, buffer: memoryview) -> None:
        """End a lease; `buffer` must not be used again."""
        self.leased_bytes -= len(buffer)
        idle = self._idle[len(buffer)]
        if len(idle) < self._idle_buffers:
            idle.append(buffer)


@final
class ReceiveBuffer:
    """Bytes that wait for the reader of one stream; the muxer's window bounds them."""

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray | memoryview] = []
        """Few, since small ones are joined; mostly none, and an empty deque has 700 bytes."""
        self.count = 0

    def append(self, data: memoryview | bytes) -> None:
        """Keep a copy of `data`."""
        size = len(data)
        self.count += size
        pieces = self._pieces
        if size >= COALESCE_BYTES or not pieces:
            pieces.append(bytes(data))
            return
        last = pieces[-1]
        if type(last) is bytearray and len(last) < COALESCE_BYTES:
            last += data
        else:
            pieces.append(bytearray(data))

    def push_back(self, data: bytes) -> None:
        """Put `data` in front again."""
        if data:
            self._pieces.insert(0, data)
            self.count += len(data)

    def take(self, max_bytes: int) -> bytes:
        """At most `max_bytes`, as one piece that arrived; without a copy if it fits."""
        piece = self._pieces.pop(0)
        if len(piece) > max_bytes:
            rest = memoryview(piece)
            self._pieces.insert(0, rest[max_bytes:])
            piece = rest[:max_bytes]
        self.count -= len(piece)
        return piece if type(piece) is bytes else bytes(piece)

    def take_into(self, out: memoryview) -> int:
        """Fill `out` as far as the bytes reach; the count."""
        offset = 0
        room = len(out)
        while offset < room and self._pieces:
            piece = self._pieces.pop(0)
            size = len(piece)
            if size > room - offset:
                size = room - offset
                rest = memoryview(piece)
                self._pieces.insert(0, rest[size:])
                piece = rest[:size]
            out[offset : offset + size] = piece
            offset += size
        self.count -= offset
        return offset

    def clear(self) -> None:
        self._pieces.clear()
        self.count = 0
