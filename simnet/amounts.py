"""Amounts as scenario files write them: durations, rates, sizes, bandwidths and spans of time drawn by chance."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from latticework.wire import LocalError, Rng

_SECOND_US: Final = 1_000_000
_TIMES: Final = {"us": 1, "ms": 1_000, "s": _SECOND_US, "min": 60 * _SECOND_US, "h": 3600 * _SECOND_US}
_SIZES: Final = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_BITS: Final = {"bit": 1, "kbit": 1_000, "Mbit": 1_000_000, "Gbit": 10**9}
_NUMBER: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_SPAN: Final = re.compile(r"([a-z]+)\(([^()]*)\)")
_MAX_US: Final = 1 << 53
_FRACTION: Final = 1 << 53


def read_duration_us(text: str) -> int:
    """`500us`, `20ms`, `1.5s`, `10min`, `2h`; raises LocalError."""
    return _scaled(text, _TIMES, "a duration such as 500ms, 20s or 10min")


def read_size_bytes(text: str | int) -> int:
    """`2048`, `64KiB`, `1MB`; raises LocalError."""
    return text if isinstance(text, int) else _scaled(text, _SIZES, "a size such as 2048, 64KiB or 1MB", "B")


def read_bandwidth(text: str) -> int:
    """Bytes a second of `50Mbit`; raises LocalError."""
    bits = _scaled(text, _BITS, "a bandwidth such as 50Mbit")
    if bits < 8:  # one byte a second
        raise LocalError(f"{text!r} is less than a byte a second")
    return bits // 8


def read_rate(text: str) -> float:
    """Events a second of `120/s`, `6/min` or `1/h`; raises LocalError."""
    count, slash, unit = text.partition("/")
    try:
        value = float(count)
    except ValueError:
        value = math.nan
    if not slash or unit not in _TIMES or not 0 < value < math.inf:
        raise LocalError(f"{text!r} is no rate such as 120/s or 6/min")
    return value * _SECOND_US / _TIMES[unit]


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time, drawn anew each time it is needed; `a_us` and `b_us` mean what `kind` says.

    `fixed`: always `a_us`. `uniform`: from `a_us` to `b_us`. `exp`: exponential with mean `a_us`. `weibull`: scale
    `a_us` and shape `shape`; churn studies fit sessions with shapes below 1 (Stutzbach and Rejaie, IMC 2006).
    """

    kind: Literal["fixed", "uniform", "exp", "weibull"]
    a_us: int
    b_us: int = 0
    shape: float = 1.0

    def draw_us(self, rng: Rng) -> int:
        """At least 1 microsecond."""
        unit = _unit(rng)
        match self.kind:
            case "fixed":
                length = float(self.a_us)
            case "uniform":
                length = self.a_us + unit * (self.b_us - self.a_us)
            case "exp":
                length = -math.log1p(-unit) * self.a_us
            case "weibull":
                length = self.a_us * (-math.log1p(-unit)) ** (1 / self.shape)
        return max(1, min(round(length), _MAX_US))


def read_span(text: str) -> Span:
    """`20s`, `uniform(1s, 5s)`, `exp(10min)` or `weibull(0.5, 40min)`; raises LocalError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return Span("fixed", read_duration_us(text))
    kind, arguments = found[1], [part.strip() for part in found[2].split(",")]
    match kind, arguments:
        case "uniform", [low, high]:
            span = Span("uniform", read_duration_us(low), read_duration_us(high))
            if span.a_us > span.b_us:
                raise LocalError(f"{text!r} ends before it begins")
            return span
        case "exp", [mean]:
            return Span("exp", read_duration_us(mean))
        case "weibull", [shape, scale]:
            return Span("weibull", read_duration_us(scale), shape=_shape(shape, text))
        case _:
            raise LocalError(f"{text!r} is none of 20s, uniform(1s, 5s), exp(10min) or weibull(0.5, 40min)")


def _unit(rng: Rng) -> float:
    """Uniform in [0, 1)."""
    return (int.from_bytes(rng.random_bytes(7)) >> 3) / _FRACTION


def _shape(text: str, whole: str) -> float:
    try:
        shape = float(text)
    except ValueError:
        shape = math.nan
    if not 0 < shape < math.inf:
        raise LocalError(f"the shape in {whole!r} is a number above 0")
    return shape


def _scaled(text: str, units: Mapping[str, int], what: str, usual: str = "") -> int:
    found = _NUMBER.fullmatch(text.strip())
    scale = None if found is None else units.get(found[2] or usual)
    if found is None or scale is None:
        raise LocalError(f"{text!r} is not {what}")
    value = round(float(found[1]) * scale)
    if not 0 <= value <= _MAX_US:
        raise LocalError(f"{text!r} is out of range")
    return value
