"""What a run of whole nodes leaves behind: who got which message when, and who was up."""

from collections.abc import Callable, Sequence
from typing import Final, final

from latticework.crdt import Entry
from latticework.node.surroundings import Observer
from latticework.wire import EntryId, SpaceId

from ..clock import VirtualClock
from ..cpu import Cpu
from ..result import Deliveries


@final
class Record:
    """Deliveries of entries, as the nodes' own admission tells them."""

    def __init__(self, clock: VirtualClock, nodes: int, honest: Sequence[int]) -> None:
        self._clock = clock
        self._nodes = nodes
        self._honest = frozenset(honest)
        self._lost_us: dict[int, int] = {}
        self.cpus: list[Cpu] = []
        """The processors of all nodes: what a node has admitted it has when its processor is through with it."""
        self._numbers: dict[EntryId, int] = {}
        self._seen: list[bytearray] = []
        self.deliveries: Final = Deliveries()
        self.twice = 0
        """Deliveries of a message to a node that had it and has not lost its disk."""
        self.watchers: Final[list[Callable[[int, Sequence[Entry]], None]]] = []
        """Who else is told which honest node admitted what."""
        self.entries = 0
        """Entries admitted by all nodes together, openings and checkpoints included."""
        self.last_down_us: Final = [-1] * nodes
        """When each node last was not up yet or any more; -1 for one that always was."""
        self.is_up_at_end: Final = [True] * nodes

    def observer(self, node: int) -> Observer:
        """What the node tells of its admissions."""

        def observe(space: SpaceId, entries: Sequence[Entry]) -> None:
            del space
            self.entries += len(entries)
            if node not in self._honest:
                return
            for watch in self.watchers:
                watch(node, entries)
            for entry in entries:
                number = self._numbers.get(entry.id)
                if number is not None:
                    self._deliver(number, node)

        return observe

    def published(self, entry: EntryId, node: int, at_us: int) -> None:
        """A message went out as `entry`, at the monotonic time `at_us`."""
        self._numbers[entry] = self.deliveries.publish(node, at_us)
        self._seen.append(bytearray(self._nodes))
        self._seen[-1][node] = 1

    def shared(self, node: int) -> int:
        """A file is there as a message; its number."""
        self._seen.append(bytearray(self._nodes))
        self._seen[-1][node] = 1
        return self.deliveries.publish(node, self._clock.monotonic_us())

    def fetched(self, message: int, node: int) -> None:
        """A node has all of a file."""
        self._deliver(message, node)

    def forget(self, node: int) -> None:
        """The node has lost its disk: what it gets again is no second delivery, nor another first one."""
        self._lost_us[node] = self._clock.monotonic_us()
        for seen in self._seen:
            seen[node] = min(seen[node] * 2, 2)

    def expected(self, honest: Sequence[int]) -> list[tuple[int, int]]:
        """(message, node) for honest nodes, the source left out, that were up from the publication to the end.

        A message that nobody got before its source went down for good, or lost its disk, was lost with it, and is
        expected nowhere.
        """
        deliveries, left = self.deliveries, dict.fromkeys(self.deliveries.message)
        return [
            (message, node)
            for message, (source, at_us) in enumerate(zip(deliveries.source, deliveries.published_us, strict=True))
            if message in left or (self.is_up_at_end[source] and self._lost_us.get(source, -1) < at_us)
            for node in honest
            if node != source and self.last_down_us[node] < at_us
        ]

    def latencies(self) -> dict[tuple[int, int], int]:
        """The latency in microseconds of every (message, node) that was delivered."""
        rows = self.deliveries
        return dict(zip(zip(rows.message, rows.node, strict=True), rows.latency_us, strict=True))

    def _deliver(self, message: int, node: int) -> None:
        seen = self._seen[message]
        match seen[node]:
            case 0:
                self.deliveries.deliver(message, node, max(self._clock.monotonic_us(), self.cpus[node].free_us))
            case 1:
                self.twice += 1
            case _:
                pass
        seen[node] = 1
