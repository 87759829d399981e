"""A figure of many runs: a heat map over two settings, or a line over one, with 95 % intervals over seeds."""

# matplotlib leaves most keywords untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from latticework.wire import LocalError

from ..scenario_keys import Toml
from ..sweep import Settings, SweepResult
from .intervals import Interval, mean_interval
from .paper import BLUE, FAINT, panels

_LABELS: Final[Mapping[str, str]] = {
    "coverage": "Coverage (share of pairs)",
    "p50_ms": "Median latency (ms)",
    "p99_ms": "99th percentile of latency (ms)",
    "cpu_s": "Computing time (s)",
    "delivered": "Deliveries",
    "ok": "Runs that passed (share)",
}
_LOG_FROM: Final = 30


def sweep_figure(result: SweepResult, figure_name: str) -> Figure:
    """One figure of the runs' summaries, `p99_ms` or `counters.iwant`, over the one or two axes of a sweep.

    Raises:
        LocalError: the sweep has no or more than two axes, or no run has that figure.
    """
    axes = result.sweep.axes
    cells = {_key(point): mean_interval(values) for point, values in result.figures(figure_name) if values}
    if not cells:
        raise LocalError(
            f"no run of the sweep has a figure {figure_name!r}; there is coverage, p50_ms, counters.<name>"
        )
    if len(axes) not in {1, 2}:
        raise LocalError(f"a sweep over {len(axes)} settings cannot be drawn: hold all but one or two of them")
    label = _LABELS.get(figure_name, figure_name)
    figure = _heat_map(result, cells, label) if len(axes) == 2 else _line(result, cells, label)
    seeds = result.sweep.seeds
    told = "one seed, no interval" if seeds == 1 else f"mean of {seeds} seeds, 95 % confidence (Student's t)"
    figure.axes[0].set_title(f"{result.sweep.scenario.name}: {told}")
    return figure


def _heat_map(result: SweepResult, cells: Mapping[str, Interval], label: str) -> Figure:
    (down, rows), (across, columns) = result.sweep.axes
    grid = [[cells.get(_key(((down, row), (across, column)))) for column in columns] for row in rows]
    figure, (axes,) = panels(height_in=1.5 + 0.55 * len(rows))
    means = np.array([[np.nan if cell is None else cell.mean for cell in line] for line in grid])
    image = axes.imshow(means, cmap="viridis", aspect="auto", origin="lower")
    figure.colorbar(image, ax=axes, label=label)
    middle = (min(cell.mean for cell in cells.values()) + max(cell.mean for cell in cells.values())) / 2
    for y, line in enumerate(grid):
        for x, cell in enumerate(line):
            text = "no result" if cell is None else _two_lines(cell)
            colour = FAINT if cell is None else "white" if cell.mean < middle else "black"
            axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(columns)), [_shown(value) for value in columns])
    axes.set_yticks(range(len(rows)), [_shown(value) for value in rows])
    axes.set(xlabel=across, ylabel=down)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


def _line(result: SweepResult, cells: Mapping[str, Interval], label: str) -> Figure:
    ((name, values),) = result.sweep.axes
    figure, (axes,) = panels()
    found = [(value, cell) for value in values if (cell := cells.get(_key(((name, value),)))) is not None]
    x = _places(axes, values, [value for value, _ in found])
    means, halves = np.array([cell.mean for _, cell in found]), np.array([cell.half or 0.0 for _, cell in found])
    axes.fill_between(x, means - halves, means + halves, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(x, means, color=BLUE, marker="o")
    axes.set(xlabel=name, ylabel=label)
    return figure


def _places(axes: Axes, values: Sequence[Toml], found: Sequence[Toml]) -> list[float]:
    """Where values stand: numbers on their own scale, others side by side."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        shown = [_shown(value) for value in values]
        axes.set_xticks(range(len(values)), shown)
        return [float(shown.index(_shown(value))) for value in found]
    if min(numbers) > 0 and max(numbers) >= _LOG_FROM * min(numbers):
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(numbers))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return [float(value) for value in found if isinstance(value, int | float)]


def _two_lines(cell: Interval) -> str:
    return str(cell).replace(" ± ", "\n± ")


def _shown(value: Toml) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _key(point: Settings) -> str:
    return repr(point)
