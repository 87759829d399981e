"""The nodes of a scenario on tier C, as they come and go: who starts when, whom each dials, who goes down."""

from array import array
from collections.abc import Sequence
from typing import Final, final

from latticework.discovery import KadParams
from latticework.wire import LocalError

from ..dialling import dials
from ..draws import choose, key_from
from ..rng import KeyedRng
from ..roles.gossip_roles import gossip_role
from ..roles.kad_roles import KAD_LIAR
from ..scenario import HONEST, Group, Scenario
from ..workload import Workload
from .flood import FloodWorld, connect_all
from .gossip import GossipWorld
from .kademlia import KademliaWorld
from .links import MessageLinks
from .mesh import gossip_params, protocol_of
from .sync import SyncWorld
from .world import Spreading

REDIAL_US: Final = 5_000_000
"""How long a node waits before it replaces a connection that it had dialled and lost; chosen here."""
CRASH_NOTICED_US: Final = 25_000_000
"""yamux: a ping after 15 s of silence, and 10 s for its answer (`transport.params`)."""
_SILENT: Final = "silent"
_ROLES: Final = {"flood": (HONEST, _SILENT), "sync": (HONEST,), "kademlia": (HONEST, KAD_LIAR)}
"""Of protocols without roles of gossip."""
_AS_ON_TIER_F: Final = 1024
"""The most nodes that tier F can have."""


@final
class Stage:
    """A scenario's world with its nodes; times of the scenario count from the end of the warm-up.

    Raises:
        LocalError: tier C has not what a group asks for, or the workload is of another size.
    """

    def __init__(self, scenario: Scenario, rng: KeyedRng, workload: Workload | None) -> None:
        count = scenario.node_count
        if workload is not None and workload.node_count != count:
            raise LocalError(f"the workload is of {workload.node_count} nodes, scenario {scenario.name!r} of {count}")
        if workload is not None and scenario.protocol == "kademlia":
            raise LocalError(f"scenario {scenario.name!r}: a workload is of messages, and kademlia sends none")
        self.scenario: Final = scenario
        self.rng: Final = rng
        self.groups: Final = [group for group in scenario.groups for _ in range(group.count)]
        for group in scenario.groups:
            _check_group(group, scenario.protocol)
        links = MessageLinks(scenario.links, self.groups, rng.child("links"), workload)
        self.world: Final[Spreading | KademliaWorld] = self._world(links)
        self.last_down_us: Final = array("q", [-1]) * count
        """When each node was last not up; -1 for one that always was."""
        self.lost_us: Final[dict[int, int]] = {}
        """When nodes lost their disks, the last time."""
        self._workload = workload
        self._dials = [()] * count if workload is not None else _dials(scenario, rng.child("dials"))
        self._redials = [0] * count

    @property
    def now_us(self) -> int:
        """Virtual time since the start of the run."""
        return self.world.scheduler.now_us

    @property
    def up_count(self) -> int:
        """Nodes that are up."""
        return sum(self.world.connections.up)

    def _world(self, links: MessageLinks) -> Spreading | KademliaWorld:
        match self.scenario.protocol:
            case "flood":
                return self._flood(links)
            case "sync":
                return SyncWorld(len(self.groups), links, self.rng.child("sync"))
            case "kademlia":
                table = self.scenario.kademlia
                params = KadParams(k=table.k, alpha=table.alpha, paths=table.paths)
                rng = self.rng.child("kademlia")
                return KademliaWorld(len(self.groups), links, rng, params, liars=self._with(KAD_LIAR))
            case _:
                return self._gossip(links)

    def _with(self, role: str) -> list[int]:
        return [number for number, group in enumerate(self.groups) if group.role == role]

    def _gossip(self, links: MessageLinks) -> GossipWorld:
        mesh = self.scenario.mesh
        rng = self.rng.child("gossip")
        world = GossipWorld(len(self.groups), links, gossip_params(mesh), protocol_of(mesh), rng)
        for number, group in enumerate(self.groups):
            options = dict(group.options)
            kind = gossip_role(group.role, options, "C")
            if kind is not None:
                world.assign(number, kind, options, self.scenario.members)
        return world

    def _flood(self, links: MessageLinks) -> FloodWorld:
        return FloodWorld(len(self.groups), links, self._with(_SILENT))

    def open(self) -> None:
        """Let the nodes come up that are there from the start, and arrange for the others."""
        for number, group in enumerate(self.groups):
            if group.joins_at_us:
                self.world.scheduler.at(self.scenario.warmup_us + group.joins_at_us, self.start, number)
            else:
                self.world.start(number)
        self.world.connections.lost = self._lost
        for number, group in enumerate(self.groups):
            if not group.joins_at_us:
                self._dial(number)
        if self._workload is not None:
            connect_all(self.world.connections, self._workload)

    def start(self, number: int) -> None:
        """A node comes up; nothing happens if it is up."""
        if not self.world.connections.up[number]:
            self.last_down_us[number] = self.now_us
            self.world.start(number)
            self._dial(number)

    def stop(self, number: int, noticed_us: int = 0) -> None:
        """A node goes down; nothing happens if it is down."""
        if self.world.connections.up[number]:
            self.world.stop(number, noticed_us)

    def lose_disk(self, number: int) -> None:
        """A node that is down comes back with nothing; only the protocol `sync` has something to lose."""
        self.lost_us[number] = self.now_us
        if isinstance(self.world, SyncWorld):
            self.world.lose_disk(number)

    def _dial(self, number: int) -> None:
        if isinstance(self.world, KademliaWorld):
            self.world.join(number, self._dials[number])
            return
        for far in self._dials[number]:
            self.world.connections.dial(number, far)
        if self._workload is not None and self.now_us:
            for far, _ in self._workload.links[number]:
                self.world.connections.dial(number, far)

    def _lost(self, number: int) -> None:
        if self._workload is None:
            life = self.world.connections.life[number]
            self.world.scheduler.at(self.now_us + REDIAL_US, self._redial, number, life)

    def _redial(self, number: int, life: int) -> None:
        """One more connection, to somebody drawn anew."""
        connections, group = self.world.connections, self.groups[number]
        if not connections.up[number] or connections.life[number] != life:
            return
        if len(connections.dialled[number]) >= group.dial:
            return
        targets = self.targets(group)
        own = tuple(targets.index(far) for far in (number, *connections.neighbours(number)) if far in targets)
        self._redials[number] += 1
        key = key_from(self.rng.child(f"redial {number} {self._redials[number]}"))
        for at in choose(key, len(targets), 1, own):
            connections.dial(number, targets[at])

    def targets(self, group: Group) -> Sequence[int]:
        """Whom a group may dial."""
        if not group.dial_to:
            return range(len(self.groups))
        return [number for name in group.dial_to for number in self.scenario.members(name)]


def _dials(scenario: Scenario, rng: KeyedRng) -> list[tuple[int, ...]]:
    """Whom each node dials: as on tier F, up to as many nodes; beyond, comparing all pairs takes minutes."""
    if scenario.node_count <= _AS_ON_TIER_F:
        return dials(scenario, rng)
    found: list[tuple[int, ...]] = []
    every = tuple(group.name for group in scenario.groups)
    for group in scenario.groups:
        targets = [number for name in group.dial_to or every for number in scenario.members(name)]
        place = {number: at for at, number in enumerate(targets)}
        for number in scenario.members(group.name):
            own = (place[number],) if number in place else ()
            key = key_from(rng.child(f"dials of {number}"))
            found.append(tuple(targets[at] for at in choose(key, len(targets), group.dial, own)))
    return found


def _check_group(group: Group, protocol: str) -> None:
    if group.nat != "open":
        raise LocalError(f"group {group.name!r}: nat {group.nat!r} is for tier F")
    if protocol == "gossip":
        gossip_role(group.role, dict(group.options), "C")
        return
    roles = _ROLES[protocol]
    if group.role not in roles:
        known = " and ".join(roles)
        raise LocalError(f"group {group.name!r}: {protocol} has {known} nodes only, not {group.role!r}")
    if group.options:
        raise LocalError(f"group {group.name!r}: role {group.role!r} has no option {group.options[0][0]!r}")
