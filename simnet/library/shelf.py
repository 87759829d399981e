"""Finds and reads the scenarios of the library, wherever the package is installed."""

from difflib import get_close_matches
from importlib.resources import files
from typing import Final

from latticework.wire import LocalError

from ..scenario import Scenario
from ..scenario_file import scenario_of

_SUFFIX: Final = ".toml"


def names() -> tuple[str, ...]:
    """Every scenario, in alphabetical order."""
    entries = (entry.name for entry in files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in entries if name.endswith(_SUFFIX)))


def text(name: str) -> str:
    """The file of a scenario as it stands, with its comments; raises LocalError if there is none."""
    known = names()
    if name not in known:
        likely = get_close_matches(name, known, 1, 0.5)
        hint = f"did you mean {likely[0]!r}?" if likely else f"there is: {', '.join(known)}"
        raise LocalError(f"the library has no scenario {name!r}; {hint}")
    return files(__package__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")


def load(name: str) -> Scenario:
    """The scenario called `name`; raises LocalError if there is none."""
    return scenario_of(text(name), name)
