"""Kademlia on tier C: the product's own machines, each asking whom it likes.

A message is one event, without connections and what it takes to open them. As on the streams that it stands for, a lost
one arrives late; what is sent to a node that is down or behind a partition is missed when the machine's own time-out
comes. A node joins through its group's dial targets, again after
`REJOIN_US` if none answers, and comes back from an absence with an empty table. Every node serves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never, final

from latticework.discovery import Contact, Found, Got, KadMachine, KadParams, Placed, key_of
from latticework.discovery.kad_events import (
    Action,
    Event,
    FindClosest,
    Join,
    PeerFault,
    Received,
    Refused,
    Send,
    SetTimer,
    TimerFired,
    TimerKey,
)
from latticework.discovery.kad_messages import FindNode, GetValue, Ping, PutValue
from latticework.transport import Multiaddr, PeerId

from ..parts import Parts
from ..result import Deliveries
from ..rng import HashRng, KeyedRng
from ..roles.kad_roles import Liars
from .connections import Connections, Told
from .kad_lookups import Lookups
from .kad_size import message_bytes
from .links import MessageLinks
from .scheduler import NUMBER_BITS, BucketScheduler
from .streams import carry

REJOIN_US: Final = 5_000_000
"""Chosen here, as a node of the other protocols dials again (`stage.REDIAL_US`)."""
_KEY_BYTES: Final = 32
_JOIN: Final = -1
"""The operation that is no lookup of the load's."""


@final
class _Node:
    __slots__ = ("bootstraps", "contact", "due_us", "machine")

    def __init__(self, contact: Contact, machine: KadMachine) -> None:
        self.contact = contact
        self.machine = machine
        self.bootstraps: tuple[Contact, ...] = ()
        self.due_us: dict[TimerKey, int] = {}


@final
class KademliaWorld:
    """`count` nodes that speak Kademlia over `links`; nobody is up at first. Those of `liars` conspire."""

    def __init__(
        self,
        count: int,
        links: MessageLinks,
        rng: KeyedRng,
        params: KadParams | None = None,
        liars: Sequence[int] = (),
    ) -> None:
        self.scheduler: Final = BucketScheduler()
        self.links: Final = links
        self.connections: Final = Connections(self.scheduler, links, range(count), Told(_nothing, _nothing))
        self._rng = rng
        self._params = params or KadParams()
        peers = [PeerId.of_key(rng.child(f"key {number}").random_bytes(_KEY_BYTES)) for number in range(count)]
        self.contacts: Final = [Contact(peer, (Multiaddr.memory(number),)) for number, peer in enumerate(peers)]
        self._numbers = {contact.key: number for number, contact in enumerate(self.contacts)}
        self._nodes = [_Node(contact, self._machine(number, 0)) for number, contact in enumerate(self.contacts)]
        self._lies = bytearray(count)
        for number in liars:
            self._lies[number] = 1
        self._liars = Liars([self.contacts[number] for number in liars], self._params.k)
        self.lookups: Final = Lookups(self.contacts, [not lies for lies in self._lies])
        self._sent_bytes = [0] * count
        self._sent_frames = [0] * count
        self._faults: dict[str, int] = {}

    def _machine(self, number: int, life: int) -> KadMachine:
        rng = HashRng(self._rng.child(f"kademlia {number} {life}").random_bytes(16))
        return KadMachine(self.contacts[number].peer, self._params, rng, {})

    @property
    def deliveries(self) -> Deliveries:
        """Lookups, and which of them found whom they should; a lookup's node is its source."""
        return self.lookups.deliveries

    def start(self, number: int) -> None:
        """The node comes up with an empty table."""
        node, now_us = self._nodes[number], self.scheduler.now_us
        self.connections.start(number)
        self.lookups.came(number, now_us)
        life = self.connections.life[number]
        if life > 1:
            node.machine = self._machine(number, life)
            node.due_us.clear()
        self._perform(number, node.machine.start(now_us), now_us)

    def stop(self, number: int, noticed_us: int = 0) -> None:
        """The node goes down; nobody is told."""
        self.connections.stop(number, noticed_us)
        self.lookups.went(number)

    def join(self, number: int, through: Sequence[int]) -> None:
        """The node enters the network through these others."""
        self._nodes[number].bootstraps = tuple(self.contacts[far] for far in through)
        self._join(number, self.connections.life[number])

    def look_up(self, number: int, name: bytes) -> None:
        """A node looks for who is closest to the key of `name`, 32 bytes."""
        lookup = self.lookups.begin(number, key_of(name), self.scheduler.now_us)
        self._handle(number, FindClosest(lookup, name))

    def _join(self, number: int, life: int) -> None:
        node = self._nodes[number]
        if self.connections.up[number] and self.connections.life[number] == life and node.bootstraps:
            self._handle(number, Join(_JOIN, node.bootstraps))

    def _handle(self, number: int, event: Event) -> None:
        now_us = self.scheduler.now_us
        self._perform(number, self._nodes[number].machine.handle(event, now_us), now_us)

    def _perform(self, number: int, actions: list[Action], now_us: int) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send(number, action, now_us)
                case SetTimer(key, at_us):
                    self._nodes[number].due_us[key] = at_us
                    self.scheduler.post(at_us, self._fire, number, (key, self.connections.life[number]))
                case Found(operation, contacts):
                    if operation != _JOIN:
                        self.lookups.end(action, now_us)
                    elif not contacts:
                        life = self.connections.life[number]
                        self.scheduler.at(now_us + REJOIN_US, self._join, number, life)
                case Refused(operation):
                    self.lookups.fail(operation)
                case PeerFault(_, reason):
                    name = f"fault_{reason.name.lower()}"
                    self._faults[name] = self._faults.get(name, 0) + 1
                case Got() | Placed():
                    pass  # no load asks for records
                case _:
                    assert_never(action)

    def _fire(self, now_us: int, number: int, timer: tuple[TimerKey, int]) -> None:
        key, life = timer
        connections = self.connections
        due_us = self._nodes[number].due_us.get(key)
        if due_us is not None and due_us <= now_us and connections.up[number] and connections.life[number] == life:
            self._handle(number, TimerFired(key))

    # Messages

    def _send(self, number: int, action: Send, now_us: int) -> None:
        far = self._numbers[action.to.key]
        size = message_bytes(action.message)
        self._sent_bytes[number] += size
        self._sent_frames[number] += 1
        event = Received(self.contacts[number], action.request, action.message)
        links = self.links
        if self.connections.quick:
            self.scheduler.post(now_us + links.latency_us(number, far), self._hear, far, event)
        elif links.reachable(number, far):
            carry(self.scheduler, links, (number, far), size, self._hear, far, event)
        else:
            links.counters.cut += 1

    def _hear(self, now_us: int, number: int, event: Received) -> None:
        if not self.connections.up[number]:
            return
        request = event.message
        if self._lies[number] and isinstance(request, FindNode | GetValue | PutValue | Ping):
            self._send(number, Send(event.sender, event.request, self._liars.answer(request)), now_us)
        else:
            self._perform(number, self._nodes[number].machine.handle(event, now_us), now_us)

    # What can be asked

    def parts(self, among: Sequence[int]) -> int:
        """Into how many parts these nodes fall, each joined to whom it heard from last in each bucket."""
        return Parts(among, self._newest).count

    def _newest(self, number: int) -> Iterator[int]:
        table = self._nodes[number].machine.table
        for bucket in range(NUMBER_BITS):  # deeper ones are empty among so many nodes
            for contact in reversed(table.bucket(bucket)):
                far = self._numbers[contact.key]
                if self.connections.up[far]:
                    yield far
                    break

    def duplicates(self, number: int) -> int:  # noqa: ARG002 - of this protocol nobody has any
        """None."""
        return 0

    def sent(self, number: int) -> tuple[int, int]:
        """Bytes and messages that the node sent."""
        return self._sent_bytes[number], self._sent_frames[number]

    def broken(self, among: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Buckets of at most k, of others."""
        for number in among:
            table = self._nodes[number].machine.table
            if table.find(self.contacts[number].key) is not None:
                yield "views", f"node {number} has itself in its table"
            for index in range(NUMBER_BITS):
                if (used := len(table.bucket(index))) > self._params.k:
                    yield "bounds", f"node {number}: {used} contacts in a bucket, at most {self._params.k}"

    def counters(self) -> Mapping[str, int]:
        """Of lookups and messages; `contacts` are in the tables of nodes that are up."""
        up = self.connections.up
        contacts = sum(len(node.machine.table) for number, node in enumerate(self._nodes) if up[number])
        messages = sum(self._sent_frames)
        return {
            **self.lookups.figures(),
            "messages": messages,
            "contacts": contacts,
            **dict(sorted(self._faults.items())),
        }


def _nothing(*_: int) -> None:
    """There are no connections."""
