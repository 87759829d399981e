"""Kademlia on tier C: networks that join by themselves, and what lookups find in them."""

from dataclasses import replace

import pytest

from latticework.discovery import KadParams
from latticework.simnet.amounts import Span
from latticework.simnet.core.links import Cut
from latticework.simnet.core.run import run_core
from latticework.simnet.scenario import (
    Churn,
    Coverage,
    Crash,
    Fault,
    Group,
    Kademlia,
    Links,
    Lookup,
    Partition,
    Scenario,
)
from latticework.simnet.validate.kademlia import kademlia_hops

from .small_kademlia import SECOND, STILL, look_up, mean_hops, world_of

pytestmark = pytest.mark.unit


def test_a_network_that_joined_by_itself_finds_everybody() -> None:
    world = world_of(40)
    assert world.parts(range(40)) == 1
    look_up(world, 40, 40)
    counters = world.counters()
    assert counters["lookups"] == counters["found"] == 40
    assert counters["failed"] == counters["abandoned"] == 0
    rows = world.deliveries
    assert list(rows.node) == [rows.source[message] for message in rows.message]
    assert min(rows.latency_us) >= 20_000
    assert 20 * 40 <= counters["asked"] <= 40 * 40
    assert sum(world.sent(number)[1] for number in range(40)) == counters["messages"]
    assert not [name for name in counters if name.startswith("fault")]


@pytest.mark.sim
@pytest.mark.parametrize(("nodes", "k", "lookups"), [(200, 8, 60)])
def test_hops_are_those_of_full_buckets(nodes: int, k: int, lookups: int) -> None:
    """V8's model fills tables as a network fills them that has been there for long; ours has joined a moment ago."""
    world = world_of(nodes, params=KadParams(k=k))
    look_up(world, lookups, nodes)
    assert world.counters()["found"] == lookups
    model = kademlia_hops(nodes, k, lookups, b"validation of kademlia", alpha=10)
    assert mean_hops(world) == pytest.approx(model.mean_hops, abs=0.5)


@pytest.mark.sim
@pytest.mark.long
def test_hops_among_a_thousand_are_those_of_full_buckets() -> None:
    test_hops_are_those_of_full_buckets(1_000, 20, 300)


def test_who_is_down_costs_a_time_out_and_is_forgotten() -> None:
    world = world_of(40)
    look_up(world, 10, 20)
    quick_us = max(world.deliveries.latency_us)
    assert quick_us < 2 * SECOND
    for number in range(30, 40):
        world.stop(number)
    look_up(world, 10, 20, drain_s=60)
    assert world.counters()["found"] == 20
    assert max(world.deliveries.latency_us) > 10 * SECOND


def test_a_node_that_is_back_joins_again_and_is_found() -> None:
    world = world_of(40)
    world.stop(5)
    world.scheduler.run(world.scheduler.now_us + SECOND)
    world.start(5)
    world.join(5, (1, 2, 3))
    world.scheduler.run(world.scheduler.now_us + 5 * SECOND)
    look_up(world, 40, 40)
    assert world.counters()["found"] == 40
    assert world.parts(range(40)) == 1


def test_whoever_finds_nobody_to_join_through_tries_again() -> None:
    world, late = world_of(20, absent=1), 19
    cut = Cut(bytes(number == late for number in range(20)), one_way=False)
    world.connections.cut(cut)
    world.start(late)
    world.join(late, (1, 2))
    world.scheduler.run(20 * SECOND)
    assert world.parts(range(20)) == 2
    world.connections.heal(cut)
    world.scheduler.run(40 * SECOND)
    assert world.parts(range(20)) == 1


def test_lost_messages_come_late_and_nobody_is_missed() -> None:
    world = world_of(40, replace(STILL, loss=0.05))
    look_up(world, 20, 40)
    assert world.counters()["found"] == 20
    assert world.links.counters.lost > 0
    assert 300_000 < max(world.deliveries.latency_us) < 3 * SECOND


def test_liars_hide_whom_honest_nodes_would_find_and_disjoint_paths_find_some_of_them_again() -> None:
    found: list[int] = []
    for liars, params in ((0, KadParams(k=8, alpha=3)), (25, KadParams(k=8, alpha=3)), (25, KadParams(k=8, paths=4))):
        world = world_of(100, params=params, liars=liars)
        look_up(world, 40, 75)
        found.append(world.counters()["found"])
    assert found[0] == 40
    assert found[1] < found[2] <= 40


# Scenarios


def scenario_of(*faults: Fault, **changes: object) -> Scenario:
    base = Scenario(
        "small",
        (Group("steady", 15, dial=3), Group("passing", 25, dial=3)),
        60 * SECOND,
        tier="C",
        protocol="kademlia",
        warmup_us=15 * SECOND,
        links=STILL,
        load=(Lookup("steady", 4, from_us=5 * SECOND, until_us=20 * SECOND, sources=10),),
        faults=faults,
        checks=(Coverage(0.9),),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_scenario_runs_and_its_figures_fit_together() -> None:
    result = run_core(scenario_of(), 3)
    assert result.ok
    assert result.delivered == result.expected == result.counters["found"] == 60
    assert result.deliveries.published_us[0] == 20 * SECOND
    assert len({*result.deliveries.source}) == 10
    assert result.timeline.parts[-1] == 1
    assert result.digest == run_core(scenario_of(), 3).digest
    assert result.digest != run_core(scenario_of(), 4).digest


@pytest.mark.parametrize(
    "fault",
    [
        Churn("passing", Span("exp", 30 * SECOND), Span("exp", 10 * SECOND)),
        Crash("passing", 6 * SECOND, share=0.5),
        Crash("passing", 6 * SECOND, 8 * SECOND, share=0.5),
    ],
)
def test_lookups_get_past_nodes_that_are_gone(fault: Fault) -> None:
    result = run_core(scenario_of(fault), 3)
    assert result.ok, result.checks[0].told
    assert min(result.timeline.up) < 35
    assert max(result.deliveries.latency_us) > 10 * SECOND


def test_lookups_of_a_source_that_leaves_are_not_expected() -> None:
    load = (Lookup("passing", 10, until_us=20 * SECOND),)
    churn = Churn("passing", Span("exp", 15 * SECOND), Span("exp", 5 * SECOND), until_us=30 * SECOND)
    result = run_core(scenario_of(churn, load=load), 3)
    counters = result.counters
    assert counters["abandoned"] > 0
    assert result.expected == counters["lookups"] - counters["abandoned"] == counters["found"] + counters["failed"]
    assert result.delivered == counters["found"]


def test_across_a_partition_nobody_is_found_until_it_heals() -> None:
    cut = Partition(4 * SECOND, 20 * SECOND, share=0.5)
    late = (Lookup("steady", 4, from_us=40 * SECOND, until_us=50 * SECOND),)
    during, after = run_core(scenario_of(cut, checks=()), 3), run_core(scenario_of(cut, load=late), 3)
    assert during.counters["cut"] > 0
    assert during.coverage < 0.8
    assert after.coverage > 0.9


def test_links_with_everything_take_kademlia_too() -> None:
    links = Links(jitter=0.1, loss=0.01, burst_enter=0.01, burst_loss=0.5, queue_bytes=1 << 10)
    groups = (Group("steady", 30, dial=3, up=1_000_000, down=1_000_000),)
    result = run_core(scenario_of(groups=groups, links=links), 3)
    assert result.ok
    assert result.counters["lost"] > 0
    assert result.counters["queue_full"] == 0, "streams wait for room"
    assert not [name for name in result.counters if name.startswith("fault")]


def test_a_scenario_sets_the_size_of_buckets_and_how_many_requests_are_out_at_once() -> None:
    plain = run_core(scenario_of(), 1)
    narrow = run_core(scenario_of(kademlia=Kademlia(k=4, alpha=1)), 1)
    asked = [result.counters["asked"] / result.counters["lookups"] for result in (plain, narrow)]
    assert asked[0] >= 20, "a lookup ends when the k closest have answered"
    assert 4 <= asked[1] <= 10
