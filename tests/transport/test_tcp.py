import socket

import pytest
import trio
import trio.testing

from latticework.transport import ConnectionLostError, Multiaddr, TcpNetwork, UnreachableError
from latticework.wire import LocalError

pytestmark = pytest.mark.wire


@pytest.mark.parametrize("text", ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"])
async def test_two_ends_talk_and_see_each_others_addresses(text: str) -> None:
    network = TcpNetwork()
    listener = await network.listen(Multiaddr.parse(text))
    (address,) = listener.addresses
    near = await network.dial(address)
    far = await listener.accept()
    assert near.remote == address
    assert far.remote.host == address.host
    await near.send_all(b"hello")
    buffer = bytearray(10)
    assert await far.receive_into(memoryview(buffer)) == 5
    await near.aclose()
    assert await far.receive_into(memoryview(buffer)) == 0
    await far.aclose()
    await listener.aclose()


async def test_a_name_can_be_dialled() -> None:
    network = TcpNetwork()
    listener = await network.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
    near = await network.dial(Multiaddr.parse(f"/dns/localhost/tcp/{listener.addresses[0].port}"))
    assert near.remote.host == "127.0.0.1"
    await near.aclose()
    await listener.aclose()


@pytest.mark.parametrize(("text", "loopback"), [("/ip4/0.0.0.0/tcp/0", "127.0.0.1"), ("/ip6/::/tcp/0", "::1")])
async def test_a_wildcard_reports_every_interface_and_the_real_port(text: str, loopback: str) -> None:
    listener = await TcpNetwork().listen(Multiaddr.parse(text))
    hosts = {address.host for address in listener.addresses}
    assert loopback in hosts
    assert not hosts & {"0.0.0.0", "::"}
    assert len({address.port for address in listener.addresses}) == 1
    assert listener.addresses[0].port
    await listener.aclose()


async def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(UnreachableError):
        await TcpNetwork().dial(Multiaddr.tcp("127.0.0.1", port))


async def test_a_name_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        await TcpNetwork().dial(Multiaddr.parse("/dns/nowhere.invalid/tcp/1"))


async def test_addresses_that_tcp_cannot_use_are_our_own_mistake() -> None:
    for text in ("/ip4/127.0.0.1/udp/1", "/memory/1", "/dns/localhost/tcp/1"):
        with pytest.raises(LocalError):
            await TcpNetwork().listen(Multiaddr.parse(text))
    with pytest.raises(LocalError):
        await TcpNetwork().dial(Multiaddr.memory(1))


async def test_a_port_in_use_is_a_local_error_that_says_why() -> None:
    listener = await TcpNetwork().listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
    with pytest.raises(LocalError, match="in use"):
        await TcpNetwork().listen(listener.addresses[0])
    await listener.aclose()


async def test_a_peer_that_vanishes_is_a_lost_connection() -> None:
    network = TcpNetwork()
    listener = await network.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
    near = await network.dial(listener.addresses[0])
    far = await listener.accept()
    await near.send_all(b"unread")
    await far.aclose()

    async def send_for_ever() -> None:
        while True:
            await near.send_all(bytes(65536))

    with trio.fail_after(5), pytest.raises(ConnectionLostError):
        await send_for_ever()
    await near.aclose()
    with pytest.raises(ConnectionLostError):
        await near.send_all(b"x")
    await listener.aclose()


async def test_accepting_on_a_closed_listener_is_an_error_and_not_a_loop() -> None:
    listener = await TcpNetwork().listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))

    async def accept() -> None:
        with trio.fail_after(5), pytest.raises(LocalError):
            await listener.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await trio.testing.wait_all_tasks_blocked()
        await listener.aclose()
    await accept()
