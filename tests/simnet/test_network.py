from collections.abc import Awaitable, Callable

import pytest
import trio

from latticework.simnet import KeyedRng, Link, SimNetwork, SimStream, Transcript, VirtualClock, play
from latticework.transport import ConnectionLostError, Multiaddr, UnreachableError
from latticework.wire import LocalError

from .scenario import gossip

pytestmark = pytest.mark.sim

ANY = Multiaddr.parse("/ip4/0.0.0.0/tcp/0")


class World:
    def __init__(self, link: Link | None = None) -> None:
        self.clock = VirtualClock()
        self.transcript = Transcript(keep=True)
        self.network = SimNetwork(self.clock, KeyedRng(b"world"), link, self.transcript)
        self.a = self.network.host("a")
        self.b = self.network.host("b")

    async def pair(self) -> tuple[SimStream, SimStream]:
        listener = await self.b.listen(ANY)
        near = await self.a.dial(listener.addresses[0])
        far = await listener.accept()
        await listener.aclose()
        return near, far

    def run[T](self, main: Callable[[], Awaitable[T]]) -> T:
        return play(main, b"world", self.clock)


async def read(stream: SimStream, count: int = 1 << 16) -> bytes:
    buffer = bytearray(count)
    return bytes(buffer[: await stream.receive_into(memoryview(buffer))])


def test_two_runs_of_one_seed_are_equal_frame_by_frame_and_another_seed_differs() -> None:
    first, again, other = gossip(b"1"), gossip(b"1"), gossip(b"2")
    assert first.frames == again.frames
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_latency_and_bandwidth_say_when_bytes_arrive() -> None:
    world = World(Link(latency_us=5_000, bytes_per_s=1_000_000))

    async def main() -> list[int]:
        near, far = await world.pair()
        opened_us = world.clock.monotonic_us()
        await near.send_all(bytes(1_000))
        await near.send_all(bytes(1_000))
        times: list[int] = [opened_us]
        for _ in range(2):
            assert len(await read(far)) == 1_000
            times.append(world.clock.monotonic_us() - opened_us)
        return times

    assert world.run(main) == [10_000, 6_000, 7_000]


def test_a_sender_waits_when_the_window_is_full_and_one_event_carries_one_frame() -> None:
    world = World(Link(window_bytes=1_000))
    sent: list[int] = []

    async def send(stream: SimStream) -> None:
        for _ in range(20):
            await stream.send_all(bytes(250))
            sent.append(250)

    async def main() -> None:
        near, far = await world.pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, near)
            await trio.sleep(60)
            assert sum(sent) == 1_000
            got = len(await read(far, 300))
            await trio.sleep(60)
            assert (got, sum(sent)) == (300, 1_250)
            while got < 5_000:
                got += len(await read(far))

    world.run(main)
    assert [len(frame.data) for frame in world.transcript.frames] == [250] * 20


def test_a_long_send_travels_in_frames_of_a_quarter_window() -> None:
    world = World(Link(window_bytes=4_000))

    async def main() -> bytes:
        near, far = await world.pair()
        got = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, bytes(range(256)) * 40)
            while len(got) < 256 * 40:
                got += await read(far)
        return got

    assert world.run(main) == bytes(range(256)) * 40
    assert [len(frame.data) for frame in world.transcript.frames] == [1_000] * 10 + [240]


def test_a_cut_link_fails_both_ends_and_dials_until_it_is_healed() -> None:
    world = World()

    async def expect_loss(stream: SimStream) -> None:
        with pytest.raises(ConnectionLostError):
            await read(stream)

    async def main() -> None:
        near, far = await world.pair()
        listener = await world.b.listen(ANY)
        await near.send_all(b"arrives")
        await trio.sleep(1)
        await near.send_all(b"is lost")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_loss, near)
            await trio.testing.wait_all_tasks_blocked()
            world.network.cut("a", "b")
        assert await read(far) == b"arrives"
        await trio.sleep(1)
        await expect_loss(far)
        for stream in (near, far):
            with pytest.raises(ConnectionLostError):
                await stream.send_all(b"x")
            await stream.aclose()
        with pytest.raises(UnreachableError):
            await world.a.dial(listener.addresses[0])
        world.network.heal("a", "b")
        again = await world.a.dial(listener.addresses[0])
        await again.send_all(b"hello again")
        assert await read(await listener.accept()) == b"hello again"

    world.run(main)


def test_a_sender_that_waits_for_room_learns_of_a_cut() -> None:
    world = World(Link(window_bytes=100))

    async def main() -> None:
        near, _far = await world.pair()
        world.clock.schedule(1_000_000, lambda: world.network.cut("b", "a"))
        with pytest.raises(ConnectionLostError):
            await near.send_all(bytes(1_000))

    world.run(main)


def test_a_cut_spares_the_links_of_others() -> None:
    world = World()
    world.network.host("c")

    async def main() -> bytes:
        near, far = await world.pair()
        world.network.cut("a", "c")
        await near.send_all(b"still here")
        return await read(far)

    assert world.run(main) == b"still here"


def test_a_cancelled_dial_leaves_the_other_end_at_the_end_of_the_stream() -> None:
    world = World(Link(latency_us=1_000))

    async def main() -> None:
        listener = await world.b.listen(ANY)
        with trio.move_on_after(0.001_5) as scope:
            await world.a.dial(listener.addresses[0])
        assert scope.cancelled_caught
        assert await read(await listener.accept()) == b""

    world.run(main)


def test_a_full_backlog_refuses() -> None:
    world = World()

    async def main() -> None:
        listener = await world.b.listen(ANY)
        for _ in range(128):
            await world.a.dial(listener.addresses[0])
        with pytest.raises(UnreachableError):
            await world.a.dial(listener.addresses[0])

    world.run(main)


def test_addresses_of_others_and_addresses_in_use_are_not_bound() -> None:
    world = World()

    async def main() -> None:
        listener = await world.a.listen(Multiaddr.parse("/ip4/0.0.0.0/tcp/4001"))
        bound = ["/ip4/10.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
        assert [str(address) for address in listener.addresses] == bound
        for taken in (*bound, "/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.1/udp/1"):
            with pytest.raises(LocalError):
                await world.a.listen(Multiaddr.parse(taken))
        await listener.aclose()
        await world.a.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/4001"))
        await world.b.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/4001"))
        await world.a.listen(Multiaddr.memory(7))
        stream = await world.b.dial(Multiaddr.memory(7))
        assert stream.remote == Multiaddr.memory(7)

    world.run(main)


def test_a_reader_whose_own_end_is_closed_is_woken_at_once() -> None:
    world = World(Link(latency_us=5_000_000))

    async def main() -> int:
        near, _ = await world.pair()
        before_us = world.clock.monotonic_us()

        async def waits() -> None:
            with pytest.raises(ConnectionLostError):
                await read(near)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await trio.testing.wait_all_tasks_blocked()
            await near.aclose()
        return world.clock.monotonic_us() - before_us

    assert world.run(main) == 0


def test_a_second_reader_is_a_bug_of_the_caller() -> None:
    world = World()

    async def main() -> None:
        near, _ = await world.pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, near)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await read(near)
            nursery.cancel_scope.cancel()

    world.run(main)
