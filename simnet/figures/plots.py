"""Figures of results, written to files; the modules that draw them say what they show.

Equal results give equal bytes with one version of matplotlib: files carry no dates, and identifiers a fixed salt.
matplotlib's settings are global, so that one thread draws at a time.
"""

# matplotlib leaves most keywords untyped.
# pyright: reportUnknownMemberType=false

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ..extras import need
from ..files import make_folder, write_whole
from ..result import Result
from ..scenario import Scenario
from ..sweep import SweepResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

type Format = Literal["png", "pdf", "svg"]

PNG: Final[tuple[Format, ...]] = ("png",)


def plot_all(
    result: Result, directory: Path, scenario: Scenario | None = None, formats: Sequence[Format] = PNG
) -> list[Path]:
    """Write `coverage`, `traffic`, `degree` and `timeline` of one run, as far as it has figures for them; the paths.

    `scenario` tells the timeline when which fault stood.

    Raises:
        LocalError: a file cannot be written, or matplotlib is missing.
    """
    need("sim", "numpy", "matplotlib")
    from . import coverage, timeline, traffic  # noqa: PLC0415  # half a second, and an extra

    drawn: list[tuple[str, Callable[[], Figure]]] = []
    if result.delivered:
        drawn.append(("coverage", lambda: coverage.coverage_figure(result)))
    if result.node_figures.degree:
        drawn.append(("traffic", lambda: traffic.traffic_figure([result])))
        drawn.append(("degree", lambda: traffic.degree_figure(result)))
    if len(set(result.timeline.time_us)) > 1:
        drawn.append(("timeline", lambda: timeline.timeline_figure(result, scenario)))
    return [path for name, draw in drawn for path in _write(draw, directory, name, formats)]


def plot_many(results: Sequence[Result], directory: Path, formats: Sequence[Format] = PNG) -> list[Path]:
    """Write `scaling`, latency against nodes, and `traffic` if all runs have as many nodes; the paths.

    Raises:
        LocalError: none has deliveries, a file cannot be written, or matplotlib is missing.
    """
    need("sim", "numpy", "matplotlib")
    from . import scaling, traffic  # noqa: PLC0415  # half a second, and an extra

    written = _write(lambda: scaling.latency_figure(results), directory, "scaling", formats)
    if len({result.nodes for result in results}) == 1:
        written += _write(lambda: traffic.traffic_figure(results), directory, "traffic", formats)
    return written


def plot_sweep(result: SweepResult, figure: str, directory: Path, formats: Sequence[Format] = PNG) -> list[Path]:
    """Write `sweep-<figure>`: one figure of the summaries, such as `p99_ms`, over the settings; the paths.

    Raises:
        LocalError: no run has that figure, there are more than two axes, a file cannot be written, or matplotlib is
            missing.
    """
    need("sim", "numpy", "matplotlib")
    from . import sweeps  # noqa: PLC0415  # half a second, and an extra

    return _write(lambda: sweeps.sweep_figure(result, figure), directory, f"sweep-{figure}", formats)


def _write(draw: Callable[[], "Figure"], directory: Path, name: str, formats: Sequence[Format]) -> list[Path]:
    from .paper import styled  # noqa: PLC0415  # needs the extra

    make_folder(directory)
    paths = [directory / f"{name}.{kind}" for kind in formats]
    with styled():
        figure = draw()
        for kind, path in zip(formats, paths, strict=True):
            content = io.BytesIO()
            figure.savefig(content, format=kind, metadata=_undated(kind))
            write_whole(path, content.getvalue())
    return paths


def _undated(kind: Format) -> dict[str, str | None]:
    match kind:
        case "png":
            return {"Software": None}
        case "pdf":
            return {"CreationDate": None, "Producer": None, "Creator": None}
        case "svg":
            return {"Date": None, "Creator": None}
