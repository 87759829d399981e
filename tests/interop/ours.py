"""Our end of an interoperation test: a listener and a dialler that speak Noise, as a node would."""

import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol, final

import trio

from latticework.transport import (
    IDENTIFY_PROTOCOL,
    PING_PROTOCOL,
    BufferPool,
    Connection,
    Identity,
    Limits,
    Listener,
    Multiaddr,
    NoiseChannel,
    PeerId,
    Stream,
    TcpNetwork,
    Upgrader,
    answer_identify,
    answer_pings,
)
from latticework.wire.signing import Ed25519Signer

ECHO: Final = "/interop/echo/1"
PROTOCOLS: Final = (IDENTIFY_PROTOCOL, PING_PROTOCOL, ECHO)
AGENT: Final = "latticework/test"
POLL_S: Final = 0.02


class WallClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


class SystemRng:
    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


async def echo(stream: Stream) -> None:
    """Send back what comes, until it ends."""
    buffer = memoryview(bytearray(1 << 20))
    while count := await stream.receive_into(buffer):
        await stream.send_all(buffer[:count])


class Extra(Protocol):
    """What a node offers beyond `PROTOCOLS`."""

    protocols: tuple[str, ...]

    async def attend(self, connection: Connection, *, outbound: bool) -> object:
        """For each connection, for as long as it lasts."""
        ...

    async def receive(self, connection: Connection, stream: Stream) -> None:
        """For each stream that speaks one of `protocols`."""
        ...


@final
class Node:
    """One peer of ours; every connection runs in `nursery`."""

    def __init__(
        self, nursery: trio.Nursery, listener: Listener, signer: Ed25519Signer, extra: Extra | None, limits: Limits
    ) -> None:
        self._nursery = nursery
        self._listener = listener
        self._extra = extra
        self._network = TcpNetwork()
        self.signer = signer
        self.clock = WallClock()
        self.rng = SystemRng()
        self.protocols = PROTOCOLS if extra is None else (*PROTOCOLS, *extra.protocols)
        self.channel = NoiseChannel(self.signer, self.rng, self.protocols)
        self._upgrader = Upgrader([self.channel], self.clock, BufferPool(), limits)
        self.peer = PeerId.of_key(self.signer.public)
        self.connections: list[Connection] = []
        self._connected = trio.Event()

    @property
    def address(self) -> str:
        """Where others dial us, with our peer id."""
        return f"{self._listener.addresses[0]}/p2p/{self.peer}"

    async def accept(self) -> None:
        while True:
            stream = await self._listener.accept()
            self._add(await self._upgrader.inbound(stream), outbound=False)

    async def dial(self, address: Multiaddr, peer: PeerId) -> Connection:
        """A connection to `peer` and nobody else."""
        stream = await self._network.dial(address)
        connection = await self._upgrader.outbound(stream, self.channel.expecting(peer))
        self._add(connection, outbound=True)
        return connection

    async def connected(self) -> Connection:
        """The first connection there is."""
        await self._connected.wait()
        return self.connections[0]

    def _add(self, connection: Connection, *, outbound: bool) -> None:
        self.connections.append(connection)
        self._connected.set()

        async def serve(protocol: str, stream: Stream) -> None:
            await self._serve(connection, protocol, stream)

        async def keep() -> None:
            async with trio.open_nursery() as nursery:
                if self._extra is not None:
                    nursery.start_soon(partial(self._extra.attend, connection, outbound=outbound))
                await connection.run(serve, self.protocols)
                nursery.cancel_scope.cancel()

        self._nursery.start_soon(keep)

    async def _serve(self, connection: Connection, protocol: str, stream: Stream) -> None:
        if protocol == IDENTIFY_PROTOCOL:
            addresses = self._listener.addresses
            await answer_identify(
                stream, Identity(self.signer.public, AGENT, self.protocols, addresses, connection.address)
            )
        elif protocol == PING_PROTOCOL:
            await answer_pings(stream)
        elif protocol == ECHO:
            await echo(stream)
        elif self._extra is not None:
            await self._extra.receive(connection, stream)


@asynccontextmanager
async def our_node(
    signer: Ed25519Signer | None = None, extra: Extra | None = None, limits: Limits | None = None
) -> AsyncGenerator[Node]:
    """A node of ours on loopback for the time of the block; its connections end without a goodbye."""
    listener = await TcpNetwork().listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
    try:
        async with trio.open_nursery() as nursery:
            node = Node(nursery, listener, signer or Ed25519Signer(secrets.token_bytes(32)), extra, limits or Limits())
            nursery.start_soon(node.accept)
            yield node
            nursery.cancel_scope.cancel()
    finally:
        await listener.aclose()


async def pause() -> None:
    """Between two questions to another process."""
    await trio.sleep(POLL_S)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process brings about; the caller bounds the time."""
    while not condition():
        await pause()
