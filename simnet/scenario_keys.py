"""The keys of a scenario file: how each is called, what it holds, and which field of the model it fills.

A key is called like its field without the unit, since its value says the unit: `until_us` is `until = "120s"`. The one
exception is `Links.jitter_us`, which is `jitter_time`, as `jitter` is a share.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Final, Protocol, cast

from latticework.wire import LocalError

from .amounts import (
    Span,
    read_bandwidth,
    read_duration_us,
    read_rate,
    read_size_bytes,
    read_span,
)
from .scenario import (
    CRYPTO_MODES,
    PROTOCOLS,
    TIERS,
    Check,
    Churn,
    Converged,
    Coverage,
    Crash,
    Detected,
    Fault,
    FaultPoints,
    FullDisk,
    Group,
    Kademlia,
    Latency,
    Links,
    Load,
    Lookup,
    Mesh,
    Partition,
    Publish,
    Scenario,
    ShareFile,
    SlowCpu,
)

type Toml = str | int | float | bool | list[Toml] | dict[str, Toml]
"""What a TOML file holds, without dates."""

_LIMIT: Final = 1 << 63
"""Whole numbers of TOML are signed and have 64 bits."""
_DURATIONS: Final = (("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))
_SIZES: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_BITS: Final = (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 10**3), ("bit", 1))


class Kind(Enum):
    """What a key holds; the value is how an error names it."""

    TEXT = "text"
    COUNT = "a whole number of at least 0"
    AMOUNT = "a number of at least 0"
    NUMBER = "a number"
    FLAG = "true or false"
    DURATION = 'a duration such as "500ms", "20s" or "10min"'
    OFFSET = 'a duration such as "20s", or "-20s"'
    SIZE = 'a size such as 2048, "64KiB" or "1MB"'
    BANDWIDTH = 'a bandwidth such as "50Mbit"'
    RATE = 'a rate such as "120/s", or a number of them each second'
    SPAN = 'a span such as "20s", "uniform(1s, 5s)", "exp(10min)" or "weibull(0.5, 40min)"'
    NAMES = "a list of names"
    RANGE = 'two durations, the shorter one first: ["10ms", "150ms"]'


@dataclass(frozen=True, slots=True)
class Key:
    """`name` in the file is `field` in the model; empty is the same name. `choices` are all texts it may be."""

    name: str
    kind: Kind
    field: str = ""
    choices: tuple[str, ...] = ()

    @property
    def fills(self) -> str:
        """The field."""
        return self.field or self.name


type Record = Scenario | Group | Links | Mesh | Kademlia | Load | Fault | Check
"""What a table becomes."""


class _Maker(Protocol):
    def __call__(self, **values: object) -> Record: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of a table, which becomes an `of`."""

    of: type[Record]
    keys: tuple[Key, ...]

    def make(self, values: Mapping[str, object]) -> Record:
        """The record with `values` by field; raises LocalError if it contradicts itself."""
        return cast("_Maker", self.of)(**values)

    def values(self, record: Record) -> dict[str, object]:
        """By field."""
        return {key.fills: cast("object", getattr(record, key.fills)) for key in self.keys}

    def defaults(self) -> dict[str, object]:
        """By field; what is missing here must be in the file."""
        return {field.name: cast("object", field.default) for field in fields(self.of) if field.default is not MISSING}


_AT: Final = Key("at", Kind.DURATION, "at_us")
_FOR: Final = Key("for", Kind.DURATION, "for_us")
_FROM: Final = Key("from", Kind.DURATION, "from_us")
_UNTIL: Final = Key("until", Kind.DURATION, "until_us")
_GROUP: Final = Key("group", Kind.TEXT)
_SHARE: Final = Key("share", Kind.AMOUNT)
_WITHIN: Final = Key("within", Kind.DURATION, "within_us")
_SIZE: Final = Key("size", Kind.SIZE, "size_bytes")
_SOURCE: Final = Key("source", Kind.TEXT)
_SOURCES: Final = Key("sources", Kind.COUNT)
_RATE: Final = Key("rate", Kind.RATE, "rate_per_s")

RUN: Final = Shape(
    Scenario,
    (
        Key("name", Kind.TEXT),
        Key("title", Kind.TEXT),
        Key("seed", Kind.COUNT),
        _UNTIL,
        Key("tier", Kind.TEXT, choices=TIERS),
        Key("crypto", Kind.TEXT, choices=CRYPTO_MODES),
        Key("protocol", Kind.TEXT, choices=PROTOCOLS),
        Key("warmup", Kind.DURATION, "warmup_us"),
    ),
)
NODES: Final = Shape(
    Group,
    (
        Key("name", Kind.TEXT),
        Key("count", Kind.COUNT),
        Key("role", Kind.TEXT),
        Key("dial", Kind.COUNT),
        Key("dial_to", Kind.NAMES),
        Key("region", Kind.TEXT),
        Key("nat", Kind.TEXT),
        Key("up", Kind.BANDWIDTH),
        Key("down", Kind.BANDWIDTH),
        Key("cpu", Kind.AMOUNT),
        Key("skew", Kind.OFFSET, "skew_us"),
        Key("drift_ppm", Kind.NUMBER),
        Key("joins_at", Kind.DURATION, "joins_at_us"),
    ),
)
LINKS: Final = Shape(
    Links,
    (
        Key("regions", Kind.TEXT),
        Key("uniform", Kind.RANGE, "uniform_us"),
        Key("jitter", Kind.AMOUNT),
        Key("jitter_time", Kind.DURATION, "jitter_us"),
        *(Key(name, Kind.AMOUNT) for name in ("loss", "burst_enter", "burst_leave", "burst_loss")),
        *(Key(name, Kind.AMOUNT) for name in ("reorder", "duplicate", "corrupt")),
        Key("queue", Kind.SIZE, "queue_bytes"),
    ),
)
MESH: Final = Shape(
    Mesh,
    (
        *(Key(name, Kind.COUNT) for name in ("d", "d_lo", "d_hi", "d_lazy", "d_out", "d_score")),
        Key("gossip_factor", Kind.AMOUNT),
        Key("flood_publish", Kind.FLAG),
        Key("heartbeat", Kind.DURATION, "heartbeat_us"),
        Key("history_gossip", Kind.COUNT),
        Key("history_length", Kind.COUNT),
        Key("version", Kind.TEXT, choices=("1.0", "1.1", "1.2")),
    ),
)
KADEMLIA: Final = Shape(Kademlia, tuple(Key(name, Kind.COUNT) for name in ("k", "alpha", "paths")))
LOADS: Final = {
    "publish": Shape(Publish, (_SOURCE, _RATE, _SIZE, _FROM, _UNTIL, _SOURCES)),
    "lookup": Shape(Lookup, (_SOURCE, _RATE, _FROM, _UNTIL, _SOURCES)),
    "file": Shape(ShareFile, (_SOURCE, _SIZE, _AT)),
}
FAULTS: Final = {
    "partition": Shape(Partition, (_AT, _FOR, Key("side", Kind.NAMES), _SHARE, Key("one_way", Kind.FLAG))),
    "churn": Shape(Churn, (_GROUP, Key("session", Kind.SPAN), Key("rejoin", Kind.SPAN), _AT, _UNTIL)),
    "crash": Shape(Crash, (_GROUP, _AT, _FOR, _SHARE, Key("lose_disk", Kind.FLAG))),
    "full-disk": Shape(FullDisk, (_GROUP, _AT, _FOR, _SHARE)),
    "fault-points": Shape(FaultPoints, (_AT, _FOR, Key("chance", Kind.AMOUNT), Key("points", Kind.NAMES))),
    "slow-cpu": Shape(SlowCpu, (_GROUP, _AT, _FOR, Key("factor", Kind.AMOUNT), _SHARE)),
}
CHECKS: Final = {
    "coverage": Shape(Coverage, (Key("least", Kind.AMOUNT), _WITHIN)),
    "latency": Shape(Latency, (Key("most", Kind.DURATION, "most_us"), Key("percentile", Kind.AMOUNT))),
    "converged": Shape(Converged, ()),
    "detected": Shape(Detected, (_WITHIN,)),
}


def read_value(kind: Kind, value: Toml) -> object:
    """The model's value of what stands in a file; raises LocalError."""
    match kind, value:
        case Kind.FLAG, bool():
            return value
        case _, bool():
            raise _mismatch(kind)
        case Kind.TEXT, str():
            return value
        case (Kind.COUNT | Kind.SIZE, int()) if 0 <= value < _LIMIT:
            return value
        case (Kind.AMOUNT | Kind.RATE, int() | float()) if 0 <= value < math.inf:
            return value + 0.0  # no negative zero: equal scenarios have equal texts
        case (Kind.NUMBER, int() | float()) if math.isfinite(value):
            return value + 0.0  # no negative zero: equal scenarios have equal texts
        case ((Kind.NAMES | Kind.RANGE), list()):
            return _read_list(kind, value)
        case _, str():
            return _read_text(kind, value)
        case _:
            raise _mismatch(kind)


def write_value(kind: Kind, value: object) -> Toml:
    """What stands in a file for a value of the model, which reads back equal."""
    match kind, value:
        case _, bool() | str() | float() if kind is not Kind.RATE:
            return value
        case ((Kind.DURATION | Kind.OFFSET), int()):
            return _scaled(value, _DURATIONS)
        case Kind.SIZE, int():
            return _size(value)
        case Kind.BANDWIDTH, int():
            return _scaled(value * 8, _BITS)
        case Kind.RATE, int() | float():
            return _rate(float(value))
        case Kind.SPAN, Span():
            return _span(value)
        case Kind.RANGE, (int() as low, int() as high):
            return [_scaled(low, _DURATIONS), _scaled(high, _DURATIONS)]
        case Kind.NAMES, tuple():
            return list(cast("tuple[str, ...]", value))
        case _, int():
            return value
        case _:
            raise _mismatch(kind)


def _read_text(kind: Kind, text: str) -> object:
    match kind:
        case Kind.DURATION:
            return read_duration_us(text)
        case Kind.OFFSET:
            behind = text.startswith("-")
            return -read_duration_us(text[1:]) if behind else read_duration_us(text)
        case Kind.SIZE:
            return read_size_bytes(text)
        case Kind.BANDWIDTH:
            return read_bandwidth(text)
        case Kind.RATE:
            return read_rate(text)
        case Kind.SPAN:
            return read_span(text)
        case _:
            raise _mismatch(kind)


def _read_list(kind: Kind, values: list[Toml]) -> tuple[str | int, ...]:
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(values):
        raise _mismatch(kind)
    if kind is Kind.NAMES:
        return tuple(texts)
    spread = tuple(read_duration_us(text) for text in texts)
    if len(spread) != 2 or spread[0] > spread[1]:
        raise _mismatch(kind)
    return spread


def _scaled(value: int, units: tuple[tuple[str, int], ...]) -> str:
    """The shortest exact text."""
    if not value:
        return "0s"  # of bandwidths there is no 0
    unit, scale = next((unit, scale) for unit, scale in units if value % scale == 0)
    return f"{value // scale}{unit}"


def _size(value: int) -> str | int:
    for unit, scale in _SIZES:
        if value and value % scale == 0:
            return f"{value // scale}{unit}"
    return value


def _rate(value: float) -> str | float:
    text = f"{value:g}/s"
    return text if read_rate(text) == value else value


def _span(span: Span) -> str:
    a = _scaled(span.a_us, _DURATIONS)
    match span.kind:
        case "fixed":
            return a
        case "uniform":
            return f"uniform({a}, {_scaled(span.b_us, _DURATIONS)})"
        case "exp":
            return f"exp({a})"
        case "weibull":
            return f"weibull({span.shape!r}, {a})"


def _mismatch(kind: Kind) -> LocalError:
    return LocalError(f"it holds {kind.value}")
