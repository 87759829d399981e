"""A node's own clock: virtual time, ahead or behind, and gaining or losing."""

from typing import final

from .clock import VirtualClock


@final
class OwnClock:
    """A `wire.ports.Clock` whose wall reading is ahead by `skew_us` and gains `drift_ppm` millionths.

    Durations are true: it is wall clocks that people set wrong.
    """

    def __init__(self, clock: VirtualClock, skew_us: int = 0, drift_ppm: float = 0.0) -> None:
        self._clock = clock
        self.skew_us = skew_us
        self._drift_ppm = drift_ppm

    def now_us(self) -> int:
        """What this node takes for the time since 1970-01-01 UTC."""
        gained = int(self._clock.monotonic_us() * self._drift_ppm / 1_000_000)
        return self._clock.now_us() + self.skew_us + gained

    def monotonic_us(self) -> int:
        """Virtual time since the start of the run."""
        return self._clock.monotonic_us()
