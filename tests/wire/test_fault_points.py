import pytest

from latticework.wire import arming, fault_point

pytestmark = pytest.mark.unit


def test_nothing_fails_outside_of_a_simulation() -> None:
    assert not fault_point("anywhere")


def test_who_armed_the_points_decides_and_only_while_they_are_armed() -> None:
    asked: list[str] = []

    def decide(name: str) -> bool:
        asked.append(name)
        return name == "here"

    with arming(decide):
        assert fault_point("here")
        assert not fault_point("there")
    assert not fault_point("here")
    assert asked == ["here", "there"]
