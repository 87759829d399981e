"""Streams keep their bytes and their order, whatever happens to hosts and links."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.simnet import Access, KeyedRng, Line, Link, SimNetwork, Trouble, VirtualClock, play
from latticework.transport import ConnectionLostError, Multiaddr

pytestmark = pytest.mark.sim

ANY = Multiaddr.parse("/ip4/0.0.0.0/tcp/1")
PAUSES = st.sampled_from([0.0, 1e-5, 1e-4, 1e-3, 1e-2])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([1, 10, 100, 1500, 4000]), min_size=1, max_size=12),
    parts=st.lists(st.tuples(PAUSES, PAUSES, st.sampled_from(["a", "b"]), st.booleans()), max_size=3),
    costs=st.lists(st.sampled_from([0, 50, 100]), min_size=1, max_size=4),
    loss=st.sampled_from([0.0, 0.2]),
    cpu=st.sampled_from([0.0, 1.0]),
)
def test_a_busy_host_behind_partitions_and_loss_reads_what_was_sent_and_then_the_end(
    sizes: list[int], parts: list[tuple[float, float, str, bool]], costs: list[int], loss: float, cpu: float
) -> None:
    clock = VirtualClock()
    network = SimNetwork(clock, KeyedRng(b"faults"), Link(1_000, 500, window_bytes=4096, trouble=Trouble(loss)))
    a, b = network.host("a"), network.host("b")
    b.cpu.factor = cpu
    sent = b"".join(bytes([number]) * size for number, size in enumerate(sizes))
    got = bytearray()

    async def main() -> None:
        listener = await b.listen(ANY)
        near = await a.dial(Multiaddr.tcp(b.ip, 1))
        far = await listener.accept()

        async def write() -> None:
            for number, size in enumerate(sizes):
                await near.send_all(bytes([number]) * size)
            near.close()

        async def read() -> None:
            buffer, turn = bytearray(1000), 0
            while count := await far.receive_into(memoryview(buffer)):
                got.extend(buffer[:count])
                b.cpu.charge(costs[turn % len(costs)])
                turn += 1

        async def part() -> None:
            for before, during, side, one_way in parts:
                await trio.sleep(before)
                partition = network.topology.part([side], one_way=one_way)
                await trio.sleep(during)
                network.topology.join(partition)

        async with trio.open_nursery() as nursery:
            for task in (write, read, part):
                nursery.start_soon(task)

    play(main, b"faults", clock)
    assert bytes(got) == sent


def test_what_waits_in_an_uplink_gets_nowhere_once_its_host_has_crashed() -> None:
    clock = VirtualClock()
    network = SimNetwork(clock, KeyedRng(b"uplink"), Link(1_000))
    a, b = network.host("a"), network.host("b")
    network.topology.set_access("a", Access(up=Line(100_000)))
    got, ended_us = bytearray(), list[int]()

    async def main() -> None:
        listener = await b.listen(ANY)
        near = await a.dial(Multiaddr.tcp(b.ip, 1))
        far = await listener.accept()
        clock.schedule(1_000_000, lambda: network.topology.silence("a"))
        clock.schedule(3_000_000, lambda: network.topology.revive("a"))
        buffer = bytearray(1 << 16)
        await near.send_all(bytes(500_000))
        try:
            while count := await far.receive_into(memoryview(buffer)):
                got.extend(buffer[:count])
        except ConnectionLostError:
            ended_us.append(clock.monotonic_us())

    play(main, b"uplink", clock)
    assert ended_us == [3_000_000]
    assert len(got) <= 110_000


def test_a_downlink_is_taken_in_the_order_of_arrival_not_of_sending() -> None:
    clock = VirtualClock()
    network = SimNetwork(clock, KeyedRng(b"downlink"), Link(1_000))
    hub = network.host("hub")
    network.topology.set_access("hub", Access(down=Line(10_000_000)))
    network.topology.set_link("far", "hub", Link(300_000))
    heard: list[tuple[str, int]] = []

    async def main() -> None:
        listener = await hub.listen(ANY)

        async def talk(name: str, at_s: float) -> None:
            stream = await network.host(name).dial(Multiaddr.tcp(hub.ip, 1))
            accepted = await listener.accept()
            await trio.sleep_until(at_s)
            await stream.send_all(bytes(100))
            await accepted.receive_into(memoryview(bytearray(100)))
            heard.append((name, clock.monotonic_us()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk, "far", 1.0)
            await trio.sleep(0.7)
            nursery.start_soon(talk, "near", 1.001)

    play(main, b"downlink", clock)
    assert heard == [("near", 1_002_010), ("far", 1_300_010)]
