"""The flood: a node forwards each message to all its neighbours but the sender, the first time it comes.

The simplest protocol that reaches everybody, and so the measure of an engine: on a mesh without loss a message is
received exactly sum(degrees) - (n - 1) times and arrives along the shortest path (check V7 of the simnet report).
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from ..parts import Parts
from ..result import Deliveries
from ..rng import KeyedRng
from ..scenario import Group, Links
from ..workload import Workload
from .connections import Connections, Told
from .links import MessageLinks
from .scheduler import NUMBER_MASK, BucketScheduler

_SLICE_US: Final = 1 << 30
"""A quarter of an hour; chosen here: a run has to end somewhere, and goes on as long as events wait."""


@dataclass(slots=True, eq=False)
class _Copy:
    """What one node sends to all its neighbours; `seen[n]` is 1 once node n has the message."""

    sender: int
    message: int
    size: int
    seen: bytearray


@final
class FloodWorld:
    """`count` nodes that flood over `links`; those of `silent` pass nothing on, and what they get is not recorded."""

    def __init__(self, count: int, links: MessageLinks, silent: Sequence[int] = ()) -> None:
        self.scheduler: Final = BucketScheduler()
        self.links: Final = links
        self.deliveries: Final = Deliveries()
        self.connections: Final = Connections(self.scheduler, links, range(count), Told(_nothing, _nothing))
        self._neighbours = self.connections.links
        self._silent = bytearray(count)
        for number in silent:
            self._silent[number] = 1
        self._sent_bytes = array("q", bytes(8 * count))
        self._sent_frames = array("q", bytes(8 * count))
        self._duplicates = array("q", bytes(8 * count))

    def start(self, number: int) -> None:
        """The node comes up and knows nobody."""
        self.connections.start(number)

    def stop(self, number: int, noticed_us: int = 0) -> None:
        """The node goes down; the others notice so long after the word would have reached them."""
        self.connections.stop(number, noticed_us)

    def publish(self, number: int, size_bytes: int) -> None:
        """A node sends a new message to all its neighbours."""
        seen = bytearray(len(self._silent))
        seen[number] = 1
        message = self.deliveries.publish(number, self.scheduler.now_us)
        self._send(list(self._neighbours[number].values()), _Copy(number, message, size_bytes, seen))

    def _receive(self, now_us: int, target: int, copy: _Copy) -> None:
        number, seen = target & NUMBER_MASK, copy.seen
        if seen[number]:
            self._duplicates[number] += 1
        elif self.connections.up[number]:
            seen[number] = 1
            if self._silent[number]:
                return
            self.deliveries.deliver(copy.message, number, now_us)
            sender = copy.sender
            others = [other for other in self._neighbours[number].values() if other & NUMBER_MASK != sender]
            self._send(others, _Copy(number, copy.message, copy.size, seen))

    def _send(self, targets: list[int], copy: _Copy) -> None:
        sender, count = copy.sender, len(targets)
        self._sent_frames[sender] += count
        self._sent_bytes[sender] += count * copy.size
        if not self.connections.quick:
            targets = self.links.on_their_way(sender, targets, copy.size, self.scheduler.now_us)
        if not self.links.down:
            self.scheduler.post_each(targets, self._receive, copy)
            return
        slow = [target for target in targets if target & NUMBER_MASK in self.links.down]
        self.scheduler.post_each(slow, self._pass_down, copy)
        self.scheduler.post_each([target for target in targets if target not in slow], self._receive, copy)

    def _pass_down(self, now_us: int, target: int, copy: _Copy) -> None:
        through_us = self.links.through_downlink_us(target & NUMBER_MASK, copy.size, now_us)
        if through_us is not None:
            self.scheduler.post(through_us, self._receive, target, copy)

    # What can be asked

    def parts(self, among: Sequence[int]) -> int:
        """Into how many parts the connections between these nodes fall."""
        return Parts(among, self.connections.neighbours).count

    def duplicates(self, number: int) -> int:
        """Copies of messages that came to the node beside the first ones."""
        return self._duplicates[number]

    def sent(self, number: int) -> tuple[int, int]:
        """Bytes and messages that the node sent."""
        return self._sent_bytes[number], self._sent_frames[number]

    def broken(self, among: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Nothing: a node of a flood keeps nothing that could grow."""
        del among
        yield from ()

    def counters(self) -> Mapping[str, int]:
        """Copies sent."""
        return {"messages": sum(self._sent_frames)}


def _nothing(*_: int) -> None:
    """Neighbours say nothing when they meet or part."""


@dataclass(frozen=True, slots=True)
class FloodOutcome:
    """What a flood of a workload gave; `receptions` counts all copies that arrived."""

    deliveries: Deliveries
    receptions: int


def run_flood(workload: Workload) -> FloodOutcome:
    """Flood every message of the workload, to the end."""
    count = workload.node_count
    links = MessageLinks(Links(), [Group("all", count)] * count, KeyedRng(b"of no effect"), workload)
    world = FloodWorld(count, links)
    for number in range(count):
        world.start(number)
    connect_all(world.connections, workload)
    for source, at_us in workload.messages:
        world.scheduler.at(at_us, world.publish, source, 0)
    receptions = -len(workload.messages)
    while len(world.scheduler):
        receptions += world.scheduler.run(world.scheduler.now_us + _SLICE_US)
    return FloodOutcome(world.deliveries, receptions)


def connect_all(connections: Connections, workload: Workload) -> None:
    """Make the workload's connections, each dialled by the lower number."""
    for near, links in enumerate(workload.links):
        for far, _ in links:
            if near < far or all(peer != near for peer, _ in workload.links[far]):
                connections.connect(near, far)
