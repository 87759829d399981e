"""A scenario run from a seed, on the tier that it names: blocking, and pure but for the CPU time it reports."""

import logging
from typing import TYPE_CHECKING

from latticework.wire import LocalError

from .progress import Progress, ProgressHook
from .result import Result
from .scenario import Scenario

if TYPE_CHECKING:
    from .whole.simulation import Script

# A thousand nodes have a lot to say; who wants to hear it sets a handler.
logging.getLogger("latticework").addHandler(logging.NullHandler())


def run(
    scenario: Scenario,
    seed: int | None = None,
    progress: ProgressHook | None = None,
    script: "Script | None" = None,
) -> Result:
    """Run `scenario` from `seed`, or from its own; `progress` is called now and then.

    `script` steers a run of whole nodes: it is called once with its `Simulation`, before time moves.

    Equal scenarios and seeds give equal results, digest included.

    Raises:
        LocalError: the scenario asks for what its tier cannot do, or the tier needs an extra that is not installed.
    """
    # A tier imports what it needs: whole nodes take half a second, numpy a fifth.
    hook = _ignore if progress is None else progress
    start = scenario.seed if seed is None else seed
    if script is not None and scenario.tier != "F":
        raise LocalError(
            f"a script steers whole nodes, on tier F; scenario {scenario.name!r} is for tier {scenario.tier}"
        )
    match scenario.tier:
        case "F":
            from .whole.run import run_whole  # noqa: PLC0415

            return run_whole(scenario, start, hook, script)
        case "C":
            from .core.run import run_core  # noqa: PLC0415

            return run_core(scenario, start, hook)
        case "V":
            from .extras import need  # noqa: PLC0415

            need("sim", "numpy")
            from .vector.run import run_vector  # noqa: PLC0415

            return run_vector(scenario, start, hook)


def _ignore(_: Progress) -> None:
    """Nobody waits."""
