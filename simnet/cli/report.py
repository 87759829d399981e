"""What a run is shown as: figures and checks for people, one object for programs, a line while it lasts."""

import sys
from time import monotonic
from typing import Final, cast, final

from latticework.node.cli.output import show_json, table
from latticework.node.frames import Data

from ..progress import Progress
from ..result import Result

_EVERY_S: Final = 0.25
"""Four updates a second: a terminal over a network keeps up with that."""
_CLEAR: Final = "\r\x1b[K"


@final
class ProgressLine:
    """One line on stderr that is written over; nothing if that is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show a run's progress, unless the line is fresh."""
        now_s = monotonic()
        if self._shown and now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self.write(told(progress))

    def write(self, text: str) -> None:
        """Replace the line; no text removes it."""
        if self._shown:
            sys.stderr.write(f"{_CLEAR}{text}")
            sys.stderr.flush()


def told(progress: Progress) -> str:
    """`12.5 of 60.0 s  1,234 delivered  300 nodes up`."""
    times = f"{progress.virtual_us / 1e6:.1f} of {progress.until_us / 1e6:.1f} s"
    return f"{times}  {progress.delivered:,} delivered  {progress.up:,} nodes up"


def show_result(result: Result, extra: dict[str, Data] | None = None, *, as_json: bool) -> None:
    """A result on stdout: one JSON object, or tables."""
    if as_json:
        show_json(summary(result) | (extra or {}))
        return
    table([[name, value] for name, value in _figures(result)], ("figure", "value"))
    if result.checks:
        sys.stdout.write("\n")
        table([[check.check, "yes" if check.ok else "NO", check.told] for check in result.checks], _CHECK_HEADINGS)


_CHECK_HEADINGS: Final = ("check", "holds", "figures")


def summary(result: Result) -> dict[str, Data]:
    """`Result.summary` as the data it is."""
    return cast("dict[str, Data]", result.summary())


def _figures(result: Result) -> list[tuple[str, str]]:
    latencies = (("median", result.percentile_ms(50)), ("99 %", result.percentile_ms(99)))
    return [
        ("scenario", f"{result.scenario}, seed {result.seed}"),
        ("tier", f"{result.tier}, crypto {result.crypto}"),
        ("nodes", f"{result.nodes:,}"),
        ("time", f"{result.virtual_us / 1e6:g} s in {result.cpu_s:.1f} CPU-s"),
        ("delivered", f"{result.delivered:,} of {result.expected:,} ({100 * result.coverage:.3f} %)"),
        ("latency", ", ".join(f"{name} {value:,.1f} ms" for name, value in latencies if value is not None) or "none"),
        *((name, f"{count:,}") for name, count in result.counters.items()),
        ("run", result.run_id),
        ("digest", result.digest),
    ]
