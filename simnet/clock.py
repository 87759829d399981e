"""The virtual clock, which is the discrete-event scheduler.

trio asks its clock how long to sleep only when no task is runnable. That is exactly when simulated time may move, so
`VirtualClock` moves it there: it runs the earliest scheduled event, or jumps to the next deadline, and answers 0. The
network lives inside the clock; a network *task* would let time pass while messages lie unread in channels (simnet
report, part 3: 4.9 times slower and wrong by 121 us).

Time is integer microseconds. trio reads seconds as a float, so the float reading is kept beside the integer and never
falls behind a deadline it was moved to.
"""

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final, override

import trio

from latticework.wire import LocalError

from .trio_private import drop_shields, loop_goes_first

DEFAULT_EPOCH_US = 1_767_225_600_000_000
"""2026-01-01 00:00:00 UTC, where every simulated wall clock starts unless told otherwise."""
_WAIT_FOR_WORLD_S = 3600.0
"""Anything above 0: trio then waits for a thread or a queued call, or wakes `wait_all_tasks_blocked`."""


@final
class DeadlockError(LocalError):
    """Every task waits, and no event, deadline or thread is left to wake one; `blocked` names the tasks."""

    def __init__(self, blocked: tuple[str, ...]) -> None:
        super().__init__("deadlock: " + ("; ".join(blocked) or "no task is known"))
        self.blocked = blocked


@dataclass(frozen=True, slots=True)
class _Watch:
    scope: trio.CancelScope
    root: trio.lowlevel.Task


@final
class VirtualClock(trio.abc.Clock):
    """Virtual time for one `trio.run`; also a `wire.ports.Clock`.

    Events at the same microsecond run in the order in which they were scheduled, one at a time: every task that an
    event makes runnable runs before the next event does. An event goes before a deadline of the same microsecond.
    """

    def __init__(self, epoch_us: int = DEFAULT_EPOCH_US) -> None:
        self._epoch_us = epoch_us
        self._virtual_us = 0
        self._virtual_s = 0.0
        self._heap: list[tuple[int, int]] = []
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._sequence = 0
        self._threads = 0
        self._watch: _Watch | None = None
        self.started = False
        self.deadlock: DeadlockError | None = None

    def now_us(self) -> int:
        """Simulated wall-clock time since 1970-01-01 UTC."""
        return self._epoch_us + self._virtual_us

    def monotonic_us(self) -> int:
        """Virtual time since the start of the run."""
        return self._virtual_us

    def schedule(self, at_us: int, callback: Callable[[], None]) -> int:
        """Run `callback` at `at_us` of monotonic time, or next if that is past; the number is for `cancel`.

        `callback` runs outside every task and must neither wait nor raise.
        """
        self._sequence += 1
        heapq.heappush(self._heap, (max(at_us, self._virtual_us), self._sequence))
        self._callbacks[self._sequence] = callback
        return self._sequence

    def cancel(self, event: int) -> None:
        """Forget a scheduled event; nothing happens if it has run."""
        self._callbacks.pop(event, None)

    @property
    def pending(self) -> Iterable[Callable[[], None]]:
        """The callbacks of all scheduled events, in no particular order."""
        return self._callbacks.values()

    def thread_started(self) -> None:
        """A worker thread is busy: virtual time stands still until `thread_ended` was called as often."""
        self._threads += 1

    def thread_ended(self) -> None:
        self._threads -= 1

    def watch(self, scope: trio.CancelScope, root: trio.lowlevel.Task) -> None:
        """On deadlock set `deadlock`, naming the tasks below `root`, and cancel `scope`.

        Shields are taken away. Without a watch the run ends in `trio.TrioInternalError` instead.
        """
        self._watch = _Watch(scope, root)

    @override
    def start_clock(self) -> None:
        self.started = True

    @override
    def current_time(self) -> float:
        return self._virtual_s

    @override
    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Move time to the next event or deadline; 0, or a long sleep while others come first."""
        if loop_goes_first():
            return _WAIT_FOR_WORLD_S
        self._drop_cancelled()
        deadline_us = math.inf if deadline == math.inf else round(deadline * 1e6)
        event_us = self._heap[0][0] if self._heap else math.inf
        if self._threads and min(event_us, deadline_us) > self._virtual_us:
            return _WAIT_FOR_WORLD_S
        if event_us <= deadline_us and self._heap:
            self._run_event(deadline)
        elif deadline != math.inf:
            self._virtual_us = max(self._virtual_us, round(deadline * 1e6))
            self._virtual_s = max(self._virtual_s, deadline)
        else:
            self._report_deadlock()
        return 0

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][1] not in self._callbacks:
            heapq.heappop(self._heap)

    def _run_event(self, deadline: float) -> None:
        at_us, event = heapq.heappop(self._heap)
        self._virtual_us = at_us
        # Just short of the deadline, or trio would expire it before the next event of the same microsecond.
        self._virtual_s = max(self._virtual_s, min(at_us / 1e6, math.nextafter(deadline, 0)))
        self._callbacks.pop(event)()

    def _report_deadlock(self) -> None:
        if self._watch is None or self.deadlock is not None:
            raise self.deadlock or DeadlockError(_blocked(trio.lowlevel.current_root_task()))
        self.deadlock = DeadlockError(_blocked(self._watch.root))
        self._watch.scope.cancel("deadlock")
        for task in _leaves(self._watch.root):
            drop_shields(task)


def _blocked(root: trio.lowlevel.Task | None) -> tuple[str, ...]:
    return () if root is None else tuple(sorted(_place(task) for task in _leaves(root)))


def _leaves(root: trio.lowlevel.Task) -> list[trio.lowlevel.Task]:
    """The tasks at or below `root` that wait for something other than their own children."""
    children = [child for nursery in root.child_nurseries for child in nursery.child_tasks]
    return [leaf for child in children for leaf in _leaves(child)] if children else [root]


def _place(task: trio.lowlevel.Task) -> str:
    frames = [frame for frame in task.iter_await_frames() if "trio" not in frame[0].f_globals.get("__name__", "")]
    if not frames:
        return task.name
    frame, line = frames[-1]
    return f"{task.name} at {frame.f_code.co_qualname}:{line}"
