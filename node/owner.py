"""A task that owns some state, and the bounded inbox through which others have it work on that state."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import final

import trio

from latticework.wire import LocalError, PeerError, StoreError

from .params import INBOX_COMMANDS


@dataclass(slots=True)
class _Job:
    work: Callable[[], Awaitable[None]]
    done: trio.Event = field(default_factory=trio.Event)
    error: LocalError | StoreError | PeerError | None = None


@final
class Owner:
    """Runs jobs one after the other; `failed` hears of every error that a job ends with."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._send, self._receive = trio.open_memory_channel[_Job](INBOX_COMMANDS)
        self._posted: dict[Callable[[], Awaitable[None]], None] = {}

    async def run(self, idle: Callable[[], Awaitable[None]], idle_after_s: Callable[[], float]) -> None:
        """Own until cancelled, calling `idle` when nothing came for `idle_after_s`; who still waits then hears it."""
        try:
            while True:
                job: _Job | None = None
                with trio.move_on_after(idle_after_s()):
                    job = await self._receive.receive()
                while self._posted:
                    await self._do(_Job(self._take_posted()))
                if job is None or job.work is not _nothing:
                    await self._do(_Job(idle) if job is None else job)
        finally:
            self._close()

    def post(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the owner do `work` before its next job, once however often it was posted; its errors go to `failed`."""
        self._posted[work] = None
        # A full inbox means that the owner comes by anyway.
        with suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._send.send_nowait(_Job(_nothing))

    async def ask[T](self, work: Callable[[], Awaitable[T]]) -> T:
        """Have the owner do `work`; what it returns.

        A job that was taken is finished even if the caller is cancelled.

        Raises:
            LocalError, StoreError, PeerError: as `work` does, or StoreError when the owner has ended.
        """
        results: list[T] = []

        async def run() -> None:
            results.append(await work())

        job = _Job(run)
        try:
            await self._send.send(job)
        except trio.BrokenResourceError:
            raise StoreError("the space is closed") from None
        # The owner finishes a job it has taken, so waiting is short and a lost reply impossible.
        with trio.CancelScope(shield=True):
            await job.done.wait()
        if job.error is not None:
            raise job.error
        return results[0]

    def _take_posted(self) -> Callable[[], Awaitable[None]]:
        work = next(iter(self._posted))
        del self._posted[work]
        return work

    async def _do(self, job: _Job) -> None:
        # What a cancelled owner leaves unfinished.
        job.error = StoreError("the space is closed")
        try:
            await job.work()
            job.error = None
        except (LocalError, StoreError, PeerError) as error:
            job.error = error
            self._failed(error)
        finally:
            job.done.set()

    def _close(self) -> None:
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                job = self._receive.receive_nowait()
                job.error = StoreError("the space is closed")
                job.done.set()
        self._receive.close()


async def _nothing() -> None:
    """What wakes an owner for posted work."""
