"""Share of pairs delivered against latency: how fast, how evenly, and whether everybody is reached."""

# matplotlib leaves most keywords untyped.
# pyright: reportUnknownMemberType=false

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from latticework.wire import LocalError

from ..result import Result
from ..scenario import HONEST
from .paper import BLUE, INK, ORANGE, panels, title_of

type _Latencies = npt.NDArray[np.float64]
type _Numbers = npt.NDArray[np.int64]

_MOST_CURVES: Final = 150
"""Of single messages; more would be one grey area."""
_LOG_FROM: Final = 30
"""Slowest by fastest delivery from which on a logarithmic axis shows both ends."""
_FEW_DECADES: Final = 500
"""Slowest by fastest, up to which there is room for labels between the powers of ten."""
_ROUNDING: Final = 1e-9


def coverage_figure(result: Result, *, log: bool | None = None) -> Figure:
    """The coverage curve of all messages over one faint curve per message; `log` says how time is scaled.

    It ends at the run's coverage. Deliveries to honest nodes that were not up all along are no pairs of the coverage,
    but a result does not tell them apart; so each delivery counts for a little less, and each message is taken to have
    as many pairs as the mean.

    Raises:
        LocalError: nothing was delivered to an honest node.
    """
    latency_ms, message = _honest_deliveries(result)
    if not len(latency_ms):
        raise LocalError(f"{result.scenario} delivered nothing, so that there is no coverage to draw")
    shortest, longest = float(latency_ms.min()), float(latency_ms.max())
    if log is None:
        log = shortest > 0 and longest > _LOG_FROM * shortest
    end_ms = longest * (1.3 if log else 1.05) or 1.0
    figure, (axes,) = panels()
    count = len(result.deliveries.published_us)
    percent = 100 * result.coverage / len(latency_ms)
    shown = np.unique(np.linspace(0, count - 1, min(count, _MOST_CURVES)).astype(int))
    for number in shown:
        line = _curve(axes, np.sort(latency_ms[message == number]), percent * count, end_ms)
        line.set(color=INK, linewidth=0.5, alpha=min(0.6, 0.12 + 3 / len(shown)))
    ordered = np.sort(latency_ms)
    _curve(axes, ordered, percent, end_ms).set(color=BLUE, linewidth=2.2, label="all messages")
    axes.plot([], [], color=INK, linewidth=0.7, alpha=0.6, label="each message")
    axes.set(xlabel="Latency since publication (ms)", ylabel="Pairs delivered (%)")
    axes.set_ylim(0, 103)
    _scale(axes, shortest, end_ms, log=log)
    told = _mark(axes, ordered, percent)
    axes.set_title(f"{title_of(result)}\n{told}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _honest_deliveries(result: Result) -> tuple[_Latencies, _Numbers]:
    """Latencies in milliseconds and numbers of messages."""
    latency_us, message, node = (
        np.array(column, dtype=np.int64)
        for column in (result.deliveries.latency_us, result.deliveries.message, result.deliveries.node)
    )
    honest = np.array([role == HONEST for role in result.node_figures.role], dtype=bool)[node]
    return latency_us[honest] / 1000, message[honest]


def _scale(axes: Axes, shortest: float, end_ms: float, *, log: bool) -> None:
    if log:
        axes.set_xscale("log")
        few = end_ms < _FEW_DECADES * shortest
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.7g}"))
    axes.set_xlim(shortest * 0.8 if log and shortest > 0 else 0, end_ms)


def _curve(axes: Axes, latency_ms: _Latencies, percent: float, end_ms: float) -> Line2D:
    """From 0 at the first delivery to the right edge; each delivery is so many per cent of all pairs."""
    start_ms = latency_ms[0] if len(latency_ms) else 0.0
    x = np.concatenate([[start_ms], latency_ms, [end_ms]])
    y = np.minimum(percent * np.minimum(np.arange(len(x)), len(latency_ms)), 100)
    (line,) = axes.plot(x, y, drawstyle="steps-post")
    return line


def _mark(axes: Axes, latency_ms: _Latencies, percent: float) -> str:
    """Mark where the curve crosses a half and 99 %; these in words, and what never arrived."""
    told: list[str] = []
    for share in (50, 99):
        rank = math.ceil(share / percent - _ROUNDING) if percent else 0
        if 0 < rank <= len(latency_ms):
            at_ms = float(latency_ms[rank - 1])
            axes.plot([at_ms], [share], "o", color=ORANGE, markersize=5)
            told.append(f"{share} % in {at_ms:,.0f} ms")
    missing = 100 - percent * len(latency_ms)
    return ", ".join([*told, f"{missing:.2g} % never"] if missing > _ROUNDING else told)
