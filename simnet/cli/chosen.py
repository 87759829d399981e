"""The scenario that a command line means: by name or file, with its settings changed."""

import argparse
import shlex
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from latticework.node.cli.client import CommandError
from latticework.node.exits import EXIT_USAGE
from latticework.wire import LocalError

from ..library import load
from ..scenario import Scenario
from ..scenario_file import read_scenario
from ..settings import read_setting, with_setting

_SUFFIX: Final = ".toml"


@contextmanager
def usage_errors() -> Generator[None]:
    """What is wrong with a scenario or a setting ends the command as a wrong command line does."""
    try:
        yield
    except LocalError as error:
        raise CommandError("usage", str(error), EXIT_USAGE) from error


def is_file(name: str) -> bool:
    """Whether `name` is a path rather than the name of a scenario of the library."""
    return name.endswith(_SUFFIX) or Path(name).name != name


def chosen_scenario(options: argparse.Namespace, read: Path | None = None) -> Scenario:
    """The scenario of `options`, or the one in the file `read`, with what the options change; raises CommandError."""
    with usage_errors():
        if read is None and is_file(options.scenario):
            read = Path(options.scenario)
        scenario = load(options.scenario) if read is None else read_scenario(read)
        if options.tier:
            scenario = replace(scenario, tier=options.tier)
        if options.crypto:
            scenario = replace(scenario, crypto=options.crypto)
        for text in options.set:
            scenario = with_setting(scenario, *read_setting(text))
        if options.seed is not None:
            scenario = with_setting(scenario, "run.seed", options.seed)
        return scenario


def replaying(options: argparse.Namespace, digest: str) -> str:
    """The command that runs the same again and compares."""
    if options.out:
        return shlex.join(["lattice", "sim", "replay", options.out])
    return shlex.join([*_command("replay", options), "--digest", digest])


def shrinking(options: argparse.Namespace, checks: Iterable[str]) -> str:
    """The command that looks for a smaller scenario in which one of these checks fails."""
    return shlex.join([*_command("shrink", options), *(word for check in checks for word in ("--check", check))])


def _command(action: str, options: argparse.Namespace) -> list[str]:
    words = ["lattice", "sim", action, options.scenario]
    for name in ("seed", "tier", "crypto"):
        value: object = getattr(options, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    for text in options.set:
        words += ["--set", text]
    return words
