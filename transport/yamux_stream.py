"""One yamux stream's book-keeping: what may be sent, what may be received, and when its window grows.

The sum `receivable + unread + credit` always equals `target`: that is what bounds the memory of a stream.
"""

from dataclasses import dataclass, field

from .params import YAMUX_INITIAL_WINDOW_BYTES


@dataclass(slots=True)
class StreamState:
    """Mutable state of a stream; only the machine touches it."""

    number: int
    inbound: bool
    flags: int
    """SYN or ACK that rides on the next frame."""
    send_window: int = YAMUX_INITIAL_WINDOW_BYTES
    queue: list[memoryview] = field(default_factory=list[memoryview])
    """Mostly empty, and an empty deque has 700 bytes."""
    queued: int = 0
    finishing: bool = False
    finished: bool = False
    """Our end is queued; our end is sent."""
    receivable: int = YAMUX_INITIAL_WINDOW_BYTES
    unread: int = 0
    credit: int = 0
    target: int = YAMUX_INITIAL_WINDOW_BYTES
    announced_us: int = 0
    announce: bool = False
    remote_finished: bool = False
    abandoned_us: int | None = None
    scheduled: bool = False

    def wants_turn(self) -> bool:
        """True if a frame could be sent now."""
        if self.announce or (self.queued and self.send_window):
            return True
        return self.finishing and not self.finished and not self.queued

    def enqueue(self, pieces: tuple[memoryview, ...]) -> None:
        for piece in pieces:
            if len(piece):
                self.queue.append(piece)
                self.queued += len(piece)

    def withdraw(self, count: int) -> None:
        """Drop the last `count` queued bytes."""
        count = min(count, self.queued)
        self.queued -= count
        while count:
            last = self.queue.pop()
            if len(last) > count:
                self.queue.append(last[: len(last) - count])
                return
            count -= len(last)

    def gather(self, out: memoryview, offset: int, count: int) -> None:
        """Move `count` queued bytes to `out[offset:]`."""
        self.queued -= count
        self.send_window -= count
        queue = self.queue
        sent = 0
        while count:
            piece = queue[sent]
            size = len(piece)
            if size <= count:
                out[offset : offset + size] = piece
                sent += 1
            else:
                size = count
                out[offset : offset + size] = piece[:size]
                queue[sent] = piece[size:]
            offset += size
            count -= size
        del queue[:sent]

    def consume(self, count: int) -> bool:
        """The application took `count` bytes; True when half a window of credit is due."""
        self.unread -= count
        self.credit += count
        return self.credit * 2 >= self.target and not self.remote_finished and self.abandoned_us is None

    def take_credit(self) -> int:
        """The credit to announce, which the peer may use from now on."""
        credit = self.credit
        self.credit = 0
        self.receivable += credit
        self.announce = False
        return credit
