"""Frontier reconciliation on tier C, without gossip: every node writes its own log and fetches the others' from peers.

The machines are the product's own (`crdt.Reconciler`), one at each end of a connection, announced to at the product's
pace. What is not here: signatures, payloads, dependencies and forks (`ledger`), the handshake, the codec (messages are
handed over as objects and charged for by the size of their encoding), and the limit on rounds that one peer may ask
for. Memory is what bounds the number of nodes: a reconciler remembers each log that it has compared, so it grows with
connections times logs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final, final

from latticework.crdt.params import SYNC_SALT_BYTES
from latticework.wire import LogId

from ..parts import Parts
from ..result import Deliveries
from ..rng import KeyedRng
from .connections import Connections, Told
from .ledger import Ledger, Store
from .links import MessageLinks
from .scheduler import BucketScheduler
from .sync_node import Announcing, End, SyncAir, SyncCounters, SyncNode

_LOG_BYTES: Final = 32


@final
class SyncWorld:
    """`count` nodes that reconcile over `links`; nobody is up at first."""

    def __init__(self, count: int, links: MessageLinks, rng: KeyedRng, announcing: Announcing | None = None) -> None:
        self.scheduler: Final = BucketScheduler()
        self.links: Final = links
        self.deliveries: Final = Deliveries()
        told = Told(self._connected, self._disconnected)
        self.connections: Final = Connections(self.scheduler, links, range(count), told)
        self.connections.healed = self._release
        self._rng = rng
        self._met = [0] * count
        self._disks = [0] * count
        self._air = SyncAir(
            self.scheduler,
            links,
            self.connections,
            self.deliveries,
            SyncCounters(),
            announcing or Announcing(),
            {},
        )
        self._ledger = ledger = Ledger()
        self.nodes: Final = [
            SyncNode(number, Store(ledger, self._log_of(number)), self._air) for number in range(count)
        ]

    def _log_of(self, number: int) -> LogId:
        return LogId(self._rng.child(f"log {number} {self._disks[number]}").random_bytes(_LOG_BYTES))

    def start(self, number: int) -> None:
        """The node comes up with what is on its disk, and knows nobody."""
        self.connections.start(number)

    def stop(self, number: int, noticed_us: int = 0) -> None:
        """The node goes down; the others notice so long after the word would have reached them."""
        self.nodes[number].stop()
        self.connections.stop(number, noticed_us)

    def lose_disk(self, number: int) -> None:
        """A node that is down forgets everything; it will write into a new log."""
        self._disks[number] += 1
        self.nodes[number].store.lose(self._log_of(number))

    def publish(self, number: int, size_bytes: int) -> None:
        """A node writes an entry with a payload of so many bytes."""
        self.nodes[number].write(size_bytes)

    def _connected(self, number: int, far: int, outbound: bool) -> None:  # noqa: FBT001 - as `Told` says
        if outbound:
            near_end, far_end = self._end(number, far), self._end(far, number)
            near_end.other, far_end.other = far_end, near_end
        node = self.nodes[number]
        node.begin(node.ends[far])

    def _end(self, number: int, far: int) -> End:
        node = self.nodes[number]
        self._met[number] += 1
        salt = self._rng.child(f"salt {number} {self._met[number]}").random_bytes(SYNC_SALT_BYTES)
        node.ends[far] = end = End(node, far, salt)
        return end

    def _disconnected(self, number: int, gone: int) -> None:
        self.nodes[number].close(gone)

    def _release(self) -> None:
        for end in list(self._air.holding):
            end.node.release(end)

    # What can be asked

    def parts(self, among: Sequence[int]) -> int:
        """Into how many parts the connections between these nodes fall."""
        return Parts(among, self.connections.neighbours).count

    def duplicates(self, number: int) -> int:
        """Entries that came to the node although it had them."""
        return self.nodes[number].duplicates

    def sent(self, number: int) -> tuple[int, int]:
        """Bytes and messages that the node sent."""
        return self.nodes[number].sent

    def broken(self, among: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Nobody holds more of a log than its author wrote."""
        for number in among:
            for log, head in self.nodes[number].store.heads.items():
                if head.seq >= self._ledger.length(log):
                    yield "authentic", f"node {number} holds entry {head.seq} of a log that has none"

    def counters(self) -> Mapping[str, int]:
        """Messages by kind."""
        return asdict(self._air.counters)
