"""One simulated run: trio on virtual time, with an order of tasks that the seed decides.

Two runs of the same program from one seed take the same steps, provided the program meets chance, time and threads
only through the ports of `latticework.wire` and iterates no set or dict whose order hangs on hashes (simnet report,
part 3, "Determinism"). Different seeds for the same program are a fuzzer of schedules.
"""

from collections.abc import Awaitable, Callable

import trio

from latticework.wire import LocalError

from .clock import VirtualClock
from .rng import KeyedRng
from .trio_private import deterministic_scheduling


def play[T](main: Callable[[], Awaitable[T]], seed: bytes, clock: VirtualClock | None = None) -> T:
    """Run `main` to its end under virtual time and return its result; trio's own state is restored afterwards.

    Pass `clock` to share it with what `main` builds; a clock serves one run.

    Raises:
        DeadlockError: every task waits and nothing can wake one.
        LocalError: `clock` has served a run.
    """
    virtual = VirtualClock() if clock is None else clock
    if virtual.started:
        raise LocalError("a VirtualClock serves one run")
    order = KeyedRng(seed, "scheduler").random_bytes(32)
    with deterministic_scheduling(order):
        try:
            return trio.run(_watched, main, virtual, clock=virtual)
        except trio.TrioInternalError as error:
            if virtual.deadlock is None:
                raise
            raise virtual.deadlock from error


async def _watched[T](main: Callable[[], Awaitable[T]], clock: VirtualClock) -> T:
    result: list[T] = []
    try:
        with trio.CancelScope() as scope:
            clock.watch(scope, trio.lowlevel.current_task())
            result.append(await main())
    finally:
        # The deadlock is the cause of whatever the tasks raised while they were cancelled.
        if clock.deadlock is not None:
            raise clock.deadlock
    return result[0]
