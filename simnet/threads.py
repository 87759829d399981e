"""The two ways in which work that belongs on a thread runs in simulation.

`InlineThreads` runs it at once, which is what replays (decision 25). `HeldThreads` lets a real thread run while virtual
time stands still, for work that must not run on the loop; only the order of wake-ups is then the machine's own.
"""

from collections.abc import Callable
from typing import final

import trio

from latticework.wire import Threads

from .clock import VirtualClock


@final
class InlineThreads:
    """A `wire.ports.Threads` that runs `work` in the calling task, after one checkpoint; no virtual time passes."""

    async def run[T](self, work: Callable[[], T]) -> T:
        """Run `work` now; a cancelled task does not start it."""
        await trio.lowlevel.checkpoint()
        return work()


@final
class HeldThreads:
    """A `wire.ports.Threads` over real threads which holds the clock while any of them is busy.

    Without the hold, virtual time ran 1,000 s ahead during 0.2 s of thread work (simnet report, part 3).
    """

    def __init__(self, inner: Threads, clock: VirtualClock) -> None:
        self._inner = inner
        self._clock = clock

    async def run[T](self, work: Callable[[], T]) -> T:
        """Run `work` on a thread of the inner port; cancellation waits for it."""
        self._clock.thread_started()
        try:
            return await self._inner.run(work)
        finally:
            self._clock.thread_ended()
