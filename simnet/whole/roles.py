"""Who does not follow the protocol in a run of whole nodes, and what each role does there.

Roles of gossip (`roles.gossip_roles`) are hooks around the router of an unchanged node, the same as on tier C. The
equivocator and slow-loris act beside a node; a clock liar is a node whose clock is wrong.
"""

from collections.abc import Mapping
from typing import Final, final

import trio

from latticework.node.spread import topic_of
from latticework.transport import GossipRouter, PeerId
from latticework.transport.gossip_events import Action, Event, RpcReceived, TimerFired
from latticework.transport.gossip_message import Message, author_and_seqno
from latticework.transport.gossip_params import SEQNO_BYTES, GossipBounds
from latticework.transport.gossip_rpc import decode_rpc
from latticework.wire import LocalError, MalformedError, Rng

from ..roles.gossip_roles import GOSSIP_ROLES, GossipRole
from ..scenario import HONEST, Group, Scenario
from .fleet import CLOCK_LIAR, Member
from .liar import equivocate
from .loris import creep
from .simulation import Simulation

_BESIDE: Final = {"equivocator": equivocate, "slow-loris": creep}
_FORGERS: Final = frozenset({"spammer", "px-poisoner"})
ROLES: Final = tuple(sorted([HONEST, CLOCK_LIAR, *_BESIDE, *GOSSIP_ROLES]))


def check_roles(scenario: Scenario) -> None:
    """Raises LocalError for a role that tier F has not, or that the scenario's crypto mode cannot carry."""
    for group in scenario.groups:
        if group.role not in ROLES:
            raise LocalError(f"there is no role {group.role!r} on tier F; there is: {', '.join(ROLES)}")
        if group.role in _FORGERS and scenario.crypto == "model":
            raise LocalError(f"role {group.role!r} forges, and crypto 'model' would not notice: use memo or real")


async def play_role(simulation: Simulation, group: Group) -> None:
    """Do what the nodes of a group do beside running, for the whole run."""
    play = _BESIDE.get(group.role)
    if play is None:
        return
    async with trio.open_nursery() as nursery:
        for number in simulation.scenario.members(group.name):
            nursery.start_soon(play, simulation, simulation.members[number])


@final
class RoleRouter:
    """A router with a role's hooks around it; the role's second is the router's heartbeat."""

    def __init__(self, inner: GossipRouter, world: "RoleWorld", role: GossipRole) -> None:
        self._inner = inner
        self._world = world
        self._role = role
        world.router = inner

    @property
    def subscriptions(self) -> tuple[str, ...]:
        return self._inner.subscriptions

    def mesh(self, topic: str) -> tuple[PeerId, ...]:
        return self._inner.mesh(topic)

    def subscribers(self, topic: str) -> tuple[PeerId, ...]:
        return self._inner.subscribers(topic)

    def score(self, peer_id: PeerId) -> float | None:
        return self._inner.score(peer_id)

    @property
    def duplicates(self) -> int:
        return self._inner.duplicates

    def start(self, now_us: int) -> list[Action]:
        """The node came up."""
        self._role.start(now_us)
        return self._role.outgoing(self._inner.start(now_us), now_us)

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """What the role makes of the event, and of what the router makes of it."""
        seen = self._role.incoming(_typed(event), now_us)
        actions = [] if seen is None else self._inner.handle(seen, now_us)
        actions = self._role.outgoing(actions, now_us)
        if isinstance(event, TimerFired):
            actions = actions + self._role.tick(now_us)
        return actions + self._world.take_due(now_us)


def _typed(event: Event) -> Event:
    """An RPC as an object, which is what roles read; what cannot be read is the router's to judge."""
    if isinstance(event, RpcReceived) and isinstance(event.rpc, bytes):
        try:
            return RpcReceived(event.peer, decode_rpc(event.rpc, GossipBounds()))
        except MalformedError:
            return event
    return event


@final
class RoleWorld:
    """What a role of gossip sees of a run of whole nodes (`gossip_roles.Surroundings`)."""

    def __init__(self, simulation: Simulation, member: Member, rng: Rng) -> None:
        self._simulation = simulation
        self._member = member
        self._later: list[tuple[int, list[Action]]] = []
        self.topic = topic_of(simulation.space)
        self.rng = rng
        self.router: GossipRouter | None = None

    def connected(self) -> tuple[PeerId, ...]:
        """Everybody in the topic that the router knows."""
        return () if self.router is None else self.router.subscribers(self.topic)

    def mesh(self) -> tuple[PeerId, ...]:
        """Whom the router forwards to."""
        return () if self.router is None else self.router.mesh(self.topic)

    def members(self, group: str) -> tuple[PeerId, ...]:
        """The nodes of a group that are up."""
        scenario, members = self._simulation.scenario, self._simulation.members
        nodes = [members[number].node for number in scenario.members(group)]
        return tuple(PeerId.of_key(node.transport_key) for node in nodes if node is not None)

    def dial(self, peer: PeerId) -> None:
        """Open a connection, if there is none."""
        own = self._member.node
        for member in self._simulation.members:
            node = member.node
            if own is not None and node is not None and PeerId.of_key(node.transport_key) == peer:
                own.peers.dialler.keep(node.peers.listening[0], "static")

    def message_id(self, message: Message) -> bytes:
        """Author and sequence number, as whole nodes count messages."""
        return author_and_seqno(message)

    def source_of(self, message_id: bytes) -> PeerId | None:
        """Who published a message: its id says."""
        return PeerId(message_id[:-SEQNO_BYTES]) if len(message_id) > SEQNO_BYTES else None

    def perform_later(self, actions: list[Action], at_us: int) -> None:
        """Perform actions with the first event at or after `at_us`; heartbeats come every second."""
        self._later.append((at_us, actions))

    def take_due(self, now_us: int) -> list[Action]:
        """What is to be performed by now."""
        due = [action for at_us, actions in self._later if at_us <= now_us for action in actions]
        self._later = [(at_us, actions) for at_us, actions in self._later if at_us > now_us]
        return due


def wrapped(simulation: Simulation, member: Member, inner: GossipRouter) -> GossipRouter | RoleRouter:
    """The router of a node, with its role around it if that is one of gossip."""
    kind = GOSSIP_ROLES.get(member.group.role)
    if kind is None:
        return inner
    world = RoleWorld(simulation, member, simulation.rng.child(f"role {member.number}"))
    options: Mapping[str, str | int | float] = dict(member.group.options)
    return RoleRouter(inner, world, kind.make(world, options))
