"""The model of a link: latency, jitter and bandwidth of one direction between two hosts.

Each send of a stream is one frame and one event, never one per packet. Frames of a link share its bandwidth and arrive
in the order in which they were sent.
"""

from dataclasses import dataclass
from typing import final

from latticework.wire import LocalError, Rng


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is like, in each direction; `bytes_per_s` of None is unlimited.

    `window_bytes` bounds what one stream may have on its way or unread at the other end, before its sender waits. Room
    is given back at once when the other end reads, without the latency of a real acknowledgement: throughput is at
    most one window per latency. The defaults are chosen here: a wired local network.
    """

    latency_us: int = 1_000
    jitter_us: int = 0
    bytes_per_s: int | None = None
    window_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        rate_ok = self.bytes_per_s is None or self.bytes_per_s > 0
        if self.latency_us < 0 or self.jitter_us < 0 or self.window_bytes < 4 or not rate_ok:
            raise LocalError(f"impossible {self}")


LOOPBACK = Link(latency_us=10)
"""A host's link to itself; not 0, so that a ping-pong without end still moves time. Chosen here."""


@final
class Lane:
    """One direction of a link: says when a frame that is sent now arrives. `rng` draws the jitter."""

    def __init__(self, link: Link, rng: Rng) -> None:
        self.link = link
        self._rng = rng
        self._free_us = 0
        self._last_arrival_us = 0

    def arrival_us(self, now_us: int, size_bytes: int) -> int:
        """The arrival of a frame of `size_bytes`, never before that of the frame sent before it."""
        self._free_us = max(now_us, self._free_us) + self._serialisation_us(size_bytes)
        arrival_us = self._free_us + self.link.latency_us + self._draw_jitter_us()
        self._last_arrival_us = max(self._last_arrival_us, arrival_us)
        return self._last_arrival_us

    def _serialisation_us(self, size_bytes: int) -> int:
        rate = self.link.bytes_per_s
        return 0 if rate is None else -(-size_bytes * 1_000_000 // rate)

    def _draw_jitter_us(self) -> int:
        if not self.link.jitter_us:
            return 0
        return int.from_bytes(self._rng.random_bytes(8)) % (self.link.jitter_us + 1)
