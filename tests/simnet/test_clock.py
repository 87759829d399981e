import math
from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing

from latticework.simnet import DeadlockError, HeldThreads, InlineThreads, VirtualClock, play
from latticework.wire import Clock, LocalError, Threads

pytestmark = pytest.mark.sim


class RealThreads:
    async def run[T](self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work)  # noqa: TID251  # a real thread is what this is about


def test_events_run_in_time_order_and_ties_in_the_order_of_scheduling() -> None:
    clock = VirtualClock()
    seen: list[tuple[int, str]] = []

    def note(name: str) -> None:
        seen.append((clock.monotonic_us(), name))

    async def main() -> None:
        for at_us, name in ((300, "c"), (100, "a"), (200, "b1"), (200, "b2"), (200, "b3")):
            clock.schedule(at_us, partial(note, name))
        await trio.sleep(0.000_200)
        note("deadline")
        await trio.sleep(0.001)

    play(main, b"order", clock)
    assert seen == [(100, "a"), (200, "b1"), (200, "b2"), (200, "b3"), (200, "deadline"), (300, "c")]


def test_a_cancelled_event_does_not_run_and_does_not_move_time() -> None:
    clock = VirtualClock()

    async def main() -> None:
        event = clock.schedule(50, lambda: pytest.fail("it ran"))
        clock.cancel(event)
        clock.cancel(event)
        await trio.sleep(0.000_010)
        await trio.testing.wait_all_tasks_blocked()

    play(main, b"cancel", clock)
    assert clock.monotonic_us() == 10


def test_every_task_that_an_event_wakes_runs_before_the_next_event() -> None:
    clock = VirtualClock()
    seen: list[int] = []

    async def main() -> None:
        send, receive = trio.open_memory_channel[int](9)
        for number in range(3):
            clock.schedule(7, partial(send.send_nowait, number))
        for _ in range(3):
            await receive.receive()
            await trio.lowlevel.checkpoint()
            seen.append(receive.statistics().current_buffer_used)

    play(main, b"one at a time", clock)
    assert seen == [0, 0, 0]


def test_an_event_in_the_past_runs_next() -> None:
    clock = VirtualClock()

    async def main() -> int:
        await trio.sleep(1)
        done = trio.Event()
        clock.schedule(5, done.set)
        await done.wait()
        return clock.monotonic_us()

    assert play(main, b"past", clock) == 1_000_000


def test_long_sleeps_take_no_time_and_leave_whole_microseconds() -> None:
    clock = VirtualClock(epoch_us=1_000)

    async def main() -> None:
        for _ in range(10):
            await trio.sleep(0.1)
        await trio.sleep(86_400 * 365)

    play(main, b"year", clock)
    port: Clock = clock
    assert (port.monotonic_us(), port.now_us()) == (31_536_001_000_000, 31_536_001_001_000)


def test_time_stands_still_while_a_thread_works() -> None:
    clock = VirtualClock()
    threads: Threads = HeldThreads(RealThreads(), clock)
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            await trio.sleep(1)
            ticks.append(clock.monotonic_us())

    async def main() -> int:
        clock.schedule(10, lambda: ticks.append(-1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            # 3 ** (2 ** 16) is real work of some milliseconds; a sleep would prove no more.
            digits = await threads.run(lambda: len(str(pow(3, 1 << 13))))
            nursery.cancel_scope.cancel()
        return digits

    assert play(main, b"threads", clock) == math.floor((1 << 13) * math.log10(3)) + 1
    assert ticks == []


def test_inline_threads_run_at_once_and_not_when_cancelled() -> None:
    threads: Threads = InlineThreads()

    async def main() -> tuple[int, bool]:
        with trio.CancelScope() as scope:
            scope.cancel()
            await threads.run(lambda: pytest.fail("it ran"))
        return await threads.run(lambda: 7), scope.cancelled_caught

    assert play(main, b"inline") == (7, True)


def test_a_deadlock_is_reported_with_the_tasks_that_wait() -> None:
    async def waits_for_ever() -> None:
        await trio.Event().wait()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits_for_ever)
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep(5)

    with pytest.raises(DeadlockError) as caught:
        play(main, b"deadlock")
    assert len(caught.value.blocked) == 2
    assert "waits_for_ever:" in caught.value.blocked[0] + caught.value.blocked[1]
    assert isinstance(caught.value, LocalError)


def test_a_deadlock_is_reported_even_if_the_tasks_refuse_to_end_well() -> None:
    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("bad cleanup")

    with pytest.raises(DeadlockError):
        play(main, b"stubborn")


def test_a_deadlock_inside_a_shield_ends_the_run() -> None:
    async def main() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    with pytest.raises(DeadlockError):
        play(main, b"shield")


def test_wait_all_tasks_blocked_wakes_before_time_moves() -> None:
    clock = VirtualClock()

    async def main() -> int:
        clock.schedule(1_000, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        return clock.monotonic_us()

    assert play(main, b"idle", clock) == 0


def test_a_clock_serves_one_run() -> None:
    clock = VirtualClock()
    play(partial(trio.sleep, 1), b"first", clock)
    with pytest.raises(LocalError):
        play(partial(trio.sleep, 1), b"second", clock)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def test_it_serves_as_a_pytest_trio_clock(clock: VirtualClock) -> None:
    await trio.sleep(1_000)
    assert clock.monotonic_us() == 1_000_000_000
