from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import hlc_us, hlc_utc, next_hlc
from latticework.crdt.hlc import HLC_MAX

READINGS = st.integers(0, HLC_MAX - 1)


@pytest.mark.property
@given(READINGS, st.integers(-(1 << 40), 1 << 52))
def test_a_reading_exceeds_what_was_seen_and_is_not_behind_the_clock(floor: int, now_us: int) -> None:
    reading = next_hlc(floor, now_us)
    assert floor < reading <= HLC_MAX
    assert hlc_us(reading) >= max(now_us, 0) // 1000 * 1000
    assert reading == floor + 1 or reading == max(now_us, 0) // 1000 << 16


@pytest.mark.property
@given(st.lists(st.integers(0, 1 << 52), max_size=50))
def test_readings_rise_whatever_the_wall_clock_does(clock: list[int]) -> None:
    reading = 0
    for now_us in clock:
        later = next_hlc(reading, now_us)
        assert later > reading
        reading = later


@pytest.mark.unit
@pytest.mark.parametrize(
    ("hlc", "shown"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_800_000_000_999 << 16 | 0xFFFF, datetime(2027, 1, 15, 8, tzinfo=UTC)),
        (HLC_MAX, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_every_reading_has_a_date(hlc: int, shown: datetime) -> None:
    assert hlc_utc(hlc) == shown


@pytest.mark.unit
def test_many_readings_in_one_millisecond_carry_into_the_next() -> None:
    assert next_hlc(0xFFFF, 500) == 1 << 16
    assert hlc_us(next_hlc(0xFFFF, 500)) == 1000
