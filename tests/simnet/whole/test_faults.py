from dataclasses import replace

import pytest

from latticework.simnet.amounts import Span
from latticework.simnet.scenario import (
    Churn,
    Coverage,
    Crash,
    FaultPoints,
    FullDisk,
    Group,
    Partition,
    Publish,
    SlowCpu,
)
from latticework.simnet.whole.run import run_whole

from .small import PEOPLE, SECOND, played, small

pytestmark = pytest.mark.sim


def slowest_s(result: object) -> float:
    return max(result.deliveries.latency_us) / 1e6  # type: ignore[attr-defined]


def test_a_partition_holds_messages_back_until_it_heals() -> None:
    result = played(small(faults=(Partition(2 * SECOND, 5 * SECOND, share=0.5),)))
    assert 4.5 < slowest_s(result) < 6
    parts = list(result.timeline.parts)
    assert (parts[4], parts[-1]) == (1, 1)
    assert parts[9] > 1
    assert slowest_s(played(small())) < 2


def test_a_partition_by_region_parts_those_who_live_there() -> None:
    there = Group("there", 4, dial=3, region="australia")
    result = played(small(there, faults=(Partition(2 * SECOND, 5 * SECOND, side=("australia",)),)))
    late = {node for node, us in zip(result.deliveries.node, result.deliveries.latency_us, strict=True) if us > 2e6}
    assert late == {8, 9, 10, 11}


def test_one_way_partitions_let_the_other_way_through() -> None:
    both = played(small(faults=(Partition(2 * SECOND, 5 * SECOND, side=("people",)),)))
    assert slowest_s(both) < 2, "all are on one side"
    mute = Group("mute", 2, dial=3)
    there = (Partition(2 * SECOND, 5 * SECOND, side=("mute",), one_way=True),)
    assert slowest_s(played(small(mute, faults=there))) < 2, "they hear"
    spoken = played(small(mute, faults=there, load=(Publish("mute", 1.0, until_us=8 * SECOND),)))
    assert slowest_s(spoken) > 4, "nobody hears them"


def test_crashed_nodes_come_back_and_catch_up() -> None:
    result = played(small(faults=(Crash("people", 3 * SECOND, 3 * SECOND, share=0.25),)))
    assert min(result.timeline.up) == 6
    assert result.expected < 70


def test_a_lost_disk_is_filled_again_and_nothing_is_delivered_twice() -> None:
    result = played(small(faults=(Crash("people", 3 * SECOND, 3 * SECOND, share=0.25, lose_disk=True),)))
    assert result.counters["entries"] > played(small()).counters["entries"]


def test_nodes_that_stay_down_are_not_waited_for() -> None:
    result = played(small(faults=(Crash("people", 3 * SECOND, share=0.25),)))
    assert result.timeline.up[-1] == 6


def test_churn_brings_nodes_down_and_up_again() -> None:
    phones = Group("phones", 4, dial=3)
    churn = Churn("phones", Span("exp", 3 * SECOND), Span("uniform", SECOND, 3 * SECOND), until_us=9 * SECOND)
    result = played(small(phones, faults=(churn,), until_us=20 * SECOND))
    assert min(result.timeline.up) < 12
    assert result.timeline.up[-1] == 12


def test_a_full_disk_takes_nothing_until_there_is_room_again() -> None:
    result = played(small(faults=(FullDisk("people", 2 * SECOND, 4 * SECOND, share=0.25),), until_us=40 * SECOND))
    assert slowest_s(result) > 3


def test_a_slow_processor_delays_what_passes_through_it() -> None:
    slow = played(small(faults=(SlowCpu("people", 0, 12 * SECOND, factor=2000.0),)))
    assert slowest_s(slow) > slowest_s(played(small())) + 0.1


def test_computing_costs_what_the_group_says() -> None:
    free, dear = (played(small(groups=(replace(PEOPLE, cpu=cpu),))) for cpu in (0.0, 1000.0))
    assert (dear.percentile_ms(99) or 0) > (free.percentile_ms(99) or 0) + 50


def test_late_nodes_get_what_was_said_before_they_came() -> None:
    late = Group("late", 2, dial=3, joins_at_us=6 * SECOND)
    result = played(small(late, until_us=20 * SECOND))
    assert {8, 9} <= set(result.deliveries.node)
    assert min(result.timeline.up) == 8


def test_nodes_behind_boxes_take_part_over_the_connections_that_they_dial() -> None:
    home = Group("home", 4, dial=3, nat="symmetric", dial_to=("people",))
    result = played(small(home))
    assert all(degree == 3 for degree in list(result.node_figures.degree)[8:]), "nobody can dial them"


@pytest.mark.parametrize("point", ["spread.lose", "space.commit", "peers.dial", "link.serve"])
def test_fault_points_fail_and_everything_is_repaired(point: str) -> None:
    faults = (FaultPoints(0, 8 * SECOND, 0.5, (point,)), Crash("people", 2 * SECOND, 2 * SECOND, share=0.5))
    result = run_whole(small(faults=faults, until_us=45 * SECOND), 1)
    assert result.ok, [check.told for check in result.checks]
    assert result.counters[f"faults at {point}"] > 0


def test_all_fault_points_fail_now_and_then_unless_some_are_named() -> None:
    result = run_whole(small(faults=(FaultPoints(0, 10 * SECOND, 0.2),), until_us=45 * SECOND), 1)
    assert result.ok, [check.told for check in result.checks]
    assert result.counters["faults at spread.lose"] > 0
    assert result.counters["faults at space.commit"] > 0


def test_a_fault_happens_to_the_same_nodes_whatever_else_happens() -> None:
    crash = Crash("people", 3 * SECOND, share=0.5)
    alone = run_whole(small(faults=(crash,), load=(), checks=()), 5)
    beside = run_whole(small(faults=(crash, SlowCpu("people", 0, SECOND)), load=(), checks=()), 5)
    gone = [[n for n, degree in enumerate(r.node_figures.degree) if degree == 0] for r in (alone, beside)]
    assert gone[0] == gone[1]
    assert len(gone[0]) == PEOPLE.count // 2


def test_nodes_that_come_late_are_not_expected_to_have_heard_at_once_what_was_said_before() -> None:
    late = Group("late", 2, dial=3, joins_at_us=11_950_000)
    result = run_whole(small(late, checks=(Coverage(),)), 1)
    assert result.expected == 70
    assert result.ok


def test_a_message_that_its_source_lost_with_its_disk_is_expected_nowhere() -> None:
    alone = Group("alone", 1, dial=0)
    crash = Crash("alone", 3 * SECOND, SECOND, lose_disk=True)
    result = run_whole(small(alone, load=(Publish("alone", 1.0, until_us=2 * SECOND),), faults=(crash,), checks=()), 1)
    assert (result.delivered, result.expected) == (0, 0)


def test_checks_of_nothing_do_not_hold() -> None:
    nobody = Crash("people", SECOND)
    result = run_whole(small(load=(), faults=(nobody,)), 1)
    assert [check.ok for check in result.checks] == [False, False]


def test_faults_of_one_kind_add_up_and_end_one_by_one() -> None:
    one, other = FullDisk("people", 2 * SECOND, 5 * SECOND), FullDisk("people", 3 * SECOND, SECOND)
    result = run_whole(small(faults=(one, other), checks=()), 1)
    assert result.counters["unsent"] == 5


def test_churn_leaves_those_alone_that_crashed_for_good() -> None:
    churn = Churn("people", Span("fixed", SECOND), Span("fixed", SECOND), until_us=10 * SECOND)
    result = run_whole(small(faults=(Crash("people", 500_000), churn), load=(), checks=()), 1)
    assert result.timeline.up[-1] == 0
