"""Tier C: a scenario run with the protocol machines called directly.

What a scenario says of stores, clocks, processors and crypto has no meaning here and is passed over; what would change
the answer and is not here (NAT, files, states, full disks, slow processors) is refused, with the tier that has it.
"""

from time import process_time
from typing import Final, final

from ..progress import Progress, ProgressHook
from ..result import Result, Timeline
from ..rng import KeyedRng
from ..scenario import HONEST, Scenario
from ..workload import Workload
from .faults import schedule_fault
from .loads import schedule_loads
from .outcome import check_checks, outcome
from .stage import Stage

_SECOND_US: Final = 1_000_000


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
    timeline = _Watch(stage, progress).run()
    return outcome(stage, seed, timeline, process_time() - cpu_s)


@final
class _Watch:
    """Runs a stage to its end and looks at it once a second."""

    def __init__(self, stage: Stage, progress: ProgressHook) -> None:
        self._stage = stage
        self._progress = progress
        self._timeline = Timeline()
        self._honest = [number for number, group in enumerate(stage.groups) if group.role == HONEST]
        self._end_us = stage.scenario.warmup_us + stage.scenario.until_us

    def run(self) -> Timeline:
        scheduler = self._stage.world.scheduler
        while scheduler.now_us < self._end_us:
            scheduler.run(min(scheduler.now_us + _SECOND_US, self._end_us))
            self._look()
        return self._timeline

    def _look(self) -> None:
        stage, timeline = self._stage, self._timeline
        up, delivered = stage.up_count, len(stage.world.deliveries.node)
        here = [number for number in self._honest if stage.world.connections.up[number]]
        timeline.time_us.append(stage.now_us)
        timeline.up.append(up)
        timeline.parts.append(stage.world.parts(here))
        timeline.delivered.append(delivered)
        self._progress(Progress(stage.now_us, self._end_us, delivered, up))
