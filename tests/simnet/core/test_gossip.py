import pytest

from latticework.simnet.core.gossip import TOPIC, GossipWorld
from latticework.simnet.core.links import Cut
from latticework.simnet.core.outcome import digest_of
from latticework.simnet.scenario import Group, Links
from latticework.transport import GossipParams, ScoreParams, TopicScoreParams

from .small_gossip import SECOND, STILL, bring_up, publish, world_of

pytestmark = pytest.mark.unit

LOSSY = Links(uniform_us=(10_000, 150_000), jitter=0.2, loss=0.05, duplicate=0.02, reorder=0.02)


def reached(world: GossipWorld, message: int) -> list[int]:
    rows = world.deliveries
    return sorted(node for number, node in zip(rows.message, rows.node, strict=True) if number == message)


def test_every_node_gets_every_message_once() -> None:
    world = bring_up(world_of(40))
    publish(world, 3, 17)
    for message, source in enumerate((3, 17)):
        assert reached(world, message) == [number for number in range(40) if number != source]
    assert world.log.redelivered == 0
    assert world.parts(range(40)) == 1
    assert sum(world.log.copies) == world.log.counters.messages
    assert all(3 <= len(world.nodes[number].neighbours(TOPIC)) <= 12 for number in range(40))


@pytest.mark.parametrize("links", [STILL, LOSSY], ids=["still", "lossy"])
def test_the_shortcut_for_copies_changes_nothing(links: Links) -> None:
    figures: list[tuple[object, ...]] = []
    for shortcut in (True, False):
        world = bring_up(world_of(60, links, shortcut=shortcut))
        publish(world, *range(12), apart_us=SECOND // 4, drain_s=8)
        sent = [world.sent(number) for number in range(60)]
        figures.append((digest_of(world.deliveries), world.counters(), list(world.log.copies), sent))
    assert figures[0] == figures[1]


def test_the_shortcut_is_taken_where_it_may_be_and_only_there() -> None:
    world = bring_up(world_of(30))
    publish(world, 1)
    assert world.log.settled_counts() == [30]
    world.stop(4)
    assert world.log.settled_counts() == [29]
    world.scheduler.run(world.scheduler.now_us + 121 * SECOND)
    assert world.log.settled_counts() == []
    watching = GossipParams(score=ScoreParams(other_topics=TopicScoreParams(mesh_message_deliveries_weight=-1)))
    world = bring_up(world_of(30, params=watching))
    publish(world, 1)
    assert world.log.settled_counts() == [0]


def test_what_is_lost_in_the_mesh_is_asked_for() -> None:
    world = bring_up(world_of(50, Links(uniform_us=(10_000, 60_000), loss=0.2)))
    publish(world, *range(8), drain_s=8)
    assert world.log.counters.iwant > 0
    assert all(len(reached(world, message)) == 49 for message in range(8))
    assert world.links.counters.lost > 0


def test_a_node_that_stopped_is_dropped_by_the_others_and_hears_nothing_until_it_is_back() -> None:
    world = bring_up(world_of(30))
    world.stop(7, noticed_us=3 * SECOND)
    assert any(7 in world.connections.neighbours(number) for number in range(30))
    world.scheduler.run(world.scheduler.now_us + 4 * SECOND)
    assert not any(7 in world.connections.neighbours(number) for number in range(30))
    publish(world, 1)
    assert 7 not in reached(world, 0)
    world.start(7)
    for far in (1, 2, 3, 4):
        world.connections.dial(7, far)
    world.scheduler.run(world.scheduler.now_us + 3 * SECOND)
    publish(world, 2)
    assert len(reached(world, 1)) == 29


def test_a_node_that_is_back_before_it_was_missed_is_connected_anew() -> None:
    world = bring_up(world_of(20))
    far = world.connections.neighbours(7)[0]
    world.stop(7, noticed_us=5 * SECOND)
    world.start(7)
    world.connections.connect(7, far)
    world.scheduler.run(world.scheduler.now_us + 8 * SECOND)
    assert far in world.connections.neighbours(7)
    assert 7 in world.connections.neighbours(far)


def test_dialling_takes_a_round_trip_and_fails_across_a_partition() -> None:
    world = world_of(3, Links(uniform_us=(50_000, 50_000), jitter_us=0))
    lost: list[int] = []
    world.connections.lost = lost.append
    for number in range(3):
        world.start(number)
    cut = Cut(b"\1\0\0", one_way=True)
    world.connections.cut(cut)
    world.connections.dial(0, 1)
    world.connections.dial(2, 1)
    world.scheduler.run(99_999)
    assert world.connections.neighbours(1) == []
    world.scheduler.run(100_000)
    assert world.connections.neighbours(1) == [2]
    assert lost == [0]
    world.connections.heal(cut)
    world.connections.dial(0, 1)
    world.scheduler.run(200_000)
    assert world.connections.neighbours(1) == [2, 0]


def test_a_partition_keeps_messages_on_one_side() -> None:
    world = bring_up(world_of(40))
    side = bytes(number < 20 for number in range(40))
    cut = Cut(side, one_way=False)
    world.connections.cut(cut)
    publish(world, 0, drain_s=2)
    assert reached(world, 0) == list(range(1, 20))
    assert world.links.counters.cut > 0
    world.connections.heal(cut)
    publish(world, 30)
    assert len(reached(world, 1)) == 39


def test_an_uplink_slows_large_messages_down_and_a_downlink_too() -> None:
    slow = Group("all", 20, up=1_250_000, down=1_250_000)
    latencies: list[float] = []
    for group in (Group("all", 20), slow):
        world = bring_up(world_of(20, Links("lan", jitter_us=0, queue_bytes=1 << 24), group=group))
        world.publish(0, 100_000)
        world.scheduler.run(world.scheduler.now_us + 20 * SECOND)
        assert len(reached(world, 0)) == 19
        latencies.append(min(world.deliveries.latency_us))
    # One copy takes 80 ms up and 80 ms down.
    assert 160_000 < latencies[1] - latencies[0] < 162_000


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    digests: list[str] = []
    for seed in (b"one", b"one", b"two"):
        world = bring_up(world_of(25, LOSSY, seed=seed))
        publish(world, 1, 2)
        digests.append(digest_of(world.deliveries))
    assert digests[0] == digests[1] != digests[2]
