"""Stand-ins: a plaintext channel with a checked tag, byte streams in memory, a clock of trio's time."""

from collections.abc import Buffer
from dataclasses import dataclass
from typing import Final

import trio

from latticework.transport import (
    Algorithms,
    BufferPool,
    Connection,
    ConnectionLostError,
    Established,
    HandshakeAction,
    Limits,
    Multiaddr,
    Refuse,
    SendMessage,
    Upgrader,
)
from latticework.transport.ports import LATTICE_FRAMING, Framing
from latticework.wire import PeerError

PLAIN = "/test/plain/1"
TAG = bytes(12)


class TrioClock:
    """Both readings follow trio's clock, so `autojump_clock` moves them."""

    def now_us(self) -> int:
        return round(trio.current_time() * 1_000_000)

    def monotonic_us(self) -> int:
        return round(trio.current_time() * 1_000_000)


class PlainRecords:
    """Records in the clear; the tag is the record's number, so reordered and forged ones are found."""

    overhead_bytes = 20

    def __init__(self) -> None:
        self.sealed = 0
        self.opened = 0

    def seal_into(self, plaintext: Buffer, out: memoryview, now_us: int) -> int:
        view = memoryview(plaintext)
        size = len(view)
        out[:4] = (size + 16).to_bytes(4, "big")
        out[4 : 4 + size] = view
        out[4 + size : 20 + size] = TAG + self.sealed.to_bytes(4, "big")
        self.sealed += 1
        return size + 20

    def seal_close(self) -> bytes:
        self.sealed += 1
        return (1 << 28 | 16).to_bytes(4, "big") + TAG + (self.sealed - 1).to_bytes(4, "big")

    def open_into(self, record: memoryview, out: memoryview) -> int:
        if bytes(record[-16:]) != TAG + self.opened.to_bytes(4, "big"):
            raise PeerError("record", "forged")
        self.opened += 1
        if record[0] >> 4 == 1:
            return -1
        out[: len(record) - 20] = record[4:-16]
        return len(record) - 20

    def export(self, label: bytes, length: int) -> bytes:
        return label.ljust(length, b".")[:length]


class PlainHandshake:
    """One message each way: the name."""

    max_message_bytes = 64

    def __init__(self, name: bytes, muxer: str, *, initiator: bool) -> None:
        self._name = name
        self._muxer = muxer
        self._initiator = initiator

    def start(self) -> list[HandshakeAction]:
        return [SendMessage(self._name)] if self._initiator else []

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        if message == b"stranger":
            return [Refuse("unknown-device", "not on the roster")]
        established = Established(
            PlainRecords(), message, b"k" * 32, self._muxer, Algorithms(PLAIN, "none", "none", "none")
        )
        return [established] if self._initiator else [SendMessage(self._name), established]


@dataclass(frozen=True)
class PlainChannel:
    name: bytes
    protocol: str = PLAIN
    muxer: str = "/yamux/1.0.0"
    framing: Framing = LATTICE_FRAMING

    def initiate(self) -> PlainHandshake:
        return PlainHandshake(self.name, self.muxer, initiator=True)

    def respond(self) -> PlainHandshake:
        return PlainHandshake(self.name, self.muxer, initiator=False)


class MemoryByteStream:
    """One end of a pipe that holds at most `CAPACITY` bytes."""

    CAPACITY: Final = 64 * 1024

    def __init__(self, inbox: "Pipe", outbox: "Pipe", number: int) -> None:
        self.inbox = inbox
        self.outbox = outbox
        self.remote = Multiaddr.memory(number)
        self.closed = False

    async def send_all(self, data: Buffer) -> None:
        await self.outbox.write(bytes(data))

    async def receive_into(self, buffer: memoryview) -> int:
        return await self.inbox.read(buffer)

    async def aclose(self) -> None:
        self.closed = True
        self.outbox.close()
        self.inbox.close()
        await trio.lowlevel.checkpoint()


class Pipe:
    """One direction; `frozen` keeps everything back, as a dead network does."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.total = 0
        self.over = False
        self.frozen = False
        self._changed = trio.Event()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        view = memoryview(data)
        while view:
            if self.over:
                raise ConnectionLostError("pipe closed")
            room = 0 if self.frozen else MemoryByteStream.CAPACITY - len(self.data)
            if room <= 0:
                await self._changed.wait()
                continue
            self.data += view[:room]
            self.total += len(view[:room])
            view = view[room:]
            self._wake()

    async def read(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        while not self.data or self.frozen:
            if self.over and not self.frozen:
                return 0
            await self._changed.wait()
        count = min(len(buffer), len(self.data))
        buffer[:count] = self.data[:count]
        del self.data[:count]
        self._wake()
        return count

    def close(self) -> None:
        self.over = True
        self._wake()


def stream_pair(number: int = 1) -> tuple[MemoryByteStream, MemoryByteStream]:
    one, two = Pipe(), Pipe()
    return MemoryByteStream(one, two, number), MemoryByteStream(two, one, number)


@dataclass(frozen=True)
class Ends:
    """Two connected connections, the pipe ends below them, and the pool of each."""

    dialler: Connection
    listener: Connection
    dialler_stream: MemoryByteStream
    listener_stream: MemoryByteStream
    dialler_pool: BufferPool
    listener_pool: BufferPool


async def connected(limits: Limits | None = None) -> Ends:
    """A pair of connections on which `run` has not been called."""
    limits = limits or Limits()
    near, far = stream_pair()
    pools = BufferPool(), BufferPool()
    dialling = Upgrader([], TrioClock(), pools[0], limits)
    listening = Upgrader([PlainChannel(b"listener")], TrioClock(), pools[1], limits)
    found: list[Connection] = []

    async def dial() -> None:
        found.append(await dialling.outbound(near, PlainChannel(b"dialler")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        accepted = await listening.inbound(far)
    return Ends(found[0], accepted, near, far, *pools)
