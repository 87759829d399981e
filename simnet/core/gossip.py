"""Gossipsub on tier C: thousands of the product's own routers, called directly by the scheduler.

What is not here is what a whole node adds: codec, handshake, streams and stores. RPCs are handed over as objects and
charged for by the size of their encoding; connections take one round trip; signatures are replaced by knowing what was
published (`gossip_log`). Memory is what bounds the number of nodes: a router costs its peers (measured in
`bench/simnet.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, final

from latticework.transport import GossipParams, GossipRouter, PeerId
from latticework.transport.gossip_events import (
    Action,
    PeerConnected,
    PeerDisconnected,
    Publish,
    SetTimer,
    Subscribe,
)
from latticework.transport.gossip_message import Message
from latticework.wire import Rng

from ..parts import Parts
from ..result import Deliveries
from ..rng import HashRng, KeyedRng
from ..roles.gossip_roles import Options, RoleKind
from .connections import Connections, Told
from .gossip_log import GossipLog
from .gossip_node import Air, GossipNode
from .links import MessageLinks
from .scheduler import BucketScheduler

TOPIC: Final = "simnet"
_KEY_BYTES: Final = 32
_TICK_US: Final = 1_000_000


@final
class GossipWorld:
    """`count` nodes that speak gossipsub over `links`, all subscribed to one topic; nobody is up at first.

    `protocol` is one of `MESHSUB_PROTOCOLS`. With `first_beats_us`, first heartbeats come within so long after
    `heartbeat_initial_us` instead of within a whole beat. Without `shortcut`, routers are asked about copies that
    change nothing, too (`GossipLog.settled_of`).
    """

    def __init__(
        self,
        count: int,
        links: MessageLinks,
        params: GossipParams,
        protocol: str,
        rng: KeyedRng,
        *,
        first_beats_us: int | None = None,
        shortcut: bool = True,
    ) -> None:
        watched = params.score.of_topic(TOPIC)
        exact = watched is None or not watched.watches_mesh
        self.scheduler: Final = BucketScheduler()
        self.links: Final = links
        self.log: Final = GossipLog(count, shortcut=shortcut and exact)
        self._params = params
        self._protocol = protocol
        self._rng = rng
        self._first_beats_us = first_beats_us
        ids = [PeerId.of_key(rng.child(f"key {number}").random_bytes(_KEY_BYTES)) for number in range(count)]
        told = Told(self._connected, self._disconnected)
        self.connections: Final = Connections(self.scheduler, links, [id(peer) for peer in ids], told)
        self._air = Air(self.scheduler, links, self.log, self.connections, self._dial_peer)
        self.nodes: Final = self._air.nodes
        self.nodes.extend(
            GossipNode(number, peer, self._router(peer, number, 1), self._air) for number, peer in enumerate(ids)
        )
        self._numbers: Final = {peer: number for number, peer in enumerate(ids)}

    def _router(self, peer_id: PeerId, number: int, life: int) -> GossipRouter:
        rng = HashRng(self._rng.child(f"router {number} {life}").random_bytes(16))
        return GossipRouter(peer_id, self._params, rng, None, first_seqno=0, message_id=self.log.id_of)

    @property
    def deliveries(self) -> Deliveries:
        """Messages, and who got them when; those of nodes with a role are left out."""
        return self.log.deliveries

    def start(self, number: int) -> None:
        """The node comes up, with a router that knows nobody."""
        node, now_us = self.nodes[number], self.scheduler.now_us
        self.connections.start(number)
        life = self.connections.life[number]
        if life > 1:
            node.router = self._router(node.id, number, life)
        actions = node.router.start(now_us)
        node.perform(
            [self._moved(action, now_us) if isinstance(action, SetTimer) else action for action in actions], now_us
        )
        if node.role is not None:
            node.role.start(now_us)
        node.handle(Subscribe(TOPIC), now_us)
        self._tick(number, life)

    def _moved(self, timer: SetTimer, now_us: int) -> SetTimer:
        if self._first_beats_us is None:
            return timer
        first_us = now_us + self._params.heartbeat_initial_us
        late_us = (timer.at_us - first_us) * self._first_beats_us // self._params.heartbeat_us
        return SetTimer(timer.key, first_us + late_us)

    def stop(self, number: int, noticed_us: int = 0) -> None:
        """The node goes down; the others notice so long after the word would have reached them."""
        self.log.unsettle(number, now_on=False)
        self.connections.stop(number, noticed_us)

    def publish(self, number: int, size_bytes: int) -> None:
        """A node sends a new message; to how many others at once is its router's business."""
        node, now_us, bounds = self.nodes[number], self.scheduler.now_us, self._params.bounds
        data = self.log.publish(number, size_bytes, now_us)
        node.handle(Publish(TOPIC, data), now_us)
        self.scheduler.at(now_us + bounds.seen_ttl_us, self.log.forget, data)
        if self.log.remembered >= bounds.max_seen:
            for other in self.nodes:
                self.log.unsettle(other.number, now_on=True)

    def _connected(self, number: int, far: int, outbound: bool) -> None:  # noqa: FBT001 - as `Told` says
        event = PeerConnected(self.nodes[far].id, self._protocol, outbound)
        self.nodes[number].handle(event, self.scheduler.now_us)

    def _disconnected(self, number: int, gone: int) -> None:
        self.nodes[number].handle(PeerDisconnected(self.nodes[gone].id), self.scheduler.now_us)

    def _dial_peer(self, near: int, peer: PeerId) -> None:
        far = self._numbers.get(peer)
        if far is not None:
            self.connections.dial(near, far)

    # Roles

    def assign(self, number: int, kind: RoleKind, options: Options, members: Callable[[str], Sequence[int]]) -> None:
        """Give a node a role, before it starts; `members` are the numbers of a group's nodes."""
        self.nodes[number].role = kind.make(_Around(self, number, self._rng.child(f"role {number}"), members), options)

    def _tick(self, number: int, life: int) -> None:
        node, connections, now_us = self.nodes[number], self.connections, self.scheduler.now_us
        if node.role is not None and connections.up[number] and connections.life[number] == life:
            node.perform(node.role.tick(now_us), now_us)
            self.scheduler.at(now_us + _TICK_US, self._tick, number, life)

    # What can be asked

    def number_of(self, peer: PeerId) -> int | None:
        """The number of the node of that name."""
        return self._numbers.get(peer)

    def parts(self, among: Sequence[int]) -> int:
        """Into how many parts the mesh of these nodes falls."""
        return Parts(among, lambda number: self.nodes[number].neighbours(TOPIC)).count

    def duplicates(self, number: int) -> int:
        """Copies of messages that came to the node beside the first ones."""
        return self.log.copies[number] - self.log.firsts[number]

    def sent(self, number: int) -> tuple[int, int]:
        """Bytes and RPCs that the node sent."""
        return self.nodes[number].sent_bytes, self.nodes[number].sent_frames

    def broken(self, among: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Deliveries, tables and meshes."""
        if self.log.redelivered and max(self.connections.life) == 1:
            yield "once", f"{self.log.redelivered} messages were delivered twice"
        for number in among:
            router = self.nodes[number].router
            for table in router.tables:
                if table.used > table.most:
                    yield "bounds", f"node {number}: {table.used} {table.name}, at most {table.most}"
            mesh = router.mesh(TOPIC)
            if mesh and (router.own in mesh or not frozenset(router.subscribers(TOPIC)).issuperset(mesh)):
                yield "views", f"node {number} has a mesh of others than its subscribed neighbours"

    def counters(self) -> Mapping[str, int]:
        """Figures by name."""
        return self.log.figures()


@final
class _Around:
    """A role's `Surroundings`."""

    def __init__(self, world: GossipWorld, number: int, rng: Rng, members: Callable[[str], Sequence[int]]) -> None:
        self._world = world
        self._node = world.nodes[number]
        self._members = members
        self.rng = rng
        self.topic = TOPIC

    def connected(self) -> tuple[PeerId, ...]:
        return tuple(self._world.nodes[far].id for far in self._world.connections.neighbours(self._node.number))

    def mesh(self) -> tuple[PeerId, ...]:
        return self._node.router.mesh(TOPIC)

    def members(self, group: str) -> tuple[PeerId, ...]:
        return tuple(self._world.nodes[number].id for number in self._members(group))

    def dial(self, peer: PeerId) -> None:
        far = self._world.number_of(peer)
        if far is not None:
            self._world.connections.dial(self._node.number, far)

    def message_id(self, message: Message) -> bytes:
        return self._world.log.id_of(message)

    def source_of(self, message_id: bytes) -> PeerId | None:
        source = self._world.log.source_of(message_id)
        return None if source is None else self._world.nodes[source].id

    def perform_later(self, actions: list[Action], at_us: int) -> None:
        life = self._world.connections.life[self._node.number]
        self._world.scheduler.at(at_us, self._perform, actions, life)

    def _perform(self, actions: list[Action], life: int) -> None:
        connections, number = self._world.connections, self._node.number
        if connections.up[number] and connections.life[number] == life:
            self._node.perform(actions, self._world.scheduler.now_us)
