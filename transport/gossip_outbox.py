"""Frames that wait for one peer: by priority, bounded, and what does not fit is dropped and said."""

from collections import deque
from typing import final

from .gossip_events import Priority
from .gossip_params import GossipBounds


@final
class Outbox:
    """The queue of one peer."""

    def __init__(self, bounds: GossipBounds) -> None:
        self._most = {
            Priority.CONTROL: bounds.control_frames,
            Priority.REQUEST: bounds.request_frames,
            Priority.OWN: bounds.own_frames,
            Priority.FORWARDED: bounds.forwarded_frames,
        }
        self._room_bytes = bounds.queued_bytes
        self._queues: dict[Priority, deque[bytes]] = {priority: deque() for priority in Priority}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def push(self, frame: bytes, priority: Priority) -> bool:
        """Queue a frame; False if it was dropped because its queue is full.

        Control frames are bounded by number only, so that large messages cannot keep them out.
        """
        queue = self._queues[priority]
        large = priority is not Priority.CONTROL and len(frame) > self._room_bytes
        if large or len(queue) >= self._most[priority]:
            return False
        queue.append(frame)
        self._room_bytes -= len(frame)
        return True

    def pop(self) -> bytes | None:
        """The next frame to send."""
        for queue in self._queues.values():
            if queue:
                frame = queue.popleft()
                self._room_bytes += len(frame)
                return frame
        return None
