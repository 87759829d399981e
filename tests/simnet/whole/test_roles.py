from dataclasses import replace

import pytest

from latticework.simnet.scenario import Converged, Coverage, Detected, Group
from latticework.simnet.whole.roles import ROLES
from latticework.simnet.whole.run import run_whole
from latticework.wire import LocalError

from .small import SECOND, played, small

pytestmark = pytest.mark.sim

_OPTIONS: dict[str, tuple[tuple[str, str | int | float], ...]] = {
    "censor": (("victims", "people"),),
    "eclipse": (("target", "people"),),
    "covert-flash": (("honest_for", "3s"),),
    "replayer": (("after", "3s"),),
}


@pytest.mark.parametrize("role", [role for role in ROLES if role not in {"honest", "equivocator"}])
def test_honest_nodes_deliver_everything_beside_a(role: str) -> None:
    played(small(Group("bad", 3, role, dial=4, options=_OPTIONS.get(role, ()))))


def test_an_equivocator_is_proven_to_everybody_and_all_agree_what_stands() -> None:
    scenario = small(Group("liar", 1, "equivocator", dial=3), until_us=40 * SECOND)
    result = played(replace(scenario, checks=(Coverage(), Converged(), Detected(10 * SECOND))))
    assert "all proven" in result.checks[2].told


def test_detection_fails_where_nobody_lied_or_nobody_could_tell() -> None:
    quiet = run_whole(small(checks=(Detected(SECOND),)), 1)
    assert not quiet.ok
    hasty = run_whole(small(Group("liar", 1, "equivocator", dial=3), checks=(Detected(1),)), 1)
    assert not hasty.ok


def test_silent_nodes_pass_less_on() -> None:
    honest = played(small(Group("more", 8, dial=8)))
    silent = played(small(Group("more", 8, "silent", dial=8)))
    assert sum(silent.node_figures.sent_bytes[8:]) < sum(honest.node_figures.sent_bytes[8:]) * 0.8


def test_delayers_slow_down_whoever_is_behind_them() -> None:
    line = Group("bad", 2, "delayer", dial=8, options=(("delay", "5s"),))
    alone = Group("alone", 1, dial=2, dial_to=("bad",))
    result = played(small(line, alone, until_us=20 * SECOND))
    slowest_us = max(us for n, us in zip(result.deliveries.node, result.deliveries.latency_us, strict=True) if n == 10)
    assert 4e6 < slowest_us < 12e6


def test_what_spammers_say_is_admitted_by_nobody() -> None:
    honest = played(small(Group("bad", 2, dial=8)))
    spam = played(small(Group("bad", 2, "spammer", dial=8, options=(("rate", 50),))))
    assert spam.delivered == 70
    assert spam.counters["entries"] <= honest.counters["entries"]


def test_a_role_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(LocalError, match="equivocator"):
        run_whole(small(Group("bad", 1, "gremlin")), 1)


def test_forgers_are_refused_where_forgeries_would_pass() -> None:
    with pytest.raises(LocalError, match="memo or real"):
        run_whole(small(Group("bad", 1, "spammer"), crypto="model"), 1)
