"""Tier C: a scenario run with the protocol machines called directly.

What a scenario says of stores, clocks, processors and crypto has no meaning here and is passed over; what would change
the answer and is not here (NAT, files, states, full disks, slow processors) is refused, with the tier that has it.
"""

from time import process_time

from ..collecting import seldom_collecting
from ..progress import Progress, ProgressHook
from ..result import Result
from ..rng import KeyedRng
from ..scenario import Scenario
from ..workload import Workload
from .faults import schedule_fault
from .loads import schedule_loads
from .outcome import check_checks, outcome
from .stage import Stage
from .watch import Watch


def _ignore(_: Progress) -> None:
    """Nobody waits."""


def run_core(
    scenario: Scenario, seed: int, progress: ProgressHook = _ignore, workload: Workload | None = None
) -> Result:
    """Run `scenario` from `seed`; a `workload` replaces its connections, latencies and loads.

    Raises:
        LocalError: it asks for what tier C cannot do.
    """
    cpu_s = process_time()
    check_checks(scenario)
    # Connections, sources and who is hit by faults are those that whole nodes would have.
    stage = Stage(scenario, KeyedRng(seed.to_bytes(8, "big", signed=True), "whole"), workload)
    stage.open()
    for number, fault in enumerate(scenario.faults):
        schedule_fault(stage, fault, number)
    schedule_loads(stage, workload)
    watch = Watch(stage, progress)
    with seldom_collecting():
        watch.run()
    return outcome(stage, seed, watch, process_time() - cpu_s)
