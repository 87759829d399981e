"""Reconciliation on tier C: entries get everywhere, at the product's pace, whatever happens to nodes and links."""

from dataclasses import replace

import pytest

from latticework.node.params import SERVE_BATCH_BYTES
from latticework.simnet.amounts import Span
from latticework.simnet.core.links import Cut
from latticework.simnet.core.run import run_core
from latticework.simnet.core.sync_node import Announcing
from latticework.simnet.scenario import Churn, Coverage, Crash, Fault, Group, Links, Partition, Publish, Scenario

from .small_sync import AT_ONCE, SECOND, STILL, reached, run_for, world_of

pytestmark = pytest.mark.unit

PACED = Announcing(at_once_links=3)


def test_entries_travel_from_neighbour_to_neighbour() -> None:
    world = world_of(12)
    world.publish(3, 300)
    run_for(world, 5 * SECOND)
    latencies = reached(world, 0)
    assert sorted(latencies) == [number for number in range(12) if number != 3]
    assert max(latencies[2], latencies[4]) < latencies[9]
    assert world.counters()["entries"] >= 11
    assert world.parts(range(12)) == 1


def test_an_entry_takes_two_round_trips_at_least_and_is_charged_for() -> None:
    world = world_of(2, replace(STILL, uniform_us=(20_000, 20_000)))
    before = world.sent(0)[0]
    world.publish(0, 5_000)
    run_for(world, SECOND)
    # Root; then Compare, Compare, Want, Entries, less what the leader of rounds saves.
    assert reached(world, 0)[1] in {80_000, 100_000}
    assert 5_000 < world.sent(0)[0] - before < 6_000


def test_an_idle_network_is_silent() -> None:
    world = world_of(8, chords=(1, 2))
    world.publish(0, 300)
    run_for(world, 30 * SECOND)
    before = world.counters()["messages"]
    run_for(world, 600 * SECOND)
    assert world.counters()["messages"] == before


def test_news_is_told_at_once_on_few_links_and_paced_on_many() -> None:
    for announcing, first_s, second_s in ((AT_ONCE, 0.0, 0.0), (PACED, 0.5, 7.5)):
        world = world_of(6, announcing=announcing, chords=(1, 2))
        world.publish(0, 300)
        run_for(world, 3 * SECOND)
        world.publish(0, 300)
        run_for(world, 20 * SECOND)
        for message, paused_s in enumerate((first_s, second_s)):
            assert paused_s < min(reached(world, message).values()) / 1e6 < paused_s + 0.3


def test_what_was_fetched_is_told_on_at_once() -> None:
    world = world_of(40, announcing=PACED, chords=(1, 2))
    world.publish(0, 300)
    run_for(world, 20 * SECOND)
    assert 0.5 < max(reached(world, 0).values()) / 1e6 < 4, "ten hops, of which only the first waits"


def test_a_long_history_comes_in_parts() -> None:
    world = world_of(2, chords=())
    for _ in range(5):
        world.publish(0, SERVE_BATCH_BYTES // 2)
    before = world.sent(0)
    world.connections.connect(0, 1)
    run_for(world, 5 * SECOND)
    assert world.deliveries.message.tolist() == [0, 1, 2, 3, 4]
    sent = world.sent(0)
    assert sent[0] - before[0] > 2.5 * SERVE_BATCH_BYTES
    assert sent[1] - before[1] >= 3 + 2


def test_a_lost_message_comes_late_instead_of_never() -> None:
    lossy = replace(STILL, loss=0.3, corrupt=0.1)
    slow, quick = (world_of(10, links) for links in (lossy, STILL))
    for world in (slow, quick):
        world.publish(0, 300)
        run_for(world, 60 * SECOND)
        assert len(reached(world, 0)) == 9
    assert slow.links.counters.lost > 0
    assert max(slow.deliveries.latency_us) > max(quick.deliveries.latency_us) + 200_000


def test_a_partition_holds_messages_back_until_it_ends() -> None:
    world = world_of(10)
    cut = Cut(bytes(number < 5 for number in range(10)), one_way=False)
    world.connections.cut(cut)
    world.publish(0, 300)
    run_for(world, 10 * SECOND)
    assert sorted(reached(world, 0)) == [1, 2, 3, 4]
    assert world.counters()["held"] > 0
    world.connections.heal(cut)
    run_for(world, 3 * SECOND)
    assert len(reached(world, 0)) == 9
    assert world.links.counters.cut == 0


def test_one_way_partitions_stop_the_exchange_both_ways_without_ending_it() -> None:
    world = world_of(2)
    cut = Cut(b"\0\1", one_way=True)
    world.connections.cut(cut)
    world.publish(0, 300)
    run_for(world, 10 * SECOND)
    assert reached(world, 0) == {}
    world.connections.heal(cut)
    run_for(world, SECOND)
    assert 1 in reached(world, 0)


def test_a_node_that_was_down_asks_for_what_it_missed() -> None:
    world = world_of(6)
    world.publish(0, 300)
    run_for(world, 3 * SECOND)
    world.stop(3)
    world.publish(1, 300)
    run_for(world, 3 * SECOND)
    assert 3 not in reached(world, 1)
    world.start(3)
    for far in (2, 4):
        world.connections.connect(3, far)
    run_for(world, 3 * SECOND)
    assert 3 in reached(world, 1)
    assert len(world.deliveries.node) == 10, "what was on its disk is not delivered again"


def test_a_connection_that_breaks_in_the_middle_begins_anew() -> None:
    world = world_of(2, replace(STILL, uniform_us=(20_000, 20_000)))
    world.publish(0, 300)
    run_for(world, 50_000)
    world.connections.disconnect(0, 1)
    run_for(world, SECOND)
    assert reached(world, 0) == {}
    world.connections.connect(1, 0)
    run_for(world, SECOND)
    assert 1 in reached(world, 0)


def test_a_lost_disk_is_filled_again_without_second_deliveries_and_its_node_writes_into_a_new_log() -> None:
    world = world_of(5)
    for source in (0, 3):
        world.publish(source, 300)
    run_for(world, 5 * SECOND)
    assert len(world.deliveries.node) == 8
    world.stop(3)
    world.lose_disk(3)
    assert not world.nodes[3].store.heads
    world.start(3)
    world.connections.connect(3, 2)
    run_for(world, 5 * SECOND)
    assert len(world.nodes[3].store.heads) == 2
    assert len(world.deliveries.node) == 8
    world.publish(3, 300)
    run_for(world, 5 * SECOND)
    assert len(reached(world, 2)) == 4
    assert len(world.nodes[0].store.heads) == 3


def test_bandwidth_slows_entries_down_and_drops_none() -> None:
    latencies: list[int] = []
    for rate in (None, 100_000):
        world = world_of(3, replace(STILL, queue_bytes=1_000), rate=rate)
        world.publish(0, 50_000)
        run_for(world, 30 * SECOND)
        assert len(reached(world, 0)) == 2
        latencies.append(min(reached(world, 0).values()))
    assert latencies[1] - latencies[0] > 2 * 500_000, "half a second through each line"


# Scenarios


def scenario_of(*faults: Fault, links: Links = STILL) -> Scenario:
    return Scenario(
        "small",
        (Group("people", 8, dial=3), Group("phones", 5, dial=3)),
        60 * SECOND,
        tier="C",
        protocol="sync",
        warmup_us=3 * SECOND,
        links=links,
        load=(Publish("people", 1.0, until_us=15 * SECOND), Publish("phones", 0.5, until_us=15 * SECOND)),
        faults=faults,
        checks=(Coverage(),),
    )


FAULTS: dict[str, tuple[Fault, ...]] = {
    "partition": (Partition(2 * SECOND, 12 * SECOND, share=0.5),),
    "churn": (Churn("phones", Span("exp", 8 * SECOND), Span("uniform", SECOND, 3 * SECOND), until_us=25 * SECOND),),
    "crash": (Crash("people", 5 * SECOND, 10 * SECOND, share=0.4, lose_disk=False),),
}
LOSSY = replace(STILL, loss=0.05, jitter=0.2, burst_enter=0.01, burst_leave=0.3, burst_loss=0.5)


@pytest.mark.parametrize("seeds", [range(5), pytest.param(range(5, 100), marks=pytest.mark.long)], ids=["few", "many"])
@pytest.mark.parametrize("name", FAULTS)
def test_everybody_gets_everything_in_the_end_with_many_seeds(name: str, seeds: range) -> None:
    for seed in seeds:
        result = run_core(scenario_of(*FAULTS[name]), seed)
        assert result.ok, (seed, result.checks[0].told)
        assert result.expected > 60


def test_everybody_gets_everything_with_all_of_it_and_loss_and_the_digest_is_the_same_again() -> None:
    everything = scenario_of(*(fault for faults in FAULTS.values() for fault in faults), links=LOSSY)
    found = [run_core(everything, seed) for seed in (1, 1, 2)]
    assert all(result.ok for result in found), [result.checks[0].told for result in found]
    assert found[0].digest == found[1].digest != found[2].digest
    assert found[0].counters["lost"] > 0
    assert found[0].counters["cut"] == 0


def test_lost_disks_are_lost_in_scenarios_too() -> None:
    kept, lost = (
        run_core(scenario_of(Crash("people", 25 * SECOND, 2 * SECOND, share=0.5, lose_disk=lose)), 1)
        for lose in (False, True)
    )
    assert kept.ok
    assert lost.ok
    assert lost.counters["entries"] > kept.counters["entries"] + 50
    assert len(lost.deliveries.node) == len(kept.deliveries.node)
