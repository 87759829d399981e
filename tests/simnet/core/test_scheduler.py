from dataclasses import dataclass
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.core.scheduler import BUCKET_BITS, NUMBER_MASK, BucketScheduler, Callback, target_of

pytestmark = pytest.mark.unit

BUCKET_US = 1 << BUCKET_BITS
DELAYS = st.one_of(st.integers(0, 3), st.integers(0, 3 * BUCKET_US), st.integers(0, 200_000))


@dataclass(frozen=True)
class Plan:
    """An event: after which delay, and which events it schedules when it runs."""

    delay_us: int
    inner: tuple["Plan", ...] = ()


def with_inner(inner: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    return st.builds(Plan, DELAYS, st.lists(inner, max_size=4).map(tuple))


PLANS = st.recursive(st.builds(Plan, DELAYS), with_inner, max_leaves=40)


class Recorder:
    """Runs a plan and notes (time, number of the event in order of scheduling)."""

    def __init__(self) -> None:
        self.scheduler = BucketScheduler()
        self.seen: list[tuple[int, int]] = []
        self.scheduled = 0

    def plan(self, plan: Plan) -> None:
        self.scheduled += 1
        self.scheduler.post(self.scheduler.now_us + plan.delay_us, self.happen, self.scheduled, plan)

    def happen(self, now_us: int, number: int, plan: Plan) -> None:
        assert now_us == self.scheduler.now_us
        self.seen.append((now_us, number))
        for later in plan.inner:
            self.plan(later)


def by_one_heap(plans: list[Plan]) -> list[tuple[int, int]]:
    heap: list[tuple[int, int, Plan]] = []
    seen: list[tuple[int, int]] = []
    scheduled = 0
    for plan in plans:
        scheduled += 1
        heappush(heap, (plan.delay_us, scheduled, plan))
    while heap:
        now_us, number, plan = heappop(heap)
        seen.append((now_us, number))
        for later in plan.inner:
            scheduled += 1
            heappush(heap, (now_us + later.delay_us, scheduled, later))
    return seen


@pytest.mark.property
@given(st.lists(PLANS, max_size=12), st.lists(st.integers(0, 400_000), max_size=5))
def test_the_order_is_that_of_one_heap_wherever_the_run_is_interrupted(plans: list[Plan], stops: list[int]) -> None:
    recorder = Recorder()
    for plan in plans:
        recorder.plan(plan)
    expected = by_one_heap(plans)
    for stop in sorted(stops):
        recorder.scheduler.run(stop)
        assert recorder.scheduler.now_us == stop
        assert recorder.seen == [event for event in expected if event[0] <= stop]
    ran = recorder.scheduler.run(10**9)
    assert recorder.seen == expected
    assert ran <= len(expected)
    assert len(recorder.scheduler) == 0


def test_copies_posted_together_keep_their_order_among_other_events() -> None:
    scheduler = BucketScheduler()
    seen: list[tuple[int, str, object, object]] = []

    def note(name: str) -> Callback[int, int]:
        return lambda now_us, a, b: seen.append((now_us, name, a, b))

    scheduler.post(5_000, note("before"), 1, 2)
    copies = [target_of(5_000, 1), target_of(4_000, 2), target_of(0, NUMBER_MASK)]
    scheduler.post_each(copies, lambda now_us, target, b: seen.append((now_us, "copy", target & NUMBER_MASK, b)), 4)
    scheduler.post(5_000, note("after"), 5, 6)
    assert scheduler.run(5_000) == 5
    first = [(0, "copy", NUMBER_MASK, 4), (4_000, "copy", 2, 4)]
    assert seen == [*first, (5_000, "before", 1, 2), (5_000, "copy", 1, 4), (5_000, "after", 5, 6)]


def test_what_is_scheduled_into_the_past_happens_now() -> None:
    scheduler = BucketScheduler()
    seen: list[int] = []
    scheduler.run(10_000)
    scheduler.at(3, lambda: seen.append(scheduler.now_us))
    assert scheduler.run(10_000) == 1
    assert seen == [10_000]


def test_a_cancelled_timer_does_not_fire() -> None:
    scheduler = BucketScheduler()
    seen: list[str] = []
    kept, dropped = scheduler.at(2_000, seen.append, "kept"), scheduler.at(2_000, seen.append, "dropped")
    dropped.cancel()
    scheduler.run(1_999)
    assert seen == []
    scheduler.run(2_000)
    assert seen == ["kept"]
    kept.cancel()
    scheduler.run(10**7)
    assert seen == ["kept"]


def test_the_time_is_where_the_run_was_told_to_end() -> None:
    scheduler = BucketScheduler()
    assert scheduler.run(123_456) == 0
    assert scheduler.now_us == 123_456
    scheduler.run(5)
    assert scheduler.now_us == 123_456
