"""Made-up Kademlia peers: one machine whose peers are the test, and whole networks in virtual time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from itertools import count

from latticework.discovery import Contact, KadMachine, KadParams, RoutingTable, key_of
from latticework.discovery.kad_contact import shared_prefix
from latticework.discovery.kad_events import (
    Action,
    Event,
    Join,
    KadReason,
    PeerFault,
    Received,
    Send,
    SendFailed,
    SetTimer,
    TimerFired,
    TimerKey,
)
from latticework.discovery.kad_messages import Answer, Message, Nodes, Pong, PutResult, Request, Value
from latticework.simnet import KeyedRng
from latticework.transport import Multiaddr, PeerId

SECOND = 1_000_000
HOUR = 3600 * SECOND
SMALL = KadParams(k=4, alpha=2, replacements=3, max_misses=3)
KEY = b"/test/key"


@cache
def contact(number: int, address: int | None = None) -> Contact:
    """A peer, and the place it is at unless another one is given."""
    return Contact(
        PeerId(b"\x12\x20" + number.to_bytes(32)), (Multiaddr.memory(number if address is None else address),)
    )


US = contact(0)


def in_bucket(bucket: int, how_many: int, own: Contact = US) -> list[Contact]:
    """Peers that share exactly `bucket` bits with `own`."""
    found: list[Contact] = []
    numbers = count(1)
    while len(found) < how_many:
        peer = contact(next(numbers))
        if shared_prefix(own.key, peer.key) == bucket:
            found.append(peer)
    return found


def nearest(contacts: Sequence[Contact], target: int, how_many: int) -> list[Contact]:
    return sorted(contacts, key=lambda peer: peer.key ^ target)[:how_many]


class Numbered:
    """Values are decimal numbers, and the highest is the best."""

    def validate(self, key: bytes, value: bytes) -> bool:
        return value.isdigit()

    def select(self, key: bytes, values: Sequence[bytes]) -> int:
        return max(range(len(values)), key=lambda place: int(values[place]))


VALIDATORS = {"test": Numbered()}


def sends(actions: Sequence[Action]) -> list[Send]:
    return [action for action in actions if isinstance(action, Send)]


def faults(actions: Sequence[Action]) -> list[KadReason]:
    return [action.reason for action in actions if isinstance(action, PeerFault)]


@dataclass
class Solo:
    """A machine whose peers are the test."""

    params: KadParams = SMALL
    known: Sequence[Contact] = ()
    now_us: int = 100 * SECOND

    def __post_init__(self) -> None:
        table = RoutingTable(US.key, self.params)
        for peer in self.known:
            table.seen(peer, self.now_us)
        self.machine = KadMachine(US.peer, self.params, KeyedRng(b"solo"), VALIDATORS, table)
        self.machine.start(self.now_us)

    def tell(self, event: Event) -> list[Action]:
        return self.machine.handle(event, self.now_us)

    def hear(self, sender: Contact, request: int, message: Message, *, serves: bool = True) -> list[Action]:
        return self.tell(Received(sender, request, message, serves))

    def fire(self, key: TimerKey, after_us: int = 0) -> list[Action]:
        self.now_us += after_us
        return self.tell(TimerFired(key))


type Outlaw = Callable[[Contact, Request], Answer | None]
"""What a member that is not honest says to an asker; None is silence."""


@dataclass
class World:
    """Nodes by number; a message takes 10 to 60 ms, by pair. Nobody hears from `silent` ones."""

    size: int
    params: KadParams = SMALL
    seed: bytes = b"world"
    outlaws: dict[int, Outlaw] = field(default_factory=dict[int, Outlaw])
    silent: set[int] = field(default_factory=set[int])
    now_us: int = 0

    def __post_init__(self) -> None:
        self.rng = KeyedRng(self.seed)
        self.contacts = [contact(number) for number in range(self.size)]
        self.numbers = {peer.peer: number for number, peer in enumerate(self.contacts)}
        self.machines = [KadMachine(peer.peer, self.params, self.rng, VALIDATORS) for peer in self.contacts]
        self.results: list[tuple[int, Action]] = []
        self.timers: dict[tuple[int, TimerKey], int] = {}
        self.queue: list[tuple[int, int, int, Event]] = []
        self.order = count()
        for number, machine in enumerate(self.machines):
            self.perform(number, machine.start(0))

    def join_all(self) -> None:
        """One after the other, each through the first."""
        for number in range(1, self.size):
            self.tell(number, Join(number, (self.contacts[0],)))
            self.run(2 * SECOND)
        self.results.clear()

    def tell(self, number: int, event: Event) -> None:
        self.perform(number, self.machines[number].handle(event, self.now_us))

    def ask(self, number: int, event: Event, seconds: int = 60) -> Action:
        """The one result of an operation."""
        self.results.clear()
        self.tell(number, event)
        self.run(seconds * SECOND)
        (result,) = [result for who, result in self.results if who == number and not isinstance(result, PeerFault)]
        return result

    def perform(self, number: int, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send(to, request, message):
                    self.carry(number, self.numbers.get(to.peer), request, message)
                case SetTimer(key, at_us):
                    self.timers[number, key] = at_us
                    self.push(at_us, number, TimerFired(key))
                case _:
                    self.results.append((number, action))

    def carry(self, near: int, far: int | None, request: int, message: Message) -> None:
        delay_us = 10_000 + 1000 * ((near * 7 + (far or 0) * 13) % 50)
        if far is None:
            self.push(self.now_us + delay_us, near, SendFailed(request))
        elif far in self.outlaws and not isinstance(message, Nodes | Value | PutResult | Pong):
            answer = self.outlaws[far](self.contacts[near], message)
            if answer is not None:
                self.push(self.now_us + 2 * delay_us, near, Received(self.contacts[far], request, answer))
        elif not {near, far} & self.silent:
            self.push(self.now_us + delay_us, far, Received(self.contacts[near], request, message))

    def push(self, at_us: int, number: int, event: Event) -> None:
        heappush(self.queue, (at_us, next(self.order), number, event))

    def run(self, span_us: int) -> None:
        end_us = self.now_us + span_us
        while self.queue and self.queue[0][0] <= end_us:
            self.now_us, _, number, event = heappop(self.queue)
            if isinstance(event, TimerFired) and self.timers.get((number, event.key)) != self.now_us:
                continue
            self.tell(number, event)
        self.now_us = end_us

    def true_closest(self, name: bytes, how_many: int, without: int) -> list[Contact]:
        others = [peer for number, peer in enumerate(self.contacts) if number not in self.silent | {without}]
        return nearest(others, key_of(name), how_many)
