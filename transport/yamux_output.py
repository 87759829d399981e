"""What a yamux session sends next: control frames first, then the streams in turns.

Pulled, not pushed: frames are made when a record has room for them, so credit, small writes and resets coalesce and
nothing waits twice.
"""

from typing import final

from .params import YAMUX_HEADER_BYTES, YAMUX_QUANTUM_BYTES
from .yamux_frames import DATA, FIN, HEADER, SYN, WINDOW_UPDATE
from .yamux_stream import StreamState

_MIN_ROOM_BYTES = 2 * YAMUX_HEADER_BYTES + 1
"""A turn may need a window update, a data header and a byte."""


@final
class Output:
    """The sending half of a session; pure."""

    def __init__(self) -> None:
        self._control: list[bytes] = []
        self._ready: list[StreamState] = []

    @property
    def waiting(self) -> bool:
        """True if `fill` may write something."""
        return bool(self._control or self._ready)

    @property
    def control_count(self) -> int:
        return len(self._control)

    def say(self, kind: int, flags: int, stream: int, value: int) -> None:
        """Queue a frame without payload, ahead of all streams."""
        self._control.append(HEADER.pack(0, kind, flags, stream, value))

    def schedule(self, state: StreamState) -> None:
        """Give `state` a turn if it can use one."""
        if not state.scheduled and (state.wants_turn() or state.flags & SYN):
            state.scheduled = True
            self._ready.append(state)

    def cancel(self, state: StreamState) -> None:
        """Forget everything of `state`."""
        state.queue.clear()
        state.queued = 0
        if state.scheduled:
            self._ready.remove(state)
            state.scheduled = False

    def clear(self) -> None:
        """Forget everything that waits; borrowed pieces are let go."""
        for state in list(self._ready):
            self.cancel(state)
        self._control.clear()

    def fill(self, out: memoryview) -> tuple[int, list[int], list[StreamState]]:
        """(bytes written, streams with nothing queued any more, streams whose end went out)."""
        offset = 0
        limit = len(out)
        fitting = self._control[: limit // YAMUX_HEADER_BYTES]
        for frame in fitting:
            out[offset : offset + YAMUX_HEADER_BYTES] = frame
            offset += YAMUX_HEADER_BYTES
        del self._control[: len(fitting)]
        drained: list[int] = []
        finished: list[StreamState] = []
        ready = self._ready
        while ready and limit - offset >= _MIN_ROOM_BYTES:
            state = ready.pop(0)
            state.scheduled = False
            was_queued, was_finished = state.queued, state.finished
            offset = _take_turn(state, out, offset, YAMUX_QUANTUM_BYTES if ready else limit)
            if was_queued and not state.queued:
                drained.append(state.number)
            if state.finished and not was_finished:
                finished.append(state)
            self.schedule(state)
        return offset, drained, finished


def _take_turn(state: StreamState, out: memoryview, offset: int, quantum: int) -> int:
    room = len(out) - offset - YAMUX_HEADER_BYTES
    if state.announce:
        room -= YAMUX_HEADER_BYTES
    size = min(room, state.queued, state.send_window, quantum)
    last = FIN if state.finishing and not state.finished and size == state.queued else 0
    if state.announce or (not size and (last or state.flags)):
        flags = state.flags | (0 if size else last)
        HEADER.pack_into(out, offset, 0, WINDOW_UPDATE, flags, state.number, state.take_credit())
        offset += YAMUX_HEADER_BYTES
        state.flags = 0
    if size:
        HEADER.pack_into(out, offset, 0, DATA, state.flags, state.number, size)
        offset += YAMUX_HEADER_BYTES
        state.gather(out, offset, size)
        offset += size
        state.flags = 0
    if size and last:
        # In a frame of its own, as go-yamux does: js-libp2p takes a FIN before the data it rides on and loses them.
        if len(out) - offset < YAMUX_HEADER_BYTES:
            return offset
        HEADER.pack_into(out, offset, 0, WINDOW_UPDATE, FIN, state.number, 0)
        offset += YAMUX_HEADER_BYTES
    if last:
        state.finished = True
    return offset
