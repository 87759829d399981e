"""What every implementation of `transport.ports.Network` promises, tried on each of them."""

import importlib.util
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import pytest
import trio

from latticework.simnet import KeyedRng, SimNetwork, VirtualClock, play
from latticework.transport import ByteStream, ConnectionLostError, Multiaddr, Network, UnreachableError
from latticework.wire import LocalError

LOOPBACK = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")
type Check = Callable[[Network], Awaitable[None]]


def on_simulation(check: Check) -> None:
    clock = VirtualClock()
    network = SimNetwork(clock, KeyedRng(b"contract")).host("a")
    play(partial(check, network), b"contract", clock)


def on_tcp(check: Check) -> None:
    made = cast("Callable[[], Network]", importlib.import_module("latticework.transport.tcp").TcpNetwork)

    async def main() -> None:
        with trio.fail_after(10):
            await check(made())

    trio.run(main)


def _tcp_exists() -> bool:
    return importlib.util.find_spec("latticework.transport.tcp") is not None


WORLDS = [
    pytest.param(on_simulation, id="simulation", marks=pytest.mark.sim),
    pytest.param(
        on_tcp,
        id="tcp",
        marks=[pytest.mark.wire, pytest.mark.skipif(not _tcp_exists(), reason="transport/tcp.py is not there")],
    ),
]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Callable[[Check], None]:
    return cast("Callable[[Check], None]", request.param)


async def pair(network: Network) -> tuple[ByteStream, ByteStream]:
    listener = await network.listen(LOOPBACK)
    near = await network.dial(listener.addresses[0])
    far = await listener.accept()
    await listener.aclose()
    return near, far


async def close(*streams: ByteStream) -> None:
    for stream in streams:
        await stream.aclose()


async def read_all(stream: ByteStream) -> bytes:
    got = bytearray()
    buffer = bytearray(10_000)
    while count := await stream.receive_into(memoryview(buffer)):
        got += memoryview(buffer)[:count]
    return bytes(got)


async def send_for_ever(stream: ByteStream) -> None:
    while True:
        await stream.send_all(bytes(10_000))


def test_the_listener_names_its_real_port_and_the_ends_name_each_other(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(LOOPBACK)
        (address,) = listener.addresses
        assert (address.host, address.transport) == ("127.0.0.1", "tcp")
        assert address.port > 0
        near = await network.dial(address)
        far = await listener.accept()
        assert near.remote == address
        assert far.remote.host == "127.0.0.1"
        assert far.remote.port not in {0, address.port}
        await close(near, far)
        await listener.aclose()

    world(check)


def test_a_wildcard_is_bound_and_never_announced(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(Multiaddr.parse("/ip4/0.0.0.0/tcp/0"))
        assert listener.addresses
        assert "0.0.0.0" not in {address.host for address in listener.addresses}
        await listener.aclose()

    world(check)


def test_bytes_arrive_in_order_in_both_directions_and_then_the_end(world: Callable[[Check], None]) -> None:
    payload = bytes(range(256)) * 20_000

    async def check(network: Network) -> None:
        near, far = await pair(network)
        async with trio.open_nursery() as nursery:

            async def send(stream: ByteStream) -> None:
                await stream.send_all(payload[:1])
                await stream.send_all(memoryview(payload)[1:])
                await stream.send_all(b"")

            async def exact(stream: ByteStream) -> None:
                got = 0
                buffer = bytearray(len(payload))
                while got < len(payload):
                    got += await stream.receive_into(memoryview(buffer)[got:])
                assert buffer == payload

            for stream in (near, far):
                nursery.start_soon(send, stream)
                nursery.start_soon(exact, stream)
        await near.aclose()
        assert await read_all(far) == b""
        assert await far.receive_into(memoryview(bytearray(1))) == 0
        await far.aclose()

    world(check)


def test_the_buffer_of_a_send_may_be_reused_at_once(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        near, far = await pair(network)
        buffer = bytearray(b"first")
        await near.send_all(buffer)
        buffer[:] = b"later"
        await near.send_all(buffer)
        await near.aclose()
        assert await read_all(far) == b"firstlater"
        await far.aclose()

    world(check)


def test_sending_to_an_end_that_was_closed_fails(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        near, far = await pair(network)
        await far.aclose()
        with pytest.raises(ConnectionLostError):
            await send_for_ever(near)
        await near.aclose()

    world(check)


def test_closing_twice_and_closing_with_a_dead_peer_are_no_errors(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        near, far = await pair(network)
        await close(near, near, far, far)

    world(check)


def test_an_end_closed_here_is_lost_to_those_who_use_it(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        near, far = await pair(network)
        await close(near)
        with pytest.raises(ConnectionLostError):
            await near.send_all(b"x")
        with pytest.raises(ConnectionLostError):
            await near.receive_into(memoryview(bytearray(1)))
        await close(far)

    world(check)


def test_a_reader_waiting_on_an_end_that_is_closed_here_is_woken(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        near, far = await pair(network)

        async def waits() -> None:
            with pytest.raises(ConnectionLostError):
                await near.receive_into(memoryview(bytearray(1)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await trio.testing.wait_all_tasks_blocked()
            await near.aclose()
        await far.aclose()

    world(check)


def test_a_cancelled_receive_loses_nothing(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        near, far = await pair(network)
        with trio.move_on_after(0.01) as scope:
            await far.receive_into(memoryview(bytearray(9)))
        assert scope.cancelled_caught
        await near.send_all(b"kept")
        await near.aclose()
        assert await read_all(far) == b"kept"
        await far.aclose()

    world(check)


def test_nobody_answers_where_nobody_listens(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(LOOPBACK)
        (address,) = listener.addresses
        await listener.aclose()
        with pytest.raises(UnreachableError):
            await network.dial(address)

    world(check)


def test_a_closed_listener_accepts_nothing(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(LOOPBACK)

        async def waits() -> None:
            with pytest.raises(LocalError):
                await listener.accept()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await trio.testing.wait_all_tasks_blocked()
            await listener.aclose()
        await waits()

    world(check)


def test_one_address_is_bound_once(world: Callable[[Check], None]) -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(LOOPBACK)
        with pytest.raises(LocalError):
            await network.listen(listener.addresses[0])
        await listener.aclose()

    world(check)
