"""The real world behind the ports: the system's clock, its random source, worker threads."""

import secrets
import time
from collections.abc import Callable
from typing import final

import trio

from .params import WORKER_THREADS


@final
class SystemClock:
    """Wall time and monotonic time of this machine."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


@final
class SystemRng:
    """The operating system's random source."""

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


@final
class WorkerThreads:
    """Threads shared by one node under one limiter."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(WORKER_THREADS)

    async def run[T](self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)  # noqa: TID251  # the adapter itself
