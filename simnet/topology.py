"""The links between simulated hosts: what each is like, which are open, and which connections they carry.

A *cut* ends connections at once, as unplugging a cable between two machines seldom does. A *partition* lets nothing
through while it lasts: frames wait, as they do in TCP's retransmissions, and go on when it ends; whoever gives up
meanwhile finds its connection dead by itself. A *silent* host has crashed: nothing it sent or is sent gets anywhere,
and when it is back, its old connections are reset.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple, final

from .link import LOOPBACK, Access, Lane, Link
from .rng import KeyedRng
from .stream import Connection

type _Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Hosts of `side` reach no host outside of it; those outside reach them only if it is `one_way`."""

    side: frozenset[str]
    one_way: bool

    def stops(self, source: str, destination: str) -> bool:
        """Whether a frame of `source` gets no further."""
        leaves, enters = source in self.side, destination in self.side
        return leaves != enters and (leaves or not self.one_way)


class _Dialled(NamedTuple):
    """A connection and the host that opened it."""

    by: str
    connection: Connection


class Traffic(NamedTuple):
    """Bytes of a run: sent, and what became of them; `waiting` got to a host that has not heard them yet.

    What is in none of them is on its way.
    """

    sent: int
    heard: int
    dropped: int
    waiting: int


@final
class Topology:
    """Every host reaches every other over `default` unless told otherwise; jitter has one stream per directed link."""

    def __init__(self, default: Link, rng: KeyedRng) -> None:
        self._link_of: Callable[[str, str], Link] = lambda _a, _b: default
        self._rng = rng
        self._links: dict[_Pair, Link] = {}
        self._lanes: dict[_Pair, Lane] = {}
        self._access: dict[str, Access] = {}
        self._cuts: set[_Pair] = set()
        self._partitions: list[Partition] = []
        self._silent: dict[str, None] = {}
        self._former: list[tuple[str, Lane]] = []
        """Lanes that carry older streams only, with their sources."""
        self._connections: dict[_Pair, list[_Dialled]] = {}

    def use_links(self, link_of: Callable[[str, str], Link]) -> None:
        """What is like no link of its own is like `link_of(source, destination)`; asked once for each direction."""
        self._link_of = link_of

    def set_link(self, a: str, b: str, link: Link) -> None:
        """Streams between `a` and `b` that open from now on use `link`, in both directions."""
        self._links[_pair(a, b)] = link
        for way in ((a, b), (b, a)):
            if (lane := self._lanes.pop(way, None)) is not None:
                self._former.append((way[0], lane))

    def set_access(self, host: str, access: Access) -> None:
        """The line of `host`, shared by all its links; before its first frame."""
        self._access[host] = access

    def cut(self, a: str, b: str) -> None:
        """Lose every stream between `a` and `b`, and refuse new ones until `heal`."""
        self._cuts.add(_pair(a, b))
        for dialled in self._connections.pop(_pair(a, b), []):
            dialled.connection.lose()

    def heal(self, a: str, b: str) -> None:
        """Let `a` and `b` reach each other again."""
        self._cuts.discard(_pair(a, b))

    def is_cut(self, a: str, b: str) -> bool:
        return _pair(a, b) in self._cuts

    def part(self, side: Collection[str], *, one_way: bool = False) -> Partition:
        """Begin a partition; `join` ends it."""
        partition = Partition(frozenset(side), one_way)
        self._partitions.append(partition)
        return partition

    def join(self, partition: Partition) -> None:
        """End a partition: what waits goes on."""
        self._partitions.remove(partition)
        self._release()

    def silence(self, host: str) -> None:
        """Let nothing from or to `host` through any more."""
        self._silent[host] = None

    def revive(self, host: str) -> None:
        """Let `host` speak again; connections from before are reset."""
        del self._silent[host]
        for pair in [pair for pair in self._connections if host in pair]:
            for dialled in self._connections.pop(pair):
                dialled.connection.lose()

    def is_silent(self, host: str) -> bool:
        """Whether `host` has crashed and is not back."""
        return host in self._silent

    def sent_by(self, host: str) -> tuple[int, int]:
        """(bytes, frames) that `host` has sent."""
        lanes = [lane for (source, _), lane in self._lanes.items() if source == host]
        lanes += [lane for source, lane in self._former if source == host]
        return sum(lane.sent_bytes for lane in lanes), sum(lane.sent_frames for lane in lanes)

    def passes(self, source: str, destination: str) -> bool:
        """Whether a frame that `source` sends now reaches `destination`."""
        if source in self._silent or destination in self._silent:
            return False
        return not any(partition.stops(source, destination) for partition in self._partitions)

    def is_open(self, a: str, b: str) -> bool:
        """Whether `a` and `b` can speak with each other now."""
        return not self.is_cut(a, b) and self.passes(a, b) and self.passes(b, a)

    def lane(self, source: str, destination: str) -> Lane:
        """What carries frames from `source` to `destination`."""
        key = (source, destination)
        if key not in self._lanes:
            link = self._links.get(_pair(source, destination))
            if link is None:
                link = LOOPBACK if source == destination else self._link_of(source, destination)
            near, far = self._access.get(source, Access()), self._access.get(destination, Access())
            self._lanes[key] = Lane(link, self._rng.child(f"{source}>{destination}"), near, far)
        return self._lanes[key]

    def add(self, a: str, b: str, connection: Connection) -> None:
        """Remember an open connection; those that ended are forgotten here."""
        alive = [known for known in self._connections.get(_pair(a, b), []) if not known.connection.closed]
        self._connections[_pair(a, b)] = [*alive, _Dialled(a, connection)]

    def open_streams(self, host: str) -> int:
        """Ends of connections that `host` has not closed and that were not lost."""
        return sum(
            not end.closed
            for (a, b), connections in self._connections.items()
            if host in {a, b}
            for host_a, connection in connections
            for end, owner in ((connection.near, host_a), (connection.far, b if host_a == a else a))
            if owner == host
        )

    def traffic(self) -> Traffic:
        """What went over all links so far."""
        lanes = [*self._lanes.values(), *(lane for _, lane in self._former)]
        waiting = sum(
            pipe.waiting_bytes
            for connections in self._connections.values()
            for dialled in connections
            for pipe in dialled.connection.pipes
        )
        return Traffic(
            sent=sum(lane.sent_bytes for lane in lanes),
            heard=sum(lane.heard_bytes for lane in lanes),
            dropped=sum(lane.dropped_bytes for lane in lanes),
            waiting=waiting,
        )

    def _release(self) -> None:
        for connections in list(self._connections.values()):
            for dialled in connections:
                dialled.connection.release()


def _pair(a: str, b: str) -> _Pair:
    return (a, b) if a < b else (b, a)
