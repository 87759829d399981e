"""Figures of a run: percentiles, coverage, the summary, and the id that stands for what decided it."""

import json
from array import array
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.result import CheckResult, Deliveries, NodeFigures, Result, Timeline, percentile_ms, run_id
from latticework.simnet.scenario import Group, Links, Scenario
from latticework.wire import LocalError

SCENARIO: Final = Scenario("base", (Group("a", 3),), 1_000_000)
KEYS: Final = ["scenario", "seed", "nodes", "virtual_s", "cpu_s", "delivered", "coverage", "p50_ms", "p99_ms", "digest"]


def result(delivered: int = 3, expected: int = 4, *checks: CheckResult) -> Result:
    deliveries = Deliveries()
    for number in range(delivered):
        message = deliveries.publish(0, 1_000 * number)
        deliveries.deliver(message, 1, 1_000 * number + 10_000 * (number + 1))
    empty = array("q")
    nodes = NodeFigures((), (), empty, empty, empty, empty)
    return Result(
        *("base", 7, "C", "memo", "0123456789abcdef", 3, 1_500_000, 0.123456, delivered, expected, "ab12"),
        *(checks, {"graft": 2}, deliveries, nodes, Timeline()),
    )


@pytest.mark.unit
def test_deliveries_are_columns_of_equal_length() -> None:
    deliveries = Deliveries()
    first, second = deliveries.publish(4, 100), deliveries.publish(5, 250)
    deliveries.deliver(second, 8, 300)
    deliveries.deliver(first, 9, 400)
    assert (first, second) == (0, 1)
    assert list(deliveries.source) == [4, 5]
    assert list(deliveries.published_us) == [100, 250]
    assert list(zip(deliveries.message, deliveries.node, deliveries.latency_us, strict=True)) == [
        (1, 8, 50),
        (0, 9, 300),
    ]


@pytest.mark.unit
def test_two_sets_of_deliveries_share_no_column() -> None:
    Deliveries().publish(1, 1)
    assert not Deliveries().published_us


@pytest.mark.unit
@pytest.mark.parametrize(
    ("latencies_us", "percentile", "expected_ms"),
    [
        ([], 50, None),
        ([7_000], 1, 7.0),
        ([4_000, 1_000, 3_000, 2_000], 50, 2.0),
        ([4_000, 1_000, 3_000, 2_000], 75, 3.0),
        ([4_000, 1_000, 3_000, 2_000], 75.1, 4.0),
        ([4_000, 1_000, 3_000, 2_000], 100, 4.0),
        (list(range(1_000, 101_000, 1_000)), 99, 99.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(
    latencies_us: list[int], percentile: float, expected_ms: float | None
) -> None:
    assert percentile_ms(latencies_us, percentile) == expected_ms


@pytest.mark.unit
@pytest.mark.parametrize("percentile", [0, -1, 100.5, float("nan")])
def test_there_is_no_percentile_outside_the_hundred(percentile: float) -> None:
    with pytest.raises(LocalError, match="above 0 and at most 100"):
        percentile_ms([1], percentile)


@pytest.mark.property
@given(latencies=st.lists(st.integers(0, 10**9), min_size=1), percentile=st.integers(1, 100))
def test_that_share_of_all_latencies_is_at_most_the_percentile(latencies: list[int], percentile: int) -> None:
    found = percentile_ms(latencies, percentile)
    assert found is not None
    assert sum(latency / 1000 <= found for latency in latencies) * 100 >= percentile * len(latencies)
    assert sum(latency / 1000 < found for latency in latencies) * 100 < percentile * len(latencies)


@pytest.mark.unit
def test_coverage_is_of_what_was_expected_and_whole_of_nothing() -> None:
    assert result(3, 4).coverage == 0.75
    assert result(0, 0).coverage == 1.0


@pytest.mark.unit
def test_a_result_holds_if_every_check_does() -> None:
    good, bad = CheckResult("coverage", True, "1.0"), CheckResult("latency", False, "9 s")
    assert result(1, 1).ok
    assert result(1, 1, good, good).ok
    assert not result(1, 1, good, bad).ok


@pytest.mark.unit
def test_the_summary_is_json_with_the_keys_of_the_interface() -> None:
    summary = result(3, 4, CheckResult("coverage", False, "0.75 of 1")).summary()
    assert list(summary)[: len(KEYS)] == KEYS
    assert json.loads(json.dumps(summary)) == {
        "scenario": "base",
        "seed": 7,
        "nodes": 3,
        "virtual_s": 1.5,
        "cpu_s": 0.123,
        "delivered": 3,
        "coverage": 0.75,
        "p50_ms": 20.0,
        "p99_ms": 30.0,
        "digest": "ab12",
        "tier": "C",
        "crypto": "memo",
        "run_id": "0123456789abcdef",
        "ok": False,
        "checks": [{"check": "coverage", "ok": False, "told": "0.75 of 1"}],
        "counters": {"graft": 2},
    }


@pytest.mark.unit
def test_a_run_is_identified_by_all_that_decides_it() -> None:
    ids = {
        run_id(SCENARIO, 1, "0.1"),
        run_id(SCENARIO, 2, "0.1"),
        run_id(SCENARIO, 1, "0.2"),
        run_id(replace(SCENARIO, links=Links(loss=0.1)), 1, "0.1"),
        run_id(replace(SCENARIO, groups=(Group("a", 4),)), 1, "0.1"),
    }
    assert len(ids) == 5
    assert run_id(SCENARIO, 1, "0.1") == run_id(replace(SCENARIO), 1, "0.1")
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids)
