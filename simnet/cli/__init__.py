"""`lattice sim`: the simulator on the command line; `node/cli/main.py` finds it by its entry point.

Each command is a module with `run(options)`; it is imported when it is asked for, since numpy and whole nodes take
their time.
"""

import argparse
import logging
from collections.abc import Callable
from importlib import import_module
from typing import Final

TITLE: Final = "simulate networks of nodes, with faults and attackers, in virtual time"
_MODULES: Final = {"list": "listing", "run": "one_run"}


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names; the exit code."""
    # Simulated nodes warn of what is done to them on purpose, by the hundred.
    logging.getLogger("latticework").addHandler(logging.NullHandler())
    name = _MODULES.get(options.action, options.action)
    command: Callable[[argparse.Namespace], int] = import_module(f".{name}", __name__).run
    return command(options)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text)
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")
        return made

    action("list", "the scenarios of the library")
    run = action("run", "run a scenario and check what must hold")
    _scenario_options(run)
    run.add_argument("--out", metavar="DIR", help="write the scenario, tables and figures there")
    _replay_options(action("replay", "run a scenario again and compare with what came out before"))
    validate = action("validate", "compare the simulator with published figures and theory")
    validate.add_argument("--long", action="store_true", help="also the checks that take minutes")
    _sweep_options(action("sweep", "run a scenario with many settings and seeds"))
    plot = action("plot", "draw the figures of a saved run again")
    plot.add_argument("directory", metavar="DIR", help="what `run --out` wrote")
    shrink = action("shrink", "find a smaller scenario that fails alike")
    _scenario_options(shrink)
    shrink.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="NAME",
        help="what was seen to fail, so that the whole scenario is not run first to find out (again for more)",
    )
    shrink.add_argument("--out", metavar="FILE", help="write the small scenario there instead of on stdout")


def _scenario_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", metavar="NAME|FILE", help="a scenario of the library, or a file that ends in .toml")
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of all chance (default: the scenario's)")
    parser.add_argument("--tier", choices=("F", "C", "V"), help="whole nodes, protocol machines, or numpy")
    parser.add_argument("--crypto", choices=("real", "memo", "model"), help="how much of the cryptography is done")
    _setting_option(parser)


def _setting_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, for example mesh.d=8"
    )


def _replay_options(parser: argparse.ArgumentParser) -> None:
    _scenario_options(parser)
    parser.add_argument(
        "--until", metavar="TIME", help="stop at this virtual time, warm-up included; nothing is compared"
    )
    parser.add_argument("--digest", metavar="HEX", help="the digest to compare with")


def _sweep_options(parser: argparse.ArgumentParser) -> None:
    _scenario_options(parser)
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="try each of these values, for example mesh.d=4,6,8 (again for more; default: the file's [sweep])",
    )
    parser.add_argument("--seeds", type=int, metavar="COUNT", help="seeds for each combination, from the scenario's on")
    parser.add_argument("--workers", type=int, metavar="COUNT", help="processes (default: one per processor)")
    parser.add_argument("--executor", choices=("processes", "dask"), default="processes", help="who computes")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, for example tcp://10.0.0.5:8786")
    parser.add_argument("--out", metavar="DIR", help="keep finished runs and write tables and figures there")
