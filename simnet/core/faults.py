"""What goes wrong in a run of tier C: partitions, churn, crashes. What is drawn is drawn as on tier F."""

from collections.abc import Sequence
from typing import assert_never, final

from latticework.wire import LocalError

from ..draws import choose, key_from
from ..rng import KeyedRng
from ..scenario import Churn, Crash, Fault, FaultPoints, FullDisk, Partition, SlowCpu
from .links import Cut, regions_of
from .stage import CRASH_NOTICED_US, Stage


def schedule_fault(stage: Stage, fault: Fault, number: int) -> None:
    """Arrange for one fault of the scenario; `number` keys what it draws.

    Raises:
        LocalError: it is for tier F.
    """
    rng = stage.rng.child(f"fault {number}")
    match fault:
        case Partition():
            _part(stage, fault, rng)
        case Churn():
            for node in stage.scenario.members(fault.group):
                _Churning(stage, fault, node, rng.child(str(node))).begin()
        case Crash():
            _crash(stage, fault, rng)
        case FullDisk() | SlowCpu() | FaultPoints():
            raise LocalError(f"{type(fault).__name__} is for tier F: nodes of tier C have no disk and compute for free")
        case _:
            assert_never(fault)


def _after(stage: Stage, at_us: int) -> int:
    return stage.scenario.warmup_us + at_us


def _drawn(members: Sequence[int], share: float, rng: KeyedRng) -> list[int]:
    chosen = choose(key_from(rng.child("who")), len(members), round(share * len(members)))
    return [members[at] for at in sorted(chosen)]


def _part(stage: Stage, fault: Partition, rng: KeyedRng) -> None:
    cut = Cut(_side(stage, fault, rng), fault.one_way)
    connections, scheduler = stage.world.connections, stage.world.scheduler
    scheduler.at(_after(stage, fault.at_us), connections.cut, cut)
    scheduler.at(_after(stage, fault.at_us + fault.for_us), connections.heal, cut)


def _side(stage: Stage, fault: Partition, rng: KeyedRng) -> bytes:
    side = bytearray(len(stage.groups))
    if fault.share:
        for number in _drawn(range(len(side)), fault.share, rng):
            side[number] = 1
        return bytes(side)
    regions = regions_of(stage.scenario.links).names
    names = {group.name for group in stage.groups}
    if unknown := sorted({*fault.side} - names - {*regions}):
        raise LocalError(f"there is no group or region {unknown[0]!r} to be on one side of a partition")
    for number, group in enumerate(stage.groups):
        side[number] = group.name in fault.side or regions[stage.world.links.region[number]] in fault.side
    return bytes(side)


def _crash(stage: Stage, fault: Crash, rng: KeyedRng) -> None:
    scheduler = stage.world.scheduler
    for number in _drawn(stage.scenario.members(fault.group), fault.share, rng):
        scheduler.at(_after(stage, fault.at_us), stage.stop, number, CRASH_NOTICED_US)
        if fault.lose_disk:
            scheduler.at(_after(stage, fault.at_us), stage.lose_disk, number)
        if fault.for_us is not None:
            scheduler.at(_after(stage, fault.at_us + fault.for_us), stage.start, number)


@final
class _Churning:
    """One node that comes and goes."""

    def __init__(self, stage: Stage, fault: Churn, node: int, rng: KeyedRng) -> None:
        self._stage = stage
        self._fault = fault
        self._node = node
        self._rng = rng
        self._end_us = _after(stage, stage.scenario.until_us if fault.until_us is None else fault.until_us)

    def begin(self) -> None:
        self._stay(_after(self._stage, self._fault.at_us))

    def _stay(self, from_us: int) -> None:
        leaves_us = from_us + self._fault.session.draw_us(self._rng)
        if leaves_us < self._end_us:
            self._stage.world.scheduler.at(leaves_us, self._leave)

    def _leave(self) -> None:
        self._stage.stop(self._node)
        self._stage.world.scheduler.at(self._stage.now_us + self._fault.rejoin.draw_us(self._rng), self._come_back)

    def _come_back(self) -> None:
        self._stage.start(self._node)
        self._stay(self._stage.now_us)
