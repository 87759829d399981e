"""`lattice sim run`."""

import argparse
from pathlib import Path

from latticework.node.cli.output import say
from latticework.node.exits import EXIT_ERROR, EXIT_OK

from ..extras import need
from ..running import run as run_scenario
from .chosen import chosen_scenario, replaying, shrinking
from .report import ProgressLine, show_result
from .saved import save_run


def run(options: argparse.Namespace) -> int:
    """Run a scenario once; EXIT_ERROR if a check failed."""
    scenario = chosen_scenario(options)
    if options.out:
        need("sim", "numpy", "matplotlib")  # before the work, not after it
    line = ProgressLine()
    try:
        result = run_scenario(scenario, progress=line)
    finally:
        line.write("")
    if options.out:
        save_run(scenario, result, Path(options.out))
    show_result(result, as_json=options.json)
    if result.ok:
        return EXIT_OK
    failed = [check for check in result.checks if not check.ok]
    for check in failed:
        say(f"failed: {check.check}: {check.told}")
    say(shrinking(options, dict.fromkeys(check.check for check in failed)))
    say(replaying(options, result.digest))
    return EXIT_ERROR
