import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.draws import ALWAYS, below, choose, draw, key_from, threshold

pytestmark = pytest.mark.unit


def test_the_first_numbers_are_those_of_splitmix64() -> None:
    """Of the seed 1234567, as in its reference implementation (prng.di.unimi.it/splitmix64.c)."""
    assert [draw(1_234_567, count) for count in range(1, 4)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_numbers_below_a_bound_are_uniform() -> None:
    key = key_from(KeyedRng(b"draws"))
    counts = [0] * 10
    for count in range(20_000):
        counts[below(key, count, 10)] += 1
    assert all(abs(found - 2_000) < 5 * 42 for found in counts)  # five standard deviations


def test_a_share_is_met() -> None:
    key = key_from(KeyedRng(b"share"))
    hits = sum(draw(key, count) < threshold(0.03) for count in range(20_000))
    assert abs(hits - 600) < 5 * 24
    assert threshold(0) == 0
    assert threshold(1) == ALWAYS


def test_choices_are_different_and_avoid_what_is_taken() -> None:
    assert sorted(choose(5, 6, 10, (2,))) == [0, 1, 3, 4, 5]
    assert choose(5, 1_000, 3) == choose(5, 1_000, 8)[:3]
    assert choose(5, 1_000, 8) != choose(6, 1_000, 8)
    assert choose(5, 0, 4) == []
