"""`lattice sim list`."""

import argparse

from latticework.node.cli.output import show_json, table
from latticework.node.exits import EXIT_OK

from ..library import load, names


def run(options: argparse.Namespace) -> int:
    """Show the scenarios of the library."""
    scenarios = [load(name) for name in names()]
    if options.json:
        show_json([{"name": s.name, "tier": s.tier, "nodes": s.node_count, "title": s.title} for s in scenarios])
    else:
        table([[s.name, s.tier, s.node_count, s.title] for s in scenarios], ("name", "tier", "nodes", "title"))
    return EXIT_OK
