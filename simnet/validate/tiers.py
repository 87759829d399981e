"""V7 across the tiers: one flood workload, and every tier gives the same answer to the microsecond."""

from ..core import flood as core_flood
from ..result import Deliveries
from ..vector import disseminate, mesh_from_edges
from ..whole import flood as whole_flood
from ..workload import Workload, make_workload
from .check import Check, check

_NODES = 500
_DEGREE = 8
_MESSAGES = 4
_SOURCE = "one workload, three engines of ours: V7 of the plan asks for equality"

type Rows = dict[tuple[int, int], int]
"""Latency in microseconds by message and node."""


def same_flood(seed: bytes) -> list[Check]:
    """Rows (message, node, latency) in which tiers F and V differ from tier C, and copies received by each."""
    workload = make_workload(_NODES, _DEGREE, _MESSAGES, int.from_bytes(seed[:4], "big"))
    core, whole = core_flood.run_flood(workload), whole_flood.run_flood(workload)
    expected, received = _rows(core.deliveries), core.receptions
    vector, copies = _by_vector(workload)
    found = {"F": (_rows(whole.deliveries), whole.receptions), "V": (vector, copies)}
    checks: list[Check] = []
    for tier, (rows, receptions) in found.items():
        what = f"flood of {_MESSAGES} messages, {_NODES} nodes: rows that differ between tiers {tier} and C"
        checks.append(check("V7", what, 0, len(expected.items() ^ rows.items()), 0, _SOURCE))
        checks.append(check("V7", f"the same: copies received on tier {tier}", received, receptions, 0, _SOURCE))
    return checks


def _rows(deliveries: Deliveries) -> Rows:
    return dict(zip(zip(deliveries.message, deliveries.node, strict=True), deliveries.latency_us, strict=True))


def _by_vector(workload: Workload) -> tuple[Rows, int]:
    edges = [(near, far, us) for near, links in enumerate(workload.links) for far, us in links if near < far]
    sources = [source for source, _ in workload.messages]
    spread = disseminate(mesh_from_edges(workload.node_count, edges), sources)
    rows = {
        (message, node): int(us)
        for message, times in enumerate(spread.first_us)
        for node, us in enumerate(times)
        if node != sources[message]
    }
    return rows, int(spread.received.sum())
