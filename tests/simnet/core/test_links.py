from itertools import pairwise
from pathlib import Path

import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.core.links import Cut, MessageLinks, TokenBucket
from latticework.simnet.regions import LIBP2P_REGIONS
from latticework.simnet.scenario import Group, Links
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

STILL = Links("lan", jitter_us=0)


def links_of(links: Links, count: int = 4, group: Group | None = None, seed: bytes = b"links") -> MessageLinks:
    return MessageLinks(links, [group or Group("all", count)] * count, KeyedRng(seed))


def outcomes(model: MessageLinks, count: int, source: int = 0, destination: int = 1) -> list[tuple[int, ...]]:
    """The arrivals of messages sent a second apart, as latencies."""
    return [
        tuple(at_us - now_us for at_us in model.arrivals_us(source, destination, 100, now_us))
        for now_us in range(0, count * 1_000_000, 1_000_000)
    ]


# Latency


def test_latency_is_that_of_the_regions_and_a_fixed_part_per_link() -> None:
    model = links_of(Links(), 300)
    for source, destination in ((0, 1), (5, 200), (299, 7)):
        base_us = LIBP2P_REGIONS.latency_us[model.region[source]][model.region[destination]]
        assert base_us <= model.latency_us(source, destination) < base_us + 5_000
        assert model.latency_us(source, destination) == model.latency_us(destination, source)
    assert len({model.latency_us(0, node) % 1_000 for node in range(1, 300)}) > 100


def test_nodes_live_where_people_do_unless_their_group_says() -> None:
    model = links_of(Links(), 2_000)
    share = model.region.count(LIBP2P_REGIONS.names.index("europe")) / 2_000
    assert abs(share - 5_599 / 11_326) < 0.06
    placed = links_of(Links(), group=Group("all", 4, region="na_west"))
    assert set(placed.region) == {LIBP2P_REGIONS.names.index("na_west")}


def test_an_unknown_region_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"no region 'mars'.*europe"):
        links_of(Links(), group=Group("all", 4, region="mars"))
    with pytest.raises(LocalError):
        links_of(Links(str(tmp_path / "none.csv")))


def test_a_uniform_latency_is_drawn_for_each_direction() -> None:
    model = links_of(Links(uniform_us=(10_000, 150_000), jitter_us=0), 40)
    drawn = [model.latency_us(a, b) for a in range(40) for b in range(40) if a != b]
    assert all(10_000 <= us <= 150_000 for us in drawn)
    assert abs(sum(drawn) / len(drawn) - 80_000) < 5_000
    assert model.latency_us(1, 2) != model.latency_us(2, 1)
    assert links_of(Links(uniform_us=(10_000, 150_000), jitter_us=0), 5).latency_us(1, 2) == model.latency_us(1, 2)


def test_jitter_grows_a_latency_anew_for_each_message() -> None:
    model = links_of(Links(uniform_us=(100_000, 100_000), jitter_us=0, jitter=0.1))
    found = [latency_us for (latency_us,) in outcomes(model, 500)]
    assert 100_000 <= min(found) < 100_500
    assert 109_500 < max(found) <= 110_000
    assert len(set(found)) > 450


def test_messages_between_two_nodes_stay_in_order() -> None:
    model = links_of(Links(uniform_us=(100_000, 100_000), jitter=0.5))
    arrivals = [model.arrivals_us(0, 1, 100, now_us)[0] for now_us in range(0, 200_000, 1_000)]
    assert arrivals == sorted(arrivals)


# Chance


def test_what_happens_to_a_link_does_not_depend_on_the_others() -> None:
    links = Links(jitter=0.2, loss=0.3, reorder=0.1, duplicate=0.1, burst_enter=0.1, burst_leave=0.5, burst_loss=0.9)
    alone = outcomes(links_of(links), 50)
    busy = links_of(links)
    outcomes(busy, 20, 1, 0)
    outcomes(busy, 20, 2, 3)
    assert outcomes(busy, 50) == alone
    assert outcomes(links_of(links, seed=b"other"), 50) != alone


@pytest.mark.parametrize("links", [Links(loss=0.2), Links(corrupt=0.2), Links(burst_enter=1, burst_loss=0.2)])
def test_the_share_that_is_lost_is_the_scenarios(links: Links) -> None:
    if links.burst_enter:
        links = Links(burst_enter=1, burst_leave=0, burst_loss=0.2)
    model = links_of(links)
    lost = sum(not arrivals for arrivals in outcomes(model, 3_000))
    assert abs(lost - 600) < 5 * 22
    assert model.counters.lost == lost


def test_losses_of_a_burst_come_together() -> None:
    model = links_of(Links(burst_enter=0.02, burst_leave=0.2, burst_loss=1))
    lost = [not arrivals for arrivals in outcomes(model, 5_000)]
    share = sum(lost) / len(lost)
    assert abs(share - 0.02 / 0.22) < 0.03
    again = sum(one and two for one, two in pairwise(lost)) / sum(lost)
    assert abs(again - 0.8) < 0.08


def test_a_duplicate_arrives_later_and_a_reordered_message_lets_the_next_pass() -> None:
    model = links_of(Links(uniform_us=(100_000, 100_000), jitter_us=0, duplicate=0.5))
    doubled = [arrivals for arrivals in outcomes(model, 200) if len(arrivals) == 2]
    assert len(doubled) == model.counters.duplicated
    assert 60 < len(doubled) < 140
    assert all(first == 100_000 <= second <= 200_000 for first, second in doubled)
    model = links_of(Links(uniform_us=(100_000, 100_000), jitter_us=0, reorder=0.3))
    arrivals = [model.arrivals_us(0, 1, 100, now_us)[0] for now_us in range(0, 1_000_000, 10_000)]
    assert arrivals != sorted(arrivals)
    assert model.counters.reordered > 10


def test_nothing_is_drawn_where_nothing_is_left_to_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    model = links_of(STILL)
    assert model.quick
    model.arrivals_us(0, 1, 100, 0)

    def refuse(_key: int, _count: int) -> int:
        raise AssertionError

    monkeypatch.setattr("latticework.simnet.core.links.draw", refuse)
    assert model.arrivals_us(0, 1, 100, 7) == (507,)


# Bandwidth


def test_the_copies_of_a_burst_leave_one_after_the_other_to_the_microsecond() -> None:
    """V13, first part: 128 KiB at 50 Mbit/s."""
    size, rate = 128 * 1024, 6_250_000
    bucket = TokenBucket(rate, 64 * size)
    assert [bucket.pass_us(size, 1_000) for _ in range(8)] == [
        1_000 + i * size * 1_000_000 // rate for i in range(1, 9)
    ]


def test_an_idle_line_begins_anew() -> None:
    bucket = TokenBucket(1_000_000, 1_000)
    assert bucket.pass_us(300, 0) == 300
    assert bucket.pass_us(300, 100) == 600
    assert bucket.pass_us(300, 5_000) == 5_300


def test_what_finds_no_room_in_the_queue_is_dropped_and_counted() -> None:
    bucket = TokenBucket(1_000_000, 1_000)
    assert [bucket.pass_us(400, 0) for _ in range(4)] == [400, 800, None, None]
    assert bucket.dropped == 2
    assert bucket.pass_us(400, 300) == 1_200
    assert TokenBucket(1_000_000, 1_000).pass_us(5_000, 0) == 5_000


def test_an_uplink_delays_and_drops_and_the_latency_comes_on_top() -> None:
    links = Links("lan", jitter_us=0, queue_bytes=1_000)
    model = links_of(links, group=Group("all", 4, up=1_000_000))
    assert not model.quick
    assert [model.arrivals_us(0, peer, 400, 0) for peer in (1, 2, 3)] == [(900,), (1_300,), ()]
    assert model.counters.queue_full == 1
    assert model.arrivals_us(1, 0, 400, 0) == (900,)


# Partitions


def test_a_partition_stops_both_ways_or_one() -> None:
    model = links_of(STILL)
    both, one_way = Cut(b"\1\1\0\0", one_way=False), Cut(b"\1\1\0\0", one_way=True)
    model.cut(both)
    assert [bool(model.arrivals_us(a, b, 1, 0)) for a, b in ((0, 2), (2, 0), (0, 1), (2, 3))] == [
        False,
        False,
        True,
        True,
    ]
    assert model.counters.cut == 2
    model.heal(both)
    assert model.quick
    model.cut(one_way)
    assert [bool(model.arrivals_us(a, b, 1, 0)) for a, b in ((0, 2), (2, 0), (0, 1))] == [False, True, True]


# Streams


def test_what_a_stream_loses_comes_after_a_time_out_and_in_order() -> None:
    still, lossy = links_of(STILL), links_of(Links("lan", jitter_us=0, loss=0.3))
    prompt = [still.stream_arrival_us(0, 1, 100, now_us) - now_us for now_us in range(0, 10_000, 100)]
    assert set(prompt) == {500}
    arrivals = [lossy.stream_arrival_us(0, 1, 100, now_us) for now_us in range(0, 100_000_000, 1_000_000)]
    late = [at_us - now_us for at_us, now_us in zip(arrivals, range(0, 100_000_000, 1_000_000), strict=True)]
    assert arrivals == sorted(arrivals)
    assert {500, 200_500, 600_500} <= set(late), "at once, after one loss, after two"
    assert 15 < sum(us > 500 for us in late) < 50
    assert lossy.counters.lost >= sum(us > 500 for us in late)


def test_a_stream_gets_through_in_the_end_whatever_the_loss() -> None:
    model = links_of(Links("lan", jitter_us=0, loss=1.0))
    assert model.stream_arrival_us(0, 1, 100, 0) == 500 + 200_000 * (2**8 - 1)


def test_a_stream_waits_for_room_in_the_line() -> None:
    model = links_of(Links("lan", jitter_us=0, queue_bytes=1_000), group=Group("all", 4, up=100_000))
    assert [model.stream_arrival_us(0, 1, 1_000, 0) for _ in range(4)] == [10_500, 20_500, 30_500, 40_500]
    assert model.arrivals_us(0, 1, 1_000, 0) == ()
    assert model.counters.queue_full == 1
