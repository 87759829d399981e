import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.validate.gossipsub import V10, early_heartbeats, simulate
from latticework.transport.gossip_params import MESHSUB_10

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
