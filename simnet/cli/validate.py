"""`lattice sim validate`: our figures beside those that papers and theory give."""

import argparse
import math
from dataclasses import asdict
from typing import cast

from latticework.node.cli.output import show_json, table
from latticework.node.exits import EXIT_ERROR, EXIT_OK
from latticework.node.frames import Data

from ..validate import Check, checks
from .report import ProgressLine


def run(options: argparse.Namespace) -> int:
    """Make every check; EXIT_ERROR if one is not within its tolerance."""
    line = ProgressLine()
    done: list[Check] = []
    try:
        for check in checks(long=options.long):
            done.append(check)
            line.write(f"{len(done)} checks, {sum(not check.ok for check in done)} failed; now after {check.id}")
    finally:
        line.write("")
    if options.json:
        show_json({"checks": [_data(check) for check in done]})
    else:
        table([_row(check) for check in done], ("id", "expected", "got", "tolerance", "ok", "what", "source"))
    return EXIT_OK if done and all(check.ok for check in done) else EXIT_ERROR


def _row(check: Check) -> list[Data]:
    figures = (f"{figure:.6g}" for figure in (check.expected, check.got, check.tolerance))
    return [check.id, *figures, "yes" if check.ok else "NO", check.what, check.source]


def _data(check: Check) -> dict[str, Data]:
    """JSON has no infinities and nothing that is not a number."""
    whole = cast("dict[str, Data]", asdict(check))
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in whole.items()}
