"""A smaller scenario that still fails, so that somebody can understand why.

Nodes, faults, load, imperfections of links and lengths of time are taken away as long as what is left fails; checks
are kept. That works because chance is keyed: a node that is gone does not shift what the others draw. A few nodes are
tried first, then twice as many: all of these runs together cost less than one of the whole. Then the search runs over
all kinds of parts until a whole round changes nothing.

A smaller scenario may fail for a duller reason: if it ends before anything can arrive, it fails without any fault. So
each must hold once its faults, adversaries and imperfections are taken away. That control costs some runs more, and is
given up only where no smaller scenario passes it and the given one fails without them, too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from latticework.wire import LocalError

from .ddmin import ddmin, least
from .scenario import HONEST, Churn, Crash, Fault, FaultPoints, FullDisk, Group, Links, Partition, Scenario, SlowCpu

type Fails = Callable[[Scenario, int], bool]
"""Whether a run fails in the way that matters, say in the same check; what is refused as no scenario does not."""

BUDGET_S: Final = 60.0
BUDGET_RUNS: Final = 1000
_STEP_US: Final = 100_000
"""Lengths of time are found to a tenth of a second."""
_SMALLEST_PART: Final = 8
"""Of all nodes: what fails by luck may fail with an eighth less though not with a half."""
_PARTS: Final = (64, 32, 16, 8, 4, 2)
"""What is tried first, as parts of all nodes."""
_CURES: Final[tuple[Callable[[Links], Links], ...]] = (
    lambda links: replace(links, loss=0.0),
    lambda links: replace(links, burst_enter=0.0, burst_leave=1.0, burst_loss=0.0),
    lambda links: replace(links, reorder=0.0),
    lambda links: replace(links, duplicate=0.0),
    lambda links: replace(links, corrupt=0.0),
    lambda links: replace(links, jitter=0.0, jitter_us=0),
)
"""Each takes one imperfection away."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest failing scenario found, in `runs` runs.

    With `minimal`, nothing more can be taken away: no group, fault, load or imperfection, no single node, and no tenth
    of a second. Otherwise the budget ended the search.
    """

    scenario: Scenario
    seed: int
    runs: int
    minimal: bool


def shrink(
    scenario: Scenario,
    seed: int,
    fails: Fails,
    *,
    monotonic_s: Callable[[], float],
    budget_s: float = BUDGET_S,
    budget_runs: int = BUDGET_RUNS,
    seen: bool = False,
) -> Shrunk:
    """The smallest scenario found that still fails with `seed`, within both budgets; the same at every call.

    With `seen`, the caller has seen the given one fail, and it is run only if nothing smaller fails. The budget of time
    begins after its first run, and is looked at between runs. What is found is in no part larger than the given one.

    Raises:
        LocalError: the given scenario does not fail.
    """
    search = _Search(scenario, seed, fails, monotonic_s, monotonic_s() + budget_s, budget_runs)
    try:
        if not seen:
            search.must_fail(scenario)
            search.deadline_s = monotonic_s() + budget_s
        _few_nodes(search)
        if search.best is scenario:
            search.must_fail(scenario)
            search.controlled = not search.run(_healthy(scenario))
        before: Scenario | None = None
        while before != search.best:
            before = search.best
            for cut in (_nodes, _groups, _counts, _faults, _loads, _duration, _links, _fault_lengths):
                cut(search)
    except _SpentError:
        return Shrunk(search.best, seed, search.runs, minimal=False)
    return Shrunk(search.best, seed, search.runs, minimal=True)


class _SpentError(Exception):
    pass


@dataclass(slots=True)
class _Search:
    best: Scenario
    seed: int
    fails_with: Fails
    monotonic_s: Callable[[], float]
    deadline_s: float
    budget_runs: int
    runs: int = 0
    controlled: bool = True
    known: dict[str, bool] = field(default_factory=dict[str, bool])

    def must_fail(self, scenario: Scenario) -> None:
        """Raises LocalError if the given scenario holds."""
        if not self.run(scenario):
            name = scenario.name
            raise LocalError(f"scenario {name!r} does not fail with seed {self.seed}; there is nothing to shrink")

    def fails(self, candidate: Scenario | None) -> bool:
        """Whether a candidate, if it is one, fails as the given scenario does; the best so far if so."""
        if candidate is None or not self.run(candidate) or (self.controlled and self.run(_healthy(candidate))):
            return False
        self.best = candidate
        return True

    def run(self, candidate: Scenario) -> bool:
        """Whether it fails; nothing is run twice."""
        key = repr(candidate)
        if key not in self.known:
            self.known[key] = self._run(candidate)
        return self.known[key]

    def _run(self, candidate: Scenario) -> bool:
        if self.runs >= self.budget_runs or (self.runs and self.monotonic_s() >= self.deadline_s):
            raise _SpentError
        self.runs += 1
        try:
            return self.fails_with(candidate, self.seed)
        except LocalError:
            return False


def _healthy(scenario: Scenario) -> Scenario:
    """The control: everybody honest, nothing goes wrong, and links do no harm."""
    links = scenario.links
    for cure in _CURES:
        links = cure(links)
    groups = (group if group.role == HONEST else replace(group, role=HONEST, options=()) for group in scenario.groups)
    return replace(scenario, groups=tuple(groups), faults=(), links=links)


def _few_nodes(search: _Search) -> None:
    """A few of all groups at once, then twice as many, up to a half."""
    for part in _PARTS:
        groups = search.best.groups
        few = tuple(replace(group, count=-(-group.count // part)) for group in groups)
        if few != groups and search.fails(_with_groups(search.best, few)):
            return


def _nodes(search: _Search) -> None:
    """Of all groups at once, which keeps their proportions: a half, or else a quarter, an eighth."""
    part = 2
    while part <= _SMALLEST_PART:
        groups = search.best.groups
        fewer = tuple(replace(group, count=group.count - group.count // part) for group in groups)
        part = 2 if fewer != groups and search.fails(_with_groups(search.best, fewer)) else 2 * part


def _groups(search: _Search) -> None:
    whole = search.best
    ddmin(whole.groups, lambda groups: search.fails(_with_groups(whole, groups)))


def _counts(search: _Search) -> None:
    for number in range(len(search.best.groups)):
        whole = search.best

        def fails(count: int, number: int = number, whole: Scenario = whole) -> bool:
            groups = list(whole.groups)
            groups[number] = replace(groups[number], count=count)
            return search.fails(_with_groups(whole, groups))

        least(whole.groups[number].count, 1, 1, fails)


def _faults(search: _Search) -> None:
    whole = search.best
    ddmin(whole.faults, lambda faults: search.fails(replace(whole, faults=faults)))


def _loads(search: _Search) -> None:
    whole = search.best
    ddmin(whole.load, lambda load: search.fails(replace(whole, load=load)))


def _duration(search: _Search) -> None:
    whole = search.best
    first = min(whole.until_us, _STEP_US)
    least(whole.until_us, first, _STEP_US, lambda until_us: search.fails(replace(whole, until_us=until_us)))


def _links(search: _Search) -> None:
    """What ddmin looks for are cures that must not be given."""
    whole = search.best
    cures = tuple(number for number, cure in enumerate(_CURES) if cure(whole.links) != whole.links)

    def fails(kept: tuple[int, ...]) -> bool:
        links = whole.links
        for number in cures:
            links = links if number in kept else _CURES[number](links)
        return search.fails(replace(whole, links=links))

    ddmin(cures, fails)


def _fault_lengths(search: _Search) -> None:
    for number, fault in enumerate(search.best.faults):
        whole, length_us = search.best, _length_us(fault, search.best.until_us)

        def fails(length_us: int, number: int = number, whole: Scenario = whole) -> bool:
            faults = list(whole.faults)
            faults[number] = _lasting(faults[number], length_us)
            return search.fails(replace(whole, faults=tuple(faults)))

        if length_us is not None and length_us > 0:
            least(length_us, min(length_us, _STEP_US), _STEP_US, fails)


def _length_us(fault: Fault, until_us: int) -> int | None:
    """How long a fault stands; None of a crash for good, since coming back is another story."""
    match fault:
        case Partition() | FullDisk() | SlowCpu() | Crash() | FaultPoints():
            return fault.for_us
        case Churn():
            return (until_us if fault.until_us is None else fault.until_us) - fault.at_us
        case _:
            assert_never(fault)


def _lasting(fault: Fault, length_us: int) -> Fault:
    match fault:
        case Partition() | FullDisk() | SlowCpu() | Crash() | FaultPoints():
            return replace(fault, for_us=length_us)
        case Churn():
            return replace(fault, until_us=fault.at_us + length_us)
        case _:
            assert_never(fault)


def _with_groups(scenario: Scenario, groups: Iterable[Group]) -> Scenario | None:
    """The scenario with these of its groups, and with nothing that names another; None if that is none."""
    kept = tuple(groups)
    gone = {group.name for group in scenario.groups} - {group.name for group in kept}
    faults = (_without_groups(fault, gone) for fault in scenario.faults)
    try:
        return replace(
            scenario,
            groups=tuple(replace(group, dial_to=_other(group.dial_to, gone)) for group in kept),
            load=tuple(load for load in scenario.load if load.source not in gone),
            faults=tuple(fault for fault in faults if fault is not None),
        )
    except LocalError:
        return None


def _without_groups(fault: Fault, gone: set[str]) -> Fault | None:
    if isinstance(fault, FaultPoints):
        return fault
    if not isinstance(fault, Partition):
        return None if fault.group in gone else fault
    side = _other(fault.side, gone)
    return replace(fault, side=side) if side or not fault.side else None


def _other(names: tuple[str, ...], gone: set[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in gone)
