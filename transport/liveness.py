"""Is the peer still there, how far away is it, and how many of its pings are answered: one session's pings.

A ping goes out with the first stream (round-trip time) and after silence (keep-alive). At most one is outstanding.
"""

from typing import final

from .params import YAMUX_PING_BURST, YAMUX_PING_REFILL_US, YamuxLimits

_MAX_U32 = (1 << 32) - 1


@final
class Liveness:
    """Pure; all times are monotonic microseconds."""

    def __init__(self, limits: YamuxLimits) -> None:
        self._limits = limits
        self.heard_us = 0
        self.rtt_us: int | None = None
        self._value = 0
        self._sent_us: int | None = None
        self._credit = YAMUX_PING_BURST
        self._refilled_us = 0

    def start(self, now_us: int) -> None:
        self.heard_us = now_us
        self._refilled_us = now_us

    def ping_for_time(self, now_us: int) -> int | None:
        """The value of a ping if the round-trip time is not known and not being measured."""
        return self._ping(now_us) if self.rtt_us is None and self._sent_us is None else None

    def ping_after_silence(self, now_us: int) -> int | None:
        """The value of a ping if the peer was silent for the keep-alive time, outstanding or not."""
        if now_us - self.heard_us < self._limits.keep_alive_us:
            return None
        return self._ping(now_us)

    def _ping(self, now_us: int) -> int:
        self._value = (self._value + 1) & _MAX_U32
        self._sent_us = now_us
        return self._value

    def silent_too_long(self, now_us: int) -> bool:
        """True if a ping of `dead_after_us` ago is unanswered, and nothing else came either."""
        if self._sent_us is None or now_us - self._sent_us < self._limits.dead_after_us:
            return False
        return self.heard_us <= self._sent_us

    def pong(self, value: int, now_us: int) -> None:
        """An answer arrived; others than the outstanding one are ignored."""
        if self._sent_us is not None and value == self._value:
            sample_us = now_us - self._sent_us
            # The least, not an average: under load a ping waits behind our own data, and an inflated time would let
            # windows grow on a slow link until nothing else gets through.
            self.rtt_us = sample_us if self.rtt_us is None else min(self.rtt_us, sample_us)
            self._sent_us = None

    def may_answer(self, now_us: int) -> bool:
        """True if a ping of the peer is answered; a flood is not."""
        refill = (now_us - self._refilled_us) // YAMUX_PING_REFILL_US
        self._refilled_us += refill * YAMUX_PING_REFILL_US
        self._credit = min(YAMUX_PING_BURST, self._credit + refill)
        if self._credit == 0:
            return False
        self._credit -= 1
        return True
