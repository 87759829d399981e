"""A scenario runs on the tier that it names, from its seed or another."""

from dataclasses import replace
from typing import Final

import pytest

from latticework.simnet.progress import Progress
from latticework.simnet.running import run
from latticework.simnet.scenario import Coverage, Group, Publish, Scenario

pytestmark = pytest.mark.sim
SCENARIO: Final = Scenario(
    "base", (Group("peers", 20),), 4_000_000, seed=5, tier="V", load=(Publish("peers"),), checks=(Coverage(),)
)


def test_the_seed_is_the_scenarios_unless_another_is_given() -> None:
    own, same, other = run(SCENARIO), run(replace(SCENARIO, seed=1), 5), run(SCENARIO, 6)
    assert (own.seed, own.digest, other.seed) == (5, same.digest, 6)
    assert own.digest != other.digest


def test_progress_is_told_and_changes_nothing() -> None:
    told: list[Progress] = []
    assert run(SCENARIO, progress=told.append).digest == run(SCENARIO).digest
    assert told
    assert all(step.until_us == 14_000_000 for step in told)
