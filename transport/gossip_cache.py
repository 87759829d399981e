"""What a router remembers of messages: which it has seen, which it can still send, which it was promised.

Everything is bounded in time and in number; the oldest goes first. Times are counted in microseconds or heartbeats.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, final

from .gossip_params import GossipBounds
from .gossip_peer import Peer
from .gossip_rpc import Rpc

_ENTRY_BYTES = 512
_COPIES = 3
"""What an entry costs: its data, its encoding and its frame, and objects around them, so that small ones count too."""


class Status(Enum):
    """What became of a message."""

    PENDING = "being validated"
    VALID = "delivered"
    INVALID = "refused"
    IGNORED = "neither"


@dataclass(slots=True, eq=False)
class Seen:
    """One message id; `senders` are those who sent it, None when that does not matter any more."""

    expires_us: int
    status: Status = Status.PENDING
    validated_us: int = 0
    senders: dict[Peer, None] | None = field(default_factory=dict[Peer, None])


@final
class SeenCache:
    """Ids of messages since their first copy."""

    __slots__ = ("_max", "_ttl_us", "entries")

    def __init__(self, bounds: GossipBounds) -> None:
        self._ttl_us = bounds.seen_ttl_us
        self._max = bounds.max_seen
        self.entries: Final[dict[bytes, Seen]] = {}
        """What is known of each message; to be read here, for each copy of a message is looked up."""

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self.entries

    def add(self, message_id: bytes, now_us: int) -> Seen:
        """A message seen for the first time."""
        if len(self.entries) >= self._max:
            del self.entries[next(iter(self.entries))]
        entry = self.entries[message_id] = Seen(now_us + self._ttl_us)
        return entry

    def expire(self, now_us: int) -> None:
        """Forget what is too old."""
        entries = self.entries
        while entries:
            oldest = next(iter(entries))
            if entries[oldest].expires_us > now_us:
                return
            del entries[oldest]


@dataclass(slots=True, eq=False)
class Cached:
    """A message that can be sent; `answers` counts how often each peer got it for an IWANT."""

    topic: str
    rpc: Rpc
    size: int
    answers: dict[Peer, int] | None = None


@final
class MessageCache:
    """Messages of the last heartbeats (gossipsub v1.0, "Message Cache")."""

    __slots__ = ("_bytes", "_entries", "_gossip", "_length", "_max_bytes", "_windows")

    def __init__(self, length: int, gossip: int, max_bytes: int) -> None:
        self._length = length
        self._gossip = gossip
        self._max_bytes = max_bytes
        self._entries: dict[bytes, Cached] = {}
        self._windows: list[dict[str, list[bytes]] | None] = [None]
        """Of each heartbeat, the last first, ids by topic; None as long as there are none."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """What all of them cost, as bounded."""
        return self._bytes

    def put(self, message_id: bytes, topic: str, rpc: Rpc) -> None:
        """Keep the message that `rpc` carries."""
        if message_id in self._entries:
            return
        size = _COPIES * len(rpc.messages[0].wire) + _ENTRY_BYTES
        self._entries[message_id] = Cached(topic, rpc, size)
        window = self._windows[0] = {} if self._windows[0] is None else self._windows[0]
        window.setdefault(topic, []).append(message_id)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def get(self, message_id: bytes) -> Cached | None:
        """The message, if it is still here."""
        return self._entries.get(message_id)

    def gossip_ids(self, topic: str) -> list[bytes]:
        """Ids for IHAVE: those of the last `gossip` heartbeats."""
        recent = [window for window in self._windows[: self._gossip] if window is not None]
        return [name for window in recent for name in window.get(topic, ()) if name in self._entries]

    def shift(self) -> None:
        """A heartbeat passed."""
        self._windows.insert(0, None)
        if len(self._windows) > self._length:
            for names in (self._windows.pop() or {}).values():
                for name in names:
                    if name in self._entries:
                        self._drop(name)

    def _drop(self, message_id: bytes) -> None:
        self._bytes -= self._entries.pop(message_id).size


@final
class Promises:
    """Of each IWANT one id, for which the peer answers (v1.1, "Spam Protection Measures")."""

    __slots__ = ("_count", "_followup_us", "_most", "_promises")

    def __init__(self, followup_us: int, most: int) -> None:
        self._followup_us = followup_us
        self._most = most
        self._promises: dict[bytes, dict[Peer, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, message_id: bytes, peer: Peer, now_us: int) -> None:
        """`peer` said that it has the message, and was asked for it."""
        holders = self._promises.setdefault(message_id, {})
        if peer not in holders and self._count < self._most:
            holders[peer] = now_us + self._followup_us
            self._count += 1

    def fulfilled(self, message_id: bytes) -> None:
        """The message came, from whomever."""
        if self._promises:
            self._count -= len(self._promises.pop(message_id, ()))

    def forget(self, peer: Peer) -> None:
        """The peer left."""
        for message_id in [name for name, holders in self._promises.items() if peer in holders]:
            self._remove(message_id, peer)

    def broken(self, now_us: int) -> dict[Peer, int]:
        """Peers whose promises are overdue, and how many; they are forgotten."""
        late = [
            (message_id, peer)
            for message_id, holders in self._promises.items()
            for peer, due_us in holders.items()
            if due_us < now_us
        ]
        counts: dict[Peer, int] = {}
        for message_id, peer in late:
            self._remove(message_id, peer)
            counts[peer] = counts.get(peer, 0) + 1
        return counts

    def _remove(self, message_id: bytes, peer: Peer) -> None:
        holders = self._promises[message_id]
        del holders[peer]
        self._count -= 1
        if not holders:
            del self._promises[message_id]
