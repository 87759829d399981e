"""What a gossip run of tier C notes: messages, who got them when, what was said, and how often."""

from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, final

from latticework.transport.gossip_events import GossipReason, ValidationResult, Verdict
from latticework.transport.gossip_message import Message, content_hash
from latticework.transport.gossip_rpc import Rpc

from ..result import Deliveries

_NUMBER_BYTES: Final = 8


@dataclass(slots=True, eq=False)
class GossipCounters:
    """Copies sent, counted at the sender: of messages, and of RPCs with each kind of control entry."""

    messages: int = 0
    ihave: int = 0
    iwant: int = 0
    graft: int = 0
    prune: int = 0
    idontwant: int = 0
    subscriptions: int = 0

    def count(self, rpc: Rpc, copies: int) -> None:
        """An RPC was sent to so many peers."""
        self.messages += copies * len(rpc.messages)
        if rpc.ihave:
            self.ihave += copies
        if rpc.iwant:
            self.iwant += copies
        if rpc.graft:
            self.graft += copies
        if rpc.prune:
            self.prune += copies
        if rpc.idontwant:
            self.idontwant += copies
        if rpc.subscriptions:
            self.subscriptions += copies


@final
class GossipLog:
    """Everything that a run tells afterwards, and which messages are authentic.

    Tier C has no signatures: a message is authentic if its data is what a node was told to publish. Its id is the hash
    of the content, as of unsigned messages, computed once for all nodes. Without `shortcut`, no copy is ever settled.
    """

    def __init__(self, node_count: int, *, shortcut: bool = True) -> None:
        self.deliveries: Final = Deliveries()
        self.counters: Final = GossipCounters()
        self.reports: Final[dict[str, int]] = {}
        self.redelivered = 0
        """Deliveries of what had been delivered at the same node before: an old message that came back."""
        self.copies: Final = array("q", bytes(8 * node_count))
        """Copies of messages that came to each node."""
        self.firsts: Final = array("q", bytes(8 * node_count))
        """Messages that each node's application got, the redelivered ones included."""
        self._seen: list[bytearray] = []
        self._settled: dict[bytes, bytearray] = {}
        self._open = bytearray((b"\1" if shortcut else b"\0") * node_count)
        self._node_count = node_count
        self._ids: dict[bytes, bytes] = {}
        self._numbers: dict[bytes, int] = {}
        self._accepted: dict[bytes, ValidationResult] = {}

    def publish(self, source: int, size_bytes: int, now_us: int) -> bytes:
        """Note a new message; its data, of at least 8 bytes."""
        number = self.deliveries.publish(source, now_us)
        data = number.to_bytes(_NUMBER_BYTES, "big").ljust(size_bytes, b".")
        message_id = content_hash(Message.anonymous("", data))
        self._ids[data] = message_id
        self._numbers[message_id] = number
        self._accepted[message_id] = ValidationResult(message_id, Verdict.ACCEPT)
        self._seen.append(bytearray(self._node_count))
        self._seen[number][source] = 1
        self._settled[message_id] = bytearray(self._node_count)
        return data

    # Copies that cannot matter any more

    def settled_of(self, rpc: Rpc) -> bytearray | None:
        """Per node, 1 if one more copy of `rpc` changes nothing there; None if it is not one published message alone.

        That holds once the node's router has accepted the message, as long as it remembers it and has never held
        anything against a peer (so that no score is below 0, and a copy has no consequence for its sender either).
        Not calling the router for such copies, which are six of seven, is most of what makes tier C quick; a test
        compares whole runs with and without.
        """
        return self._settled.get(self.id_of(rpc.messages[0])) if rpc.is_bare else None

    def offered_in(self, rpc: Rpc) -> list[bytearray] | None:
        """The same for each message that an RPC of nothing but IHAVE offers; None for others, and of unknown ids."""
        if rpc.messages or rpc.subscriptions or rpc.iwant or rpc.graft or rpc.prune or rpc.idontwant:
            return None
        try:
            return [self._settled[message_id] for _, ids in rpc.ihave for message_id in ids]
        except KeyError:
            return None

    def settle(self, message_id: bytes, node: int) -> None:
        """The node's router has accepted the message, or sent it."""
        rows = self._settled.get(message_id)
        if rows is not None:
            rows[node] = self._open[node]

    def unsettle(self, node: int, *, now_on: bool) -> None:
        """Every copy matters to the node again; also of what it accepts from `now_on`."""
        if self._open[node]:
            self._open[node] = not now_on
            for rows in self._settled.values():
                rows[node] = 0

    @property
    def remembered(self) -> int:
        """Messages that routers may have settled."""
        return len(self._settled)

    def settled_counts(self) -> list[int]:
        """At how many nodes each of them is settled."""
        return [sum(rows) for rows in self._settled.values()]

    def forget(self, data: bytes) -> None:
        """Routers begin to forget the message."""
        rows = self._settled.pop(self._ids[data])
        rows[:] = bytes(len(rows))

    def id_of(self, message: Message) -> bytes:
        """A `MessageIdOf`."""
        return self._ids.get(message.data) or content_hash(message)

    def verdict(self, message_id: bytes) -> ValidationResult:
        """What a node finds out about a message by validating it."""
        return self._accepted.get(message_id) or ValidationResult(message_id, Verdict.REJECT)

    def source_of(self, message_id: bytes) -> int | None:
        """Who published a message; None if nobody did."""
        number = self._numbers.get(message_id)
        return None if number is None else self.deliveries.source[number]

    def deliver(self, message_id: bytes, node: int, now_us: int, *, record: bool) -> None:
        """A node's application got a message; without `record` it is counted and no more."""
        self.firsts[node] += 1
        if not record:
            return
        number = self._numbers[message_id]
        seen = self._seen[number]
        if seen[node]:
            self.redelivered += 1
        else:
            seen[node] = 1
            self.deliveries.deliver(number, node, now_us)

    def report(self, reason: GossipReason) -> None:
        """A router held something against a peer, or dropped it."""
        name = f"report_{reason.name.lower()}"
        self.reports[name] = self.reports.get(name, 0) + 1

    def figures(self) -> Mapping[str, int]:
        """Counters by name."""
        return {**asdict(self.counters), "redelivered": self.redelivered, **dict(sorted(self.reports.items()))}
