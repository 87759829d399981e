"""What every run of whole nodes must keep, whatever its scenario; looked at once a second and at the end.

Names and list after the simnet report, part 3, "Invariants during the run". Only honest nodes are judged: of the others
anything may be expected. Each is told once, with the first node that broke it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

from latticework.crdt import Entry
from latticework.crdt.params import PENDING_ENTRIES_PER_SENDER
from latticework.node.params import MAX_CONNECTIONS
from latticework.transport import GossipRouter
from latticework.transport.gossip_params import Table
from latticework.wire import EntryId, LogId

from ..clock import VirtualClock
from ..parts import Parts
from ..scenario import HONEST
from .fleet import Fleet, Member
from .record import Record

SETTLE_US: Final = 20_000_000
"""How long one end of a link may know of it before the other does: a handshake on a slow device over a bad line."""
CONNECT_US: Final = 60_000_000
"""How long two nodes of which one dials the other may be apart: twice the dialler's longest pause."""
_LOOK_AT_BYTES_US: Final = 10_000_000


@final
class Invariants:
    """Watches one run; `liars` are the logs that have two histories, `chances` the armed fault points, both live."""

    def __init__(
        self,
        fleet: Fleet,
        record: Record,
        clock: VirtualClock,
        liars: Mapping[LogId, None],
        chances: Mapping[str, float],
    ) -> None:
        self._fleet = fleet
        self._record = record
        self._clock = clock
        self._liars = liars
        self._chances = chances
        self.failures: Final[dict[str, str]] = {}
        """By invariant, in the order in which that was seen, what broke it first."""
        self._routers: dict[int, GossipRouter] = {}
        self._authors: dict[LogId, int] = {}
        self._known: dict[EntryId, None] = {}
        self._one_sided: dict[tuple[int, int], int] = {}
        self._apart: dict[tuple[int, int], int] = {}
        self._bytes_due_us = 0

    def routes(self, number: int, router: GossipRouter) -> None:
        """A node starts with this router."""
        self._routers[number] = router

    def admitted(self, number: int, entries: Sequence[Entry]) -> None:
        """Delivered is authentic: whoever holds the key of a log has each of its entries before anybody else."""
        for entry in entries:
            if entry.id in self._known:
                continue
            self._known[entry.id] = None
            author = self._authors.setdefault(entry.body.author, number)
            if author != number and self._is_honest(author) and entry.body.author not in self._liars:
                self.broken("authentic", f"node {number} admitted an entry that its author {author} never wrote")

    def look(self, honest: Sequence[Member], parts: Parts) -> None:
        """Look at the honest nodes that are up, and the parts into which they fall."""
        if self._record.twice:
            self.broken("once", f"{self._record.twice} messages were delivered twice to one application")
        self._views(honest)
        self._connected(honest, parts)
        for member in honest:
            for table in self._tables(member):
                if table.used > table.most:
                    self.broken("bounds", f"{member.name}: {table.used} {table.name}, at most {table.most}")
        if self._now_us >= self._bytes_due_us:
            self._bytes_due_us = self._now_us + _LOOK_AT_BYTES_US
            self.bytes_conserved()

    def bytes_conserved(self) -> None:
        """Sent is heard, dropped with a stream that ended, or still on its way."""
        if unaccounted := self._fleet.network.unaccounted_bytes():
            self.broken("bytes", f"{unaccounted} bytes that were sent are nowhere")

    def stopped(self, member: Member) -> None:
        """A node that has stopped has left nothing open."""
        listeners, streams = self._fleet.network.left_by(member.name)
        if (listeners or streams) and member.group.role == HONEST:
            self.broken("leaks", f"{member.name} stopped and left {listeners} listeners and {streams} streams open")

    def ended(self, tasks_before: int, tasks_after: int) -> None:
        """All nodes have stopped."""
        if tasks_after > tasks_before:
            self.broken("leaks", f"{tasks_after - tasks_before} tasks outlived the nodes")

    @property
    def _now_us(self) -> int:
        return self._clock.monotonic_us()

    def broken(self, invariant: str, told: str) -> None:
        """An invariant did not hold, whoever saw it."""
        self.failures.setdefault(invariant, f"{told} (seen at {self._now_us / 1e6:g} s)")

    def _is_honest(self, number: int) -> bool:
        return self._fleet.members[number].group.role == HONEST

    def _tables(self, member: Member) -> Iterator[Table]:
        node = member.node
        if node is None:
            return
        yield from self._routers[member.number].tables
        yield from node.gossip.tables
        yield Table("inbound connections", node.peers.inbound_count, MAX_CONNECTIONS)
        space = node.spaces.get(self._fleet.account.space)
        if space is not None:
            waiting = space.replica.logs.waiting_count()
            senders = len(node.peers.links) + 1
            yield Table("entries waiting for others", waiting, senders * PENDING_ENTRIES_PER_SENDER)

    def _views(self, honest: Sequence[Member]) -> None:
        """Nobody is its own neighbour, a mesh is among neighbours, and whoever has a link is had by its other end."""
        number_of = {member.node.device: member.number for member in honest if member.node is not None}
        one_sided: dict[tuple[int, int], int] = {}
        for member in honest:
            if member.node is None:
                continue
            links = member.node.peers.links
            if member.node.device in links:
                self.broken("views", f"{member.name} has a link to itself")
            self._mesh(member)
            for device in links:
                far = number_of.get(device)
                if far is not None and not self._is_mutual(member, far):
                    one_sided[member.number, far] = self._one_sided.get((member.number, far), self._now_us)
        self._one_sided = one_sided
        for (near, far), since_us in one_sided.items():
            if self._now_us - since_us > SETTLE_US:
                self.broken("views", f"node {near} has had a link to node {far} for long, which knows of none")

    def _is_mutual(self, near: Member, number: int) -> bool:
        """True if the other end has the link too, or cannot be told of it now."""
        far = self._fleet.members[number]
        if far.node is None or near.node is None or near.node.device in far.node.peers.links:
            return True
        return not self._fleet.network.topology.is_open(near.name, far.name)

    def _mesh(self, member: Member) -> None:
        router = self._routers[member.number]
        for topic in router.subscriptions:
            mesh, subscribers = router.mesh(topic), frozenset(router.subscribers(topic))
            if router.own in mesh or not subscribers.issuperset(mesh):
                self.broken("views", f"{member.name} has a mesh of others than its subscribed neighbours")

    def _connected(self, honest: Sequence[Member], parts: Parts) -> None:
        """Where one node dials another and nothing keeps them apart, links join them, if not directly."""
        apart: dict[tuple[int, int], int] = {}
        # A fault point that is armed keeps nodes apart, too.
        up = {} if any(self._chances.values()) else {member.number: member for member in honest}
        for near in honest:
            for number in near.targets:
                far = up.get(number)
                if far is None or not far.device.host.is_dialable or parts.joined(near.number, number):
                    continue
                if self._fleet.network.topology.is_open(near.name, far.name):
                    apart[near.number, number] = self._apart.get((near.number, number), self._now_us)
        self._apart = apart
        for (near_number, number), since_us in apart.items():
            if self._now_us - since_us > CONNECT_US:
                self.broken("connected", f"node {near_number} has dialled node {number} in vain for long")
