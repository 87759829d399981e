"""The whole validation: that it is complete, in order, and lazy; its figures are the business of each part."""

from collections.abc import Iterator

import pytest

from latticework.simnet.validate import Check, checks, suite
from latticework.simnet.validate.attacks import Attack

pytestmark = pytest.mark.sim


def nothing() -> Iterator[Check]:
    yield from ()


@pytest.fixture(autouse=True)
def _without_gossipsub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes most of a minute, and has tests of its own."""
    if request.node.get_closest_marker("long") is None:
        monkeypatch.setattr("latticework.simnet.validate.gossipsub.GOSSIPSUB", ())


def test_checks_come_one_by_one() -> None:
    first = next(checks())
    assert (first.id, first.ok) == ("V4", True)


def test_the_quick_parts_are_within_their_tolerances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_LOOKUPS", 150)
    monkeypatch.setattr(suite, "_HOPS", {8: {1_000: 2.22}})
    monkeypatch.setattr("latticework.simnet.validate.epidemics.EPIDEMICS", ())
    found = list(checks())
    assert [check.id for check in found] == ["V7", "V7", "V7", "V7", "V8", "V8", "V13", "V13", "V13", "V14", "V14"]
    assert all(check.ok and check.what and check.source for check in found)


def test_long_adds_what_takes_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_DISJOINT_LOOKUPS", 20)
    tiny = Attack("cold boot", honest=12, publishers=2, dials=3, sybils=12, sybil_dials=6, until_us=31_000_000)
    monkeypatch.setattr("latticework.simnet.validate.attacks.ATTACKS", (tiny,))
    monkeypatch.setattr(suite, "_kademlia", nothing)
    monkeypatch.setattr(suite, "_nat", nothing)
    monkeypatch.setattr("latticework.simnet.validate.epidemics.EPIDEMICS", ())
    quick = {check.id for check in checks()}
    assert {check.id for check in checks(long=True)} - quick == {"V9", "V12"}


@pytest.mark.long
def test_everything_is_within_its_tolerance() -> None:
    assert [check for check in checks(long=True) if not check.ok] == []
