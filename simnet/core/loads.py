"""What nodes of tier C are given to do: messages to send, or keys to look up. What is drawn is drawn as on tier F."""

from collections.abc import Iterator
from functools import partial
from typing import Final, assert_never

from latticework.wire import LocalError

from ..draws import choose, key_from
from ..scenario import Load, Lookup, Publish, ShareFile
from ..workload import Workload
from .kademlia import KademliaWorld
from .stage import Stage
from .world import Spreading

_SECOND_US: Final = 1_000_000
_GOSSIP_BYTES: Final = 8
"""A gossip message is known by a number in its data."""
_NAME_BYTES: Final = 32


def schedule_loads(stage: Stage, workload: Workload | None) -> None:
    """Arrange for everything that a workload, or else the scenario, wants done.

    Raises:
        LocalError: the protocol, or tier C, has no such load.
    """
    scheduler, warmup_us = stage.world.scheduler, stage.scenario.warmup_us
    if workload is not None and not isinstance(stage.world, KademliaWorld):
        for source, at_us in workload.messages:
            scheduler.at(warmup_us + at_us, _publish, stage, stage.world, source, _GOSSIP_BYTES)
        return
    for number, load in enumerate(stage.scenario.load):
        _schedule(stage, load, number)


def _schedule(stage: Stage, load: Load, number: int) -> None:
    scenario, world = stage.scenario, stage.world
    match load:
        case Publish():
            if isinstance(world, KademliaWorld):
                raise LocalError(f"scenario {scenario.name!r}: kademlia sends no messages; its load is of kind lookup")
            publish = partial(_publish, stage, world, size_bytes=max(load.size_bytes, _GOSSIP_BYTES))
            for at_us, source, _ in _turns(stage, load, number):
                world.scheduler.at(at_us, publish, source)
        case Lookup():
            if not isinstance(world, KademliaWorld):
                raise LocalError(f"scenario {scenario.name!r}: load Lookup is for protocol kademlia")
            for at_us, source, turn in _turns(stage, load, number):
                world.scheduler.at(at_us, _look_up, stage, world, source, f"lookup {number} {turn}")
        case ShareFile():
            raise LocalError(f"scenario {scenario.name!r}: ShareFile is for tier F: tier C sends messages")
        case _:
            assert_never(load)


def _turns(stage: Stage, load: Publish | Lookup, number: int) -> Iterator[tuple[int, int, int]]:
    """When whose turn it is, and the how manieth that is."""
    scenario = stage.scenario
    members = scenario.members(load.source)
    wanted = min(load.sources or len(members), len(members))
    key = key_from(stage.rng.child(f"sources of load {number}"))
    sources = [members[at] for at in choose(key, len(members), wanted)]
    until_us = scenario.until_us if load.until_us is None else min(load.until_us, scenario.until_us)
    count = 0
    while (at_us := load.from_us + round(count * _SECOND_US / load.rate_per_s)) < until_us:
        yield scenario.warmup_us + at_us, sources[count % len(sources)], count
        count += 1


def _publish(stage: Stage, world: Spreading, source: int, size_bytes: int) -> None:
    """A source that is down says nothing."""
    if stage.world.connections.up[source]:
        world.publish(source, size_bytes)


def _look_up(stage: Stage, world: KademliaWorld, source: int, name: str) -> None:
    """A source that is down looks for nobody."""
    if world.connections.up[source]:
        world.look_up(source, stage.rng.child(name).random_bytes(_NAME_BYTES))
