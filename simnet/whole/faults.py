"""What goes wrong in a run of whole nodes: partitions, churn, crashes, full disks, slow processors."""

from collections.abc import Callable, Sequence
from math import prod
from typing import assert_never

import trio

from ..core.links import regions_of
from ..draws import choose, key_from
from ..rng import KeyedRng
from ..scenario import Churn, Crash, Fault, FaultPoints, FullDisk, Partition, SlowCpu
from .fleet import Member
from .simulation import ANY_POINT, Simulation


async def happen(simulation: Simulation, fault: Fault, number: int) -> None:
    """Let one fault of the scenario happen; `number` keys what it draws."""
    rng = simulation.rng.child(f"fault {number}")
    match fault:
        case Partition():
            await _part(simulation, fault, rng)
        case Churn():
            await _churn(simulation, fault, rng)
        case Crash():
            await _crash(simulation, fault, rng)
        case FaultPoints(at_us, for_us, chance, points):
            await _during(simulation, at_us, for_us, _arm(simulation, chance, points))
        case FullDisk(group, at_us, for_us, share):
            await _during(simulation, at_us, for_us, _fill_disks(_drawn(simulation, group, share, rng)))
        case SlowCpu(group, at_us, for_us, factor, share):
            await _during(simulation, at_us, for_us, _slow_down(_drawn(simulation, group, share, rng), factor))
        case _:
            assert_never(fault)


def _drawn(simulation: Simulation, group: str, share: float, rng: KeyedRng) -> list[Member]:
    numbers = simulation.scenario.members(group)
    chosen = choose(key_from(rng.child("who")), len(numbers), round(share * len(numbers)))
    return [simulation.members[numbers[at]] for at in sorted(chosen)]


async def _until(simulation: Simulation, at_us: int) -> None:
    """Wait for a time after the warm-up."""
    await trio.sleep_until((simulation.scenario.warmup_us + at_us) / 1e6)


async def _during(simulation: Simulation, at_us: int, for_us: int, turn: Callable[[bool], None]) -> None:
    await _until(simulation, at_us)
    turn(True)
    await _until(simulation, at_us + for_us)
    turn(False)


async def _part(simulation: Simulation, fault: Partition, rng: KeyedRng) -> None:
    side = _side(simulation, fault, rng)
    await _until(simulation, fault.at_us)
    partition = simulation.part([member.name for member in side], one_way=fault.one_way)
    await _until(simulation, fault.at_us + fault.for_us)
    simulation.net.topology.join(partition)


def _side(simulation: Simulation, fault: Partition, rng: KeyedRng) -> list[Member]:
    members = simulation.members
    if fault.share:
        chosen = choose(key_from(rng.child("who")), len(members), round(fault.share * len(members)))
        return [members[at] for at in sorted(chosen)]
    regions = regions_of(simulation.scenario.links).names
    place = simulation.fleet.regions
    return [m for m in members if m.group.name in fault.side or regions[place[m.number]] in fault.side]


async def _churn(simulation: Simulation, fault: Churn, rng: KeyedRng) -> None:
    until_us = simulation.scenario.until_us if fault.until_us is None else fault.until_us
    await _until(simulation, fault.at_us)
    async with trio.open_nursery() as nursery:
        for number in simulation.scenario.members(fault.group):
            member = simulation.members[number]
            nursery.start_soon(_come_and_go, simulation, member, fault, until_us, rng.child(str(number)))


async def _come_and_go(simulation: Simulation, member: Member, fault: Churn, until_us: int, rng: KeyedRng) -> None:
    end_us = simulation.scenario.warmup_us + until_us
    while simulation.now_us < end_us:
        await trio.sleep(fault.session.draw_us(rng) / 1e6)
        if simulation.now_us >= end_us or member.barred:
            continue
        await _stop_and_wait(simulation, [member], silently=False)
        await trio.sleep(fault.rejoin.draw_us(rng) / 1e6)
        if not member.barred:
            simulation.start(member)


async def _crash(simulation: Simulation, fault: Crash, rng: KeyedRng) -> None:
    chosen = _drawn(simulation, fault.group, fault.share, rng)
    await _until(simulation, fault.at_us)
    await _stop_and_wait(simulation, chosen, silently=True)
    for member in chosen:
        member.barred = True
        if fault.lose_disk:
            member.device.lose_disk()
            simulation.record.forget(member.number)
    if fault.for_us is not None:
        await _until(simulation, fault.at_us + fault.for_us)
        for member in chosen:
            member.barred = False
            simulation.start(member)


async def _stop_and_wait(simulation: Simulation, members: Sequence[Member], *, silently: bool) -> None:
    for member in members:
        ended = member.changed
        simulation.stop(member, silently=silently)
        if member.life is not None:
            await ended.wait()


def _fill_disks(members: Sequence[Member]) -> Callable[[bool], None]:
    def turn(full: bool) -> None:  # noqa: FBT001  # on and off
        for member in members:
            member.device.disk_full += 1 if full else -1

    return turn


def _arm(simulation: Simulation, chance: float, points: tuple[str, ...]) -> Callable[[bool], None]:
    def turn(armed: bool) -> None:  # noqa: FBT001  # on and off
        for name in points or (ANY_POINT,):
            if armed:
                simulation.chances[name] = chance
            else:
                simulation.chances.pop(name, None)

    return turn


def _slow_down(members: Sequence[Member], factor: float) -> Callable[[bool], None]:
    def turn(slow: bool) -> None:  # noqa: FBT001  # on and off
        for member in members:
            if slow:
                member.slowed_by.append(factor)
            else:
                member.slowed_by.remove(factor)
            # A processor that is free otherwise has its real cost while it is slow.
            usual = member.group.cpu
            member.device.host.cpu.factor = (usual or 1.0) * prod(member.slowed_by) if member.slowed_by else usual

    return turn
