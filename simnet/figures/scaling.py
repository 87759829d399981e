"""Latency against the number of nodes."""

# matplotlib leaves most keywords untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from latticework.wire import LocalError

from ..result import Result
from .intervals import Interval, mean_interval
from .paper import BLUE, GREEN, ORANGE, panels

_LINES: Final = ((99.0, ORANGE, "^", "-."), (90.0, GREEN, "s", "--"), (50.0, BLUE, "o", "-"))
_LOG_FROM: Final = 8
"""Largest by smallest number of nodes."""


def latency_figure(results: Sequence[Result]) -> Figure:
    """Percentiles of latency against nodes; bars are 95 % intervals over runs with as many nodes.

    Raises:
        LocalError: no result has deliveries.
    """
    sizes = sorted({result.nodes for result in results if result.deliveries.message})
    if not sizes:
        raise LocalError("none of the results has deliveries, so that there are no latencies to draw")
    figure, (axes,) = panels()
    for percentile, colour, marker, dash in _LINES:
        found = [mean_interval(_values(results, size, percentile)) for size in sizes]
        _line(axes, sizes, found, f"{percentile:.0f}th percentile", (colour, marker, dash))
    seeds = sorted({sum(result.nodes == size for result in results) for size in sizes})
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    runs = "one run each" if seeds == [1] else f"mean of {count} runs, bars: 95 % confidence (Student's t)"
    axes.set(title=f"{results[0].scenario}: {runs}", xlabel="Nodes", ylabel="Latency (ms)")
    axes.set_ylim(bottom=0)
    if sizes[-1] >= _LOG_FROM * sizes[0]:
        axes.set_xscale("log")
    if len(sizes) <= 8:
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.legend(loc="outside lower center", ncols=len(_LINES))
    return figure


def _values(results: Sequence[Result], nodes: int, percentile: float) -> list[float]:
    found = (result.percentile_ms(percentile) for result in results if result.nodes == nodes)
    return [value for value in found if value is not None]


def _line(axes: Axes, x: Sequence[int], found: Sequence[Interval], label: str, look: tuple[str, str, str]) -> None:
    colour, marker, dash = look
    means, halves = [interval.mean for interval in found], [interval.half or 0.0 for interval in found]
    axes.errorbar(x, means, yerr=halves, color=colour, marker=marker, linestyle=dash, capsize=3, label=label)
