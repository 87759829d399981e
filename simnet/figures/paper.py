"""How our figures look: one column of a paper, few lines, colours that everybody can tell apart.

Colours are those of Okabe and Ito (2008), which stay apart for colour-blind readers; lines differ in dash too where
print may be grey. matplotlib is used through its objects alone: no figure is left in a global list.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..result import Result

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
YELLOW: Final = "#E69F00"
INK: Final = "#222222"
FAINT: Final = "#8a8a8a"
SERIES: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
DASHES: Final[tuple[str, ...]] = ("-", "--", "-.", ":")

_WIDTH_IN: Final = 6.0
_HEIGHT_IN: Final = 3.6
_STYLE: Final[dict[str, str | float | bool]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that bytes are equal everywhere
    "font.size": 10,
    "figure.dpi": 150,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "latticework",
    "pdf.fonttype": 42,
}


def styled() -> AbstractContextManager[None]:
    """To draw and write in: what a user has set changes no figure."""
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    return mpl.rc_context(mpl.RcParams(defaults | _STYLE))  # pyright: ignore[reportUnknownMemberType]  # its PathLike


def panels(
    rows: int = 1, columns: int = 1, height_in: float = _HEIGHT_IN, ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with axes row by row; those below each other share their x axis, those side by side their y axis.

    `ratios` are the rows' heights.
    """
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    made = figure.subplots(rows, columns, sharex="col", sharey="row", squeeze=False, height_ratios=ratios)
    return figure, [made[row, column] for row in range(rows) for column in range(columns)]


def title_of(result: Result) -> str:
    """Which run a figure shows."""
    return f"{result.scenario}, tier {result.tier}, {result.nodes:,} nodes, seed {result.seed}"
