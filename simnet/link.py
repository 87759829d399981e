"""The model of a link: latency, jitter, loss and bandwidth of one direction between two hosts.

Each send of a stream is one frame and one event, never one per packet. Frames of a link share its bandwidth and arrive
in the order in which they were sent, because they stand for a TCP stream: a frame that is lost or corrupted arrives
after a retransmission, and those behind it wait for it. A host's own line, up and down, is shared by all its links.
"""

from dataclasses import dataclass
from typing import Final, final

from latticework.wire import LocalError, Rng

from .draws import below, draw, key_from, threshold

_SECOND_US: Final = 1_000_000
MIN_RETRANSMIT_US: Final = 200_000
"""Linux's least retransmission time-out; RFC 6298 asks for a second, which no system keeps to."""
MAX_LOSSES: Final = 8
"""A frame gets through after so many losses in a row at the latest: beyond, only a partition stops it."""
_JITTER, _LOSS, _BURST, _BURST_LOSS, _CORRUPT = range(1, 6)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong by chance, as shares of frames: `loss`, `corrupt`, and bursts of the Gilbert-Elliott model.

    A link is good or bad; it turns bad with the chance `burst_enter`, good again with `burst_leave`, and loses
    `burst_loss` while it is bad.
    """

    loss: float = 0.0
    corrupt: float = 0.0
    burst_enter: float = 0.0
    burst_leave: float = 1.0
    burst_loss: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.loss, self.corrupt, self.burst_enter, self.burst_leave, self.burst_loss)
        if not all(0 <= share <= 1 for share in shares):
            raise LocalError(f"impossible {self}: shares are between 0 and 1")


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is like, in each direction; `bytes_per_s` of None is unlimited.

    Jitter is drawn for each frame: up to `jitter_us`, and up to `jitter_share` of the latency. `window_bytes` bounds
    what one stream may have on its way or unread at the other end, before its sender waits. Room is given back at once
    when the other end reads, without the latency of a real acknowledgement: throughput is at most one window per
    latency. The defaults are chosen here: a wired local network.
    """

    latency_us: int = 1_000
    jitter_us: int = 0
    bytes_per_s: int | None = None
    window_bytes: int = 1 << 20
    jitter_share: float = 0.0
    trouble: Trouble | None = None

    def __post_init__(self) -> None:
        rate_ok = self.bytes_per_s is None or self.bytes_per_s > 0
        sizes = min(self.latency_us, self.jitter_us, self.window_bytes - 4)
        if sizes < 0 or self.jitter_share < 0 or not rate_ok:
            raise LocalError(f"impossible {self}")


LOOPBACK = Link(latency_us=10)
"""A host's link to itself; not 0, so that a ping-pong without end still moves time. Chosen here."""


@final
class Line:
    """A host's line in one direction, in bytes per second: frames pass one after the other."""

    __slots__ = ("_bytes", "_rate", "_since_us")

    def __init__(self, rate: int) -> None:
        if rate <= 0:
            raise LocalError(f"a line of {rate} bytes per second")
        self._rate = rate
        self._since_us = 0
        self._bytes = 0

    def through_us(self, now_us: int, size_bytes: int) -> int:
        """When the last byte of a frame that comes at `now_us` is through.

        Bytes are summed over a busy period, so that the i-th of equal frames leaves at exactly i * size / rate.
        """
        if now_us >= self._since_us + -(-self._bytes * _SECOND_US // self._rate):
            self._since_us, self._bytes = now_us, 0
        self._bytes += size_bytes
        return self._since_us + -(-self._bytes * _SECOND_US // self._rate)


@dataclass(frozen=True, slots=True)
class Access:
    """How a host is connected; None is unlimited."""

    up: Line | None = None
    down: Line | None = None


_UNLIMITED: Final = Access()


@final
class Lane:
    """One direction of a link: says when a frame that is sent now arrives. `rng` keys what is drawn."""

    __slots__ = (
        "_bad",
        "_count",
        "_key",
        "_last_arrival_us",
        "_line",
        "dropped_bytes",
        "far",
        "heard_bytes",
        "link",
        "lost",
        "near",
        "sent_bytes",
        "sent_frames",
    )

    def __init__(self, link: Link, rng: Rng, near: Access = _UNLIMITED, far: Access = _UNLIMITED) -> None:
        self.link = link
        self.near = near
        self.far = far
        self.lost = 0
        """Frames that had to be sent again."""
        self.sent_bytes = 0
        self.sent_frames = 0
        self.heard_bytes = 0
        """What got to the other end, of `sent_bytes`."""
        self.dropped_bytes = 0
        """What can no longer get there, because the stream ended."""
        self._line = None if link.bytes_per_s is None else Line(link.bytes_per_s)
        self._key = key_from(rng) if link.jitter_us or link.jitter_share or link.trouble else 0
        self._count = 0
        self._last_arrival_us = 0
        self._bad = False

    def arrival_us(self, now_us: int, size_bytes: int) -> int:
        """The arrival of a frame of `size_bytes`, never before that of the frame sent before it.

        That is at the far host's own line (`far.down`), which it takes when it gets there.
        """
        self.sent_bytes += size_bytes
        self.sent_frames += 1
        at_us = now_us
        for line in (self.near.up, self._line):
            if line is not None:
                at_us = line.through_us(at_us, size_bytes)
        link = self.link
        at_us += link.latency_us
        if self._key:
            self._count += 1
            if most_us := link.jitter_us + int(link.latency_us * link.jitter_share):
                at_us += below(self._key ^ _JITTER, self._count, most_us + 1)
            if link.trouble is not None:
                at_us += self._retransmission_us(link.trouble)
        self._last_arrival_us = max(self._last_arrival_us, at_us)
        return self._last_arrival_us

    def _retransmission_us(self, trouble: Trouble) -> int:
        """How much later a frame comes because it was lost: time-outs double (RFC 6298)."""
        wait_us, timeout_us = 0, max(MIN_RETRANSMIT_US, 2 * self.link.latency_us)
        for attempt in range(MAX_LOSSES):
            if not self._loses(trouble, self._count * MAX_LOSSES + attempt):
                break
            self.lost += 1
            wait_us += timeout_us << attempt
        return wait_us

    def _loses(self, trouble: Trouble, count: int) -> bool:
        if trouble.burst_enter:
            turns = trouble.burst_leave if self._bad else trouble.burst_enter
            self._bad ^= self._chance(_BURST, count, turns)
        shares = [(_LOSS, trouble.loss), (_CORRUPT, trouble.corrupt)]
        if self._bad:
            shares.append((_BURST_LOSS, trouble.burst_loss))
        return any(self._chance(purpose, count, share) for purpose, share in shares)

    def _chance(self, purpose: int, count: int, share: float) -> bool:
        return bool(share) and draw(self._key ^ purpose, count) < threshold(share)
