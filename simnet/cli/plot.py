"""`lattice sim plot`."""

import argparse
from pathlib import Path

from latticework.node.cli.output import show_json, table
from latticework.node.exits import EXIT_OK

from ..figures import load, plot_all
from ..scenario_file import read_scenario
from .chosen import usage_errors
from .saved import SCENARIO


def run(options: argparse.Namespace) -> int:
    """Draw the figures of a saved run again, and say where they are."""
    directory = Path(options.directory)
    with usage_errors():
        result, scenario = load(directory), read_scenario(directory / SCENARIO)
    paths = plot_all(result, directory, scenario)
    if options.json:
        show_json({"figures": [str(path) for path in paths]})
    else:
        table([[str(path)] for path in paths], ("figure",))
    return EXIT_OK
