import pytest

from latticework.simnet.core import flood
from latticework.simnet.core.flood import FloodOutcome
from latticework.simnet.validate.tiers import same_flood
from latticework.simnet.workload import Workload

pytestmark = pytest.mark.sim


def test_every_tier_gives_the_same_flood() -> None:
    found = same_flood(b"tiers")
    assert [check.id for check in found] == ["V7"] * 4
    assert all(check.ok for check in found), found


def test_a_tier_that_differs_by_a_microsecond_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    run_flood = flood.run_flood

    def late(workload: Workload) -> FloodOutcome:
        outcome = run_flood(workload)
        outcome.deliveries.latency_us[7] += 1
        return outcome

    monkeypatch.setattr(flood, "run_flood", late)
    assert [check.ok for check in same_flood(b"tiers")] == [False, True, False, True]
