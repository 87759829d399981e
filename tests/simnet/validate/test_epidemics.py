import math
from collections.abc import Callable
from functools import cache

import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.validate.check import Check, check
from latticework.simnet.validate.epidemics import EPIDEMICS, atomic_coverage, coverage, eclipse
from latticework.simnet.vector import Seed

SEED = KeyedRng(b"validate")


@cache
def made_by(checks: Callable[[Seed], list[Check]]) -> list[Check]:
    return checks(SEED)


@pytest.mark.sim
@pytest.mark.parametrize("checks", EPIDEMICS, ids=lambda checks: checks.__name__)
def test_every_figure_is_within_its_tolerance(checks: Callable[[Seed], list[Check]]) -> None:
    made = made_by(checks)
    assert [found for found in made if not found.ok] == []
    assert len({found.id for found in made}) == 1
    assert len({found.what for found in made}) == len(made)


@pytest.mark.sim
def test_the_expected_figures_are_those_of_the_plan() -> None:
    """The table of the validation plan, to its digits."""
    expected = [round(found.expected, 5) for found in made_by(coverage)]
    assert expected == [0.79681, 0.94048, 0.98017, 0.99748, 0.99966]
    assert [round(found.expected, 3) for found in made_by(atomic_coverage)] == [0.635, 0.940, 0.992]


@pytest.mark.sim
def test_the_same_seed_gives_the_same_figures() -> None:
    assert eclipse(SEED) == eclipse(KeyedRng(b"validate")) != eclipse(b"other")


@pytest.mark.unit
def test_a_check_is_ok_up_to_its_tolerance_and_not_beyond() -> None:
    assert check("V0", "what", 1.0, 1.25, 0.25, "source") == Check("V0", "what", 1.0, 1.25, 0.25, "source", ok=True)
    assert not check("V0", "what", 1.0, 0.7, 0.25, "source").ok
    assert not check("V0", "what", 1.0, math.nan, 0.25, "source").ok
