# pyright: reportPrivateUsage=false
"""js-libp2p and py-libp2p on loopback, each dialled and dialling: Noise, yamux, identify, ping, a bulk stream."""

import hashlib
import secrets
import sys
from typing import Final, cast

import pytest
import trio

from latticework.transport import (
    IDENTIFY_PROTOCOL,
    NOISE_PROTOCOL,
    PING_PROTOCOL,
    Connection,
    ConnectionEnded,
    EndKind,
    HandshakeError,
    Limits,
    PeerId,
    YamuxLimits,
    ping,
    request_identify,
)
from latticework.transport.params import YAMUX_INITIAL_WINDOW_BYTES
from latticework.wire import LocalError

from .ours import AGENT, ECHO, Node, our_node, until
from .peers import PeerProcess, kind, running

pytestmark = [pytest.mark.wire, pytest.mark.parametrize("name", ["js", "py"])]

TEST_S: Final = 90
BULK_BYTES: Final = 16 << 20
PRIVATE: Final = ("/lattice/sync/1", "/lattice/chunks/1", "/lattice/pair/1")
AGENTS: Final = {"js": "js-libp2p/", "py": "py-libp2p/0.8.1"}


async def bulk(connection: Connection) -> float:
    """Send 16 MiB through the peer's echo; the seconds it took."""
    data = secrets.token_bytes(BULK_BYTES)
    received = hashlib.sha256()
    count = 0
    began = trio.current_time()
    async with await connection.open_stream([ECHO]) as stream:

        async def send() -> None:
            await stream.send_all(data)
            await stream.close_write()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while piece := await stream.receive(1 << 20):
                received.update(piece)
                count += len(piece)
    assert (count, received.digest()) == (len(data), hashlib.sha256(data).digest())
    return trio.current_time() - began


def report(what: str, seconds: float) -> None:
    sys.stderr.write(f"{what}: {BULK_BYTES / 1e6 / seconds:.0f} MB/s each way\n")


async def dialled(node: Node, peer: PeerProcess) -> Connection:
    return await node.dial(peer.address, peer.peer)


async def test_we_dial_identify_ping_and_send_a_bulk_stream(name: str) -> None:
    with trio.fail_after(TEST_S):
        async with running(kind(name)) as peer, our_node() as node:
            connection = await dialled(node, peer)
            assert connection.protocol == NOISE_PROTOCOL
            assert connection.remote == peer.peer.multihash
            assert connection.transport_key == peer.peer.transport_key
            async with await connection.open_stream([IDENTIFY_PROTOCOL]) as stream:
                identity = await request_identify(stream, connection.transport_key)
            assert identity.agent.startswith(AGENTS[name])
            assert {IDENTIFY_PROTOCOL, PING_PROTOCOL, ECHO} <= {*identity.protocols}
            assert peer.address in identity.addresses
            assert identity.observed is not None
            assert identity.observed.host == "127.0.0.1"
            async with await connection.open_stream([PING_PROTOCOL]) as stream:
                for _ in range(3):
                    assert await ping(stream, node.rng, node.clock) > 0
            report(f"{name} echoes us", await bulk(connection))


async def test_they_dial_identify_ping_send_a_bulk_stream_and_hang_up(name: str) -> None:
    with trio.fail_after(TEST_S):
        async with running(kind(name)) as peer, our_node() as node:
            said = await peer.ask("dial", address=node.address)
            assert said["peer"] == str(node.peer)
            if name == "js":
                assert (said["encryption"], said["muxer"]) == (NOISE_PROTOCOL, "/yamux/1.0.0")
            connection = await node.connected()
            assert connection.remote == peer.peer.multihash
            found = await peer.ask("identify")
            assert found["agent"] == AGENT
            assert {*cast("list[str]", found["protocols"])} == {*node.protocols}
            assert cast("str", found["observed"]).startswith("/ip4/127.0.0.1/tcp/")
            assert len(cast("list[str]", found["addresses"])) == 1
            assert found["signed_record"] is False
            assert cast("float", (await peer.ask("ping"))["rtt_ms"]) >= 0
            said = await peer.ask("echo", count=BULK_BYTES)
            assert said["count"] == BULK_BYTES
            assert said["sent"] == said["received"]
            report(f"we echo {name}", cast("float", said["seconds"]))
            await peer.ask("hangup")
            await until(lambda: connection.ended is not None)
            assert connection.ended is not None
            assert connection.ended.kind in {EndKind.CLOSED_BY_PEER, EndKind.TRUNCATED, EndKind.LOST}


async def test_many_streams_at_once_and_a_slow_reader_all_get_their_bytes(name: str) -> None:
    """More than one window each, so that credits cross; and nobody sends beyond the window of who does not read."""

    async def one(connection: Connection, number: int) -> None:
        data = number.to_bytes(4, "big") * (100 * 1024)
        async with await connection.open_stream([ECHO]) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            assert await stream.receive_exactly(len(data)) == data
            await stream.close_write()

    async def slow(connection: Connection) -> None:
        """py-libp2p resets a stream that gets no credit for 5 s, so the pause is shorter."""
        data = secrets.token_bytes(4 << 20)
        async with await connection.open_stream([ECHO]) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            await until(lambda: stream._core.inbox.count >= YAMUX_INITIAL_WINDOW_BYTES // 2)
            with trio.move_on_after(1):
                await trio.sleep_forever()
            assert stream._core.inbox.count <= YAMUX_INITIAL_WINDOW_BYTES
            assert await stream.receive_exactly(len(data)) == data

    with trio.fail_after(TEST_S):
        async with running(kind(name)) as peer, our_node() as node:
            connection = await dialled(node, peer)
            # js-libp2p ends a connection with more than 10 streams that come before it has set it up.
            async with await connection.open_stream([PING_PROTOCOL]) as stream:
                await ping(stream, node.rng, node.clock)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(slow, connection)
                for number in range(20):
                    nursery.start_soon(one, connection, number)
            assert connection.ended is None


async def test_the_wrong_peer_is_refused_pings_keep_an_idle_connection_and_a_goodbye_ends_it(name: str) -> None:
    """js-libp2p pings too, every 300 ms here; each end answers the other."""
    limits = Limits(yamux=YamuxLimits(keep_alive_us=100_000))
    with trio.fail_after(TEST_S):
        async with running(kind(name)) as peer, our_node(limits=limits) as node:
            with pytest.raises(HandshakeError) as caught:
                await node.dial(peer.address, PeerId.of_key(secrets.token_bytes(32)))
            assert caught.value.code == "other-peer"
            connection = await dialled(node, peer)
            liveness = connection._machine._liveness
            await until(lambda: liveness._value >= 4 and liveness._sent_us is None)
            assert connection.ended is None
            await connection.aclose()
            assert connection.ended == ConnectionEnded(EndKind.CLOSED_HERE, "")
            assert (await dialled(node, peer)).remote == peer.peer.multihash


async def test_our_own_protocols_are_not_spoken_with_them(name: str) -> None:
    with trio.fail_after(TEST_S):
        async with running(kind(name)) as peer, our_node() as node:
            await peer.ask("dial", address=node.address)
            assert (await peer.ask("protocols", names=[*PRIVATE, PING_PROTOCOL]))["spoken"] == [PING_PROTOCOL]
            connection = await node.connected()
            with pytest.raises(LocalError, match="never carry"):
                await connection.open_stream([PRIVATE[0]])
