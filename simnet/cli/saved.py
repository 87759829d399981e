"""The folder of a saved run: the scenario that was run, seed included, and what `figures` writes of its result."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from latticework.wire import LocalError

from ..files import make_folder, write_whole
from ..result import Result
from ..scenario import Scenario
from ..scenario_file import read_scenario, write_scenario

SCENARIO: Final = "scenario.toml"
_SUMMARY: Final = "summary.json"


@dataclass(frozen=True, slots=True)
class Saved:
    """A scenario as it was run, with its seed, and the digest and run id that came out."""

    scenario: Scenario
    digest: str
    run_id: str


def save_run(scenario: Scenario, result: Result, directory: Path) -> None:
    """Write everything about a run; raises LocalError if that is not possible, or if the extra `sim` is missing."""
    make_folder(directory)
    text = write_scenario(replace(scenario, seed=result.seed))
    write_whole(directory / SCENARIO, text.encode())
    from ..figures import plot_all, save  # noqa: PLC0415  # only where files are wanted

    save(result, directory)
    plot_all(result, directory, scenario)


def read_saved(directory: Path) -> Saved:
    """What `save_run` wrote; raises LocalError."""
    scenario = read_scenario(directory / SCENARIO)
    path = directory / _SUMMARY
    try:
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise LocalError(f"{path} is no summary of a run: {error}") from error
    known = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    digest, run_id = known.get("digest"), known.get("run_id")
    if not isinstance(digest, str) or not isinstance(run_id, str):
        raise LocalError(f"{path} is no summary of a run: it has no digest")
    return Saved(scenario, digest, run_id)
