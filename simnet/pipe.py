"""One direction of a simulated stream: a bounded buffer whose bytes travel through the virtual clock.

It ends as TCP does. After the writer closed, the reader gets what was sent before and then the end of the stream. After
the reader closed, the writer fails as soon as the news has travelled. When the link is cut both fail at once; bytes
that had arrived can still be read, those on their way are lost.
"""

from collections.abc import Buffer, Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import trio

from latticework.transport import ConnectionLostError

from .clock import VirtualClock
from .cpu import Cpu
from .link import Lane
from .transcript import Frame, FrameHook

_FRAMES_PER_WINDOW = 4
"""A longer send travels as frames of a quarter window, so that it starts before the whole window is free."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a pipe sends through: from `source` to `destination` (multiaddr text), between the processors of two hosts.

    `passes` says whether anything gets through now.
    """

    clock: VirtualClock
    lane: Lane
    source: str
    destination: str
    hook: FrameHook | None
    passes: Callable[[], bool]
    near: Cpu
    far: Cpu

    def transmit(self, data: bytes) -> int:
        """Tell the hook; when `data` arrives."""
        now_us = max(self.clock.monotonic_us(), self.near.free_us)
        if self.hook is not None:
            self.hook(Frame(now_us, self.source, self.destination, data))
        return self.lane.arrival_us(now_us, len(data))


@final
class _Waiter:
    """One task that waits; a second one is a bug of the caller. A `ParkingLot` for many costs twice as much."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        if self._task is not None:
            raise trio.BusyResourceError("another task waits at this end of the stream")
        self._task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)


@final
class Pipe:
    """From one writer task to one reader task."""

    __slots__ = (
        "_arrived",
        "_ended",
        "_held",
        "_in_flight_bytes",
        "_listening",
        "_lost",
        "_reader",
        "_reader_closed",
        "_route",
        "_waiting",
        "_window_bytes",
        "_writer",
        "_writer_closed",
    )

    def __init__(self, route: Route) -> None:
        self._route = route
        self._window_bytes = route.lane.link.window_bytes
        self._arrived = bytearray()
        self._in_flight_bytes = 0
        self._ended = False
        self._lost = False
        self._reader_closed = False
        self._writer_closed = False
        self._held: list[bytes | Callable[[], None]] = []
        """What could not leave."""
        self._waiting: list[bytes | Callable[[], None]] = []
        """What is on its last step, and waits for a partition to end or for the host to be free."""
        self._listening = False
        self._reader = _Waiter()
        self._writer = _Waiter()

    async def send_all(self, data: Buffer) -> None:
        view = memoryview(data).cast("B")
        while view:
            size = min(len(view), self._window_bytes // _FRAMES_PER_WINDOW)
            while not self._broken_for_writer and self._in_flight_bytes + size > self._window_bytes:
                await self._writer.wait()
            if self._broken_for_writer:
                raise ConnectionLostError(f"{self._route.destination} is gone")
            self._send_frame(bytes(view[:size]))
            view = view[size:]

    async def receive_into(self, buffer: memoryview) -> int:
        while not self._arrived and not self._ended and not self._lost and not self._reader_closed:
            await self._reader.wait()
        if self._reader_closed or (self._lost and not self._arrived and not self._ended):
            raise ConnectionLostError(f"{self._route.source} is gone")
        size = min(len(buffer), len(self._arrived))
        buffer[:size] = self._arrived[:size]
        del self._arrived[:size]
        self._in_flight_bytes -= size
        self._writer.wake()
        return size

    def close_reader(self) -> None:
        """The reader is gone at its own end; the writer is told by `lose`."""
        self._reader_closed = True
        self._drop_all()
        self._reader.wake()

    def close_writer(self, on_arrival: Callable[[], None]) -> None:
        """The writer is gone: the reader sees the end after all that was sent; `on_arrival` is called then."""
        self._writer_closed = True
        self._writer.wake()

        def end() -> None:
            self._arrive_end()
            on_arrival()

        self._pass_on(end)

    def release(self) -> None:
        """What was held back goes on, if it may."""
        if self._waiting and not self._listening:
            self._listen()
        if self._held and self._route.passes():
            held, self._held = self._held, []
            for item in held:
                self._transmit(item)

    def lose(self) -> None:
        """Nothing gets through any more."""
        self._lost = True
        self._drop_all()
        self._reader.wake()
        self._writer.wake()

    @property
    def waiting_bytes(self) -> int:
        """What got to the other host, which has not heard it yet."""
        return sum(len(item) for item in self._waiting if isinstance(item, bytes))

    def _drop_all(self) -> None:
        self._route.lane.dropped_bytes += self.waiting_bytes
        self._held.clear()
        self._waiting.clear()

    @property
    def _broken_for_writer(self) -> bool:
        return self._lost or self._writer_closed

    def _send_frame(self, data: bytes) -> None:
        self._in_flight_bytes += len(data)
        self._pass_on(data)

    def _pass_on(self, item: bytes | Callable[[], None]) -> None:
        if self._held or not self._route.passes():
            self._held.append(item)
        else:
            self._transmit(item)

    def _transmit(self, item: bytes | Callable[[], None]) -> None:
        route = self._route
        data = item if isinstance(item, bytes) else b""
        arrive = self._descend if route.lane.far.down is not None else self._arrive
        route.clock.schedule(route.transmit(data), partial(arrive, item))

    def _descend(self, item: bytes | Callable[[], None]) -> None:
        """The host's own line comes last; frames of all links take it in the order in which they get there."""
        clock, down = self._route.clock, self._route.lane.far.down
        size = len(item) if isinstance(item, bytes) else 0
        at_us = clock.monotonic_us() if down is None else down.through_us(clock.monotonic_us(), size)
        clock.schedule(at_us, partial(self._arrive, item))

    def _arrive(self, item: bytes | Callable[[], None]) -> None:
        if (self._lost or self._reader_closed) and isinstance(item, bytes):
            self._route.lane.dropped_bytes += len(item)
            return
        self._waiting.append(item)
        if not self._listening:
            self._listen()

    def _listen(self) -> None:
        """Hear one frame, if it gets here and the host is free; then the next, after what the first set off."""
        self._listening = False
        if not self._waiting or not self._route.passes():
            return
        clock, free_us = self._route.clock, self._route.far.free_us
        if free_us <= clock.monotonic_us():
            item = self._waiting.pop(0)
            if isinstance(item, bytes):
                self._hear(item)
            else:
                item()
        if self._waiting:
            self._listening = True
            clock.schedule(free_us, self._listen)

    def _hear(self, data: bytes) -> None:
        self._route.lane.heard_bytes += len(data)
        self._arrived += data
        self._reader.wake()

    def _arrive_end(self) -> None:
        if not self._lost:
            self._ended = True
            self._reader.wake()


def carried_bytes(callback: Callable[[], None]) -> int:
    """What an event of the clock brings to the other end of a pipe, in bytes; 0 for events of others."""
    if isinstance(callback, partial) and isinstance(getattr(callback.func, "__self__", None), Pipe):
        (item,) = callback.args
        return len(item) if isinstance(item, bytes) else 0
    return 0
