"""Messages that the caller is validating: bounded overall and per sender, so that one cannot crowd out the others."""

from dataclasses import dataclass
from typing import final

from .gossip_cache import Seen, SeenCache
from .gossip_message import Message
from .gossip_peer import Peer
from .gossip_rpc import Rpc


@dataclass(slots=True, eq=False)
class Pending:
    """A message, who sent it first, what is known of its id, and the RPC that would send it on."""

    message: Message
    sender: Peer
    seen: Seen
    rpc: Rpc


@final
class PendingMessages:
    """Messages without a verdict, oldest first."""

    __slots__ = ("_counts", "_entries", "_most", "_most_per_peer")

    def __init__(self, most: int, most_per_peer: int) -> None:
        self._most = most
        self._most_per_peer = most_per_peer
        self._entries: dict[bytes, Pending] = {}
        self._counts: dict[Peer, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def has_room(self, sender: Peer) -> bool:
        """True if one more of the sender's can wait."""
        return len(self._entries) < self._most and self._counts.get(sender, 0) < self._most_per_peer

    def add(self, message_id: bytes, pending: Pending) -> None:
        """Wait for the verdict; a message of the same id, long forgotten, does not any more."""
        self.take(message_id)
        self._entries[message_id] = pending
        self._counts[pending.sender] = self._counts.get(pending.sender, 0) + 1

    def take(self, message_id: bytes) -> Pending | None:
        """The message, which waits no longer."""
        pending = self._entries.pop(message_id, None)
        if pending is not None:
            count = self._counts.pop(pending.sender)
            if count > 1:
                self._counts[pending.sender] = count - 1
        return pending

    def expire(self, seen: SeenCache) -> None:
        """Give up on messages whose ids are forgotten: a second copy would be a new message."""
        while self._entries:
            oldest = next(iter(self._entries))
            if oldest in seen:
                return
            self.take(oldest)
