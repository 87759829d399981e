"""Every scenario of the library, run as it stands: what it checks holds."""

import pytest

from latticework.simnet.library import load, names
from latticework.simnet.running import run

pytestmark = [pytest.mark.sim, pytest.mark.long]


@pytest.mark.parametrize("name", names())
def test_what_a_scenario_checks_holds(name: str) -> None:
    result = run(load(name))
    assert [check for check in result.checks if not check.ok] == []
    assert result.delivered
