"""Runs that take no time, for sweeps: importable by the processes of a pool, which a test's own functions need be."""

import os
from array import array

from latticework.simnet.result import Deliveries, NodeFigures, Result, Timeline
from latticework.simnet.scenario import Group, Scenario
from latticework.wire import LocalError

BASE = Scenario("quick", (Group("peers", 10),), 1_000_000)


def quick(scenario: Scenario, seed: int, cpu_s: float = 0.5) -> Result:
    """Two messages reach every node; latencies tell the settings and the seed."""
    table = Deliveries()
    for source in range(2):
        table.publish(source, 1000 * source)
        for node in range(scenario.node_count):
            table.deliver(source, node, 1000 * (source + scenario.mesh.d) + seed + node)
    nothing = array("q", [0] * scenario.node_count)
    names = ("peers",) * scenario.node_count
    return Result(
        scenario=scenario.name,
        seed=seed,
        tier=scenario.tier,
        crypto=scenario.crypto,
        run_id="",
        nodes=scenario.node_count,
        virtual_us=scenario.until_us,
        cpu_s=cpu_s,
        delivered=len(table.message),
        expected=len(table.message),
        digest=f"{scenario.mesh.d}-{seed}",
        checks=(),
        counters={"iwant": seed * scenario.mesh.d},
        deliveries=table,
        node_figures=NodeFigures(names, names, nothing, nothing, nothing, nothing),
        timeline=Timeline(),
    )


def one_fails(scenario: Scenario, seed: int) -> Result:
    """One run has a bug and another is refused."""
    match scenario.mesh.d, seed:
        case 8, 2:
            raise ZeroDivisionError("a bug")
        case 6, 3:
            raise LocalError("nobody is there")
        case _:
            return quick(scenario, seed)


def dies(scenario: Scenario, seed: int) -> Result:
    """The process ends, as it does when memory is short."""
    if seed == 2:
        os._exit(9)
    return quick(scenario, seed)
