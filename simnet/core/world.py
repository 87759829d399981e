"""What a run of tier C asks of a protocol's nodes, whichever protocol it is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ..result import Deliveries
from .connections import Connections
from .links import MessageLinks
from .scheduler import BucketScheduler


class World(Protocol):
    """All nodes of a run, by number; `connections` says who is up, and who is connected where that means something."""

    @property
    def scheduler(self) -> BucketScheduler: ...
    @property
    def links(self) -> MessageLinks: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def deliveries(self) -> Deliveries: ...

    def start(self, number: int) -> None:
        """The node comes up and knows nobody."""
        ...

    def stop(self, number: int, noticed_us: int = 0) -> None:
        """The node goes down; the others notice so long after the word would have reached them."""
        ...

    def parts(self, among: Sequence[int]) -> int:
        """Into how many parts the mesh of these nodes falls."""
        ...

    def duplicates(self, number: int) -> int:
        """Copies of messages that came to the node beside the first ones."""
        ...

    def sent(self, number: int) -> tuple[int, int]:
        """Bytes and frames that the node sent."""
        ...

    def broken(self, among: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Which invariants of the protocol do not hold at these nodes, by name, and what shows it."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Figures of the protocol by name."""
        ...


class Spreading(World, Protocol):
    """A world in which messages go from one node to all."""

    def publish(self, number: int, size_bytes: int) -> None:
        """A node sends a new message of so many bytes."""
        ...
