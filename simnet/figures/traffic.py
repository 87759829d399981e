"""What nodes sent, what they got twice, and how many connections they had, by role."""

# matplotlib leaves most keywords untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from latticework.wire import LocalError

from ..result import NodeFigures, Result
from ..scenario import HONEST
from .intervals import mean_interval
from .paper import DASHES, INK, SERIES, panels, title_of

_BYTES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_BINS: Final = 40

type _Column = Callable[[NodeFigures], Sequence[int]]
type _Bar = tuple[float, float, float]
"""Its length, and how far its error bar reaches below and above."""


def traffic_figure(results: Sequence[Result]) -> Figure:
    """Bytes sent and duplicates got per node, by role.

    Of one run, error bars reach from the 10th to the 90th percentile of nodes; of several, they are 95 % confidence
    intervals of the runs' means.

    Raises:
        LocalError: there is no result.
    """
    if not results:
        raise LocalError("there is no result to draw the traffic of")
    roles = _roles(role for result in results for role in result.node_figures.role)
    figure, axes = panels(1, 2, height_in=1.5 + 0.42 * len(roles))
    sent = [_bar(results, role, lambda table: table.sent_bytes) for role in roles]
    scale, unit = next(((size, unit) for size, unit in _BYTES if max(bar[0] for bar in sent) >= size), _BYTES[-1])
    _bars(axes[0], roles, [(mean / scale, low / scale, high / scale) for mean, low, high in sent])
    axes[0].set_xlabel(f"Sent per node ({unit})")
    _bars(axes[1], roles, [_bar(results, role, lambda table: table.duplicates) for role in roles])
    axes[1].set_xlabel("Duplicates got per node")
    several = f"{results[0].scenario}: means of {len(results)} runs; bars: 95 % confidence (Student's t)"
    title = several if len(results) > 1 else f"{title_of(results[0])}; bars: 10th to 90th percentile of nodes"
    figure.suptitle(title, x=0.02, ha="left", fontsize=10)
    return figure


def degree_figure(result: Result) -> Figure:
    """How many connections nodes had at the end, one outline per role; raises LocalError without nodes."""
    table = result.node_figures
    if not table.degree:
        raise LocalError(f"{result.scenario} has no nodes to draw the degrees of")
    figure, (axes,) = panels()
    edges = _edges(min(table.degree), max(table.degree))
    roles = _roles(table.role)
    for number, role in enumerate(roles):
        degrees = [degree for degree, played in zip(table.degree, table.role, strict=True) if played == role]
        share = 100 * np.histogram(degrees, edges)[0] / len(degrees)
        colour, dash = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
        label = f"{role}: {len(degrees):,} nodes, mean {np.mean(degrees):.1f}"
        first, last = np.flatnonzero(share)[[0, -1]]
        outline = share[first : last + 1], edges[first : last + 2]
        axes.stairs(*outline, color=colour, linestyle=dash, linewidth=1.8, label=label)
        axes.stairs(*outline, color=colour, alpha=0.18, fill=True)
    axes.set(title=title_of(result), xlabel="Connections at the end", ylabel="Nodes of the role (%)")
    axes.set_xlim(edges[0] - 0.5, edges[-1] + 0.5)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _roles(played: Iterable[str]) -> list[str]:
    """Honest nodes first, so that they look the same in every figure."""
    return sorted(set(played), key=lambda role: (role != HONEST, role))


def _edges(low: int, high: int) -> list[float]:
    """Whole numbers in the middle of their bins; several to a bin where there are too many."""
    width = -(-(high - low + 1) // _BINS)
    return [edge - 0.5 for edge in range(low, high + width + 1, width)]


def _bar(results: Sequence[Result], role: str, column: _Column) -> _Bar:
    tables = [result.node_figures for result in results if role in result.node_figures.role]
    values = [
        [value for value, played in zip(column(table), table.role, strict=True) if played == role] for table in tables
    ]
    if len(results) > 1:
        interval = mean_interval([float(np.mean(of_run)) for of_run in values])
        return interval.mean, interval.half or 0.0, interval.half or 0.0
    mean, low, high = float(np.mean(values[0])), *np.percentile(values[0], [10, 90])
    return mean, max(mean - float(low), 0.0), max(float(high) - mean, 0.0)


def _bars(axes: Axes, roles: Sequence[str], bars: Sequence[_Bar]) -> None:
    lengths, *reach = zip(*bars, strict=True)
    colours = [SERIES[number % len(SERIES)] for number in range(len(roles))]
    axes.barh(range(len(roles)), lengths, color=colours, height=0.62)
    axes.errorbar(lengths, range(len(roles)), xerr=reach, fmt="none", ecolor=INK, capsize=3, linewidth=1)
    axes.set_yticks(range(len(roles)), roles)
    axes.set_ylim(len(roles) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, None if any(lengths) else 1)
