"""`lattice sim shrink`: a smaller scenario in which the same check fails."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

from latticework.node.cli.output import say, show_json
from latticework.node.exits import EXIT_OK

from ..files import write_whole
from ..result import Result
from ..running import run as run_scenario
from ..scenario import Scenario
from ..scenario_file import write_scenario
from ..shrinking import Shrunk, shrink
from .chosen import chosen_scenario, usage_errors
from .report import ProgressLine


def run(options: argparse.Namespace) -> int:
    """Write the smallest failing scenario that a minute finds, to a file or on stdout."""
    scenario = chosen_scenario(options)
    line = ProgressLine()
    try:
        with usage_errors():
            found = _shrunk(scenario, options.check, line)
    finally:
        line.write("")
    text = write_scenario(replace(found.scenario, seed=found.seed))
    if options.out:
        write_whole(Path(options.out), text.encode())
    least = found.scenario
    if options.json:
        told = {
            "runs": found.runs,
            "minimal": found.minimal,
            "nodes": least.node_count,
            "until_s": least.until_us / 1e6,
        }
        show_json({"scenario": text, "seed": found.seed, **told})
    elif not options.out:
        sys.stdout.write(text)
    ending = "nothing more can be taken away" if found.minimal else "the time was up"
    say(f"{scenario.node_count:,} nodes became {least.node_count:,} in {found.runs} runs; {ending}")
    return EXIT_OK


def _shrunk(scenario: Scenario, checks: list[str], line: ProgressLine) -> Shrunk:
    wanted = set(checks)

    def fails(candidate: Scenario, seed: int) -> bool:
        line.write(f"{candidate.node_count:,} nodes for {candidate.until_us / 1e6:g} s")
        failed = _failed(run_scenario(candidate, seed))
        if not wanted:
            wanted.update(failed)  # the first run is that of the whole scenario
        return not wanted.isdisjoint(failed)

    return shrink(scenario, scenario.seed, fails, monotonic_s=monotonic, seen=bool(checks))


def _failed(result: Result) -> list[str]:
    return [check.check for check in result.checks if not check.ok]
