"""The same scenario with whole nodes whose gossip is lost, and with reconcilers called directly."""

from dataclasses import replace

import pytest

from latticework.simnet.core.run import run_core
from latticework.simnet.scenario import Converged, Coverage, FaultPoints, Group, Links, Publish, Scenario
from latticework.simnet.whole.run import run_whole

pytestmark = pytest.mark.sim

SECOND = 1_000_000
WHOLE = Scenario(
    "both",
    (Group("people", 8, dial=1),),
    40 * SECOND,
    links=Links(uniform_us=(20_000, 80_000)),
    load=(Publish("people", 0.5, 300, until_us=25 * SECOND),),
    faults=(FaultPoints(0, 40 * SECOND, 1.0, ("spread.lose",)),),
    checks=(Coverage(), Converged()),
)


@pytest.mark.parametrize(("nodes", "dial"), [(8, 1), (12, 4)], ids=["told at once", "paced"])
def test_both_tiers_deliver_everything_at_nearly_the_same_times(nodes: int, dial: int) -> None:
    """Dials, latencies, sources and pauses are the same, and codec, channel and stores take no virtual time.

    What differs is small beside that: frames of the other protocols come between, clocks of pauses begin a little
    later, and messages that a whole node has not written yet are joined. 16 % was measured at most; a fifth is
    allowed.
    """
    whole = replace(WHOLE, groups=(Group("people", nodes, dial=dial),))
    typed = replace(whole, tier="C", protocol="sync", faults=(), checks=(Coverage(),))
    f, c = run_whole(whole, 2), run_core(typed, 2)
    assert f.ok, [check.told for check in f.checks]
    assert c.ok
    assert f.counters["faults at spread.lose"] == 13
    assert f.delivered == f.expected == c.delivered == c.expected == 13 * (nodes - 1)
    assert list(f.node_figures.degree) == list(c.node_figures.degree)
    for percentile in (10, 50, 90, 100):
        assert c.percentile_ms(percentile) == pytest.approx(f.percentile_ms(percentile), rel=0.2)
