"""The links between simulated hosts, what is cut, and which streams a cut takes down."""

from typing import final

from .link import LOOPBACK, Lane, Link
from .rng import KeyedRng
from .stream import Connection


@final
class Topology:
    """Every host reaches every other over `default` unless told otherwise; jitter has one stream per directed link."""

    def __init__(self, default: Link, rng: KeyedRng) -> None:
        self._default = default
        self._rng = rng
        self._links: dict[frozenset[str], Link] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._cuts: set[frozenset[str]] = set()
        self._connections: dict[frozenset[str], list[Connection]] = {}

    def set_link(self, a: str, b: str, link: Link) -> None:
        """Streams between `a` and `b` that open from now on use `link`, in both directions."""
        self._links[frozenset((a, b))] = link
        for lane in ((a, b), (b, a)):
            self._lanes.pop(lane, None)

    def cut(self, a: str, b: str) -> None:
        """Lose every stream between `a` and `b`, and refuse new ones until `heal`."""
        pair = frozenset((a, b))
        self._cuts.add(pair)
        for connection in self._connections.pop(pair, []):
            connection.lose()

    def heal(self, a: str, b: str) -> None:
        """Let `a` and `b` reach each other again."""
        self._cuts.discard(frozenset((a, b)))

    def is_cut(self, a: str, b: str) -> bool:
        return frozenset((a, b)) in self._cuts

    def lane(self, source: str, destination: str) -> Lane:
        """What carries frames from `source` to `destination`."""
        key = (source, destination)
        if key not in self._lanes:
            usual = LOOPBACK if source == destination else self._default
            link = self._links.get(frozenset(key), usual)
            self._lanes[key] = Lane(link, self._rng.child(f"{source}>{destination}"))
        return self._lanes[key]

    def add(self, a: str, b: str, connection: Connection) -> None:
        """Remember an open connection for `cut`; those that ended are forgotten here."""
        pair = frozenset((a, b))
        alive = [known for known in self._connections.get(pair, []) if not known.closed]
        self._connections[pair] = [*alive, connection]
