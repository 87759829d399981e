"""Made-up results with the shape of real ones: a gossip run with adversaries, a partition and a crash."""

from array import array
from dataclasses import replace

from latticework.simnet import KeyedRng
from latticework.simnet.result import CheckResult, Deliveries, NodeFigures, Result, Timeline
from latticework.simnet.scenario import Crash, Group, Partition, Publish, Scenario

S = 1_000_000

SCENARIO = Scenario(
    "made",
    (Group("peers", 90), Group("mutes", 10, role="silent")),
    60 * S,
    load=(Publish("peers"),),
    faults=(Partition(15 * S, 12 * S, share=0.4), Crash("peers", 36 * S, 8 * S, share=0.2)),
)


def drawn(rng: KeyedRng, low: int, high: int) -> int:
    """Uniform in [low, high)."""
    return low + (int.from_bytes(rng.random_bytes(4)) * (high - low) >> 32)


def deliveries(rng: KeyedRng, nodes: int, messages: int, slow: int) -> Deliveries:
    table = Deliveries()
    for message in range(messages):
        now_us = 10 * S + message * S
        table.publish(message % nodes, now_us)
        base_us = drawn(rng, 20_000, 60_000)
        for node in range(nodes):
            lost = 15 <= message < 27 and node % 5 < 2
            if node != message % nodes and not lost:
                hops_us = sum(drawn(rng, 5_000, slow) for _ in range(3))
                table.deliver(message, node, now_us + base_us + hops_us)
    return table


def timeline(nodes: int, expected: int) -> Timeline:
    table, delivered = Timeline(), 0
    for second in range(61):
        cut, crashed = 25 <= second < 37, 46 <= second < 54
        delivered += 0 if second < 10 else round(expected * (0.6 if cut else 0.8 if crashed else 1))
        table.time_us.append(second * S)
        table.up.append(nodes * 4 // 5 if crashed else nodes)
        table.parts.append(2 if cut else 3 if second == 46 else 1)
        table.delivered.append(delivered)
    return table


def node_figures(rng: KeyedRng, honest: int, silent: int) -> NodeFigures:
    total = honest + silent
    degree = [sum(drawn(rng, 2, 5) for _ in range(5)) for _ in range(total)]
    sent = [drawn(rng, 0, 90_000) + (400_000 if node < honest else 3_000) for node in range(total)]
    copies = [drawn(rng, 90, 210) for _ in range(total)]
    group = ("peers",) * honest + ("mutes",) * silent
    role = ("honest",) * honest + ("silent",) * silent
    frames = [size // 300 for size in sent]
    return NodeFigures(group, role, array("i", degree), array("q", sent), array("q", frames), array("q", copies))


def result(seed: int = 1, honest: int = 90, silent: int = 10, messages: int = 50) -> Result:
    rng = KeyedRng(str(seed).encode(), "made", str(honest))
    table = deliveries(rng.child("deliveries"), honest, messages, 60_000 + 20 * honest)
    return Result(
        scenario="made",
        seed=seed,
        tier="C",
        crypto="memo",
        run_id=f"{seed:016x}",
        nodes=honest + silent,
        virtual_us=60 * S,
        cpu_s=1.2345678,
        delivered=len(table.message),
        expected=messages * (honest - 1),
        digest="ab" * 32,
        checks=(CheckResult("coverage", True, "1.0 >= 0.99"), CheckResult("latency", False, "p99 300 ms > 200 ms")),
        counters={"iwant": 12, "graft": 340},
        deliveries=table,
        node_figures=node_figures(rng.child("nodes"), honest, silent),
        timeline=timeline(honest + silent, honest - 1),
    )


def empty() -> Result:
    """A run in which nothing was published and nothing sampled."""
    made = result(messages=1)
    return replace(made, delivered=0, expected=0, deliveries=Deliveries(), timeline=Timeline(), checks=(), counters={})
