"""A scenario on tier V: each message spreads eagerly over a static mesh, computed as shortest paths.

For the protocol `flood` the mesh is the scenario's connections with tier C's latencies, so that deliveries are those of
tier C to the microsecond. For `gossip` it is random, every node but a few has `mesh.d` links, and who dials whom does
not count, nor do heartbeats, lazy gossip and scores: that is what a million nodes take. A link has one latency for the
whole run. Loss, silent nodes and limited uplinks are what tier V can add; what else a scenario asks for is refused,
since a figure without it would be taken for one with it.
"""

import hashlib
import math
from array import array
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from time import process_time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticework.wire import LocalError

from ..core.links import MessageLinks, regions_of
from ..dialling import dials
from ..draws import choose, key_from
from ..progress import Progress, ProgressHook
from ..regions import Regions
from ..result import CheckResult, Deliveries, NodeFigures, Result, Timeline, percentile_ms, run_id
from ..rng import KeyedRng
from ..scenario import HONEST, ON_TIER_C, Check, Coverage, Latency, Links, Lookup, Publish, Scenario
from .buckets import UNREACHED
from .dissemination import Dissemination, Loss, Uplink, disseminate_in_blocks
from .graphs import Mesh, random_mesh

_SECOND_US: Final = 1_000_000
_SILENT: Final = "silent"
_UNLIMITED: Final = 1 << 50
"""Bytes per second of an uplink without a limit, beside others that have one: a copy takes its least, 1 us."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """The messages of one load; `numbers` are theirs among all of the run, by time."""

    numbers: NDArray[np.int64]
    sources: NDArray[np.int64]
    published_us: NDArray[np.int64]
    size_bytes: int


def run_vector(scenario: Scenario, seed: int, progress: ProgressHook) -> Result:
    """Run `scenario` from `seed`.

    Raises:
        LocalError: the scenario asks for what tier V has not; the text names the tiers that have it.
    """
    if refusal := _refusal(scenario):
        raise LocalError(f"scenario {scenario.name!r}: {refusal}")
    started_s = process_time()
    # Connections, latencies and sources are those of the other tiers, which have them from this stream.
    rng = KeyedRng(seed.to_bytes(8, "big", signed=True), "whole")
    run = _Run(scenario, rng)
    batches = _batches(scenario, rng)
    run.publish(batches)
    for place, batch in enumerate(batches):
        run.spread(batch, rng.child(f"vector loss {place}"), progress)
    return run.result(seed, process_time() - started_s)


class _Run:
    """What one run has found so far."""

    def __init__(self, scenario: Scenario, rng: KeyedRng) -> None:
        self._scenario = scenario
        self._mesh = _dialled_mesh(scenario, rng) if scenario.protocol == "flood" else _drawn_mesh(scenario, rng)
        roles = [group.role for group in scenario.groups for _ in range(group.count)]
        self._honest = np.array([role == HONEST for role in roles], np.bool_)
        self._deliveries = Deliveries()
        self._frames = np.zeros(scenario.node_count, np.int64)
        self._bytes = np.zeros(scenario.node_count, np.int64)
        self._digest = hashlib.sha256()
        self._counters = {"messages": 0, "received": 0, "duplicates": 0}

    def publish(self, batches: list[_Batch]) -> None:
        """Note all messages, in order of their numbers."""
        rows = [zip(batch.numbers, batch.sources, batch.published_us, strict=True) for batch in batches]
        for _, source, at_us in sorted(chain.from_iterable(rows)):
            self._deliveries.publish(int(source), int(at_us))

    def spread(self, batch: _Batch, chance: KeyedRng, progress: ProgressHook) -> None:
        """All messages of a load."""
        loss = self._scenario.links.loss
        blocks = disseminate_in_blocks(
            self._mesh,
            batch.sources,
            forwards=None if self._honest.all() else self._honest,
            loss=Loss(loss, chance) if loss else None,
            uplink=_uplink(self._scenario, batch.size_bytes),
        )
        done = 0
        for block in blocks:
            until = done + len(block.sent)
            self._keep(block, batch, done)
            done = until
            now_us = int(batch.published_us[done - 1])
            progress(self._progress(now_us))

    def _progress(self, now_us: int) -> Progress:
        scenario = self._scenario
        return Progress(now_us, _end_us(scenario), len(self._deliveries.node), scenario.node_count)

    def _keep(self, block: Dissemination, batch: _Batch, done: int) -> None:
        degrees = self._mesh.degrees()
        deliveries = self._deliveries
        for array_ in (block.first_us, block.sent, block.received):
            self._digest.update(array_.tobytes())
        for row, first_us in enumerate(block.first_us):
            source, at_us = int(batch.sources[done + row]), int(batch.published_us[done + row])
            reached = first_us != UNREACHED
            sends = reached & self._honest
            sends[source] = True
            frames = np.where(sends, degrees - 1, 0)
            frames[source] += 1
            self._frames += frames
            self._bytes += frames * batch.size_bytes
            in_time = reached & (first_us.astype(np.int64) + at_us <= _end_us(self._scenario)) & self._honest
            in_time[source] = False
            nodes = np.flatnonzero(in_time).astype(np.int32)
            deliveries.node.frombytes(nodes.tobytes())
            deliveries.message.extend([int(batch.numbers[done + row])] * nodes.size)
            deliveries.latency_us.frombytes(first_us[nodes].astype(np.int64).tobytes())
            self._counters["duplicates"] += int(block.received[row]) - int(np.count_nonzero(reached)) + 1
        self._counters["messages"] += int(block.sent.sum())
        self._counters["received"] += int(block.received.sum())

    def result(self, seed: int, cpu_s: float) -> Result:
        scenario, deliveries = self._scenario, self._deliveries
        sources = np.frombuffer(deliveries.source, np.int32)
        expected = int(sources.size * self._honest.sum() - self._honest[sources].sum())
        groups = [group for group in scenario.groups for _ in range(group.count)]
        zeros = np.zeros(scenario.node_count, np.int64)
        figures = NodeFigures(
            tuple(group.name for group in groups),
            tuple(group.role for group in groups),
            *(_column(values) for values in (self._mesh.degrees(), self._bytes, self._frames, zeros)),
        )
        return Result(
            scenario=scenario.name,
            seed=seed,
            tier="V",
            crypto=scenario.crypto,
            run_id=run_id(scenario, seed, version("latticework")),
            nodes=scenario.node_count,
            virtual_us=_end_us(scenario),
            cpu_s=cpu_s,
            delivered=len(deliveries.node),
            expected=expected,
            digest=self._digest.hexdigest(),
            checks=tuple(_checked(check, deliveries, expected) for check in scenario.checks),
            counters=self._counters,
            deliveries=deliveries,
            node_figures=figures,
            timeline=_timeline(scenario, deliveries),
        )


def _refusal(scenario: Scenario) -> str:
    links = scenario.links
    if scenario.protocol in ON_TIER_C:
        return f"protocol {scenario.protocol!r} is for tier C: tier V has no feedback"
    if scenario.faults:
        return "tier V has no faults; tiers C and F have"
    for group in scenario.groups:
        if group.role not in {HONEST, _SILENT}:
            return f"tier V has no role {group.role!r}, only honest and silent ones; tiers C and F have more"
        if group.region or group.joins_at_us or group.down is not None or group.cpu or group.nat != "open":
            return f"group {group.name!r}: region, joins_at, down, cpu and nat are for tiers C and F"
    if links.jitter or links.burst_enter or links.reorder or links.duplicate or links.corrupt:
        return "on tier V links have latency, jitter_time and loss; tiers C and F have the rest"
    if any(isinstance(load, Lookup) for load in scenario.load):
        return "load Lookup is for protocol kademlia, which is on tier C"
    if not all(isinstance(load, Publish) for load in scenario.load):
        return "tier V spreads messages; files are for tier F"
    if not all(isinstance(check, Coverage | Latency) for check in scenario.checks):
        return "tier V checks coverage and latency; states are for tier F"
    if scenario.protocol == "gossip" and (scenario.mesh.d % 2 or scenario.node_count < 3):
        return "tier V gossips among at least 3 nodes with an even mesh.d: its mesh is made of cycles"
    return ""


def _end_us(scenario: Scenario) -> int:
    return scenario.warmup_us + scenario.until_us


def _dialled_mesh(scenario: Scenario, rng: KeyedRng) -> Mesh:
    count = scenario.node_count
    links = MessageLinks(
        scenario.links, [group for group in scenario.groups for _ in range(group.count)], rng.child("links")
    )
    far: list[dict[int, None]] = [{} for _ in range(count)]
    for near, dialled in enumerate(dials(scenario, rng.child("dials"))):
        for other in dialled:
            far[near][other] = far[other][near] = None
    shape = (count, max(1, *map(len, far)))
    neighbours = np.broadcast_to(np.arange(count, dtype=np.int32)[:, None], shape).copy()
    latency_us = np.zeros(shape, np.int32)
    for near, others in enumerate(far):
        neighbours[near, : len(others)] = list(others)
        latency_us[near, : len(others)] = [max(1, links.latency_us(near, other)) for other in others]
    return Mesh(neighbours, latency_us)


def _drawn_mesh(scenario: Scenario, rng: KeyedRng) -> Mesh:
    regions, jitter_us = _latencies(scenario.links)
    return random_mesh(
        rng.child("vector mesh"), scenario.node_count, scenario.mesh.d, regions=regions, jitter_us=jitter_us
    )


def _latencies(links: Links) -> tuple[Regions, int]:
    if links.uniform_us is None:
        return regions_of(links), max(1, links.jitter_us)
    low, high = links.uniform_us
    return Regions(("anywhere",), (1,), ((max(1, low),),)), max(1, high - low + 1)


def _uplink(scenario: Scenario, size_bytes: int) -> Uplink | None:
    rates = [group.up or _UNLIMITED for group in scenario.groups for _ in range(group.count)]
    limited = any(group.up for group in scenario.groups)
    return Uplink(size_bytes, np.array(rates, np.int64)) if limited else None


def _batches(scenario: Scenario, rng: KeyedRng) -> list[_Batch]:
    loads = [load for load in scenario.load if isinstance(load, Publish)]  # all: others were refused
    times_us = [_times_us(scenario, load) for load in loads]
    order = np.argsort(np.concatenate(times_us), kind="stable") if loads else np.empty(0, np.int64)
    numbers = np.empty_like(order)
    numbers[order] = np.arange(order.size)
    batches: list[_Batch] = []
    for place, (load, published_us) in enumerate(zip(loads, times_us, strict=True)):
        members = scenario.members(load.source)
        wanted = min(load.sources or len(members), len(members))
        drawn = [members[at] for at in choose(key_from(rng.child(f"sources of load {place}")), len(members), wanted)]
        own, numbers = np.split(numbers, [published_us.size])
        batches.append(
            _Batch(own, np.resize(np.array(drawn, np.int64), published_us.size), published_us, load.size_bytes)
        )
    return batches


def _times_us(scenario: Scenario, load: Publish) -> NDArray[np.int64]:
    """As on the other tiers: after the warm-up, the n-th after n times the mean pause."""
    last_us = scenario.until_us if load.until_us is None else min(load.until_us, scenario.until_us)
    count = max(0, math.ceil((last_us - load.from_us) * load.rate_per_s / _SECOND_US) + 1)
    at_us = load.from_us + np.round(np.arange(count) * _SECOND_US / load.rate_per_s).astype(np.int64)
    return scenario.warmup_us + at_us[at_us < last_us]


def _checked(check: Check, deliveries: Deliveries, expected: int) -> CheckResult:
    latency_us = np.frombuffer(deliveries.latency_us, np.int64)
    if isinstance(check, Coverage):
        within_us = UNREACHED if check.within_us is None else check.within_us
        in_time = int(np.count_nonzero(latency_us <= within_us))
        share = in_time / expected if expected else 1.0
        told = f"{in_time} of {expected} deliveries ({share:.4f}), at least {check.least}"
        within = "" if check.within_us is None else f" within {check.within_us / 1e6:g} s"
        return CheckResult("coverage", share >= check.least, told + within)
    if isinstance(check, Latency):
        found = percentile_ms(deliveries.latency_us, check.percentile)
        if found is None:
            return CheckResult("latency", ok=False, told="nothing was delivered")
        told = f"p{check.percentile:g} {found:.1f} ms, at most {check.most_us / 1e3:g}"
        return CheckResult("latency", found * 1000 <= check.most_us, told)
    raise LocalError("tier V checks coverage and latency")


def _timeline(scenario: Scenario, deliveries: Deliveries) -> Timeline:
    """A sample for each second."""
    published_us = np.frombuffer(deliveries.published_us, np.int64)
    message = np.frombuffer(deliveries.message, np.int32)
    when_us = np.sort(published_us[message] + np.frombuffer(deliveries.latency_us, np.int64))
    time_us = np.arange(0, _end_us(scenario) + 1, _SECOND_US)
    samples = len(time_us)
    return Timeline(
        _column(time_us),
        array("i", [scenario.node_count]) * samples,
        array("i", [1]) * samples,
        _column(np.searchsorted(when_us, time_us, side="right")),
    )


def _column(values: NDArray[np.int64]) -> array[int]:
    made = array("q")
    made.frombytes(values.astype(np.int64).tobytes())
    return made
