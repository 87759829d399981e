"""`lattice sim sweep`: a scenario under combinations of settings, each with several seeds."""

import argparse
import csv
import io
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

from latticework.node.cli.output import show_json, table
from latticework.node.exits import EXIT_ERROR, EXIT_OK
from latticework.node.frames import Data
from latticework.wire import LocalError

from ..executors import dask_executor, processes
from ..extras import need
from ..figures import mean_interval, plot_sweep
from ..files import make_folder, write_whole
from ..running import run as run_scenario
from ..scenario import Scenario
from ..scenario_file import SweepTable, read_sweep, write_scenario
from ..scenario_keys import Toml
from ..settings import read_plain, read_setting
from ..sweep import Row, Settings, Sweep, SweepProgress, SweepResult, run_sweep
from .chosen import chosen_scenario, is_file, usage_errors
from .report import ProgressLine
from .saved import SCENARIO

_FIGURES: Final = ("coverage", "p50_ms", "p99_ms")
_TABLE: Final = "sweep.csv"
_DRAWN: Final = (1, 2)
"""So many axes fit on paper."""


def run(options: argparse.Namespace) -> int:
    """Make every run that is not there yet; EXIT_ERROR if one gave no result."""
    scenario = chosen_scenario(options)
    with usage_errors():
        sweep = _sweep(options, scenario)
        pool = _pool(options)
    if options.out:
        need("sim", "numpy", "matplotlib")  # before the work, not after it
    with ExitStack() as stack:
        directory = Path(options.out or stack.enter_context(TemporaryDirectory(prefix="lattice-sweep-")))
        make_folder(directory)
        result = _run(sweep, stack.enter_context(pool), directory)
        if options.out:
            _save(result, directory)
    _show(result, as_json=options.json)
    return EXIT_ERROR if result.failed else EXIT_OK


def read_axis(text: str) -> tuple[str, tuple[Toml, ...]]:
    """`mesh.d=4,6,8`, or `links.uniform=[["1ms", "2ms"]]`: a name and the values to try; raises LocalError."""
    name, _ = read_setting(text)
    values = text.partition("=")[2].strip()
    listed = read_plain(values if values.startswith("[") else f"[{values}]")
    if isinstance(listed, str):
        listed = [read_plain(value.strip()) for value in values.split(",")]
    if not isinstance(listed, list) or not listed:
        raise LocalError(f"{text!r} is no list of values to try, such as mesh.d=4,6,8")
    return name, tuple(listed)


def _sweep(options: argparse.Namespace, scenario: Scenario) -> Sweep:
    known = read_sweep(Path(options.scenario)) if is_file(options.scenario) else SweepTable()
    axes = tuple(read_axis(text) for text in options.sweep) or known.axes
    return Sweep(scenario, axes, known.seeds if options.seeds is None else options.seeds)


def _pool(options: argparse.Namespace) -> AbstractContextManager[Executor]:
    if options.executor == "processes" and not options.scheduler:
        return processes(options.workers)
    if options.workers:
        raise LocalError("the workers are those of the Dask cluster; leave --workers out")
    return dask_executor(options.scheduler)


def _run(sweep: Sweep, executor: Executor, directory: Path) -> SweepResult:
    line = ProgressLine()

    def told(progress: SweepProgress) -> None:
        line.write(f"{progress.finished:,} of {progress.total:,} runs, {progress.reused:,} reused")

    try:
        return run_sweep(sweep, executor, directory, run=run_scenario, version=version("latticework"), progress=told)
    finally:
        line.write("")


def _save(result: SweepResult, directory: Path) -> None:
    write_whole(directory / SCENARIO, write_scenario(result.sweep.scenario).encode())
    write_whole(directory / _TABLE, _csv(result))
    if len(result.sweep.axes) in _DRAWN:
        for name in _FIGURES:
            if any(values for _, values in result.figures(name)):
                plot_sweep(result, name, directory)


def _show(result: SweepResult, *, as_json: bool) -> None:
    points = _points(result)
    if as_json:
        data: dict[str, Data] = {
            "scenario": result.sweep.scenario.name,
            "seeds": result.sweep.seeds,
            "points": [{"settings": _named(settings), **_intervals(figures)} for settings, figures in points],
            "rows": [_row(row) for row in result.rows],
        }
        show_json(data)
        return
    names = [name for name, _ in result.sweep.axes]
    rows = [[*(str(value) for _, value in settings), *map(_words, figures)] for settings, figures in points]
    table(rows, (*names, "coverage", "median ms", "99 % ms"))
    if result.failed:
        table([[str(_named(row.settings)), row.seed, row.error] for row in result.failed], ("point", "seed", "failed"))


def _points(result: SweepResult) -> list[tuple[Settings, list[list[float]]]]:
    """Each point with the values of each of `_FIGURES` over its seeds."""
    columns = [[values for _, values in result.figures(name)] for name in _FIGURES]
    return [(point, [column[place] for column in columns]) for place, point in enumerate(result.sweep.points())]


def _row(row: Row) -> dict[str, Data]:
    told: dict[str, Data] = {"settings": _named(row.settings), "seed": row.seed, "error": row.error}
    return told | cast("dict[str, Data]", dict(row.summary))


def _intervals(figures: Sequence[Sequence[float]]) -> dict[str, Data]:
    return dict(zip(_FIGURES, map(_interval, figures), strict=True))


def _named(settings: Settings) -> dict[str, Data]:
    return cast("dict[str, Data]", dict(settings))


def _interval(values: Sequence[float]) -> Data:
    if not values:
        return None
    found = mean_interval(values)
    return {"mean": found.mean, "half": found.half, "runs": found.count}


def _words(values: Sequence[float]) -> str:
    return str(mean_interval(values)) if values else "-"


def _csv(result: SweepResult) -> bytes:
    names = [name for name, _ in result.sweep.axes]
    figures = ("delivered", "coverage", "p50_ms", "p99_ms", "cpu_s")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "seed", "run_id", *figures, "error"])
    for row in result.rows:
        values = (row.summary.get(name, "") for name in figures)
        writer.writerow([*(value for _, value in row.settings), row.seed, row.run_id, *values, row.error])
    return text.getvalue().encode()
