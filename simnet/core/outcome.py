"""What a run of tier C amounts to: expected deliveries, the checks of its scenario, and the digest."""

import hashlib
from array import array
from bisect import bisect_left
from dataclasses import asdict
from importlib.metadata import version
from typing import assert_never

from latticework.wire import LocalError

from ..result import CheckResult, Deliveries, NodeFigures, Result, percentile_ms, run_id
from ..scenario import HONEST, Check, Converged, Coverage, Detected, Latency, Scenario
from .kademlia import KademliaWorld
from .stage import Stage
from .watch import Watch


def check_checks(scenario: Scenario) -> None:
    """Raises LocalError for checks of states, which tier C has not."""
    for check in scenario.checks:
        if isinstance(check, Converged | Detected):
            raise LocalError(f"scenario {scenario.name!r}: {type(check).__name__} is for tier F: tier C has no states")


def outcome(stage: Stage, seed: int, watch: Watch, cpu_s: float) -> Result:
    """The result of a run that is over."""
    scenario, world = stage.scenario, stage.world
    if isinstance(world, KademliaWorld):
        expected, latencies = world.lookups.expected, list(world.deliveries.latency_us)
    else:
        expected, lasting = _expected(stage)
        latencies = _lasting_latencies(world.deliveries, lasting, stage)
    return Result(
        scenario=scenario.name,
        seed=seed,
        tier="C",
        crypto=scenario.crypto,
        run_id=run_id(scenario, seed, version("latticework")),
        nodes=scenario.node_count,
        virtual_us=stage.now_us,
        cpu_s=cpu_s,
        delivered=len(latencies),
        expected=expected,
        digest=digest_of(world.deliveries),
        checks=(
            *(_judge(check, world.deliveries, latencies, expected) for check in scenario.checks),
            *watch.invariants,
        ),
        counters={**world.counters(), **asdict(world.links.counters)},
        deliveries=world.deliveries,
        node_figures=_node_figures(stage),
        timeline=watch.timeline,
    )


def digest_of(deliveries: Deliveries) -> str:
    """BLAKE2b (32 bytes, in hexadecimal) over every message and every delivery, in the order of events."""
    digest = hashlib.blake2b(digest_size=32)
    rows = (deliveries.source, deliveries.published_us, deliveries.message, deliveries.node, deliveries.latency_us)
    for column in rows:
        digest.update(column.tobytes())
    return digest.hexdigest()


def _expected(stage: Stage) -> tuple[int, bytearray]:
    """How many (message, node) pairs there should be, and which nodes are honest and up at the end.

    As on tier F, a message that nobody got before its source went down for good, or lost its disk, is expected nowhere.
    """
    lasting = bytearray(
        group.role == HONEST and bool(up) for group, up in zip(stage.groups, stage.world.connections.up, strict=True)
    )
    since = sorted(stage.last_down_us[number] for number, counts in enumerate(lasting) if counts)
    rows, up = stage.world.deliveries, stage.world.connections.up
    told = bytearray(len(rows.source))
    for message in rows.message:
        told[message] = 1
    expected = 0
    for source, at_us, was_told in zip(rows.source, rows.published_us, told, strict=True):
        if not was_told and not (up[source] and stage.lost_us.get(source, -1) < at_us):
            continue
        expected += bisect_left(since, at_us) - (lasting[source] and stage.last_down_us[source] < at_us)
    return expected, lasting


def _lasting_latencies(rows: Deliveries, lasting: bytearray, stage: Stage) -> list[int]:
    """The latencies of the deliveries that were expected."""
    down_us, published_us = stage.last_down_us, rows.published_us
    return [
        latency_us
        for message, node, latency_us in zip(rows.message, rows.node, rows.latency_us, strict=True)
        if lasting[node] and down_us[node] < published_us[message]
    ]


def _judge(check: Check, rows: Deliveries, latencies: list[int], expected: int) -> CheckResult:
    match check:
        case Coverage(least, within_us):
            in_time = sum(within_us is None or latency_us <= within_us for latency_us in latencies)
            share = in_time / expected if expected else 1.0
            told = f"{in_time} of {expected} deliveries ({share:.4f}), at least {least}"
            return CheckResult("coverage", share >= least, told + (f" within {within_us / 1e6} s" if within_us else ""))
        case Latency(most_us, percentile):
            got = percentile_ms(rows.latency_us, percentile)
            told = "nothing was delivered" if got is None else f"p{percentile:g} {got:.1f} ms, at most {most_us / 1e3}"
            return CheckResult("latency", got is not None and got * 1e3 <= most_us, told)
        case Converged() | Detected():
            raise LocalError("tier C has no states to check")
        case _:
            assert_never(check)


def _node_figures(stage: Stage) -> NodeFigures:
    world, numbers = stage.world, range(len(stage.groups))
    sent = [world.sent(number) for number in numbers]
    return NodeFigures(
        group=tuple(group.name for group in stage.groups),
        role=tuple(group.role for group in stage.groups),
        degree=array("i", [len(world.connections.links[number]) for number in numbers]),
        sent_bytes=array("q", [size for size, _ in sent]),
        sent_frames=array("q", [frames for _, frames in sent]),
        duplicates=array("q", [world.duplicates(number) for number in numbers]),
    )
