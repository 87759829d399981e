import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.ddmin import ddmin, least
from latticework.wire import LocalError

pytestmark = pytest.mark.property


@given(st.lists(st.integers(0, 30), unique=True), st.data())
def test_exactly_the_needed_items_are_left_in_their_order(items: list[int], data: st.DataObject) -> None:
    needed = set(data.draw(st.lists(st.sampled_from(items)))) if items else set[int]()
    assert ddmin(items, lambda part: needed <= set(part)) == tuple(item for item in items if item in needed)


@given(st.integers(1, 20), st.integers(0, 2**20 - 1))
def test_for_any_failure_no_part_with_one_item_less_fails(size: int, luck: int) -> None:
    items = tuple(range(size))

    def fails(part: tuple[int, ...]) -> bool:
        return len(part) == size or (sum(1 << item for item in part) * 2_654_435_761 ^ luck) % 7 < 2

    left = ddmin(items, fails)
    assert fails(left)
    assert not any(fails(left[:n] + left[n + 1 :]) for n in range(len(left)))


def test_few_needed_items_among_many_cost_few_questions() -> None:
    asked: list[int] = []

    def fails(part: tuple[int, ...]) -> bool:
        asked.append(len(part))
        return {17, 800} <= set(part)

    assert ddmin(range(1000), fails) == (17, 800)
    assert len(asked) < 150
    assert asked[0] == 0


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 300))
def test_the_least_failing_number_is_found_to_a_step(high: int, low: int, limit: int, step: int) -> None:
    low, limit = min(low, high), min(limit, high)
    asked: list[int] = []

    def fails(number: int) -> bool:
        asked.append(number)
        return number >= limit

    found = least(high, low, step, fails)
    assert max(low, limit) <= found < max(low, limit) + step
    assert all(low <= number < high for number in asked)
    assert len(asked) <= 18 + 2


@given(st.integers(1, 60), st.integers(0, 2**60 - 1))
def test_for_any_failure_the_number_below_does_not_fail(high: int, failing: int) -> None:
    failing |= 1 << high
    found = least(high, 0, 1, lambda number: bool(failing >> number & 1))
    assert failing >> found & 1
    assert found == 0 or not failing >> (found - 1) & 1


def test_a_step_of_nothing_is_refused() -> None:
    with pytest.raises(LocalError, match="at least 1"):
        least(3, 0, 0, lambda _: True)
