"""The watcher: inotify through `watchfiles`, with the periodic full scan behind it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import final

import trio
import watchfiles
from watchfiles._rust_notify import WatchfilesRustInternalError

from latticework.crdt import MARKER_DIRECTORY
from latticework.wire import StoreError

_DEBOUNCE_MS = 120
_STEP_MS = 40
"""The watching thread looks this often; 15 ms cost 0.42 CPU s a minute in an empty folder (bench/sync.py)."""
_RUST_TIMEOUT_MS = 200
"""How long cancellation may take; the library's default of five seconds would hold up a stop."""


@final
class FileWatcher:
    """Watches one folder on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def watch(self, report: Callable[[set[bytes] | None], None]) -> None:
        """Report changed paths until cancelled; see the port."""
        problem = ""
        while not problem:
            try:
                await self._watch(report)
            except* WatchfilesRustInternalError:
                # The library gives up at a name that is no UTF-8: look at everything, and watch again.
                report(None)
            except* (OSError, RuntimeError) as errors:
                problem = str(errors.exceptions[0])
        raise StoreError(f"cannot watch {self._path}: {problem}")

    async def _watch(self, report: Callable[[set[bytes] | None], None]) -> None:
        base = os.fsencode(self._path.resolve()) + b"/"
        own = MARKER_DIRECTORY + b"/"
        async for changes in watchfiles.awatch(
            self._path,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            rust_timeout=_RUST_TIMEOUT_MS,
            recursive=True,
            ignore_permission_denied=True,
        ):
            paths: set[bytes] = set()
            for _, name in changes:
                path = os.fsencode(name)
                if path.startswith(base):
                    relative = path[len(base) :]
                    if not relative.startswith(own) and relative != MARKER_DIRECTORY:
                        paths.add(relative)
                else:
                    report(None)
            if paths:
                report(paths)
            await trio.lowlevel.checkpoint()


@final
class NoWatcher:
    """Never reports: simulated folders are told when to scan."""

    async def watch(self, report: Callable[[set[bytes] | None], None]) -> None:
        del report
        await trio.sleep_forever()
