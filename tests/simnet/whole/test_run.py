import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latticework.simnet.progress import Progress
from latticework.simnet.result import Result
from latticework.simnet.scenario import Coverage, Group, Latency, Links, Lookup, Mesh, Publish, ShareFile
from latticework.simnet.whole.run import run_whole
from latticework.simnet.whole.simulation import Simulation
from latticework.wire import LocalError

from .small import BUSY, PEOPLE, SECOND, disturbed, played, small

pytestmark = pytest.mark.sim


def delivered(result: Result) -> list[tuple[int, int, int]]:
    rows = result.deliveries
    return sorted(zip(rows.message, rows.node, rows.latency_us, strict=True))


def test_every_message_reaches_every_node_and_all_hold_the_same() -> None:
    result = played(small())
    assert (result.nodes, result.tier, result.crypto) == (8, "F", "memo")
    assert result.delivered == result.expected == 10 * 7
    assert result.virtual_us == 17 * SECOND
    assert all(degree >= 3 for degree in result.node_figures.degree)
    assert all(size > 10_000 for size in result.node_figures.sent_bytes)
    assert sum(result.node_figures.duplicates) > 0
    assert list(result.timeline.parts)[-5:] == [1] * 5
    assert result.timeline.delivered[-1] == len(result.deliveries.node)


def test_two_runs_from_one_seed_are_the_same_to_the_byte_and_another_seed_is_another_run() -> None:
    first, again, other = (played(disturbed(), seed) for seed in (7, 7, 8))
    assert first.digest == again.digest
    assert delivered(first) == delivered(again)
    assert first.digest != other.digest
    assert first.run_id != other.run_id


@pytest.mark.parametrize("hash_seed", ["0", "5"])
def test_the_digest_does_not_depend_on_the_hash_seed(hash_seed: str) -> None:
    program = Path(__file__).with_name("small.py")
    done = subprocess.run(
        [sys.executable, "-m", "tests.simnet.whole.small", "disturbed", "7"],
        cwd=program.parents[3],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == played(disturbed(), 7).digest


def test_model_cryptography_changes_bytes_and_neither_deliveries_nor_their_times() -> None:
    memo, model = played(small()), played(small(crypto="model"))
    assert memo.digest != model.digest
    assert delivered(memo) == delivered(model)
    assert model.digest == played(small(crypto="model")).digest


def test_real_cryptography_delivers_the_same_messages_at_the_same_times() -> None:
    real = played(small(crypto="real"))
    assert delivered(real) == delivered(played(small()))
    assert real.digest == played(small(crypto="real")).digest


def test_a_node_that_is_added_shifts_none_of_the_other_draws() -> None:
    alone = run_whole(small(load=()), 3)
    beside = run_whole(small(Group("later", 1, dial=0, joins_at_us=11 * SECOND), load=()), 3)
    assert list(alone.node_figures.degree)[:8] == list(beside.node_figures.degree)[:8]


def test_checks_that_do_not_hold_are_told() -> None:
    result = run_whole(small(checks=(Coverage(within_us=1), Latency(1))), 1)
    assert not result.ok
    assert [check.ok for check in result.checks] == [False, False]
    assert "0 of 70" in result.checks[0].told


def test_progress_is_told_each_second() -> None:
    told: list[Progress] = []
    run_whole(small(), 1, told.append)
    assert [progress.virtual_us for progress in told[:3]] == [SECOND, 2 * SECOND, 3 * SECOND]
    assert told[-1].delivered == 70


def test_the_mesh_of_a_scenario_is_that_of_its_routers() -> None:
    sparse = played(small(replace(PEOPLE, name="more", count=8), mesh=Mesh(d=2, d_lo=1, d_hi=3, d_out=0, d_score=1)))
    dense = played(small(replace(PEOPLE, name="more", count=8), mesh=Mesh(d=8, d_lo=7)))
    assert sum(sparse.node_figures.duplicates) < sum(dense.node_figures.duplicates)


def test_uplinks_slow_messages_down() -> None:
    free = played(small(load=(replace(BUSY, size_bytes=40_000, until_us=5 * SECOND),)))
    narrow = small(load=(replace(BUSY, size_bytes=40_000, until_us=5 * SECOND),))
    narrow = replace(narrow, groups=(replace(PEOPLE, up=100_000, down=1_000_000),))
    slow = played(narrow)
    assert (slow.percentile_ms(50) or 0) > (free.percentile_ms(50) or 0) + 400


def test_a_shared_file_reaches_everybody_and_not_from_its_source_alone() -> None:
    size = 2_000_000
    groups = (replace(PEOPLE, up=250_000, down=2_500_000),)
    result = run_whole(small(groups=groups, load=(ShareFile("people", size),), until_us=120 * SECOND, checks=()), 1)
    assert result.delivered == result.expected == 7
    assert max(result.deliveries.latency_us) < 7 * size / 250_000 * 1e6, "others served it too"
    assert sum(sent > size / 4 for sent in result.node_figures.sent_bytes) > 1


def test_a_script_steers_the_run() -> None:
    seen: list[str] = []

    def script(sim: Simulation) -> None:
        sim.at(6 * SECOND, lambda: sim.node(2).crash(lose_disk=True))
        sim.when(lambda: sim.now_us >= 9 * SECOND, sim.node(2).start)
        sim.at(10_500_000, lambda: seen.append("up" if sim.node(2).is_up else "down"))
        sim.at(8 * SECOND, lambda: seen.append("up" if sim.node(2).is_up else "down"))
        sim.at(7 * SECOND, lambda: sim.net.cut("people-0", "people-1"))

    result = run_whole(small(), 1, script=script)
    assert seen == ["down", "up"]
    assert 7 in result.timeline.up
    assert result.ok, [check.told for check in result.checks]


def test_there_is_no_node_of_a_number_that_no_node_has() -> None:
    def script(sim: Simulation) -> None:
        with pytest.raises(LocalError, match="there are 8"):
            sim.node(8)

    run_whole(small(load=(), until_us=SECOND), 1, script=script)


def test_more_devices_than_an_account_takes_are_refused_with_the_way_out() -> None:
    with pytest.raises(LocalError, match="use tier C"):
        run_whole(small(Group("many", 2000)), 1)


def test_regions_that_nobody_knows_are_refused() -> None:
    with pytest.raises(LocalError):
        run_whole(small(links=Links(regions="/nowhere.csv")), 1)


def test_a_rate_without_a_publisher_that_is_up_is_counted() -> None:
    load = Publish("late", 1.0, until_us=3 * SECOND)
    result = run_whole(small(Group("late", 1, dial=2, joins_at_us=5 * SECOND), load=(load,), checks=()), 1)
    assert result.counters["unsent"] == 3


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"protocol": "sync"}, "protocol 'sync' is for tier C"),
        ({"protocol": "kademlia"}, "protocol 'kademlia' is for tier C"),
        ({"load": (Lookup("people"),)}, "load Lookup is for protocol kademlia, which is on tier C"),
    ],
)
def test_protocols_of_tier_c_are_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(LocalError, match=text):
        run_whole(small(**changes), 1)
