"""Scenarios on tier V: figures that theory gives, and refusals of what the tier has not."""

from dataclasses import replace
from typing import Final

import pytest

from latticework.simnet.amounts import Span
from latticework.simnet.core.run import run_core
from latticework.simnet.progress import Progress
from latticework.simnet.result import Result
from latticework.simnet.scenario import (
    Check,
    Churn,
    Converged,
    Coverage,
    Group,
    Latency,
    Links,
    Lookup,
    Mesh,
    Partition,
    Publish,
    Scenario,
    ShareFile,
)
from latticework.simnet.vector.run import run_vector
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

S: Final = 1_000_000
PEERS: Final = Group("peers", 200)
BASE: Final = Scenario(
    "base", (PEERS,), 10 * S, tier="V", mesh=Mesh(d=8), load=(Publish("peers", size_bytes=1_000),), checks=(Coverage(),)
)


def ran(scenario: Scenario, seed: int = 1) -> Result:
    return run_vector(scenario, seed, lambda _: None)


def test_without_loss_everybody_hears_and_copies_are_links_less_a_tree() -> None:
    result = ran(BASE)
    links = sum(result.node_figures.degree)
    assert len(result.deliveries.published_us) == 10
    assert list(result.deliveries.published_us) == [10 * S + number * S for number in range(10)]
    assert (result.delivered, result.expected, result.coverage) == (10 * 199, 10 * 199, 1.0)
    assert result.counters["received"] == result.counters["messages"] == 10 * (links - 199)
    assert result.counters["duplicates"] == 10 * (links - 2 * 199)
    assert sum(result.node_figures.sent_frames) == result.counters["messages"]
    assert sum(result.node_figures.sent_bytes) == 1_000 * result.counters["messages"]
    assert result.ok


def test_a_run_replays_and_another_seed_is_another_run() -> None:
    first, again, other = ran(BASE), ran(BASE), ran(BASE, 2)
    assert (first.digest, first.deliveries) == (again.digest, again.deliveries)
    assert first.digest != other.digest
    assert first.run_id != other.run_id


def test_silent_nodes_hear_and_pass_nothing_on() -> None:
    scenario = replace(BASE, groups=(PEERS, Group("mute", 800, "silent")))
    result = ran(scenario)
    assert result.expected == 10 * 199
    assert 0 < result.delivered < result.expected
    assert sum(result.node_figures.sent_frames[200:]) == 0
    assert max(result.deliveries.node) < 200
    assert not result.ok


def test_loss_costs_copies_and_hardly_any_delivery() -> None:
    lossy, clean = ran(replace(BASE, links=Links(loss=0.2))), ran(BASE)
    assert lossy.coverage > 0.99
    assert lossy.counters["received"] < 0.85 * lossy.counters["messages"]
    assert (lossy.percentile_ms(50) or 0) > (clean.percentile_ms(50) or 0)


def test_an_uplink_sends_one_copy_after_the_other() -> None:
    slow = ran(replace(BASE, groups=(replace(PEERS, up=10_000),)))  # 0.1 s for each copy
    assert (slow.percentile_ms(50) or 0) > (ran(BASE).percentile_ms(50) or 0) + 200


@pytest.mark.parametrize(
    ("links", "least_ms", "most_ms"),
    [
        (Links("lan", jitter_us=0), 0.5, 3),
        (Links(uniform_us=(10_000, 10_000)), 10, 60),
        (Links(uniform_us=(100_000, 200_000)), 100, 1_000),
    ],
)
def test_latencies_are_those_of_the_links(links: Links, least_ms: float, most_ms: float) -> None:
    latencies = ran(replace(BASE, links=links)).deliveries.latency_us
    assert min(latencies) >= least_ms * 1_000
    assert max(latencies) <= most_ms * 1_000


def test_messages_of_several_loads_are_numbered_by_time() -> None:
    loads = (Publish("peers", 0.5, from_us=S), Publish("peers", 0.5, 50, until_us=5 * S, sources=1))
    result = ran(replace(BASE, load=loads))
    assert list(result.deliveries.published_us) == [second * S for second in (10, 11, 12, 13, 14, 15, 17, 19)]
    assert len({result.deliveries.source[number] for number in (0, 2, 4)}) == 1
    assert len({result.deliveries.source[number] for number in (1, 3, 5, 6, 7)}) == 5
    for message, node in zip(result.deliveries.message, result.deliveries.node, strict=True):
        assert node != result.deliveries.source[message]


def test_what_arrives_after_the_end_is_not_delivered() -> None:
    late = replace(BASE, links=Links(uniform_us=(600_000, 600_000)), load=(Publish("peers", from_us=9 * S),))
    assert 0 < ran(late).coverage < 0.1


@pytest.mark.parametrize(
    ("check", "ok"),
    [
        (Coverage(1.0, 2 * S), True),
        (Coverage(0.5, 1), False),
        (Coverage(0.0, 1), True),
        (Latency(2 * S), True),
        (Latency(1), False),
        (Latency(100_000, 1.0), True),
    ],
)
def test_checks_hold_or_not(check: Check, ok: bool) -> None:  # noqa: FBT001  # the expected outcome
    (outcome,) = ran(replace(BASE, checks=(check,))).checks
    assert outcome.ok is ok
    assert outcome.told


def test_a_scenario_without_load_delivers_nothing_and_covers_it() -> None:
    result = ran(replace(BASE, load=()))
    assert (result.delivered, result.expected, result.ok) == (0, 0, True)


def test_the_timeline_counts_deliveries_second_by_second() -> None:
    result = ran(BASE)
    assert list(result.timeline.time_us) == [second * S for second in range(21)]
    assert result.timeline.delivered[10] == 0
    assert result.timeline.delivered[20] == result.delivered
    assert list(result.timeline.delivered) == sorted(result.timeline.delivered)


def test_progress_reaches_the_last_message() -> None:
    told: list[Progress] = []
    run_vector(BASE, 1, told.append)
    assert told[-1] == Progress(19 * S, 20 * S, 10 * 199, 200)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"links": Links("lan", jitter_us=3_000)},
        {"links": Links(uniform_us=(10_000, 150_000))},
        {"groups": (PEERS, Group("mute", 60, "silent"))},
        {"load": (Publish("peers", 2.0, sources=3), Publish("peers", 0.5, from_us=S))},
    ],
    ids=["regions", "lan", "uniform", "silent", "loads"],
)
def test_a_flood_is_delivered_as_on_tier_c_to_the_microsecond(changes: dict[str, object]) -> None:
    scenario = replace(replace(BASE, protocol="flood"), **changes)
    ours, theirs = ran(scenario, 9), run_core(scenario, 9)
    assert ours.deliveries.published_us == theirs.deliveries.published_us
    assert ours.deliveries.source == theirs.deliveries.source
    assert rows(ours) == rows(theirs)
    assert (ours.delivered, ours.expected) == (theirs.delivered, theirs.expected)
    assert ours.counters["messages"] == theirs.counters["messages"]
    assert list(ours.node_figures.degree) == list(theirs.node_figures.degree)
    assert list(ours.node_figures.sent_frames) == list(theirs.node_figures.sent_frames)


def rows(result: Result) -> list[tuple[int, int, int]]:
    columns = result.deliveries
    return sorted(zip(columns.message, columns.node, columns.latency_us, strict=True))


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        (replace(BASE, faults=(Partition(0, S, share=0.5),)), "tier V has no faults; tiers C and F have"),
        (
            replace(BASE, faults=(Churn("peers", Span("fixed", S), Span("fixed", S)),)),
            "tier V has no faults; tiers C and F have",
        ),
        (replace(BASE, groups=(PEERS, Group("bad", 1, "sybil"))), "tier V has no role 'sybil'"),
        (replace(BASE, groups=(replace(PEERS, nat="symmetric"),)), "group 'peers': region, joins_at, down"),
        (replace(BASE, groups=(replace(PEERS, down=1),)), "group 'peers': region, joins_at, down"),
        (replace(BASE, links=Links(jitter=0.1)), "on tier V links have latency, jitter_time and loss"),
        (replace(BASE, links=Links(corrupt=0.1)), "on tier V links have latency, jitter_time and loss"),
        (replace(BASE, load=(ShareFile("peers", 1),)), "tier V spreads messages; files are for tier F"),
        (replace(BASE, load=(Lookup("peers"),)), "load Lookup is for protocol kademlia, which is on tier C"),
        (replace(BASE, protocol="sync"), "protocol 'sync' is for tier C"),
        (replace(BASE, protocol="kademlia"), "protocol 'kademlia' is for tier C"),
        (replace(BASE, checks=(Converged(),)), "tier V checks coverage and latency"),
        (replace(BASE, mesh=Mesh(d=7)), "tier V gossips among at least 3 nodes"),
        (replace(BASE, groups=(Group("peers", 2),)), "tier V gossips among at least 3 nodes"),
    ],
)
def test_what_the_tier_has_not_is_refused(scenario: Scenario, told: str) -> None:
    with pytest.raises(LocalError) as caught:
        ran(scenario)
    assert str(caught.value).startswith(f"scenario 'base': {told}")
