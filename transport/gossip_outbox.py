"""Frames that wait for one peer: by priority, bounded, and what does not fit is dropped and said."""

from collections import deque
from typing import assert_never, final

from .gossip_events import Priority
from .gossip_params import GossipBounds


@final
class Outbox:
    """The queue of one peer; idle, as most are, it holds no queues."""

    def __init__(self, bounds: GossipBounds) -> None:
        self._bounds = bounds
        self._room_bytes = bounds.queued_bytes
        self._queues: dict[Priority, deque[bytes]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def push(self, frame: bytes, priority: Priority) -> bool:
        """Queue a frame; False if it was dropped because its queue is full.

        Control frames are bounded by number only, so that large messages cannot keep them out.
        """
        large = priority is not Priority.CONTROL and len(frame) > self._room_bytes
        queue = self._queues.get(priority)
        if large or (0 if queue is None else len(queue)) >= self._most(priority):
            return False
        if queue is None:
            queue = self._queues[priority] = deque()
        queue.append(frame)
        self._room_bytes -= len(frame)
        return True

    def pop(self) -> bytes | None:
        """The next frame to send."""
        if not self._queues:
            return None
        priority = min(self._queues)
        queue = self._queues[priority]
        frame = queue.popleft()
        if not queue:
            del self._queues[priority]
        self._room_bytes += len(frame)
        return frame

    def _most(self, priority: Priority) -> int:
        bounds = self._bounds
        match priority:
            case Priority.CONTROL:
                return bounds.control_frames
            case Priority.REQUEST:
                return bounds.request_frames
            case Priority.OWN:
                return bounds.own_frames
            case Priority.FORWARDED:
                return bounds.forwarded_frames
            case _:
                assert_never(priority)
