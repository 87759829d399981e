"""From a byte stream to a connection: choose the security protocol, run its handshake, start the records.

One round trip is saved by sending multistream header, proposal and first handshake message together. Until the peer is
authenticated it may cost little: handshakes under way are counted, overall and per host; time, message length and total
bytes are bounded, each before anything is allocated (report 1, defects 3 and 7). The muxer is bound in the handshake,
or agreed inside the records where a handshake leaves it open (Noise with peers that know no early negotiation).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import assert_never, final

import trio

from latticework.wire import Clock, MalformedError

from .buffers import BufferPool
from .connection import Connection
from .errors import ConnectionLostError, HandshakeError
from .multistream import Action, Initiator, Responder, Send
from .params import CLOSE_GRACE_US, YAMUX_PROTOCOL, Limits
from .ports import (
    ByteStream,
    Established,
    Framing,
    HandshakeAction,
    HandshakeMachine,
    Refuse,
    SecureChannel,
    SendMessage,
)
from .record_io import RecordReader, sealed_size
from .select_protocol import agree_on_muxer, settle

_CHUNK_BYTES = 4096


@final
class _Wire:
    """A byte stream before it has keys: what the peer may send is counted."""

    def __init__(self, stream: ByteStream, max_bytes: int) -> None:
        self.stream = stream
        self.held = b""
        self._left = max_bytes
        self._chunk = memoryview(bytearray(_CHUNK_BYTES))

    async def read(self) -> bytes:
        """Some bytes, those held first; b"" at the end."""
        if self.held:
            held, self.held = self.held, b""
            return held
        if self._left == 0:
            raise MalformedError("too many bytes before authentication")
        count = await self.stream.receive_into(self._chunk[: self._left])
        self._left -= count
        return bytes(self._chunk[:count])

    async def read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = await self.read()
            if not piece:
                raise ConnectionLostError("the peer hung up during the handshake")
            data += piece
        self.held = bytes(data[count:])
        return bytes(data[:count])

    async def read_message(self, length_bytes: int, max_bytes: int) -> bytes:
        length = int.from_bytes(await self.read_exactly(length_bytes), "big")
        if length > max_bytes:
            raise MalformedError(f"handshake message of {length} bytes where at most {max_bytes} are allowed")
        return await self.read_exactly(length)


@final
class Upgrader:
    """Makes connections of one node; inbound ones with the channels it `accepts`; counts handshakes under way."""

    def __init__(self, accepts: Sequence[SecureChannel], clock: Clock, pool: BufferPool, limits: Limits) -> None:
        self._channels = {channel.protocol: channel for channel in accepts}
        self._clock = clock
        self._pool = pool
        self._limits = limits
        self._pending: Counter[str] = Counter()

    @property
    def pending_handshakes(self) -> int:
        """Inbound handshakes under way."""
        return self._pending.total()

    async def outbound(self, stream: ByteStream, channel: SecureChannel) -> Connection:
        """Secure a stream that we dialled, with `channel` and no other; on any failure the stream is closed.

        Raises:
            HandshakeError: refused, late or malformed; `code` says which.
            ProtocolRefusedError: the peer does not speak the channel's protocol.
            ConnectionLostError: the peer hung up.
        """
        machine = channel.initiate()
        select = Initiator([channel.protocol])
        wire = _Wire(stream, self._limits.max_pre_auth_bytes)

        async def work() -> Connection:
            opening, _ = _frames(machine.start(), channel.framing)
            hello: list[Action] = [
                Send(action.data + opening) if isinstance(action, Send) else action for action in select.start()
            ]
            selected = await settle(select, hello, stream.send_all, wire.read)
            wire.held = selected.leftover
            established = await self._shake(wire, machine, channel.framing)
            return await self._connection(wire, established, channel, initiator=True)

        return await self._bounded(stream, work)

    async def inbound(self, stream: ByteStream) -> Connection:
        """Secure a stream that we accepted; raises like `outbound`, with code `busy` when too many are under way."""
        select = Responder(self._channels)
        wire = _Wire(stream, self._limits.max_pre_auth_bytes)

        async def work() -> Connection:
            with self._counted(stream.remote.host):
                selected = await settle(select, [], stream.send_all, wire.read)
                wire.held = selected.leftover
                channel = self._channels[selected.protocol]
                established = await self._shake(wire, channel.respond(), channel.framing)
                return await self._connection(wire, established, channel, initiator=False)

        return await self._bounded(stream, work)

    async def _shake(self, wire: _Wire, machine: HandshakeMachine, framing: Framing) -> Established:
        while True:
            message = await wire.read_message(framing.message_length_bytes, machine.max_message_bytes)
            out, established = _frames(machine.handle(message, self._clock.now_us()), framing)
            if out:
                await wire.stream.send_all(out)
            if established is not None and established.muxer not in {YAMUX_PROTOCOL, ""}:
                raise HandshakeError("muxer", f"the handshake chose {established.muxer!r}")
            if established is not None:
                return established

    async def _bounded(self, stream: ByteStream, work: Callable[[], Awaitable[Connection]]) -> Connection:
        try:
            with trio.fail_after(self._limits.handshake_us / 1_000_000):
                return await work()
        except trio.TooSlowError as error:
            await stream.aclose()
            raise HandshakeError("timeout", f"{stream.remote} did not finish its handshake") from error
        except BaseException:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_GRACE_US / 1_000_000):
                await stream.aclose()
            raise

    @contextmanager
    def _counted(self, host: str) -> Generator[None]:
        if self._pending.total() >= self._limits.max_pending_handshakes:
            raise HandshakeError("busy", f"{self._pending.total()} handshakes are under way")
        if self._pending[host] >= self._limits.max_pending_handshakes_per_host:
            raise HandshakeError("busy", f"{self._pending[host]} handshakes with {host} are under way")
        self._pending[host] += 1
        try:
            yield
        finally:
            self._pending[host] -= 1
            if not self._pending[host]:
                del self._pending[host]

    async def _connection(
        self, wire: _Wire, established: Established, channel: SecureChannel, *, initiator: bool
    ) -> Connection:
        framing = channel.framing
        reader = RecordReader(wire.stream, established.records, framing, self._pool, wire.held)
        if not established.muxer:
            await self._agree_on_muxer(wire.stream, established, reader, initiator=initiator)
        return Connection(
            wire.stream,
            established,
            reader,
            framing,
            initiator=initiator,
            protocol=channel.protocol,
            clock=self._clock,
            pool=self._pool,
            limits=self._limits,
        )

    async def _agree_on_muxer(
        self, stream: ByteStream, established: Established, reader: RecordReader, *, initiator: bool
    ) -> None:
        async def write(data: bytes) -> None:
            sealed = memoryview(bytearray(sealed_size(len(data))))
            count = established.records.seal_into(data, sealed, self._clock.now_us())
            await stream.send_all(sealed[:count])

        try:
            await agree_on_muxer(reader, write, initiator=initiator)
        except BaseException:
            reader.close()
            raise


def _frames(actions: list[HandshakeAction], framing: Framing) -> tuple[bytes, Established | None]:
    """The bytes to send and the result, if any."""
    out = b""
    established: Established | None = None
    for action in actions:
        match action:
            case SendMessage(message):
                out += len(message).to_bytes(framing.message_length_bytes, "big") + message
            case Established():
                established = action
            case Refuse(code, reason):
                raise HandshakeError(code, reason)
            case _:
                assert_never(action)
    return out, established
