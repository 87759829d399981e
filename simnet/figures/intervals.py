"""Means over seeds with 95 % confidence intervals by Student's t.

A sweep has 3 to 20 seeds; the percentile bootstrap is too narrow for that few, while t is exact for normal values and
close for means of figures that are themselves averages. One run is never a result (Jansen et al., USENIX Security
2021): of a single value there is no interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from latticework.wire import LocalError

_BISECTIONS: Final = 60
"""Halvings of a quarter turn: as fine as a float."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `count` values, and how far the 95 % confidence interval reaches to each side; None of one value."""

    mean: float
    half: float | None
    count: int

    def __str__(self) -> str:
        """Two digits of the interval, and as many of the mean as it leaves."""
        if not self.half:
            return f"{self.mean:,.4g}" if self.half is None else f"{self.mean:,.4g} ± 0"
        places = max(0, 1 - math.floor(math.log10(self.half)))
        return f"{self.mean:,.{places}f} ± {self.half:,.{places}f}"


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean and its interval; raises LocalError of nothing."""
    if not values:
        raise LocalError("there is no mean of no values")
    if len(values) == 1:
        return Interval(values[0], None, 1)
    half = _t_975(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values), half, len(values))


def _t_975(freedom: int) -> float:
    """The 97.5 % point of Student's t, found by halving the angle atan(t / sqrt(freedom))."""
    low, high = 0.0, math.pi / 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    """The chance that |t| is at most tan(angle) * sqrt(freedom): Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    cos, odd = math.cos(angle), freedom % 2
    term = cos if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom, 2):
        term *= cos * cos * (k - 1) / k
        total += term
    series = math.sin(angle) * total
    return (angle + series) * 2 / math.pi if odd else series
