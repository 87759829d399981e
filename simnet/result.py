"""What a run gives: figures, tables in columns, the outcome of every check, and a digest to compare runs by.

Columns are plain arrays of the standard library, so that a run needs no numpy; `simnet.figures` turns them into files
and plots. A run is identified by what decided it (`run_id`), so that a result can be found again and never stands for
another one.
"""

import hashlib
import platform
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from latticework.wire import LocalError

from .scenario import Scenario

SCHEMA: Final = 2
"""Version of what `run_id` covers and of the tables' columns; a change of either counts it up."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether a check of the scenario held; `told` says with which figures."""

    check: str
    ok: bool
    told: str


@dataclass(frozen=True, slots=True)
class Deliveries:
    """One row per message and node that it reached: columns of equal length.

    `message` counts from 0 in order of publication, `node` is the scenario's number of a node, `latency_us` the time
    since publication. `published_us` and `source` have one row per message.
    """

    message: array[int] = field(default_factory=lambda: array("i"))
    node: array[int] = field(default_factory=lambda: array("i"))
    latency_us: array[int] = field(default_factory=lambda: array("q"))
    published_us: array[int] = field(default_factory=lambda: array("q"))
    source: array[int] = field(default_factory=lambda: array("i"))

    def publish(self, source: int, now_us: int) -> int:
        """Note a message; its number."""
        self.published_us.append(now_us)
        self.source.append(source)
        return len(self.published_us) - 1

    def deliver(self, message: int, node: int, now_us: int) -> None:
        """Note that a message reached a node."""
        self.message.append(message)
        self.node.append(node)
        self.latency_us.append(now_us - self.published_us[message])


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """One row per node: its group and role, connections at the end, what it sent, copies that it had already."""

    group: tuple[str, ...]
    role: tuple[str, ...]
    degree: array[int]
    sent_bytes: array[int]
    sent_frames: array[int]
    duplicates: array[int]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One row per sample: the time, nodes up, parts that the honest nodes' mesh falls into, deliveries so far."""

    time_us: array[int] = field(default_factory=lambda: array("q"))
    up: array[int] = field(default_factory=lambda: array("i"))
    parts: array[int] = field(default_factory=lambda: array("i"))
    delivered: array[int] = field(default_factory=lambda: array("q"))


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one run.

    `expected` counts the (message, node) pairs that could be delivered: honest nodes but the source, up from the
    publication to the end. `digest` covers everything that happened: two runs with equal digests took the same steps.
    `counters` are protocol figures by name (`iwant`, `graft`, ...).
    """

    scenario: str
    seed: int
    tier: str
    crypto: str
    run_id: str
    nodes: int
    virtual_us: int
    cpu_s: float
    delivered: int
    expected: int
    digest: str
    checks: tuple[CheckResult, ...]
    counters: Mapping[str, int]
    deliveries: Deliveries
    node_figures: NodeFigures
    timeline: Timeline

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return all(check.ok for check in self.checks)

    @property
    def coverage(self) -> float:
        """Delivered by expected pairs; 1 where nothing was expected."""
        return self.delivered / self.expected if self.expected else 1.0

    def percentile_ms(self, percentile: float) -> float | None:
        """The nearest-rank percentile of all latencies, in milliseconds; None without deliveries."""
        return percentile_ms(self.deliveries.latency_us, percentile)

    def summary(self) -> dict[str, object]:
        """The object that `lattice sim run --json` prints."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "nodes": self.nodes,
            "virtual_s": self.virtual_us / 1e6,
            "cpu_s": round(self.cpu_s, 3),
            "delivered": self.delivered,
            "coverage": round(self.coverage, 6),
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
            "digest": self.digest,
            "tier": self.tier,
            "crypto": self.crypto,
            "run_id": self.run_id,
            "ok": self.ok,
            "checks": [asdict(check) for check in self.checks],
            "counters": dict(self.counters),
        }


def percentile_ms(latencies_us: Sequence[int], percentile: float) -> float | None:
    """The nearest-rank percentile (above 0, at most 100), in milliseconds; None of nothing."""
    if not 0 < percentile <= 100:  # per cent
        raise LocalError("a percentile is above 0 and at most 100")
    ordered = sorted(latencies_us)
    if not ordered:
        return None
    rank = -(-len(ordered) * percentile // 100)
    return ordered[int(rank) - 1] / 1000


def run_id(scenario: Scenario, seed: int, version: str) -> str:
    """16 hexadecimal digits of SHA-256 over all that decides a run: scenario, seed, our version and Python's."""
    decides = (SCHEMA, repr(scenario), seed, version, platform.python_version())
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]
