"""One direction of a simulated stream: a bounded buffer whose bytes travel through the virtual clock.

It ends as TCP does. After the writer closed, the reader gets what was sent before and then the end of the stream. After
the reader closed, the writer fails as soon as the news has travelled. When the link is cut both fail at once; bytes
that had arrived can still be read, those on their way are lost.
"""

from collections.abc import Buffer
from dataclasses import dataclass
from functools import partial
from typing import final

import trio

from latticework.transport import ConnectionLostError

from .clock import VirtualClock
from .link import Lane
from .transcript import Frame, FrameHook

_FRAMES_PER_WINDOW = 4
"""A longer send travels as frames of a quarter window, so that it starts before the whole window is free."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a pipe sends through."""

    clock: VirtualClock
    lane: Lane
    source: str
    destination: str
    hook: FrameHook | None

    def transmit(self, data: bytes) -> int:
        """Tell the hook; when `data` arrives."""
        now_us = self.clock.monotonic_us()
        if self.hook is not None:
            self.hook(Frame(now_us, self.source, self.destination, data))
        return self.lane.arrival_us(now_us, len(data))


@final
class Pipe:
    """From one writer task to one reader task."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._window_bytes = route.lane.link.window_bytes
        self._arrived = bytearray()
        self._in_flight_bytes = 0
        self._ended = False
        self._lost = False
        self._reader_closed = False
        self._writer_closed = False
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()

    async def send_all(self, data: Buffer) -> None:
        view = memoryview(data).cast("B")
        while view:
            size = min(len(view), self._window_bytes // _FRAMES_PER_WINDOW)
            while not self._broken_for_writer and self._in_flight_bytes + size > self._window_bytes:
                await self._writers.park()
            if self._broken_for_writer:
                raise ConnectionLostError(f"{self._route.destination} is gone")
            self._send_frame(bytes(view[:size]))
            view = view[size:]

    async def receive_into(self, buffer: memoryview) -> int:
        while not self._arrived and not self._ended and not self._lost and not self._reader_closed:
            await self._readers.park()
        if self._reader_closed or (self._lost and not self._arrived and not self._ended):
            raise ConnectionLostError(f"{self._route.source} is gone")
        size = min(len(buffer), len(self._arrived))
        buffer[:size] = self._arrived[:size]
        del self._arrived[:size]
        self._in_flight_bytes -= size
        self._writers.unpark_all()
        return size

    def close_reader(self) -> None:
        """The reader is gone at its own end; the writer is told by `lose`."""
        self._reader_closed = True
        self._readers.unpark_all()

    def close_writer(self) -> int:
        """The writer is gone: the reader sees the end after all that was sent; at what time."""
        self._writer_closed = True
        self._writers.unpark_all()
        arrival_us = self._route.transmit(b"")
        self._route.clock.schedule(arrival_us, self._arrive_end)
        return arrival_us

    def lose(self) -> None:
        """Nothing gets through any more."""
        self._lost = True
        self._readers.unpark_all()
        self._writers.unpark_all()

    @property
    def _broken_for_writer(self) -> bool:
        return self._lost or self._writer_closed

    def _send_frame(self, data: bytes) -> None:
        self._in_flight_bytes += len(data)
        self._route.clock.schedule(self._route.transmit(data), partial(self._arrive, data))

    def _arrive(self, data: bytes) -> None:
        if not self._lost:
            self._arrived += data
            self._readers.unpark_all()

    def _arrive_end(self) -> None:
        if not self._lost:
            self._ended = True
            self._readers.unpark_all()
