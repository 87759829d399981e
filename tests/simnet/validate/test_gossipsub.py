from dataclasses import replace

import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.validate.gossipsub import V10, V11, early_heartbeats, ihave_by_chance, simulate
from latticework.transport.gossip_params import MESHSUB_10, MESHSUB_11

pytestmark = pytest.mark.sim


def test_a_small_published_run_is_reproduced() -> None:
    """Per delivery and per heartbeat, figures hardly depend on the number of nodes (V1b)."""
    run = simulate(250, V10, MESHSUB_10, KeyedRng(b"small"), messages=12)
    assert run.coverage == 1
    assert abs(run.per_delivery / 6.421 - 1) < 0.05
    # Six IHAVE from each node for each of the heartbeats that have something to tell: 12 s and 2 more.
    assert abs(run.ihave / (250 * 14 * 6) - 1) < 0.02
    assert abs(sum(run.bins) - 100) < 0.5
    assert run.bins[1] + run.bins[2] > 85


def test_ihave_is_what_the_routers_rule_says_and_less_than_by_chance() -> None:
    run = simulate(250, V11, MESHSUB_11, KeyedRng(b"ihave"), messages=6)
    by_rule = sum(max(6, count // 4) for count in run.candidates)
    assert abs(run.ihave / (by_rule * 8) - 1) < 0.02
    chance = ihave_by_chance(run, V11, 0)
    assert 1.07 < chance / run.ihave < 1.13
    # Two more candidates, of which a quarter is drawn, except where 6 are filled up to.
    assert 0.3 < (ihave_by_chance(run, V11, 2) - chance) / (250 * 8) < 0.5


def test_with_few_candidates_all_of_them_are_drawn_by_either_rule() -> None:
    run = simulate(30, V11, MESHSUB_11, KeyedRng(b"few"), messages=1)
    few = replace(run, candidates=(6,) * 30)
    assert ihave_by_chance(few, V11, 0) == pytest.approx(few.ihave)


def test_the_check_notices_heartbeats_that_come_together() -> None:
    (found,) = early_heartbeats(b"small")
    assert found.ok
    assert found.got > 10


def test_silent_nodes_are_made_up_for_up_to_a_point() -> None:
    rng = KeyedRng(b"silent")
    half = simulate(120, V10, MESHSUB_10, rng, messages=3, silent=0.5)
    most = simulate(120, V10, MESHSUB_10, rng, messages=3, silent=0.95)
    assert half.coverage == 1
    assert most.coverage < 0.8
