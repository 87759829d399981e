# pyright: reportPrivateUsage=false
"""From a byte stream to a connection: strangers, liars and slow ones."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from latticework.transport import (
    BufferPool,
    ConnectionLostError,
    EndKind,
    HandshakeError,
    Limits,
    ProtocolRefusedError,
    Stream,
    Upgrader,
)
from latticework.transport import yamux_frames as frames
from latticework.transport.multistream import HEADER, frame
from latticework.wire import MalformedError, PeerError

from .fakes import PLAIN, MemoryByteStream, PlainChannel, TrioClock, connected, stream_pair

HELLO = frame(HEADER) + frame(PLAIN)


def upgrader(limits: Limits | None = None, channel: PlainChannel | None = None) -> Upgrader:
    return Upgrader([channel or PlainChannel(b"us")], TrioClock(), BufferPool(), limits or Limits())


async def refused(node: Upgrader, sent: bytes, *, hang_up: bool = False) -> tuple[PeerError, MemoryByteStream]:
    """What `inbound` raises for a stranger who sends `sent`, and the stranger's end."""
    near, far = stream_pair()
    caught: list[PeerError] = []

    async def accept() -> None:
        try:
            await node.inbound(near)
        except PeerError as error:
            caught.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await far.send_all(sent)
        if hang_up:
            far.outbox.close()
    assert near.closed
    assert node.pending_handshakes == 0
    return caught[0], near


@pytest.mark.unit
@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 4,
        b"\xff" * 100,
        frame("/multistream/9"),
        HELLO + (65).to_bytes(4, "big"),
        HELLO + b"\xff\xff\xff\xff",
    ],
)
async def test_garbage_is_refused_as_malformed_at_once(sent: bytes, autojump_clock: MockClock) -> None:
    error, _ = await refused(upgrader(), sent)
    assert isinstance(error, MalformedError)
    assert trio.current_time() < 1


@pytest.mark.unit
@pytest.mark.parametrize("sent", [b"", frame(HEADER), HELLO, HELLO + b"\x00\x00\x00\x05abc"])
async def test_whoever_sends_nothing_more_is_cut_off_after_ten_seconds(sent: bytes, autojump_clock: MockClock) -> None:
    began = trio.current_time()
    error, _ = await refused(upgrader(), sent)
    assert isinstance(error, HandshakeError)
    assert error.code == "timeout"
    assert trio.current_time() - began == pytest.approx(10)


@pytest.mark.unit
@pytest.mark.parametrize("sent", [HELLO, HELLO + b"\x00\x00\x00\x05abc"])
async def test_hanging_up_during_the_handshake_is_a_lost_connection(sent: bytes, autojump_clock: MockClock) -> None:
    error, _ = await refused(upgrader(), sent, hang_up=True)
    assert isinstance(error, ConnectionLostError)


@pytest.mark.unit
async def test_bytes_before_authentication_are_counted(autojump_clock: MockClock) -> None:
    error, near = await refused(upgrader(Limits(max_pre_auth_bytes=100)), frame(HEADER) + frame("x" * 90))
    assert str(error) == "too many bytes before authentication"
    assert near.inbox.total - len(near.inbox.data) <= 100 + len(frame(HEADER) + frame("x" * 90))


@pytest.mark.unit
async def test_a_refusal_of_the_handshake_carries_its_code(autojump_clock: MockClock) -> None:
    error, _ = await refused(upgrader(), HELLO + b"\x00\x00\x00\x08stranger")
    assert isinstance(error, HandshakeError)
    assert error.code == "unknown-device"


@pytest.mark.unit
async def test_another_muxer_is_refused(autojump_clock: MockClock) -> None:
    node = upgrader(channel=PlainChannel(b"us", muxer="/mplex/6.7.0"))
    error, _ = await refused(node, HELLO + b"\x00\x00\x00\x01a")
    assert isinstance(error, HandshakeError)
    assert error.code == "muxer"


@pytest.mark.unit
async def test_a_dialler_learns_that_its_channel_is_not_spoken(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            with pytest.raises(PeerError):
                await upgrader().inbound(far)

        nursery.start_soon(accept)
        with pytest.raises(ProtocolRefusedError):
            await upgrader().outbound(near, PlainChannel(b"dialler", protocol="/other/1"))
    assert near.closed
    assert far.closed


async def flood(node: Upgrader, hosts: list[int]) -> int:
    """How many handshakes hang when each of `hosts` begins one."""
    async with trio.open_nursery() as nursery:
        for host in hosts:
            near, far = stream_pair(host)

            async def accept(stream: MemoryByteStream = near) -> None:
                with pytest.raises(HandshakeError) as caught:
                    await node.inbound(stream)
                assert caught.value.code in {"busy", "timeout"}

            nursery.start_soon(accept)
            with suppress(ConnectionLostError):
                await far.send_all(HELLO)
        await wait_all_tasks_blocked()
        hanging = node.pending_handshakes
    assert node.pending_handshakes == 0
    return hanging


@pytest.mark.unit
async def test_one_host_may_have_eight_handshakes_under_way(autojump_clock: MockClock) -> None:
    assert await flood(upgrader(), [1] * 20) == 8


@pytest.mark.unit
async def test_all_hosts_together_may_have_sixty_four(autojump_clock: MockClock) -> None:
    assert await flood(upgrader(), list(range(100))) == 64


@pytest.mark.unit
async def test_limits_count_live_handshakes_and_not_those_of_a_lifetime(autojump_clock: MockClock) -> None:
    node = upgrader(Limits(max_pending_handshakes=1))
    for _ in range(5):
        near, far = stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.inbound, near)
            await upgrader().outbound(far, PlainChannel(b"them"))
        assert node.pending_handshakes == 0


@pytest.mark.unit
async def test_cancelling_a_handshake_closes_the_stream(autojump_clock: MockClock) -> None:
    near, _ = stream_pair()
    with trio.move_on_after(1):
        await upgrader().inbound(near)
    assert near.closed


@pytest.mark.unit
async def test_the_dialler_is_secured_after_one_round_trip(autojump_clock: MockClock) -> None:
    ends = await connected()
    hello = frame(HEADER) + frame(PLAIN)
    assert ends.dialler_stream.outbox.total == len(hello) + 4 + len(b"dialler")
    assert ends.dialler_stream.inbox.total == len(hello) + 4 + len(b"listener")


@pytest.mark.unit
async def test_bytes_that_come_with_handshake_and_negotiation_are_not_lost(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    heard: list[str] = []

    async def handle(protocol: str, _stream: Stream) -> None:
        heard.append(protocol)
        await trio.sleep_forever()

    proposal = frame(HEADER) + frame("/a") + b"!!"
    opening = frames.HEADER.pack(0, frames.DATA, frames.SYN, 1, len(proposal)) + proposal
    await far.send_all(HELLO + b"\x00\x00\x00\x04them" + record_of(opening))
    connection = await upgrader().inbound(near)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run, handle, ("/a",))
        await wait_all_tasks_blocked()
        assert heard == ["/a"]
        assert connection._machine._streams[1].unread == len(b"!!")
        nursery.cancel_scope.cancel()


def record_of(plaintext: bytes) -> bytes:
    return (len(plaintext) + 16).to_bytes(4, "big") + plaintext + bytes(16)


def run_with_mock_clock(work: Callable[[], Awaitable[None]]) -> None:
    trio.run(work, clock=MockClock(autojump_threshold=0))


@pytest.mark.property
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(min_size=1, max_size=300), st.sampled_from([b"", frame(HEADER), HELLO, HELLO + b"\x00\x00\x00\x04them"])
)
def test_random_bytes_end_that_connection_only(noise: bytes, start: bytes) -> None:
    async def work() -> None:
        near, far = stream_pair()

        async def handle(_protocol: str, _stream: Stream) -> None:
            raise AssertionError("nobody opened a stream")

        async with trio.open_nursery() as nursery:

            async def accept() -> None:
                try:
                    connection = await upgrader().inbound(near)
                except PeerError:
                    return
                ended = await connection.run(handle, ["/a"])
                assert ended.kind in {EndKind.VIOLATION, EndKind.TRUNCATED, EndKind.LOST}

            nursery.start_soon(accept)
            with suppress(ConnectionLostError):
                await far.send_all(start + noise)
            far.outbox.close()
        assert near.closed

    run_with_mock_clock(work)
