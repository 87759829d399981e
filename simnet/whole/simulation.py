"""A run of whole nodes: `node/app.py` unchanged, by the hundred, on virtual time.

`Simulation` is what a script steers: `sim.at`, `sim.when`, `sim.net`, `sim.node(7).crash(lose_disk=True)`. Everything
happens in one trio run that this module owns; loads and faults of the scenario are tasks of it.
"""

import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import trio

from latticework.node.space import Space
from latticework.transport import GossipRouter, Router
from latticework.wire import LocalError, LogId, SpaceId, arming

from ..clock import VirtualClock
from ..collecting import seldom_collecting
from ..crypto import computing, providers
from ..draws import draw, key_from, threshold
from ..guard import guarded
from ..network import SimNetwork
from ..parts import Parts
from ..progress import Progress, ProgressHook
from ..result import Timeline
from ..rng import KeyedRng
from ..scenario import HONEST, Scenario
from ..scheduler import play
from ..topology import Partition
from ..transcript import Transcript
from .fleet import Fleet, Member
from .invariants import Invariants
from .record import Record

_SAMPLE_S: Final = 1.0
ANY_POINT: Final = ""
"""In place of a fault point's name: all that are not named."""

type Script = Callable[["Simulation"], None]


type RouterWrapper = Callable[["Simulation", int, GossipRouter], Router]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run stood at its end: honest nodes that were up, with their state roots; figures of every node."""

    honest: tuple[Member, ...]
    roots: tuple[bytes | None, ...]
    degree: tuple[int, ...]
    duplicates: tuple[int, ...]


@final
class NodeHandle:
    """What a script may do to one node."""

    def __init__(self, simulation: "Simulation", member: Member) -> None:
        self._simulation = simulation
        self.member: Final = member

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.member.node is not None

    def crash(self, *, lose_disk: bool = False) -> None:
        """Stop without a word to anybody; with `lose_disk` also without its entries, as far as `start` is concerned."""
        self._simulation.stop(self.member, silently=True)
        if lose_disk:
            self.member.device.lose_disk()
            self._simulation.record.forget(self.member.number)

    def stop(self) -> None:
        """Stop as `lattice down` does."""
        self._simulation.stop(self.member, silently=False)

    def start(self) -> None:
        """Start again, if it is down, whatever a fault of the scenario took it down for."""
        self.member.barred = False
        self._simulation.start(self.member)


@final
class Simulation:
    """One run, before and while it goes on; made by `run_whole`."""

    def __init__(
        self, scenario: Scenario, seed: int, progress: ProgressHook, wrapper: RouterWrapper | None = None
    ) -> None:
        self.scenario: Final = scenario
        self.clock: Final = VirtualClock()
        self.rng: Final = KeyedRng(seed.to_bytes(8, "big", signed=True), "whole")
        self.transcript: Final = Transcript()
        self.record: Final = Record(self.clock, scenario.node_count, scenario.honest)
        self.timeline: Final = Timeline()
        self._progress = progress
        self.crypto: Final = providers(scenario.crypto)
        observers = [self.record.observer(number) for number in range(scenario.node_count)]
        self._wrapper = wrapper
        self.fleet: Final = Fleet(scenario, self.clock, self.rng, self.crypto, self.transcript, observers, self._wrap)
        self.record.cpus = [member.device.host.cpu for member in self.fleet.members]
        self._seed = seed.to_bytes(8, "big", signed=True)
        self._nursery: trio.Nursery | None = None
        self.counters: Final[Counter[str]] = Counter()
        self._conditions: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self.chances: Final[dict[str, float]] = {}
        """With which chance each fault point fails now, by name."""
        self._asked: Counter[str] = Counter()
        self._point_keys: dict[str, int] = {}
        self.lies_told_us: int | None = None
        """When the first device told two histories of its log."""
        self.liars: Final[dict[LogId, None]] = {}
        """Logs with two histories."""
        self.invariants: Final = Invariants(self.fleet, self.record, self.clock, self.liars, self.chances)
        self.record.watchers.append(self.invariants.admitted)
        self.convicted_us: Final[dict[int, int]] = {}
        """When each honest node was first seen to hold a proof of it."""
        self.ending = Ending((), (), (), ())
        self._running = True

    @property
    def net(self) -> SimNetwork:
        """The network: links, cuts, partitions."""
        return self.fleet.network

    @property
    def space(self) -> SpaceId:
        """The space that all nodes share."""
        return self.fleet.account.space

    @property
    def end_us(self) -> int:
        """When the run ends, in monotonic microseconds."""
        return self.scenario.warmup_us + self.scenario.until_us

    @property
    def now_us(self) -> int:
        """Microseconds since the run began."""
        return self.clock.monotonic_us()

    @property
    def members(self) -> Sequence[Member]:
        """Every device, up or not."""
        return self.fleet.members

    @property
    def honest_up(self) -> list[Member]:
        """Devices that follow the protocol and run now."""
        return [m for m in self.members if m.group.role == HONEST and m.node is not None]

    def node(self, number: int) -> NodeHandle:
        """One node, by its number in the scenario; raises LocalError if there is none."""
        if not 0 <= number < len(self.members):
            raise LocalError(f"there is no node {number}; there are {len(self.members)}")
        return NodeHandle(self, self.members[number])

    def at(self, at_us: int, action: Callable[[], None]) -> None:
        """Do `action` at a time since the start of the run; it must not wait."""
        self.clock.schedule(at_us, action)

    def when(self, condition: Callable[[], bool], action: Callable[[], None]) -> None:
        """Do `action` once, when `condition` first holds; it is looked at every second."""
        self._conditions.append((condition, action))

    def part(self, hosts: Sequence[str], *, one_way: bool = False) -> Partition:
        """Begin a partition of these hosts (`Member.name`) from all others; `net.topology.join` ends it."""
        return self.net.topology.part(hosts, one_way=one_way)

    def play(self, tasks: Sequence[Callable[[], Awaitable[None]]], script: Script | None) -> None:
        """Run to the end; `tasks` are the loads, faults and roles, which may last until they are cancelled."""

        async def main() -> None:
            tasks_before = trio.lowlevel.current_statistics().tasks_living
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for member in self.members:
                    if member.group.joins_at_us == 0:
                        self.start(member)
                    else:
                        member.barred = True
                        self.record.last_down_us[member.number] = 0
                        nursery.start_soon(self._join_later, member)
                for task in tasks:
                    nursery.start_soon(task)
                if script is not None:
                    script(self)
                nursery.start_soon(self._sample)
                await trio.sleep(self.scenario.warmup_us / 1e6)
                # What stands now stands to the end: looking at it again and again is most of the collector's work.
                gc.freeze()
                await trio.sleep_until(self.end_us / 1e6)
                self.ending = self._finish()
                self._running = False
                nursery.cancel_scope.cancel()
            self.invariants.ended(tasks_before, trio.lowlevel.current_statistics().tasks_living)

        try:
            with guarded(), seldom_collecting(), computing(self.scenario.crypto), arming(self._fails):
                play(main, self._seed, self.clock)
        finally:
            gc.unfreeze()

    def _wrap(self, number: int, router: GossipRouter) -> Router:
        self.invariants.routes(number, router)
        return router if self._wrapper is None else self._wrapper(self, number, router)

    def _fails(self, point: str) -> bool:
        """Whether a fault point fails now; the number of a question decides, point by point."""
        chance = self.chances.get(point, self.chances.get(ANY_POINT, 0.0))
        if not chance:
            return False
        self._asked[point] += 1
        key = self._point_keys.get(point) or self._point_keys.setdefault(point, key_from(self.rng.child(point)))
        failed = draw(key, self._asked[point]) < threshold(chance)
        self.counters[f"faults at {point}"] += failed
        return failed

    def start(self, member: Member) -> None:
        """Start a device that is down, or as soon as it is, if it is stopping."""
        member.wanted = True
        if self._nursery is not None and member.life is None:
            member.life = trio.CancelScope()
            self._nursery.start_soon(self._live, member, member.life)

    def stop(self, member: Member, *, silently: bool) -> None:
        """Stop a device; `silently` lets no goodbye through."""
        self.record.last_down_us[member.number] = self.now_us
        member.wanted = False
        if member.life is None:
            return
        if silently:
            self.net.topology.silence(member.name)
        member.life.cancel()

    async def _live(self, member: Member, life: trio.CancelScope) -> None:
        topology = self.net.topology
        if topology.is_silent(member.name) and not life.cancel_called:
            topology.revive(member.name)
        try:
            with life:
                async with member.device.up(member.peers) as node:
                    member.node = node
                    if self.now_us:
                        self.record.last_down_us[member.number] = self.now_us
                    await trio.sleep_forever()
        finally:
            member.node = member.life = None
            if self._running:
                self.record.last_down_us[member.number] = self.now_us
            self.invariants.stopped(member)
            ended, member.changed = member.changed, trio.Event()
            ended.set()
        if member.wanted:
            self.start(member)

    async def _join_later(self, member: Member) -> None:
        await trio.sleep_until((self.scenario.warmup_us + member.group.joins_at_us) / 1e6)
        member.barred = False
        self.start(member)

    async def _sample(self) -> None:
        while True:
            await trio.sleep(_SAMPLE_S)
            self._look()
            for condition, action in list(self._conditions):
                if condition():
                    self._conditions.remove((condition, action))
                    action()

    def _look(self) -> None:
        timeline, delivered = self.timeline, len(self.record.deliveries.node)
        up = sum(member.node is not None for member in self.members)
        honest = self.honest_up
        parts = self._parts(honest)
        self.invariants.look(honest, parts)
        timeline.time_us.append(self.now_us)
        timeline.up.append(up)
        timeline.parts.append(parts.count)
        timeline.delivered.append(delivered)
        if self.lies_told_us is not None:
            for member in honest:
                space = self.space_of(member)
                if space is not None and any(conviction.log in self.liars for conviction in space.convictions):
                    self.convicted_us.setdefault(member.number, self.now_us)
        self._progress(Progress(self.now_us, self.end_us, delivered, up))

    def _parts(self, members: Sequence[Member]) -> Parts:
        """By the links between these devices that something passes now; all of them are up."""
        by_device = {member.node.device: member for member in members if member.node is not None}
        topology = self.net.topology

        def neighbours(number: int) -> Iterator[int]:
            near = self.members[number]
            for device in () if near.node is None else near.node.peers.links:
                far = by_device.get(device)
                if far is not None and topology.passes(near.name, far.name):
                    yield far.number

        return Parts([member.number for member in members], neighbours)

    def space_of(self, member: Member) -> Space | None:
        """The shared space of a node, if it is up and its store is open."""
        return None if member.node is None else member.node.spaces.get(self.space)

    def _finish(self) -> Ending:
        """What can only be seen while the nodes run."""
        self._look()
        self.invariants.bytes_conserved()
        self.record.is_up_at_end[:] = [member.node is not None for member in self.members]
        for member in self.members:
            if member.node is None:
                self.record.last_down_us[member.number] = self.now_us
        spaces = [self.space_of(member) for member in self.honest_up]
        nodes = [member.node for member in self.members]
        return Ending(
            honest=tuple(self.honest_up),
            roots=tuple(None if space is None else space.replica.state_root() for space in spaces),
            degree=tuple(0 if node is None else len(node.peers.links) for node in nodes),
            duplicates=tuple(0 if node is None else node.gossip.router.duplicates for node in nodes),
        )
