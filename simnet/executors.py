"""Where the runs of a sweep compute: processes of this machine, or a Dask cluster.

Each run needs a process to itself: determinism and the guard against wall clocks are set for a whole process. Hence
workers of one thread each.
"""

import importlib
import multiprocessing
import signal
from collections.abc import Generator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol, cast

from latticework.wire import LocalError

from .extras import need

_CONNECT_S: Final = 10
"""How long a scheduler may take to answer."""


class _Client(AbstractContextManager["_Client", None], Protocol):
    """What we use of `distributed.Client`, which has no types."""

    def nthreads(self) -> Mapping[str, int]: ...

    def get_executor(self, *, pure: bool) -> Executor: ...


class _Connect(Protocol):
    def __call__(self, address: str | None, *, timeout: int) -> _Client: ...


class _Start(Protocol):
    def __call__(self, *, threads_per_worker: int, dashboard_address: str | None) -> _Client: ...


@contextmanager
def processes(workers: int | None = None) -> Generator[Executor]:
    """A pool of `workers` processes, by default one per processor; they end with the block, at once if it fails.

    Workers are spawned: `fork` would copy the locks of threads that it does not copy, and whatever this process has
    cached, while `forkserver` is missing on Windows. A script must therefore guard its main part
    by `if __name__ == "__main__"`.

    Raises:
        LocalError: `workers` is below 1.
    """
    if workers is not None and workers < 1:
        raise LocalError(f"a pool needs at least one process, not {workers}")
    context = multiprocessing.get_context("spawn")
    before = multiprocessing.active_children()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_the_parent)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        workers_left = [child for child in multiprocessing.active_children() if child not in before]
        for child in workers_left:
            child.terminate()
        for child in workers_left:
            child.join()
        raise
    finally:
        pool.shutdown()


@contextmanager
def dask_executor(address: str | None = None) -> Generator[Executor]:
    """The cluster whose scheduler is at `address`, such as `tcp://10.0.0.5:8786`, or one of this machine's processors.

    For several machines: `dask scheduler` on one, and `dask worker <address> --nworkers -1 --nthreads 1` on each, with
    the same versions of Python and of this package everywhere, the scheduler's machine included.

    Raises:
        LocalError: Dask is missing, nobody answers at `address`, or a worker has several threads.
    """
    need("dask", "distributed")
    with _client(address) as client:
        if any(threads != 1 for threads in client.nthreads().values()):
            raise LocalError("a run needs a process to itself: start Dask workers with --nthreads 1")
        yield client.get_executor(pure=False)


def _client(address: str | None) -> _Client:
    opened: object = importlib.import_module("distributed").Client
    if address is None:
        return cast("_Start", opened)(threads_per_worker=1, dashboard_address=None)
    try:
        return cast("_Connect", opened)(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise LocalError(f"no Dask scheduler answers at {address!r}: {error}") from error


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
