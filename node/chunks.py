"""Chunk exchange: many requests in flight over one stream, answers in order.

Requests are bounded by the bytes they will bring, so neither side buffers more than a window. A thread hop and a write
serve several megabytes at once (architecture, part 7).
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import final

import trio

from latticework.transport import Stream
from latticework.wire import ChunkId, PeerError, SpaceId, Threads, decode, encode

from .folders.ports import Deliver
from .folders.serve import ChunkSource
from .groups import first_error
from .messages import NO_CHUNK, ChunkRequest
from .params import CHUNK_GROUP_BYTES, CHUNK_WINDOW_BYTES, MAX_CHUNK_REQUEST

_MAX_REQUEST_BYTES = 64 + 34 * MAX_CHUNK_REQUEST
_REQUEST_BYTES = 2 << 20
STALL_S = 30.0
"""A peer that sends nothing for so long while chunks are due has stalled; another is asked."""


async def serve_chunks(stream: Stream, source_of: Callable[[SpaceId], ChunkSource | None], threads: Threads) -> None:
    """Answer requests until the peer ends the stream; raises PeerError for a malformed one.

    The next group is read from disk while the last one is on its way.
    """
    send, groups = trio.open_memory_channel[list[bytes | bytearray | None]](1)
    with first_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_groups, stream, groups)
            async with send:
                while (message := await stream.receive_message(_MAX_REQUEST_BYTES)) is not None:
                    request = decode(ChunkRequest, message, _MAX_REQUEST_BYTES)
                    await _read_groups(request.chunks, source_of(request.space), send, threads)


async def _read_groups(
    chunks: Sequence[ChunkId],
    source: ChunkSource | None,
    groups: trio.MemorySendChannel[list[bytes | bytearray | None]],
    threads: Threads,
) -> None:
    if source is None:
        await groups.send([None] * len(chunks))
        return
    while chunks:
        group = await threads.run(partial(source.get, chunks, CHUNK_GROUP_BYTES))
        chunks = chunks[len(group) :]
        await groups.send(group)


async def _send_groups(stream: Stream, groups: trio.MemoryReceiveChannel[list[bytes | bytearray | None]]) -> None:
    async for group in groups:
        await stream.send_buffers(_framed(group))


def _framed(group: Sequence[bytes | bytearray | None]) -> list[bytes | bytearray]:
    buffers: list[bytes | bytearray] = []
    for chunk in group:
        buffers.append((NO_CHUNK if chunk is None else len(chunk)).to_bytes(4, "big"))
        if chunk is not None:
            buffers.append(chunk)
    return buffers


@final
class ChunkFetch:
    """One fetch over one stream."""

    def __init__(self, stream: Stream, space: SpaceId, wanted: Mapping[ChunkId, int]) -> None:
        self._stream = stream
        self._space = space
        self._wanted = wanted
        self._due: deque[ChunkId] = deque()
        self._due_bytes = 0
        self._room = trio.Event()
        self._more = trio.Event()
        self.missing: list[ChunkId] = []
        self.left = dict(wanted)

    async def run(self, deliver: Deliver) -> None:
        """Fetch everything; `missing` and `left` tell afterwards what the peer does not have or did not send.

        Raises:
            PeerError: the peer sent something else, stalled, or is gone. `left` is still right.
        """
        groups_in, groups_out = trio.open_memory_channel[list[tuple[ChunkId, bytes]]](1)

        async def hand_over() -> None:
            async for group in groups_out:
                await deliver(group)
                for chunk, _ in group:
                    self.left.pop(chunk, None)

        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hand_over)
                nursery.start_soon(self._request)
                async with groups_in:
                    await self._receive(groups_in)

    async def _request(self) -> None:
        batch: list[ChunkId] = []
        size = 0
        for chunk, length in self._wanted.items():
            batch.append(chunk)
            size += length
            if size >= _REQUEST_BYTES or len(batch) >= MAX_CHUNK_REQUEST:
                await self._send_request(batch, size)
                batch, size = [], 0
        if batch:
            await self._send_request(batch, size)

    async def _send_request(self, batch: list[ChunkId], size: int) -> None:
        while self._due_bytes and self._due_bytes + size > CHUNK_WINDOW_BYTES:
            self._room = trio.Event()
            await self._room.wait()
        self._due.extend(batch)
        self._due_bytes += size
        self._more.set()
        await self._stream.send_message(encode(ChunkRequest(self._space, tuple(batch))))

    async def _receive(self, groups: trio.MemorySendChannel[list[tuple[ChunkId, bytes]]]) -> None:
        group: list[tuple[ChunkId, bytes]] = []
        size = 0
        for _ in range(len(self._wanted)):
            while not self._due:
                self._more = trio.Event()
                await self._more.wait()
            chunk = self._due.popleft()
            data = await self._receive_one(chunk)
            self._due_bytes -= self._wanted[chunk]
            self._room.set()
            if data is None:
                self.missing.append(chunk)
            else:
                group.append((chunk, data))
                size += len(data)
            if group and (size >= CHUNK_GROUP_BYTES or not self._due):
                await groups.send(group)
                group, size = [], 0
        if group:
            await groups.send(group)

    async def _receive_one(self, chunk: ChunkId) -> bytes | None:
        with trio.move_on_after(STALL_S):
            length = int.from_bytes(await self._stream.receive_exactly(4), "big")
            if length == NO_CHUNK:
                return None
            if length != self._wanted[chunk]:
                raise PeerError("chunk", f"a chunk of {length} bytes where {self._wanted[chunk]} are due")
            return await self._stream.receive_exactly(length)
        raise PeerError("stalled", f"the peer sent nothing for {STALL_S:.0f} seconds")
