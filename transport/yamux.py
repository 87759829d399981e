"""yamux 1.0.0 as a pure machine: many streams on one connection, windows enforced.

Source: hashicorp/yamux spec.md; window growth after go-yamux `session.go`. The driver feeds plaintext and calls, and
pulls frames with `fill`, straight into the plaintext of a record: so a record is filled by whatever waits, payload is
copied once, and output needs no queue of its own.

Departures from py-libp2p (report 1, defects 4-6, 9): data beyond the window ends the session; a slow reader is waited
for, for ever; windows grow only for streams that consume half of one within a few round trips; streams the peer may
have open are counted, and refused with RST beyond that; silence is noticed. A payload is handed on as it arrives, so a
frame that is longer than a record needs no buffer here.
"""

from typing import assert_never, final

from .liveness import Liveness
from .params import (
    YAMUX_GROWTH_RTTS,
    YAMUX_HEADER_BYTES,
    YAMUX_INITIAL_WINDOW_BYTES,
    YAMUX_MAX_CONTROL_FRAMES,
    YamuxLimits,
)
from .yamux_frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    KNOWN_FLAGS,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    Abandon,
    Action,
    CloseSession,
    Consumed,
    Data,
    DeclareDead,
    Drained,
    Event,
    Finish,
    GoAwayCode,
    Gone,
    Open,
    Opened,
    OpenRefused,
    PeerLeft,
    Received,
    RemoteFinished,
    Reset,
    SetTimer,
    ShutDown,
    TimerFired,
    TimerKey,
    WasReset,
    Withdraw,
    Write,
)
from .yamux_output import Output
from .yamux_stream import StreamState

_MAX_U32 = (1 << 32) - 1
_MIN_ROOM_BYTES = 2 * YAMUX_HEADER_BYTES + 1
"""A turn may need a window update, a data header and a byte."""


class _ViolationError(Exception):
    """The peer broke yamux; becomes CloseSession before it leaves the machine."""


@final
class Yamux:
    """One session; `initiator` is whoever dialled (it owns the odd stream ids)."""

    def __init__(self, *, initiator: bool, limits: YamuxLimits) -> None:
        self._limits = limits
        self._next_id = 1 if initiator else 2
        self._remote_parity = 0 if initiator else 1
        self._last_remote_id = 0
        self._streams: dict[int, StreamState] = {}
        self._inbound_count = 0
        self._grown = 0
        self._output = Output()
        self._header = b""
        self._body = 0
        self._body_stream: StreamState | None = None
        self._body_fin = False
        self._closed = False
        self._leaving = False
        self._liveness = Liveness(limits)

    def start(self, now_us: int) -> list[Action]:
        """The session begins."""
        self._liveness.start(now_us)
        return [SetTimer(TimerKey.KEEP_ALIVE, self._limits.keep_alive_us)]

    @property
    def has_output(self) -> bool:
        """True if `fill` would write something."""
        return self._output.waiting

    @property
    def stream_count(self) -> int:
        """Streams that exist on either side."""
        return len(self._streams)

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """What `event` leads to; never raises for anything a peer sent."""
        match event:
            case Received(data):
                return self._receive(data, now_us)
            case Consumed(stream, count):
                return self._consumed(stream, count, now_us)
            case Write(stream, pieces):
                state = self._streams.get(stream)
                if state is not None and not state.finishing:
                    state.enqueue(pieces)
                    self._output.schedule(state)
            case Withdraw(stream, count):
                state = self._streams.get(stream)
                if state is not None:
                    state.withdraw(count)
            case Open():
                return [self._open(now_us)]
            case Finish(stream):
                state = self._streams.get(stream)
                if state is not None:
                    state.finishing = True
                    self._output.schedule(state)
            case Abandon(stream):
                self._abandon(stream, now_us)
            case Reset(stream):
                self._reset(stream)
            case TimerFired(key):
                return self._timer(key, now_us)
            case ShutDown(code):
                self._leaving = True
                self._output.clear()
                self._output.say(GO_AWAY, 0, 0, code)
            case _:
                assert_never(event)
        return []

    def fill(self, out: memoryview) -> tuple[int, list[Action]]:
        """Write frames into `out` (at least 64 bytes): the bytes written, and which streams that drained."""
        count, drained, finished = self._output.fill(out)
        actions: list[Action] = [Drained(number) for number in drained]
        for state in finished:
            self._drop_if_done(state, actions)
        return count, actions

    # Our own calls

    def _open(self, now_us: int) -> Action:
        if self._closed or self._leaving:
            return OpenRefused("the connection is ending", over=True)
        if len(self._streams) - self._inbound_count >= self._limits.max_outbound_streams:
            return OpenRefused(f"{self._limits.max_outbound_streams} streams are open already")
        if self._next_id > _MAX_U32:
            return OpenRefused("stream ids are used up")
        state = StreamState(self._next_id, inbound=False, flags=SYN, announced_us=now_us)
        self._next_id += 2
        self._streams[state.number] = state
        self._measure(now_us)
        self._output.schedule(state)
        return Opened(state.number, inbound=False)

    def _abandon(self, stream: int, now_us: int) -> None:
        state = self._streams.get(stream)
        if state is None:
            return
        if state.unread:
            self._reset(stream)
            return
        state.abandoned_us = now_us
        state.finishing = True
        state.announce = False
        self._output.schedule(state)

    def _reset(self, stream: int) -> None:
        state = self._streams.get(stream)
        if state is None:
            return
        self._drop(state)
        if not state.flags & SYN:
            self._output.say(DATA, RST, stream, 0)

    def _consumed(self, stream: int, count: int, now_us: int) -> list[Action]:
        state = self._streams.get(stream)
        if state is None or not state.consume(count) or state.announce:
            return []
        self._grow(state, now_us)
        state.announce = True
        state.announced_us = now_us
        self._output.schedule(state)
        return []

    def _grow(self, state: StreamState, now_us: int) -> None:
        rtt_us = self._liveness.rtt_us
        if rtt_us is None:
            self._measure(now_us)
            return
        if now_us - state.announced_us > YAMUX_GROWTH_RTTS * rtt_us:
            return
        more = min(state.target, self._limits.max_window_bytes - state.target, self._limits.growth_bytes - self._grown)
        if more > 0:
            state.target += more
            state.credit += more
            self._grown += more

    def _drop(self, state: StreamState) -> None:
        del self._streams[state.number]
        self._grown -= state.target - YAMUX_INITIAL_WINDOW_BYTES
        self._output.cancel(state)
        if state.inbound:
            self._inbound_count -= 1
        if self._body_stream is state:
            self._body_stream = None

    def _drop_if_done(self, state: StreamState, actions: list[Action]) -> None:
        if state.finished and state.remote_finished:
            self._drop(state)
            actions.append(Gone(state.number))

    # Time

    def _measure(self, now_us: int) -> None:
        value = self._liveness.ping_for_time(now_us)
        if value is not None:
            self._output.say(PING, SYN, 0, value)

    def _timer(self, key: TimerKey, now_us: int) -> list[Action]:
        match key:
            case TimerKey.DEAD:
                silent_us = now_us - self._liveness.heard_us
                return [DeclareDead(silent_us)] if self._liveness.silent_too_long(now_us) else []
            case TimerKey.KEEP_ALIVE:
                self._sweep(now_us)
                again: list[Action] = [SetTimer(TimerKey.KEEP_ALIVE, self._limits.keep_alive_us)]
                value = self._liveness.ping_after_silence(now_us)
                if value is None:
                    return again
                self._output.say(PING, SYN, 0, value)
                return [*again, SetTimer(TimerKey.DEAD, self._limits.dead_after_us)]
            case _:
                assert_never(key)

    def _sweep(self, now_us: int) -> None:
        for state in list(self._streams.values()):
            if state.abandoned_us is not None and now_us - state.abandoned_us >= self._limits.linger_us:
                self._reset(state.number)

    # Input

    def _receive(self, data: memoryview, now_us: int) -> list[Action]:
        self._liveness.heard_us = now_us
        actions: list[Action] = []
        offset = 0
        end = len(data)
        try:
            while offset < end and not self._closed:
                if self._body:
                    taken = min(self._body, end - offset)
                    self._payload(data[offset : offset + taken], actions)
                    offset += taken
                elif not self._header and end - offset >= YAMUX_HEADER_BYTES:
                    self._frame(HEADER.unpack_from(data, offset), actions, now_us)
                    offset += YAMUX_HEADER_BYTES
                else:
                    taken = YAMUX_HEADER_BYTES - len(self._header)
                    self._header += data[offset : offset + taken]
                    offset += taken
                    if len(self._header) == YAMUX_HEADER_BYTES:
                        header, self._header = self._header, b""
                        self._frame(HEADER.unpack(header), actions, now_us)
            self._check_backlog()
        except _ViolationError as error:
            self._closed = True
            self._output.clear()
            self._output.say(GO_AWAY, 0, 0, GoAwayCode.PROTOCOL_ERROR)
            actions.append(CloseSession(GoAwayCode.PROTOCOL_ERROR, str(error)))
        return actions

    def _check_backlog(self) -> None:
        if self._output.control_count > YAMUX_MAX_CONTROL_FRAMES:
            raise _ViolationError("more resets and pings than are read")

    def _payload(self, data: memoryview, actions: list[Action]) -> None:
        self._body -= len(data)
        state = self._body_stream
        if state is None:
            return
        if state.abandoned_us is not None:
            self._reset(state.number)
            return
        state.unread += len(data)
        actions.append(Data(state.number, data))
        if not self._body and self._body_fin:
            self._remote_finish(state, actions)

    def _frame(self, header: tuple[int, int, int, int, int], actions: list[Action], now_us: int) -> None:
        version, kind, flags, number, value = header
        if version or flags & ~KNOWN_FLAGS:
            raise _ViolationError(f"version {version}, flags {flags:#x}")
        if kind in {DATA, WINDOW_UPDATE}:
            if not number:
                raise _ViolationError("stream id 0")
            if flags & SYN:
                self._accept(number, actions, now_us)
            if kind == DATA:
                self._data(number, flags, value, actions)
            else:
                self._window_update(number, flags, value, actions)
        elif kind == PING:
            self._ping_arrived(flags, value, now_us)
        elif kind == GO_AWAY:
            self._leaving = True
            actions.append(PeerLeft(value))
        else:
            raise _ViolationError(f"frame type {kind}")

    def _accept(self, number: int, actions: list[Action], now_us: int) -> None:
        if number % 2 != self._remote_parity or number <= self._last_remote_id:
            raise _ViolationError(f"stream {number} opened out of order")
        self._last_remote_id = number
        if self._leaving or self._inbound_count >= self._limits.max_inbound_streams:
            self._output.say(DATA, RST, number, 0)
            return
        self._streams[number] = StreamState(number, inbound=True, flags=ACK, announced_us=now_us)
        self._inbound_count += 1
        self._measure(now_us)
        actions.append(Opened(number, inbound=True))

    def _known(self, number: int) -> StreamState | None:
        state = self._streams.get(number)
        if state is None:
            ours = number % 2 != self._remote_parity
            if number >= self._next_id if ours else number > self._last_remote_id:
                raise _ViolationError(f"stream {number} was never opened")
        return state

    def _data(self, number: int, flags: int, length: int, actions: list[Action]) -> None:
        state = self._known(number)
        if state is None:
            if length > self._limits.max_window_bytes:
                raise _ViolationError(f"frame of {length} bytes")
        elif length > state.receivable:
            raise _ViolationError(f"{length} bytes where the window has {state.receivable}")
        elif state.remote_finished and length:
            raise _ViolationError("data behind the end of the stream")
        else:
            state.receivable -= length
        self._body = length
        self._body_stream = state
        self._body_fin = bool(flags & FIN)
        if state is None:
            return
        if flags & RST:
            self._drop(state)
            actions.append(WasReset(number))
        elif flags & FIN and not length:
            self._remote_finish(state, actions)

    def _window_update(self, number: int, flags: int, credit: int, actions: list[Action]) -> None:
        state = self._known(number)
        if state is None:
            return
        state.send_window += credit
        if state.send_window > _MAX_U32:
            raise _ViolationError("send window of more than 32 bits")
        if flags & RST:
            self._drop(state)
            actions.append(WasReset(number))
            return
        if flags & FIN:
            self._remote_finish(state, actions)
        self._output.schedule(state)

    def _remote_finish(self, state: StreamState, actions: list[Action]) -> None:
        if not state.remote_finished:
            state.remote_finished = True
            state.announce = False
            actions.append(RemoteFinished(state.number))
            self._drop_if_done(state, actions)

    def _ping_arrived(self, flags: int, value: int, now_us: int) -> None:
        if flags & ACK:
            self._liveness.pong(value, now_us)
        elif self._liveness.may_answer(now_us):
            self._output.say(PING, ACK, 0, value)
