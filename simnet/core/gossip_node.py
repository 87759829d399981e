"""One node of a gossip run on tier C: a real `GossipRouter`, its connections, and what it sends.

The router's actions are performed at once: an RPC goes to the scheduler as one event per copy, as the object that the
router made, and a message is validated the moment it is asked about.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never, final

from latticework.transport import GossipRouter, PeerId
from latticework.transport.gossip_events import (
    Action,
    ConnectTo,
    Deliver,
    Disconnect,
    Event,
    Published,
    Refused,
    Report,
    RpcReceived,
    SendRpc,
    SetTimer,
    TimerFired,
    TimerKey,
    Validate,
)
from latticework.transport.gossip_rpc import Rpc
from latticework.wire import LocalError

from ..roles.gossip_roles import GossipRole
from .connections import Connections
from .gossip_log import GossipLog
from .links import MessageLinks
from .rpc_size import frame_bytes
from .scheduler import NUMBER_BITS, NUMBER_MASK, BucketScheduler

_HEARTBEAT: Final = TimerFired(TimerKey.HEARTBEAT)

type _Copy = tuple[RpcReceived, bytearray]
"""A message by itself, and the nodes at which one more copy of it changes nothing."""
type _Offer = tuple[RpcReceived, list[bytearray]]
"""An IHAVE by itself, and of each message the nodes at which a copy of it would change nothing."""


@dataclass(slots=True, eq=False)
class Air:
    """What the nodes of a run share. `dial` opens a connection to a named peer."""

    scheduler: BucketScheduler
    links: MessageLinks
    log: GossipLog
    connections: Connections
    dial: Callable[[int, PeerId], None]
    nodes: list["GossipNode"] = field(default_factory=list["GossipNode"])

    def hear(self, now_us: int, target: int, event: RpcReceived) -> None:
        """An RPC arrives at a node."""
        node = self.nodes[target & NUMBER_MASK]
        if self.connections.up[node.number]:
            if isinstance(event.rpc, Rpc):
                self.log.copies[node.number] += len(event.rpc.messages)
            node.handle(event, now_us)

    def hear_copy(self, now_us: int, target: int, copy: _Copy) -> None:
        """A message arrives at a node, by itself; the router is asked unless nothing can come of it."""
        number = target & NUMBER_MASK
        event, settled = copy
        if settled[number]:
            self.log.copies[number] += 1
            return
        node = self.nodes[number]
        if self.connections.up[number]:
            self.log.copies[number] += 1
            node.handle(event, now_us)

    def hear_offer(self, now_us: int, target: int, offer: _Offer) -> None:
        """An IHAVE of a node without a role arrives; it changes nothing where all that it offers is settled.

        The router would count it, against a bound on IHAVE per heartbeat that nodes without a role keep.
        """
        number = target & NUMBER_MASK
        event, offered = offer
        for settled in offered:
            if not settled[number]:
                break
        else:
            return
        node = self.nodes[number]
        if self.connections.up[number]:
            node.handle(event, now_us)


@final
class GossipNode:
    """A node by its number; while it is down it is deaf and mute.

    `links` are its connections, as targets for the scheduler, by `id()` of the other end's peer id, which all routers
    share: hashing a peer id would take three times as long.
    """

    __slots__ = ("_air", "_links", "id", "number", "role", "router", "sent_bytes", "sent_frames")

    def __init__(self, number: int, peer_id: PeerId, router: GossipRouter, air: Air) -> None:
        self.number = number
        self.id = peer_id
        self.router = router
        self.role: GossipRole | None = None
        self.sent_bytes = 0
        self.sent_frames = 0
        self._links = air.connections.links[number]
        self._air = air

    def handle(self, event: Event, now_us: int) -> None:
        """Let something happen to the router, and perform what it leads to."""
        role = self.role
        if role is None:
            actions = self.router.handle(event, now_us)
        else:
            seen = role.incoming(event, now_us)
            if seen is None:
                return
            actions = role.outgoing(self.router.handle(seen, now_us), now_us)
        if actions:
            self.perform(actions, now_us)

    def perform(self, actions: list[Action], now_us: int) -> None:
        """Do what the router wants done.

        Raises:
            LocalError: the run asked the router for what it cannot do.
        """
        log = self._air.log
        for action in actions:
            match action:
                case SendRpc():
                    self._send(action, now_us)
                case Validate():
                    self.handle(log.verdict(action.message_id), now_us)
                case Deliver():
                    log.deliver(action.message_id, self.number, now_us, record=self.role is None)
                    self._settle(action.message_id)
                case SetTimer():
                    self._set_timer(action)
                case Report():
                    log.report(action.reason)
                    log.unsettle(self.number, now_on=True)
                case Disconnect():
                    log.unsettle(self.number, now_on=True)
                    self._air.connections.disconnect(self.number, self._links[id(action.peer)] & NUMBER_MASK)
                case ConnectTo():
                    self._air.dial(self.number, action.record.peer)
                case Published():
                    self._settle(action.message_id)
                case Refused():
                    raise LocalError(f"node {self.number}: {action.reason}")
                case _:
                    assert_never(action)

    def neighbours(self, topic: str) -> list[int]:
        """The numbers of the nodes in its mesh."""
        return [self._links[id(peer)] & NUMBER_MASK for peer in self.router.mesh(topic)]

    def _settle(self, message_id: bytes) -> None:
        if self.role is None:
            self._air.log.settle(message_id, self.number)

    def _set_timer(self, timer: SetTimer) -> None:
        air = self._air
        air.scheduler.post(timer.at_us, self._beat, air.connections.life[self.number], None)

    def _beat(self, now_us: int, life: int, _: None) -> None:
        connections = self._air.connections
        if connections.up[self.number] and life == connections.life[self.number]:
            self.handle(_HEARTBEAT, now_us)

    def _send(self, action: SendRpc, now_us: int) -> None:
        air, rpc, links = self._air, action.rpc, self._links
        try:
            targets = [links[id(peer)] for peer in action.peers]
        except KeyError:  # a role spoke to somebody who has left since
            targets = [links[id(peer)] for peer in action.peers if id(peer) in links]
        count, size = len(targets), frame_bytes(rpc)
        air.log.counters.count(rpc, count)
        self.sent_frames += count
        self.sent_bytes += count * size
        event = RpcReceived(self.id, rpc)
        settled = air.log.settled_of(rpc)
        if not air.connections.quick:
            targets = air.links.on_their_way(self.number, targets, size, now_us)
            if air.links.down:
                targets = self._divert(targets, event, settled, size, now_us)
        if settled is not None:
            air.scheduler.post_each(targets, air.hear_copy, (event, settled))
        elif rpc.ihave and self.role is None and (offered := air.log.offered_in(rpc)):
            air.scheduler.post_each(targets, air.hear_offer, (event, offered))
        else:
            air.scheduler.post_each(targets, air.hear, event)

    def _divert(
        self, targets: list[int], event: RpcReceived, settled: bytearray | None, size: int, now_us: int
    ) -> list[int]:
        """Send copies for nodes that have a downlink there; the others."""
        air, others = self._air, list[int]()
        for target in targets:
            if target & NUMBER_MASK in air.links.down:
                air.scheduler.at(now_us + (target >> NUMBER_BITS), self._pass_down, target, event, settled, size)
            else:
                others.append(target)
        return others

    def _pass_down(self, target: int, event: RpcReceived, settled: bytearray | None, size: int) -> None:
        """A copy is at the downlink of the other end."""
        air = self._air
        through_us = air.links.through_downlink_us(target & NUMBER_MASK, size, air.scheduler.now_us)
        if through_us is not None:
            self._arrive(through_us, target, event, settled)

    def _arrive(self, at_us: int, target: int, event: RpcReceived, settled: bytearray | None) -> None:
        air = self._air
        if settled is None:
            air.scheduler.post(at_us, air.hear, target, event)
        else:
            air.scheduler.post(at_us, air.hear_copy, target, (event, settled))
