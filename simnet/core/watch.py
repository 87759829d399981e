"""Runs a stage to its end and looks at it: a row for the timeline each second, and the invariants.

What holds in every run of tier C, for nodes without a role: nothing is delivered twice to one life of a node; nobody is
its own neighbour; both ends of a connection know of it, once a crash had time to be noticed; and what a protocol's
machines keep is within its bounds (`World.broken`).
"""

from collections.abc import Sequence
from typing import Final, final

from ..progress import Progress, ProgressHook
from ..result import CheckResult, Timeline
from ..scenario import HONEST
from .stage import CRASH_NOTICED_US, Stage

_SECOND_US: Final = 1_000_000
_INVARIANTS_US: Final = 10_000_000
"""How often the invariants are looked at: every node is, and there may be a hundred thousand."""
_SETTLE_US: Final = 2 * CRASH_NOTICED_US


@final
class Watch:
    """What is seen of one run."""

    def __init__(self, stage: Stage, progress: ProgressHook) -> None:
        self._stage = stage
        self._progress = progress
        self.timeline: Final = Timeline()
        self._honest = [number for number, group in enumerate(stage.groups) if group.role == HONEST]
        self._end_us = stage.scenario.warmup_us + stage.scenario.until_us
        self._look_due_us = _INVARIANTS_US
        self._one_sided: dict[tuple[int, int], int] = {}
        self._broken: dict[str, str] = {}

    @property
    def invariants(self) -> list[CheckResult]:
        """Those that did not hold, in the order in which that was seen."""
        return [CheckResult(name, ok=False, told=told) for name, told in self._broken.items()]

    def run(self) -> None:
        """Run to the end."""
        scheduler = self._stage.world.scheduler
        while scheduler.now_us < self._end_us:
            scheduler.run(min(scheduler.now_us + _SECOND_US, self._end_us))
            self._look()

    def _look(self) -> None:
        stage, timeline = self._stage, self.timeline
        up, delivered = stage.up_count, len(stage.world.deliveries.node)
        here = [number for number in self._honest if stage.world.connections.up[number]]
        timeline.time_us.append(stage.now_us)
        timeline.up.append(up)
        timeline.parts.append(stage.world.parts(here))
        timeline.delivered.append(delivered)
        if stage.now_us >= min(self._look_due_us, self._end_us):
            self._look_due_us = stage.now_us + _INVARIANTS_US
            for name, told in stage.world.broken(here):
                self._fail(name, told)
            self._views(here)
        self._progress(Progress(stage.now_us, self._end_us, delivered, up))

    def _views(self, honest: Sequence[int]) -> None:
        connections, now_us = self._stage.world.connections, self._stage.now_us
        known = self._one_sided
        self._one_sided = {}
        for number in honest:
            for far in connections.neighbours(number):
                if far == number:
                    self._fail("views", f"node {number} is its own neighbour")
                elif connections.up[far] and not connections.knows(far, number):
                    self._one_sided[number, far] = since_us = known.get((number, far), now_us)
                    if now_us - since_us > _SETTLE_US:
                        self._fail("views", f"node {number} has long been connected to node {far}, which knows of none")

    def _fail(self, invariant: str, told: str) -> None:
        self._broken.setdefault(invariant, f"{told} (seen at {self._stage.now_us / 1e6:g} s)")
