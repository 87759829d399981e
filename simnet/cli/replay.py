"""`lattice sim replay`: the same run again, compared with what came out before.

A folder of `run --out` holds what came out; `--digest` says it. Of anything else two runs are made and compared, since
that is what a seed promises.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from latticework.node.cli.output import say
from latticework.node.exits import EXIT_ERROR, EXIT_OK

from ..amounts import read_duration_us
from ..result import Result
from ..running import run as run_scenario
from ..scenario import Scenario
from .chosen import chosen_scenario, usage_errors
from .report import ProgressLine, show_result
from .saved import SCENARIO, Saved, read_saved


def run(options: argparse.Namespace) -> int:
    """Run it; EXIT_ERROR if something else came out."""
    directory = Path(options.scenario)
    saved: Saved | None = None
    if directory.is_dir():
        with usage_errors():
            saved = read_saved(directory)
    scenario = chosen_scenario(options, directory / SCENARIO if saved else None)
    if options.until is not None:
        with usage_errors():
            scenario = _cut_short(scenario, read_duration_us(options.until))
        show_result(_run(scenario), {"identical": None}, as_json=options.json)
        return EXIT_OK
    result = _run(scenario)
    expected = options.digest or (saved.digest if saved and saved.scenario == scenario else None)
    difference = ""
    if expected is None:
        again = _run(scenario)
        expected, difference = again.digest, first_difference(again, result)
    elif expected != result.digest and saved and saved.digest == expected:
        difference = _difference(directory, saved, result)
    identical = result.digest == expected
    difference = "" if identical else difference or f"the digest is {result.digest}, not {expected}"
    show_result(result, {"identical": identical, "difference": difference}, as_json=options.json)
    say("identical" if identical else f"different: {difference}")
    return EXIT_OK if identical else EXIT_ERROR


def first_difference(before: Result, now: Result) -> str:
    """The first delivery in which two results differ, in words; empty if there is none."""
    rows_before, rows_now = _rows(before), _rows(now)
    for place, (one, other) in enumerate(zip(rows_before, rows_now, strict=False)):
        if one != other:
            return f"delivery {place} was {_told(one)}; now it is {_told(other)}"
    if len(rows_before) != len(rows_now):
        return f"{len(rows_before):,} deliveries before, {len(rows_now):,} now, alike as far as both go"
    return ""


def _cut_short(scenario: Scenario, end_us: int) -> Scenario:
    """`end_us` counts from the start, as the progress line does, and a scenario's own end from after its warm-up."""
    warmup_us = min(scenario.warmup_us, end_us)
    return replace(scenario, warmup_us=warmup_us, until_us=max(1, end_us - warmup_us))


def _run(scenario: Scenario) -> Result:
    line = ProgressLine()
    try:
        return run_scenario(scenario, progress=line)
    finally:
        line.write("")


def _difference(directory: Path, saved: Saved, result: Result) -> str:
    from ..figures import load  # noqa: PLC0415  # rare path, and it needs numpy

    other = "" if saved.run_id == result.run_id else "; the saved run was made by another version"
    return (first_difference(load(directory), result) or f"equal deliveries, other steps ({result.digest})") + other


type _Row = tuple[int, int, int]


def _rows(result: Result) -> list[_Row]:
    columns = result.deliveries
    return list(zip(columns.message, columns.node, columns.latency_us, strict=True))


def _told(row: _Row) -> str:
    message, node, latency_us = row
    return f"message {message} at node {node} after {latency_us} us"
