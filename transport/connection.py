"""A connection: one authenticated byte stream, its yamux session, and the tasks that move bytes between them.

`run` owns every task: a reader (records to yamux to streams), a writer (yamux to records), and one task per inbound
stream; its own task keeps the time. What is thrown in a handler ends its stream; what is thrown by reader, writer or
timers ends this connection; neither ever leaves `run` (py-libp2p's host died of both, report 1, defect 2).
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never, final

import trio

from latticework.wire import Clock, LocalError, PeerError, short

from . import yamux_frames as frames
from .buffers import BufferPool
from .errors import ConnectionLostError, StreamResetError, TruncatedError
from .multiaddr import Multiaddr
from .params import CLOSE_GRACE_US, Limits
from .ports import Algorithms, ByteStream, Established, Framing
from .record_io import RecordReader, RecordSizer, sealed_size
from .select_protocol import accept_protocol, propose_protocols
from .stream import Stream, StreamCore
from .yamux import Yamux

_log = logging.getLogger(__name__)

type Handler = Callable[[str, Stream], Awaitable[None]]


class EndKind(Enum):
    """Why a connection is over."""

    CLOSED_HERE = "closed here"
    CLOSED_BY_PEER = "closed by the peer"
    LOST = "lost"
    TRUNCATED = "truncated"
    DEAD = "dead peer"
    VIOLATION = "protocol violation"
    INTERNAL = "internal error"


_NO_GOODBYE = frozenset({EndKind.LOST, EndKind.TRUNCATED, EndKind.DEAD})


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """Why and how a connection ended; `detail` is for people."""

    kind: EndKind
    detail: str


@final
class Connection:
    """A secured, multiplexed connection; nothing moves until `run` runs."""

    def __init__(
        self,
        stream: ByteStream,
        established: Established,
        reader: RecordReader,
        framing: Framing,
        *,
        initiator: bool,
        protocol: str,
        clock: Clock,
        pool: BufferPool,
        limits: Limits,
    ) -> None:
        self.remote: Final = established.remote
        self.transport_key: Final = established.transport_key
        self.algorithms: Final[Algorithms] = established.algorithms
        self.protocol: Final = protocol
        self.address: Final[Multiaddr] = stream.remote
        self._stream = stream
        self._records = established.records
        self._clock = clock
        self._pool = pool
        self._limits = limits
        self._allowed = established.protocols
        self._reader = reader
        self._framing = framing
        self._machine = Yamux(initiator=initiator, limits=limits.yamux)
        self._cores: dict[int, StreamCore] = {}
        self._deadlines: dict[frames.TimerKey, int] = {}
        self._arrived: list[StreamCore] = []
        self._handlers = 0
        self._output = trio.Event()
        self._ending: ConnectionEnded | None = None
        self._closing = trio.Event()
        self._written = trio.Event()
        self._read_out = trio.Event()
        self._over = trio.Event()
        self._running = False
        self._peer_left = False

    def __repr__(self) -> str:
        return f"Connection({short(self.remote) or 'anonymous'} at {self.address})"

    @property
    def ended(self) -> ConnectionEnded | None:
        """Why the connection ended or is ending, if it is."""
        return self._ending

    def export(self, label: bytes, length: int) -> bytes:
        """`length` bytes that only the two ends know, bound to the whole handshake."""
        return self._records.export(label, length)

    async def open_stream(self, protocols: Sequence[str]) -> Stream:
        """A stream that speaks the first of `protocols` the peer speaks; costs one round trip, the caller bounds it.

        Raises:
            ProtocolRefusedError: the peer speaks none of them.
            LocalError: too many streams are open, or this channel may not carry one of `protocols`.
            ConnectionLostError: the connection is over.
        """
        if self._allowed is not None and (barred := sorted({*protocols} - self._allowed)):
            raise LocalError(f"{self.protocol} connections never carry {', '.join(barred)}")
        if self._ending is not None:
            raise ConnectionLostError(f"{self!r} is over: {self._ending.kind.value}")
        match self._step(frames.Open()):
            case [frames.Opened(number, _)]:
                core = StreamCore(number, self._submit)
                self._cores[number] = core
            case [frames.OpenRefused(reason, over)]:
                if over:
                    raise ConnectionLostError(f"{self!r}: {reason}")
                raise LocalError(f"{self!r}: {reason}")
            case other:
                raise AssertionError(other)
        try:
            return await propose_protocols(core, protocols)
        except BaseException:
            self._drop(core)
            raise

    async def aclose(self) -> None:
        """Say goodbye and close, within a second; never raises. What streams have queued is lost."""
        self._end(EndKind.CLOSED_HERE, "")
        if self._running:
            await self._over.wait()
        else:
            self._reader.close()
            await self._stream.aclose()

    async def run(self, handler: Handler, protocols: Collection[str]) -> ConnectionEnded:
        """Move bytes until the connection ends; the reason. Each inbound stream of `protocols` gets `handler`.

        A stream belongs to its handler: it is closed when the handler returns and reset when it raises. Cancellation
        closes the connection without a goodbye. What the channel may not carry is refused, whatever `protocols` says.
        """
        if self._running:
            raise LocalError("a connection runs once")
        self._running = True
        allowed = frozenset(protocols) if self._allowed is None else self._allowed.intersection(protocols)
        try:
            async with trio.open_nursery() as nursery:
                self._apply(self._machine.start(self._clock.monotonic_us()))
                nursery.start_soon(self._supervise, self._write, self._written)
                nursery.start_soon(self._supervise, lambda: self._read(nursery, handler, allowed), self._read_out)
                await self._keep_time()
                await self._part()
                nursery.cancel_scope.cancel()
        finally:
            await self._bury()
        if self._ending is None:
            raise AssertionError("a connection ended without a reason")
        return self._ending

    async def _part(self) -> None:
        """Let writer and reader finish their goodbyes."""
        with trio.move_on_after(CLOSE_GRACE_US / 1_000_000):
            if self._ending is not None and self._ending.kind not in _NO_GOODBYE:
                await self._written.wait()
            if self._ending is not None and self._ending.kind is EndKind.CLOSED_HERE:
                await self._read_out.wait()

    async def _bury(self) -> None:
        self._end(EndKind.CLOSED_HERE, "cancelled")
        self._reader.close()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_GRACE_US / 1_000_000):
            await self._stream.aclose()
        self._over.set()

    def _end(self, kind: EndKind, detail: str) -> None:
        """Begin the end; the first reason stands."""
        if self._ending is not None:
            return
        self._ending = ConnectionEnded(kind, detail)
        _log.debug("ended kind=%s peer=%s address=%s: %s", kind.value, short(self.remote), self.address, detail)
        if kind is EndKind.CLOSED_HERE:
            self._machine.handle(frames.ShutDown(frames.GoAwayCode.NORMAL), self._clock.monotonic_us())
        error = ConnectionLostError(f"{self!r}: {kind.value} {detail}".rstrip())
        for core in self._cores.values():
            core.on_failure(error)
        self._cores.clear()
        self._closing.set()
        self._output.set()

    # Machine

    def _step(self, event: frames.Event) -> list[frames.Action]:
        actions = self._machine.handle(event, self._clock.monotonic_us())
        if self._machine.has_output:
            self._output.set()
        return actions

    def _submit(self, event: frames.Event) -> None:
        match event:
            case frames.Abandon(stream) | frames.Reset(stream):
                self._cores.pop(stream, None)
            case _:
                pass
        self._apply(self._step(event))

    def _apply(self, actions: list[frames.Action]) -> None:
        cores = self._cores
        for action in actions:
            match action:
                case frames.Data(stream, data):
                    if (core := cores.get(stream)) is not None:
                        core.on_data(data)
                case frames.Drained(stream):
                    if (core := cores.get(stream)) is not None:
                        core.on_drained()
                case frames.Opened(stream, _):
                    core = StreamCore(stream, self._submit)
                    cores[stream] = core
                    self._arrived.append(core)
                case frames.RemoteFinished(stream):
                    if (core := cores.get(stream)) is not None:
                        core.on_remote_finished()
                case frames.WasReset(stream):
                    if (core := cores.pop(stream, None)) is not None:
                        core.on_failure(StreamResetError("the peer reset the stream"))
                case frames.Gone(stream):
                    cores.pop(stream, None)
                case frames.SetTimer(key, after_us):
                    self._deadlines[key] = self._clock.monotonic_us() + after_us
                case frames.CloseSession(_, reason):
                    self._end(EndKind.VIOLATION, reason)
                case frames.DeclareDead(silent_us):
                    self._end(EndKind.DEAD, f"silent for {silent_us // 1_000_000} s")
                case frames.PeerLeft(code):
                    self._peer_left = True
                    if code != frames.GoAwayCode.NORMAL:
                        self._end(EndKind.CLOSED_BY_PEER, f"go-away {code}")
                case frames.OpenRefused():
                    raise AssertionError(action)
                case _:
                    assert_never(action)

    # Tasks

    async def _supervise(self, task: Callable[[], Awaitable[None]], done: trio.Event) -> None:
        try:
            await task()
        except Exception as error:  # noqa: BLE001  # the one supervisor of a connection (style 23)
            self._fail(error)
        finally:
            done.set()

    def _fail(self, error: Exception) -> None:
        """Whatever was raised ends the connection, and nothing else."""
        match error:
            case TruncatedError():
                self._end(EndKind.TRUNCATED, str(error))
            case ConnectionLostError():
                self._end(EndKind.LOST, str(error))
            case PeerError(code=code):
                self._end(EndKind.VIOLATION, f"{code}: {error}")
            case _:
                _log.error("bug in the transport peer=%s", short(self.remote), exc_info=error)
                self._end(EndKind.INTERNAL, repr(error))

    async def _read(self, nursery: trio.Nursery, handler: Handler, protocols: Collection[str]) -> None:
        """Reads on after our goodbye: closing a socket with unread bytes would destroy the goodbye."""
        while (plaintext := await self._reader.next()) is not None:
            if self._ending is not None:
                continue
            self._submit(frames.Received(plaintext))
            for core in self._arrived:
                if self._handlers < self._limits.yamux.max_inbound_streams:
                    self._handlers += 1
                    nursery.start_soon(self._serve, core, handler, protocols)
                else:
                    self._drop(core)
            self._arrived.clear()
        if not self._framing.sealed_close and not self._peer_left:
            raise TruncatedError("the connection ended without a goodbye")
        self._end(EndKind.CLOSED_BY_PEER, "")

    async def _serve(self, core: StreamCore, handler: Handler, protocols: Collection[str]) -> None:
        """The one supervisor of a handler."""
        peer = short(self.remote)
        try:
            with trio.fail_after(self._limits.negotiation_us / 1_000_000):
                stream = await accept_protocol(core, protocols)
            await handler(stream.protocol, stream)
            await stream.aclose()
        except (PeerError, trio.TooSlowError) as error:
            _log.debug("stream ended peer=%s stream=%d: %s", peer, core.number, error)
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if rest is not None:
                _log.exception("handler failed peer=%s stream=%d", peer, core.number, exc_info=rest)
            if cancelled is not None:
                raise cancelled from None
        except Exception:  # noqa: BLE001  # one bug must not end the other streams (style 23)
            _log.exception("handler failed peer=%s stream=%d", peer, core.number)
        finally:
            self._handlers -= 1
            self._drop(core)

    def _drop(self, core: StreamCore) -> None:
        """Reset a stream that neither end has finished."""
        if core.number in self._cores:
            core.on_failure(StreamResetError("the stream was reset here"))
            self._submit(frames.Reset(core.number))

    async def _keep_time(self) -> None:
        """Tell the machine what is due, until the end begins: whoever waits for that needs no task more."""
        while not self._closing.is_set():
            key, due_us = min(self._deadlines.items(), key=lambda item: item[1])
            wait_us = due_us - self._clock.monotonic_us()
            if wait_us > 0:
                with trio.move_on_after(wait_us / 1_000_000):
                    await self._closing.wait()
                continue
            del self._deadlines[key]
            try:
                self._submit(frames.TimerFired(key))
            except Exception as error:  # noqa: BLE001  # as in `_supervise`
                self._fail(error)

    async def _write(self) -> None:
        sizer = RecordSizer(self._framing.max_plaintext_bytes)
        while self._ending is None:
            await self._output.wait()
            self._output = trio.Event()
            while self._machine.has_output:
                await self._write_record(sizer.size, sizer)
            sizer.rest()
        if close := self._records.seal_close():
            await self._stream.send_all(close)

    async def _write_record(self, size: int, sizer: RecordSizer) -> None:
        scratch = self._pool.scratch[:size]
        count, actions = self._machine.fill(scratch)
        self._apply(actions)
        if not count:
            return
        sizer.wrote(count)
        sealed = self._pool.lease(sealed_size(count))
        try:
            length = self._records.seal_into(scratch[:count], sealed, self._clock.now_us())
            await self._stream.send_all(sealed[:length])
        finally:
            self._pool.give_back(sealed)
