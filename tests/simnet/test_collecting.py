import gc

import pytest

from latticework.simnet.collecting import seldom_collecting

pytestmark = pytest.mark.unit


def test_the_collector_runs_seldom_inside_and_as_before_afterwards_whatever_happened() -> None:
    before = gc.get_threshold()
    inside: list[int] = []

    def fail() -> None:
        with seldom_collecting():
            inside.append(gc.get_threshold()[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside[0] > 10 * before[0]
    assert gc.get_threshold() == before
