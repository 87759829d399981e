from statistics import NormalDist, fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet import KeyedRng
from latticework.simnet.figures import Interval, mean_interval
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

T_TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 10: 2.228, 19: 2.093, 29: 2.045, 60: 2.000, 120: 1.980}
"""Two-sided 95 % points, as every table of Student's t has them."""


@pytest.mark.parametrize(("freedom", "t"), T_TABLE.items())
def test_intervals_are_those_of_the_tables(freedom: int, t: float) -> None:
    count = freedom + 1
    values = [(-1.0) ** n for n in range(count)]
    mean = fmean(values)
    error = (sum((value - mean) ** 2 for value in values) / freedom / count) ** 0.5
    found = mean_interval(values)
    assert found.half == pytest.approx(t * error, rel=3e-4)
    assert (found.mean, found.count) == (mean, count)


def test_95_in_100_intervals_of_normal_values_hold_the_true_mean() -> None:
    rng, normal, held = KeyedRng(b"intervals"), NormalDist(10, 3), 0
    for _ in range(4000):
        draws = [int.from_bytes(rng.random_bytes(4)) for _ in range(4)]
        found = mean_interval([normal.inv_cdf((draw + 0.5) / 2**32) for draw in draws])
        held += abs(found.mean - 10) <= (found.half or 0)
    assert held / 4000 == pytest.approx(0.95, abs=0.011)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert mean_interval([4.0]) == Interval(4.0, None, 1)
    with pytest.raises(LocalError, match="no values"):
        mean_interval([])


@pytest.mark.property
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.floats(-100, 100))
def test_shifted_values_have_the_same_interval_around_a_shifted_mean(values: list[float], shift: float) -> None:
    one, two = mean_interval(values), mean_interval([value + shift for value in values])
    assert two.mean == pytest.approx(one.mean + shift, abs=1e-6)
    assert two.half == pytest.approx(one.half, abs=1e-4)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(235.31, 16.2, 5), "235 ± 16"),
        (Interval(276.04, 6.68, 5), "276.0 ± 6.7"),
        (Interval(0.99987, 0.00012, 5), "0.99987 ± 0.00012"),
        (Interval(1_234_567, 9876, 5), "1,234,567 ± 9,876"),
        (Interval(1.0, 0.0, 5), "1 ± 0"),
        (Interval(92.352, None, 1), "92.35"),
    ],
)
def test_a_mean_is_shown_with_as_many_digits_as_its_interval_leaves(interval: Interval, text: str) -> None:
    assert str(interval) == text
