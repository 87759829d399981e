"""Connections over simulated links: what windows and keep-alive do when distance and slowness are real."""

from dataclasses import dataclass

import pytest
import trio

from latticework.simnet import KeyedRng, Link, SimNetwork, VirtualClock, play
from latticework.transport import (
    BufferPool,
    Connection,
    ConnectionEnded,
    EndKind,
    Limits,
    Multiaddr,
    Network,
    Stream,
    Upgrader,
)

from .fakes import PlainChannel, TrioClock

pytestmark = pytest.mark.sim

BULK = "/test/bulk/1"
ANY = Multiaddr.parse("/ip4/0.0.0.0/tcp/4001")


@dataclass
class Result:
    """What one transfer took, and how its connection ended."""

    seconds: float
    ended: ConnectionEnded | None


async def swallow(_protocol: str, stream: Stream) -> None:
    buffer = memoryview(bytearray(1 << 20))
    total = 0
    while count := await stream.receive_into(buffer):
        total += count
    await stream.send_message(total.to_bytes(8, "big"))


def transfer(link: Link, count: int) -> Result:
    """Send `count` bytes over `link` on one stream."""
    clock = VirtualClock()
    network = SimNetwork(clock, KeyedRng(b"seed"), link)
    near, far = network.host("near"), network.host("far")
    result = Result(0, None)

    def upgrader() -> Upgrader:
        return Upgrader([PlainChannel(b"far")], TrioClock(), BufferPool(), Limits())

    async def listen(host: Network, task_status: trio.TaskStatus[None]) -> None:
        listener = await host.listen(ANY)
        task_status.started()
        connection = await upgrader().inbound(await listener.accept())
        result.ended = await connection.run(swallow, (BULK,))
        await listener.aclose()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(listen, far)
            connection: Connection = await upgrader().outbound(
                await near.dial(Multiaddr.tcp(far.ip, 4001)), PlainChannel(b"near")
            )
            nursery.start_soon(connection.run, swallow, ())
            stream = await connection.open_stream([BULK])
            began = trio.current_time()
            await stream.send_all(bytes(count))
            await stream.close_write()
            assert await stream.receive_message(8) == count.to_bytes(8, "big")
            result.seconds = trio.current_time() - began
            await connection.aclose()

    play(main, b"seed", clock)
    return result


def test_a_long_fat_link_is_filled_because_windows_grow() -> None:
    result = transfer(Link(latency_us=50_000, bytes_per_s=25_000_000, window_bytes=8 << 20), 64 << 20)
    # 256 KiB per 100 ms would take 26 s; the link alone needs 2.7 s.
    assert result.seconds < 5
    assert result.ended == ConnectionEnded(EndKind.CLOSED_BY_PEER, "")


def test_a_slow_link_is_not_taken_for_a_dead_peer() -> None:
    result = transfer(Link(latency_us=50_000, bytes_per_s=20_000), 2 << 20)
    assert 100 < result.seconds < 130
    assert result.ended == ConnectionEnded(EndKind.CLOSED_BY_PEER, "")
