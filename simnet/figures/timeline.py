"""A run over time: parts of the mesh, nodes up, deliveries, and when which fault stood."""

# matplotlib leaves most keywords untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, assert_never

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from latticework.wire import LocalError

from ..result import Result
from ..scenario import Churn, Crash, Fault, FaultPoints, FullDisk, Partition, Scenario, SlowCpu
from .paper import BLUE, INK, ORANGE, panels, title_of

type _Bar = tuple[float, float]
"""Start and length, in seconds."""

_SHADE: Final = 0.07
"""So faint that two faults at once are darker."""
_ROOM: Final = 0.6
"""Of the width, from where on a name finds none to the right."""
_PANEL_IN: Final = 1.25
_ROW_IN: Final = 0.24


def timeline_figure(result: Result, scenario: Scenario | None = None) -> Figure:
    """Three panels over time, and above them a bar per fault of `scenario`, shaded below where it stood.

    Raises:
        LocalError: the run was not sampled at two times.
    """
    table = result.timeline
    if not table.time_us or table.time_us[0] == table.time_us[-1]:
        raise LocalError(f"{result.scenario} was not sampled over time")
    time_s = np.array(table.time_us) / 1e6
    last = np.append(np.diff(time_s) > 0, True)  # of samples at the same time
    rate = np.diff(np.array(table.delivered)[last]) / np.diff(time_s[last])
    faults = {} if scenario is None else _bars(scenario, float(time_s[-1]))
    strip_in = _ROW_IN * len(faults)
    heights = [strip_in, *[_PANEL_IN] * 3] if faults else [_PANEL_IN] * 3
    figure, axes = panels(len(heights), height_in=sum(heights) + 0.8, ratios=heights)
    parts, up, delivered = axes[-3:]
    parts.step(time_s, table.parts, where="post", color=BLUE)
    up.step(time_s, table.up, where="post", color=BLUE)
    delivered.stairs(rate, time_s[last], baseline=None, color=BLUE, linewidth=1.8)
    for panel, label in zip(axes[-3:], ("Mesh parts", "Nodes up", "Deliveries/s"), strict=True):
        panel.set_ylabel(label)
        panel.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        panel.set_ylim(0, 1.12 * panel.dataLim.ymax or 1)
    figure.align_ylabels(axes[-3:])
    delivered.set(xlabel="Time since the start of the run (s)", xlim=(time_s[0], time_s[-1]))
    axes[0].set_title(title_of(result))
    if faults:
        _draw_faults(axes[0], axes[1:], faults)
    return figure


def _draw_faults(strip: Axes, panels_below: Sequence[Axes], faults: Mapping[str, Sequence[_Bar]]) -> None:
    for row, (name, bars) in enumerate(faults.items()):
        strip.broken_barh(bars, (row - 0.35, 0.7), color=ORANGE)
        _label(strip, row, name, (bars[0][0], sum(bars[-1])))
        for (start_s, length_s), panel in product(bars, panels_below):
            panel.axvspan(start_s, start_s + length_s, color=INK, alpha=_SHADE, linewidth=0)
    strip.set_ylim(len(faults) - 0.5, -0.5)
    strip.set_yticks([])
    strip.grid(visible=False)
    strip.set_ylabel("Faults", rotation=0, ha="right", va="center")
    strip.spines[["left", "bottom"]].set_visible(False)
    strip.tick_params(length=0)


def _label(strip: Axes, row: int, name: str, reach: tuple[float, float]) -> None:
    """Beside the bars where there is room, or else on them."""
    end_s = strip.get_xlim()[1]
    if reach[1] < _ROOM * end_s:
        strip.text(reach[1], row, f" {name}", ha="left", va="center", fontsize=9)
    elif reach[0] > (1 - _ROOM) * end_s:
        strip.text(reach[0], row, f"{name} ", ha="right", va="center", fontsize=9)
    else:
        strip.text(reach[0], row, f" {name}", ha="left", va="center", fontsize=9, color="white")


def _bars(scenario: Scenario, end_s: float) -> dict[str, list[_Bar]]:
    """By name of a kind of fault, when it started and how long it stood, within the run."""
    found: dict[str, list[_Bar]] = {}
    for fault in scenario.faults:
        start_s, stop_s = (min(max(at_us / 1e6, 0.0), end_s) for at_us in _stands_us(scenario, fault))
        found.setdefault(_name(fault), []).append((start_s, stop_s - start_s))
    return {name: sorted(bars) for name, bars in found.items()}


def _stands_us(scenario: Scenario, fault: Fault) -> tuple[int, int]:
    """From the start of the run on, warm-up included."""
    if isinstance(fault, Churn):
        end_us = fault.until_us
    else:
        end_us = None if fault.for_us is None else fault.at_us + fault.for_us
    return scenario.warmup_us + fault.at_us, scenario.warmup_us + (scenario.until_us if end_us is None else end_us)


def _name(fault: Fault) -> str:
    match fault:
        case Partition():
            return "one-way partition" if fault.one_way else "partition"
        case Churn():
            return f"churn of {fault.group}"
        case Crash():
            return f"crash of {fault.group}"
        case FaultPoints():
            return "fault points"
        case FullDisk():
            return f"full disks of {fault.group}"
        case SlowCpu():
            return f"slow processors of {fault.group}"
        case _:
            assert_never(fault)
