import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latticework.simnet.amounts import Span
from latticework.simnet.core.flood import run_flood
from latticework.simnet.core.run import run_core
from latticework.simnet.progress import Progress
from latticework.simnet.scenario import (
    Churn,
    Converged,
    Coverage,
    Crash,
    Detected,
    Fault,
    FaultPoints,
    FullDisk,
    Group,
    Latency,
    Links,
    Lookup,
    Partition,
    Publish,
    Scenario,
    ShareFile,
    SlowCpu,
)
from latticework.simnet.workload import make_workload
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

SECOND = 1_000_000
LOAD = Publish("peers", rate_per_s=2, until_us=6 * SECOND, sources=3)


def scenario_of(protocol: str = "gossip", /, **changes: object) -> Scenario:
    base = Scenario(
        "small",
        (Group("peers", 30, dial=4),),
        10 * SECOND,
        tier="C",
        protocol=protocol,
        warmup_us=4 * SECOND,
        load=(LOAD,),
        checks=(Coverage(1.0, 5 * SECOND), Latency(3 * SECOND)),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("protocol", ["gossip", "flood"])
def test_a_scenario_runs_and_its_figures_fit_together(protocol: str) -> None:
    seen: list[Progress] = []
    result = run_core(scenario_of(protocol), 5, seen.append)
    assert result.ok
    assert (result.tier, result.nodes, result.virtual_us) == ("C", 30, 14 * SECOND)
    assert result.delivered == result.expected == 12 * 29 == len(result.deliveries.node)
    assert list(result.deliveries.published_us)[:3] == [4_000_000, 4_500_000, 5_000_000]
    assert len({*result.deliveries.source}) == 3
    assert list(result.timeline.time_us) == [second * SECOND for second in range(1, 15)]
    assert set(result.timeline.up) == {30}
    assert result.timeline.parts[-1] == 1
    assert result.timeline.delivered[-1] == result.delivered
    assert [progress.virtual_us for progress in seen] == list(result.timeline.time_us)
    figures = result.node_figures
    assert sum(figures.duplicates) + result.delivered == result.counters["messages"]
    assert min(figures.degree) >= 4
    assert min(figures.sent_frames) > 0
    assert sum(figures.sent_bytes) >= 300 * result.counters["messages"]


def test_links_and_connections_are_those_that_tier_f_would_have() -> None:
    """The dials are drawn by (seed, node) under the same names, so one more node moves few of them."""
    small, large = run_core(scenario_of(), 5), run_core(scenario_of(groups=(Group("peers", 31, dial=4),)), 5)
    assert small.run_id != large.run_id
    assert small.digest != large.digest
    assert small.digest == run_core(scenario_of(), 5).digest
    assert small.digest != run_core(scenario_of(), 6).digest


@pytest.mark.parametrize("protocol", ["gossip", "flood"])
@pytest.mark.parametrize(
    "fault",
    [
        Partition(1 * SECOND, 3 * SECOND, share=0.4),
        Crash("peers", 1 * SECOND, share=0.3),
        Crash("peers", 1 * SECOND, 3 * SECOND, share=0.3),
        Churn("peers", Span("exp", 4 * SECOND), Span("fixed", SECOND)),
    ],
)
def test_faults_leave_their_mark_and_spare_whoever_was_up_all_along(protocol: str, fault: Fault) -> None:
    result = run_core(scenario_of(protocol, faults=(fault,), checks=()), 3)
    calm = run_core(scenario_of(protocol, checks=()), 3)
    assert result.digest != calm.digest
    if isinstance(fault, Partition):
        assert result.counters["cut"] > 0
        assert result.coverage < 1
        # Gossip makes up for some of it from its cache, a flood cannot.
        assert (max(result.deliveries.latency_us) > SECOND) == (protocol == "gossip")
    else:
        assert min(result.timeline.up) < 30
        assert result.expected < calm.expected
        assert result.coverage > 0.85
    back = isinstance(fault, Crash) and fault.for_us is not None
    assert (result.timeline.up[-1] == 30) == (back or isinstance(fault, Partition))


def test_a_one_way_partition_by_group_lets_the_other_way_through() -> None:
    groups = (Group("peers", 20, dial=9), Group("others", 20, dial=9))
    loads = (Publish("peers", 2, until_us=2 * SECOND), Publish("others", 2, until_us=2 * SECOND))
    fault = Partition(0, 10 * SECOND, ("peers",), one_way=True)
    result = run_core(scenario_of("flood", groups=groups, load=loads, faults=(fault,), checks=()), 3)
    from_others = sum(result.deliveries.source[message] >= 20 for message in result.deliveries.message)
    assert from_others == 4 * 39
    assert result.delivered - from_others == 4 * 19


def test_groups_join_late_and_dial_whom_they_are_told() -> None:
    groups = (Group("peers", 12, dial=4), Group("late", 6, dial=3, dial_to=("peers",), joins_at_us=2 * SECOND))
    result = run_core(scenario_of(groups=groups), 3)
    assert result.timeline.up[4] == 12
    assert result.timeline.up[-1] == 18
    assert result.expected == sum(11 + 6 * (at_us > 6 * SECOND) for at_us in result.deliveries.published_us)
    # A node counts from the moment when it comes up, and is connected a round trip later.
    assert 0.95 < result.coverage <= 1


def test_many_nodes_dial_as_many_others_as_few_do() -> None:
    groups = (Group("peers", 1_500, dial=3), Group("leaves", 20, dial=2, dial_to=("peers",)))
    result = run_core(scenario_of("flood", groups=groups, load=(), checks=(), until_us=SECOND), 3)
    assert sum(result.node_figures.degree) > 2 * (1_500 * 3 + 20 * 2) * 0.99
    assert min(result.node_figures.degree[:1_500]) >= 2
    assert result.timeline.parts[-1] == 1


def test_what_silent_nodes_get_is_not_counted() -> None:
    groups = (Group("peers", 20, dial=6), Group("mute", 10, role="silent", dial=6))
    for protocol in ("gossip", "flood"):
        result = run_core(scenario_of(protocol, groups=groups), 3)
        assert result.delivered == result.expected == 12 * 19
        assert max(result.deliveries.node) < 20
    assert result.node_figures.role[20:] == ("silent",) * 10


def test_a_workload_replaces_connections_latencies_and_loads() -> None:
    workload = make_workload(40, 6, 3, seed=4)
    plain = scenario_of("flood", groups=(Group("peers", 40),), links=Links())
    result = run_core(plain, 1, workload=workload)
    assert list(result.deliveries.latency_us) == list(run_flood(workload).deliveries.latency_us)
    assert list(result.deliveries.published_us) == [4 * SECOND + at_us for _, at_us in workload.messages]
    assert sum(result.node_figures.degree) == workload.link_ends
    gossip = run_core(replace(plain, protocol="gossip"), 1, workload=workload)
    assert gossip.coverage == 1
    sync = run_core(replace(plain, protocol="sync", until_us=30 * SECOND), 1, workload=workload)
    assert sync.coverage == 1
    with pytest.raises(LocalError, match="kademlia sends none"):
        run_core(replace(plain, protocol="kademlia"), 1, workload=workload)
    with pytest.raises(LocalError, match="of 40 nodes"):
        run_core(scenario_of("flood"), 1, workload=workload)


def test_a_message_that_died_with_its_source_is_expected_nowhere() -> None:
    """As on tier F; of a source that comes back with its disk everything is expected."""
    groups = (Group("peers", 12, dial=3), Group("crashing", 1, dial=1, dial_to=("peers",)))
    load = (Publish("crashing", 1, from_us=500_000, until_us=2 * SECOND),)
    for for_us, lose_disk, expected in ((None, False, 0), (2 * SECOND, False, 2 * 12), (2 * SECOND, True, 0)):
        # Before the crash a partition begins, so nobody is told.
        faults = (Partition(0, 3 * SECOND, ("crashing",)), Crash("crashing", 2 * SECOND, for_us, lose_disk=lose_disk))
        result = run_core(scenario_of("sync", groups=groups, load=load, faults=faults, until_us=40 * SECOND), 3)
        assert result.expected == expected
        assert result.coverage == 1


def test_checks_fail_when_they_should() -> None:
    result = run_core(scenario_of(checks=(Coverage(1.0, 60_000), Latency(50_000, 50))), 5)
    assert [check.ok for check in result.checks] == [False, False]
    assert "within 0.06 s" in result.checks[0].told


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"checks": (Converged(),)}, "Converged is for tier F"),
        ({"checks": (Detected(1),)}, "Detected is for tier F"),
        ({"load": (ShareFile("peers", 1),)}, "ShareFile is for tier F"),
        ({"load": (Lookup("peers"),)}, "Lookup is for protocol kademlia"),
        ({"load": (Lookup("peers"),), "protocol": "sync"}, "Lookup is for protocol kademlia"),
        ({"protocol": "kademlia"}, "kademlia sends no messages; its load is of kind lookup"),
        (
            {"groups": (Group("peers", 30), Group("x", 1, role="silent")), "protocol": "sync"},
            "sync has honest nodes only",
        ),
        (
            {"groups": (Group("peers", 30), Group("x", 1, role="sybil")), "protocol": "kademlia"},
            "kademlia has honest and kad-liar nodes only, not 'sybil'",
        ),
        (
            {"groups": (Group("peers", 30), Group("x", 1, "kad-liar", options=(("k", 2),))), "protocol": "kademlia"},
            "role 'kad-liar' has no option 'k'",
        ),
        ({"groups": (Group("peers", 30), Group("x", 1, role="kad-liar"))}, "no role 'kad-liar' on tier C"),
        ({"faults": (FullDisk("peers", 0, 1),)}, "FullDisk is for tier F"),
        ({"faults": (SlowCpu("peers", 0, 1),)}, "SlowCpu is for tier F"),
        ({"faults": (FaultPoints(0, 1),)}, "FaultPoints is for tier F"),
        ({"groups": (Group("peers", 30, nat="mix:field"),)}, "is for tier F"),
        (
            {"groups": (Group("peers", 30), Group("x", 1, role="eviler"))},
            r"no role 'eviler' on tier C; there is: .*sybil",
        ),
        ({"groups": (Group("peers", 30), Group("x", 1, role="sybil")), "protocol": "flood"}, "honest and silent"),
        ({"faults": (Partition(0, 1, ("nobody",)),)}, "no group or region 'nobody'"),
    ],
)
def test_what_tier_c_has_not_is_refused_with_who_has(changes: dict[str, object], text: str) -> None:
    with pytest.raises(LocalError, match=text):
        run_core(replace(scenario_of(), **changes), 1)  # type: ignore[arg-type]  # fields by name


SCRIPT = Path(__file__).parent / "digests.py"


@pytest.mark.sim
def test_a_run_has_one_digest_whatever_the_hash_seed() -> None:
    found = {
        subprocess.run(
            [sys.executable, str(SCRIPT)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "4711")
    }
    (digests,) = found
    assert len({*digests.split()}) == 4
