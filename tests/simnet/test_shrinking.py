from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.amounts import Span
from latticework.simnet.scenario import (
    Churn,
    Coverage,
    Crash,
    Fault,
    FullDisk,
    Group,
    Links,
    Partition,
    Publish,
    Scenario,
    ShareFile,
    SlowCpu,
)
from latticework.simnet.scenario_file import scenario_of, write_scenario
from latticework.simnet.shrinking import Fails, Shrunk, shrink
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

S = 1_000_000
LARGE = Scenario(
    "large",
    (
        Group("peers", 150),
        Group("phones", 30, nat="mix:field"),
        Group("mutes", 20, role="silent", dial_to=("phones", "peers")),
    ),
    120 * S,
    links=Links(loss=0.02, burst_enter=0.01, burst_leave=0.3, burst_loss=0.5, reorder=0.1, duplicate=0.05),
    load=(Publish("peers", 2.0), Publish("phones"), ShareFile("peers", 1 << 20)),
    faults=(
        Partition(10 * S, 20 * S, side=("phones", "eu-west")),
        Churn("phones", Span("exp", 60 * S), Span("exp", 10 * S), 20 * S, 80 * S),
        Crash("peers", 30 * S, 10 * S, share=0.2),
        Crash("mutes", 35 * S),
        FullDisk("peers", 40 * S, 5 * S, share=0.1),
        SlowCpu("peers", 50 * S, 5 * S),
    ),
    checks=(Coverage(0.99),),
)


def stopped() -> float:
    """A clock that stands still: only the number of runs bounds the search."""
    return 0.0


def count(scenario: Scenario, role: str) -> int:
    return sum(group.count for group in scenario.groups if group.role == role)


def mutes_behind_a_partition(scenario: Scenario, _: int) -> bool:
    """At least 3 silent nodes, and a partition longer than 2 s that ends before the run does."""
    cut = (f for f in scenario.faults if isinstance(f, Partition) and f.for_us > 2 * S)
    return count(scenario, "silent") >= 3 and any(f.at_us + f.for_us <= scenario.until_us for f in cut)


def shrunk(fails: Fails, scenario: Scenario = LARGE) -> Shrunk:
    return shrink(scenario, 7, fails, monotonic_s=stopped, budget_runs=100_000)


def test_only_what_the_failure_needs_is_left() -> None:
    found = shrunk(mutes_behind_a_partition)
    (fault,) = found.scenario.faults
    assert (found.minimal, found.seed) == (True, 7)
    assert found.scenario == replace(
        LARGE,
        groups=(Group("phones", 1, nat="mix:field"), Group("mutes", 3, role="silent", dial_to=("phones",))),
        until_us=found.scenario.until_us,
        links=Links(jitter_us=0),
        load=(),
        faults=(Partition(10 * S, int(lasts_us(fault)), side=("phones", "eu-west")),),
    )
    assert 2 * S < lasts_us(fault) <= 2.1 * S
    assert 0 <= found.scenario.until_us - fault.at_us - lasts_us(fault) < 0.1 * S


def test_a_scenario_that_ends_too_soon_does_not_stand_for_one_that_a_fault_breaks() -> None:
    """Before 5 s are over nothing arrives, so that shorter scenarios fail without the partition as well."""
    found = shrunk(lambda scenario, seed: scenario.until_us < 5 * S or mutes_behind_a_partition(scenario, seed))
    assert found.scenario == shrunk(mutes_behind_a_partition).scenario
    dull = shrunk(lambda scenario, _: scenario.until_us < 500 * S).scenario
    assert (dull.node_count, dull.faults) == (1, ())


def test_200_nodes_become_at_most_10_within_600_runs() -> None:
    """At 0.1 s each, a minute."""
    found = shrink(LARGE, 7, mutes_behind_a_partition, monotonic_s=stopped, budget_runs=600)
    assert found.minimal
    assert found.scenario.node_count <= 10
    assert found.runs <= 200


def test_two_calls_give_the_same_in_the_same_runs() -> None:
    asked: list[list[Scenario]] = [[], []]

    def noting(into: list[Scenario]) -> Fails:
        def fails(scenario: Scenario, seed: int) -> bool:
            into.append(scenario)
            return mutes_behind_a_partition(scenario, seed)

        return fails

    assert shrunk(noting(asked[0])) == shrunk(noting(asked[1]))
    assert asked[0] == asked[1]
    assert len(asked[0]) == len({repr(scenario) for scenario in asked[0]})


@pytest.mark.parametrize("budget_runs", [1, 2, 5, 20, 50])
def test_the_budget_of_runs_ends_the_search_with_the_best_so_far(budget_runs: int) -> None:
    failing: list[Scenario] = []

    def fails(scenario: Scenario, seed: int) -> bool:
        bad = mutes_behind_a_partition(scenario, seed)
        failing.extend([scenario] if bad else [])
        return bad

    found = shrink(LARGE, 7, fails, monotonic_s=stopped, budget_runs=budget_runs)
    assert found.runs == budget_runs
    assert not found.minimal
    assert found.scenario in failing[-2:]  # the control of the last one may not have run
    assert found.scenario.node_count < 200 or budget_runs < 8


def test_the_budget_of_time_ends_the_search_with_the_best_so_far() -> None:
    now_s = [1000.0]

    def fails(scenario: Scenario, seed: int) -> bool:
        now_s[0] += 0.1 * scenario.node_count / 200
        return mutes_behind_a_partition(scenario, seed)

    found = shrink(LARGE, 7, fails, monotonic_s=lambda: now_s[0], budget_s=0.06)
    assert not found.minimal
    assert found.scenario.node_count < 200
    assert 0.1 + 0.06 <= now_s[0] - 1000 < 0.1 + 0.08


def test_the_whole_scenario_is_not_run_once_more_if_somebody_saw_it_fail() -> None:
    asked: list[Scenario] = []

    def fails(scenario: Scenario, seed: int) -> bool:
        asked.append(scenario)
        return mutes_behind_a_partition(scenario, seed)

    found = shrink(LARGE, 7, fails, monotonic_s=stopped, seen=True)
    assert found.scenario == shrunk(mutes_behind_a_partition).scenario
    assert max(scenario.node_count for scenario in asked) < 50
    with pytest.raises(LocalError, match="does not fail with seed 7"):
        shrink(LARGE, 7, lambda _, __: False, monotonic_s=stopped, seen=True)


def test_a_scenario_that_holds_is_not_shrunk() -> None:
    with pytest.raises(LocalError, match="does not fail with seed 7"):
        shrunk(lambda _, __: False)


def test_a_candidate_that_the_run_refuses_does_not_fail() -> None:
    def fails(scenario: Scenario, _: int) -> bool:
        if scenario.node_count < 40:
            raise LocalError("too few nodes to dial")
        return True

    assert shrunk(fails).scenario.node_count == 40


def test_a_bug_of_the_run_is_not_hidden() -> None:
    def fails(scenario: Scenario, _: int) -> bool:
        return scenario is LARGE or 1 // 0 > 0

    with pytest.raises(ZeroDivisionError):
        shrunk(fails)


def test_somebody_stays_honest_and_the_checks_stay() -> None:
    found = shrunk(lambda _, __: True).scenario
    assert [group.count for group in found.groups] == [1]
    assert found.checks == LARGE.checks
    assert (found.faults, found.load, found.links) == ((), (), Links(jitter_us=0))


@pytest.mark.parametrize("luck", range(8))
def test_what_fails_by_luck_still_becomes_small(luck: int) -> None:
    """Every other smaller scenario fails no more, as when a failure hangs on who is connected with whom."""

    def fails(scenario: Scenario, seed: int) -> bool:
        lucky = crc32(f"{luck} {scenario}".encode()) % 2
        return scenario == LARGE or (bool(lucky) and mutes_behind_a_partition(scenario, seed))

    found = shrunk(fails)
    assert found.scenario.node_count <= 10
    assert found.runs <= 600


type Harm = Callable[[Links], bool]

NEEDED: list[tuple[Harm, Links]] = [
    (lambda links: links.loss > 0, Links(loss=0.02, jitter_us=0)),
    (lambda links: links.burst_enter > 0, Links(burst_enter=0.01, burst_leave=0.3, burst_loss=0.5, jitter_us=0)),
    (lambda links: links.reorder + links.duplicate > 0.12, Links(reorder=0.1, duplicate=0.05, jitter_us=0)),
    (lambda links: links.jitter_us > 0, Links()),
]


@pytest.mark.parametrize(("needs", "left"), NEEDED)
def test_links_keep_the_imperfections_that_the_failure_needs(needs: Harm, left: Links) -> None:
    assert shrunk(lambda scenario, _: needs(scenario.links)).scenario.links == left


@pytest.mark.parametrize("number", range(len(LARGE.faults)))
def test_each_kind_of_fault_becomes_as_short_as_it_can(number: int) -> None:
    kind = type(LARGE.faults[number])

    def fails(scenario: Scenario, _: int) -> bool:
        return any(isinstance(fault, kind) and lasts_us(fault) >= 1.5 * S for fault in scenario.faults)

    (fault,) = shrunk(fails).scenario.faults
    assert 1.5 * S <= lasts_us(fault) < 1.6 * S or (isinstance(fault, Crash) and fault.for_us is None)


def lasts_us(fault: Fault) -> int:
    if isinstance(fault, Churn):
        return (fault.until_us or 0) - fault.at_us
    return 1 << 40 if fault.for_us is None else fault.for_us


def test_what_was_found_is_kept_as_a_scenario_file() -> None:
    found = shrunk(mutes_behind_a_partition).scenario
    assert scenario_of(write_scenario(found), "large") == found


def sizes(scenario: Scenario) -> dict[str, int | float]:
    links = scenario.links
    return {
        **{group.name: group.count for group in scenario.groups},
        "until": scenario.until_us,
        "faults": len(scenario.faults),
        "load": len(scenario.load),
        "lasting": sum(lasts_us(fault) for fault in scenario.faults),
        "harm": links.loss + links.burst_enter + links.burst_loss + links.reorder + links.duplicate + links.jitter_us,
    }


@pytest.mark.property
@given(
    peers=st.integers(0, 150),
    phones=st.integers(0, 30),
    mutes=st.integers(0, 20),
    faults=st.sets(st.sampled_from(LARGE.faults).map(LARGE.faults.index)),
    load=st.sets(st.integers(0, 2)),
    until_us=st.integers(0, 120 * S),
    loss=st.booleans(),
    budget_runs=st.sampled_from([1, 10, 100, 100_000]),
)
def test_of_a_monotone_failure_the_smallest_is_found_and_never_a_larger_one(
    peers: int,
    phones: int,
    mutes: int,
    faults: set[int],
    load: set[int],
    until_us: int,
    *,
    loss: bool,
    budget_runs: int,
) -> None:
    kinds = [(type(LARGE.faults[n]), LARGE.faults[n].at_us) for n in faults]
    loads = {LARGE.load[n] for n in load}

    def fails(scenario: Scenario, _: int) -> bool:
        counts = {group.name: group.count for group in scenario.groups}
        enough = all(counts.get(name, 0) >= n for name, n in (("peers", peers), ("phones", phones), ("mutes", mutes)))
        present = {(type(fault), fault.at_us) for fault in scenario.faults}
        long = scenario.until_us >= until_us and (scenario.links.loss > 0 or not loss)
        return enough and long and present.issuperset(kinds) and loads <= set(scenario.load)

    found = shrink(LARGE, 7, fails, monotonic_s=stopped, budget_runs=budget_runs)
    assert fails(found.scenario, 7)
    before, after = sizes(LARGE), sizes(found.scenario)
    assert all(after.get(part, 0) <= before[part] for part in before)
    assert found.minimal or found.runs == budget_runs
    if found.minimal:
        assert not any(fails(smaller, 7) for smaller in one_less(found.scenario))


def one_less(scenario: Scenario) -> list[Scenario]:
    """Every scenario that is smaller by one node, fault or load, or by a tenth of a second."""
    made = [replace(scenario, until_us=scenario.until_us - S // 10)] if scenario.until_us > S // 10 else []
    for n, group in enumerate(scenario.groups):
        fewer = (replace(group, count=group.count - 1),) if group.count > 1 else None
        if fewer:
            made.append(replace(scenario, groups=scenario.groups[:n] + fewer + scenario.groups[n + 1 :]))
    made += [
        replace(scenario, faults=scenario.faults[:n] + scenario.faults[n + 1 :]) for n in range(len(scenario.faults))
    ]
    return made + [
        replace(scenario, load=scenario.load[:n] + scenario.load[n + 1 :]) for n in range(len(scenario.load))
    ]
