"""The only place that touches trio's private names; the version guard is `SUPPORTED_TRIO` and its test.

trio shuffles every batch of runnable tasks with a random generator of its own. With `_ALLOW_DETERMINISTIC_SCHEDULING`
it first sorts the batch by task age, and seeding the generator `_core._run._r` then makes the order a function of the
seed. Both are private (trio issues 2675 and 3089 ask for a public way); pytest-trio sets the first one the same way.
"""

from collections.abc import Generator, Sized
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol, cast

import trio

SUPPORTED_TRIO = "0.35"
"""The version whose `_core/_run.py` was read for this file; a test fails on any other, to have it read again."""


class _EntryQueue(Protocol):
    def size(self) -> int: ...


class _Runner(Protocol):
    waiting_for_idle: Sized
    entry_queue: _EntryQueue


class _RunContext(Protocol):
    runner: _Runner


class _Random(Protocol):
    def getstate(self) -> object: ...
    def setstate(self, state: object, /) -> None: ...
    def seed(self, a: bytes) -> None: ...


PRIVATE = cast("dict[str, object]", vars(import_module("trio._core._run")))
"""The live names of trio's scheduler module."""
_ALLOW = "_ALLOW_DETERMINISTIC_SCHEDULING"
_context = cast("_RunContext", PRIVATE["GLOBAL_RUN_CONTEXT"])


def loop_goes_first() -> bool:
    """True while trio has work of its own that must be done before time moves.

    That is a task in `trio.testing.wait_all_tasks_blocked`, or a call queued with `run_sync_soon`: it wakes the loop
    through a socket, so it is not yet a runnable task. Without this, events ran after the main task had ended.
    """
    runner = _context.runner
    return len(runner.waiting_for_idle) > 0 or runner.entry_queue.size() > 0


def drop_shields(task: trio.lowlevel.Task) -> None:
    """Take away every shield around `task`, so that a cancellation reaches it."""
    status: object = getattr(task, "_cancel_status", None)
    while status is not None:
        cast("trio.CancelScope", getattr(status, "_scope")).shield = False  # noqa: B009  # private, no public way
        status = getattr(status, "_parent")  # noqa: B009  # private, no public way


@contextmanager
def deterministic_scheduling(seed: bytes) -> Generator[None]:
    """Inside, trio runs tasks in an order that `seed` decides; trio's state is put back afterwards."""
    generator = cast("_Random", PRIVATE["_r"])
    allowed, state = PRIVATE[_ALLOW], generator.getstate()
    PRIVATE[_ALLOW] = True
    generator.seed(seed)
    try:
        yield
    finally:
        PRIVATE[_ALLOW] = allowed
        generator.setstate(state)
