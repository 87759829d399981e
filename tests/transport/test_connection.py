# pyright: reportPrivateUsage=false
"""Connections over pipes in memory: what peers may and may not do to each other."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from latticework.transport import (
    Connection,
    ConnectionEnded,
    ConnectionLostError,
    EndKind,
    HandshakeError,
    Limits,
    ProtocolRefusedError,
    Stream,
    StreamResetError,
    YamuxLimits,
)
from latticework.transport import yamux_frames as frames
from latticework.wire import LocalError, PeerError

from .fakes import Ends, connected

pytestmark = pytest.mark.unit

ECHO = "/test/echo/1"
SINK = "/test/sink/1"
HOLD = "/test/hold/1"
FAIL = "/test/fail/1"
LINGER = "/test/linger/1"


@dataclass
class Both:
    """Two running connections and how they ended."""

    ends: Ends
    nursery: trio.Nursery
    results: dict[str, ConnectionEnded] = field(default_factory=dict[str, ConnectionEnded])
    over: dict[str, trio.Event] = field(default_factory=lambda: {"dialler": trio.Event(), "listener": trio.Event()})

    @property
    def dialler(self) -> Connection:
        return self.ends.dialler

    @property
    def listener(self) -> Connection:
        return self.ends.listener


async def serve(protocol: str, stream: Stream) -> None:
    match protocol:
        case "/test/echo/1":
            while data := await stream.receive(1 << 20):
                await stream.send_all(data)
        case "/test/sink/1":
            total = 0
            while data := await stream.receive(1 << 20):
                total += len(data)
            await stream.send_all(total.to_bytes(8, "big"))
        case "/test/hold/1":
            await trio.sleep_forever()
        case "/test/linger/1":
            await stream.close_write()
            await trio.sleep_forever()
        case _:
            raise RuntimeError("a bug in a handler")


PROTOCOLS = (ECHO, SINK, HOLD, FAIL, LINGER)


@asynccontextmanager
async def running(limits: Limits | None = None) -> AsyncGenerator[Both]:
    ends = await connected(limits)
    async with trio.open_nursery() as nursery:
        both = Both(ends, nursery)

        async def run(name: str, connection: Connection) -> None:
            both.results[name] = await connection.run(serve, PROTOCOLS)
            both.over[name].set()

        nursery.start_soon(run, "dialler", ends.dialler)
        nursery.start_soon(run, "listener", ends.listener)
        yield both
        nursery.cancel_scope.cancel()


async def test_what_is_written_comes_back_from_an_echo(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([ECHO])
        await stream.send_all(b"hello")
        assert await stream.receive_exactly(5) == b"hello"
        await stream.close_write()
        assert await stream.receive(10) == b""
        await stream.aclose()


async def test_both_ends_know_each_other_and_share_exports(autojump_clock: MockClock) -> None:
    ends = await connected()
    assert (ends.dialler.remote, ends.listener.remote) == (b"listener", b"dialler")
    assert ends.dialler.export(b"x", 8) == ends.listener.export(b"x", 8)


async def test_megabytes_arrive_whole_and_in_order(autojump_clock: MockClock) -> None:
    payload = bytes(range(256)) * 4 * 4096
    async with running() as both:
        stream = await both.dialler.open_stream([ECHO])
        got = bytearray(len(payload))

        async def read() -> None:
            at = 0
            while at < len(got):
                at += await stream.receive_into(memoryview(got)[at:])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await stream.send_all(payload)
        assert got == payload


async def test_many_streams_share_the_connection(autojump_clock: MockClock) -> None:
    async with running() as both:

        async def one(number: int) -> None:
            stream = await both.dialler.open_stream([SINK])
            await stream.send_all(bytes(100_000 + number))
            await stream.close_write()
            assert await stream.receive_exactly(8) == (100_000 + number).to_bytes(8, "big")
            await stream.aclose()

        for batch in range(4):
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(one, batch * 50 + number)


async def test_small_writes_of_one_tick_share_a_record(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([SINK])
        await wait_all_tasks_blocked()
        before = both.ends.dialler_stream.outbox.total
        for _ in range(100):
            await stream.send_all(b"0123456789")
        await wait_all_tasks_blocked()
        assert both.ends.dialler_stream.outbox.total - before == 1000 + 12 + 20


async def test_an_unknown_protocol_is_refused_and_the_connection_lives_on(autojump_clock: MockClock) -> None:
    async with running() as both:
        with pytest.raises(ProtocolRefusedError):
            await both.dialler.open_stream(["/test/none/1", "/test/none/2"])
        stream = await both.dialler.open_stream(["/test/none/1", ECHO])
        assert stream.protocol == ECHO


async def test_a_handler_that_raises_ends_its_stream_only(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as both:
        with caplog.at_level(logging.ERROR):

            async def call() -> None:
                stream = await both.dialler.open_stream([FAIL])
                await stream.receive(1)

            with pytest.raises(StreamResetError):
                await call()
        assert "handler failed" in caplog.text
        echo = await both.dialler.open_stream([ECHO])
        await echo.send_all(b"still here")
        assert await echo.receive(100) == b"still here"
        assert not both.results


async def test_a_slow_reader_holds_the_writer_back_for_minutes_and_loses_nothing(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([HOLD])
        with trio.move_on_after(300):
            await stream.send_all(bytes(8 << 20))
            raise AssertionError("8 MiB fit into a window of 256 KiB")
        assert not both.results
        assert both.ends.dialler_stream.outbox.total < 400 * 1024
        assert both.ends.listener_pool.leased_bytes == 0


async def test_an_idle_connection_holds_no_buffer(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([SINK])
        await stream.send_all(bytes(1 << 20))
        await trio.sleep(5)
        assert both.ends.dialler_pool.leased_bytes == 0
        assert both.ends.listener_pool.leased_bytes == 0
        assert not both.results


async def test_aclose_says_goodbye_and_both_ends_know_who_closed(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([HOLD])
        await both.dialler.aclose()
        with pytest.raises(ConnectionLostError):
            await stream.receive(1)
        with pytest.raises(ConnectionLostError):
            await both.dialler.open_stream([ECHO])
        await wait_all_tasks_blocked()
        assert both.results["dialler"].kind is EndKind.CLOSED_HERE
        assert both.results["listener"].kind is EndKind.CLOSED_BY_PEER
        assert both.ends.listener_stream.closed


async def test_an_end_without_sealed_close_is_a_truncation(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([HOLD])
        both.ends.dialler_stream.inbox.close()
        with pytest.raises(ConnectionLostError):
            await stream.receive(1)
        await wait_all_tasks_blocked()
        assert both.results["dialler"].kind is EndKind.TRUNCATED


async def test_a_silent_peer_is_declared_dead_after_25_seconds(autojump_clock: MockClock) -> None:
    async with running() as both:
        await both.dialler.open_stream([HOLD])
        both.ends.dialler_stream.inbox.frozen = True
        both.ends.dialler_stream.outbox.frozen = True
        began = trio.current_time()
        await both.over["dialler"].wait()
        assert both.results["dialler"].kind is EndKind.DEAD
        assert 24 <= trio.current_time() - began <= 32


async def test_a_quiet_healthy_connection_lives_for_an_hour(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([ECHO])
        await trio.sleep(3600)
        await stream.send_all(b"x")
        assert await stream.receive(1) == b"x"


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 64, b"\xff" * 64, b"\x0f\xff\xff\xff", b"\x00\x00\x00\x10" + bytes(16) + b"\x07" * 40],
)
async def test_garbage_records_end_that_connection_only(garbage: bytes, autojump_clock: MockClock) -> None:
    async with running() as other, running() as both:
        await both.ends.dialler_stream.send_all(garbage)
        await wait_all_tasks_blocked()
        await trio.sleep(2)
        assert both.results["listener"].kind is EndKind.VIOLATION
        stream = await other.dialler.open_stream([ECHO])
        await stream.send_all(b"x")
        assert await stream.receive(1) == b"x"


async def test_a_replayed_record_ends_the_connection(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([SINK])
        await wait_all_tasks_blocked()
        records = both.dialler._records
        out = memoryview(bytearray(256))
        frame = frames.HEADER.pack(0, frames.DATA, 0, 1, 6) + b"pay me"
        record = bytes(out[: records.seal_into(frame, out, 0)])
        await both.ends.dialler_stream.send_all(record)
        await wait_all_tasks_blocked()
        assert not both.results
        await both.ends.dialler_stream.send_all(record)
        await trio.sleep(2)
        assert both.results["listener"] == ConnectionEnded(EndKind.VIOLATION, "record: forged")
        with pytest.raises(ConnectionLostError):
            await stream.receive(1)


async def test_more_streams_than_allowed_are_refused_with_a_reset(autojump_clock: MockClock) -> None:
    limits = Limits(yamux=YamuxLimits(max_inbound_streams=3))
    async with running(limits) as both:
        for _ in range(3):
            await both.dialler.open_stream([HOLD])
        with pytest.raises(StreamResetError):
            await both.dialler.open_stream([HOLD])
        assert not both.results


async def test_handlers_that_outlive_their_streams_count_against_the_limit(autojump_clock: MockClock) -> None:
    limits = Limits(yamux=YamuxLimits(max_inbound_streams=3))
    async with running(limits) as both:
        for _ in range(3):
            stream = await both.dialler.open_stream([LINGER])
            await stream.aclose()
        await wait_all_tasks_blocked()
        assert both.listener._machine.stream_count == 0
        with pytest.raises(StreamResetError):
            await both.dialler.open_stream([ECHO])
        assert not both.results


async def test_we_open_no_more_streams_than_our_own_limit(autojump_clock: MockClock) -> None:
    limits = Limits(yamux=YamuxLimits(max_outbound_streams=2))
    async with running(limits) as both:
        streams = [await both.dialler.open_stream([HOLD]) for _ in range(2)]
        with pytest.raises(LocalError):
            await both.dialler.open_stream([HOLD])
        streams[0].reset()
        await both.dialler.open_stream([HOLD])


async def test_a_stream_that_never_negotiates_is_dropped_at_its_deadline(autojump_clock: MockClock) -> None:
    limits = Limits(yamux=YamuxLimits(max_inbound_streams=1))
    async with running(limits) as both:
        both.dialler._step(frames.Open())
        await trio.sleep(9)
        with pytest.raises(StreamResetError):
            await both.dialler.open_stream([ECHO])
        await trio.sleep(2)
        echo = await both.dialler.open_stream([ECHO])
        assert echo.protocol == ECHO


async def test_messages_keep_their_borders_and_oversized_ones_are_refused(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([ECHO])
        await stream.send_message(b"one")
        await stream.send_message(b"")
        await stream.send_message(b"x" * 101)
        assert await stream.receive_message(100) == b"one"
        assert await stream.receive_message(100) == b""
        with pytest.raises(PeerError) as caught:
            await stream.receive_message(100)
        assert caught.value.code == "message-length"


async def test_a_message_cut_off_is_an_error_and_a_clean_end_is_none(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([ECHO])
        await stream.send_message(b"one")
        await stream.send_all((10).to_bytes(4, "big") + b"short")
        await stream.close_write()
        assert await stream.receive_message(100) == b"one"
        with pytest.raises(PeerError):
            await stream.receive_message(100)
        stream = await both.dialler.open_stream([ECHO])
        await stream.close_write()
        assert await stream.receive_message(100) is None


async def test_a_cancelled_write_leaves_the_connection_usable(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([HOLD])
        data = bytearray(8 << 20)
        with trio.move_on_after(1) as scope:
            await stream.send_all(data)
        assert scope.cancelled_caught
        data.clear()  # would raise BufferError if a piece were still borrowed
        stream.reset()
        echo = await both.dialler.open_stream([ECHO])
        await echo.send_all(b"x")
        assert await echo.receive(1) == b"x"


async def test_a_cancellation_at_any_checkpoint_costs_one_stream_and_no_memory(autojump_clock: MockClock) -> None:
    async with running() as both:

        async def use(scope: trio.CancelScope) -> None:
            with scope:
                async with await both.dialler.open_stream([ECHO]) as stream, trio.open_nursery() as nursery:
                    nursery.start_soon(stream.send_all, bytes(300_000))
                    await stream.receive_exactly(300_000)

        for checkpoints in range(120):
            scope = trio.CancelScope()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(use, scope)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
            echo = await both.dialler.open_stream([ECHO])
            await echo.send_all(b"x")
            assert await echo.receive(1) == b"x"
            await echo.aclose()
        await trio.sleep(60)
        assert not both.results
        assert both.dialler._machine.stream_count == both.listener._machine.stream_count == 0
        assert both.ends.dialler_pool.leased_bytes == both.ends.listener_pool.leased_bytes == 0
        assert not both.dialler._cores
        assert not both.listener._cores


async def test_cancelling_run_closes_the_byte_stream(autojump_clock: MockClock) -> None:
    ends = await connected()
    with trio.move_on_after(1):
        await ends.dialler.run(serve, PROTOCOLS)
    assert ends.dialler_stream.closed


async def test_closing_a_stream_flushes_what_was_written(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([SINK])
        await stream.send_all(bytes(1 << 20))
        await stream.aclose()
        await trio.sleep(60)
        assert both.ends.dialler_stream.outbox.total > 1 << 20
        assert not both.results


async def test_two_readers_of_one_stream_are_our_own_mistake(autojump_clock: MockClock) -> None:
    async with running() as both:
        stream = await both.dialler.open_stream([HOLD])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive, 1)
            await wait_all_tasks_blocked()
            with pytest.raises(LocalError):
                await stream.receive(1)
            nursery.cancel_scope.cancel()


def test_handshake_errors_tell_their_code() -> None:
    assert HandshakeError("busy", "x").code == "busy"
