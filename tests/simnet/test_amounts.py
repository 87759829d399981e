"""Amounts as people write them, and spans that chance draws from."""

import statistics
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet import KeyedRng
from latticework.simnet.amounts import (
    Span,
    read_bandwidth,
    read_duration_us,
    read_rate,
    read_size_bytes,
    read_span,
)
from latticework.wire import LocalError

type Reader = Callable[[str], object]


class FixedRng:
    """The same bytes for ever."""

    def __init__(self, byte: int) -> None:
        self._byte = byte

    def random_bytes(self, count: int) -> bytes:
        return bytes([self._byte]) * count


@pytest.mark.unit
@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_duration_us, "500us", 500),
        (read_duration_us, "20ms", 20_000),
        (read_duration_us, " 1.5 s ", 1_500_000),
        (read_duration_us, "10min", 600_000_000),
        (read_duration_us, "2h", 7_200_000_000),
        (read_duration_us, "0s", 0),
        (read_size_bytes, "2048", 2048),
        (read_size_bytes, "64KiB", 65_536),
        (read_size_bytes, "1MB", 1_000_000),
        (read_size_bytes, "3B", 3),
        (read_bandwidth, "50Mbit", 6_250_000),
        (read_bandwidth, "8bit", 1),
        (read_bandwidth, "1.5Gbit", 187_500_000),
        (read_rate, "120/s", 120.0),
        (read_rate, "6/min", 0.1),
        (read_rate, "0.5/ms", 500.0),
        (read_span, "20s", Span("fixed", 20_000_000)),
        (read_span, "uniform(1s, 5s)", Span("uniform", 1_000_000, 5_000_000)),
        (read_span, "exp(10min)", Span("exp", 600_000_000)),
        (read_span, " weibull(0.5,40min) ", Span("weibull", 2_400_000_000, shape=0.5)),
    ],
)
def test_an_amount_has_a_unit(read: Reader, text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.unit
@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (read_duration_us, "20", "is not a duration such as"),
        (read_duration_us, "20 sec", "is not a duration such as"),
        (read_duration_us, "20S", "is not a duration such as"),
        (read_duration_us, "", "is not a duration such as"),
        (read_duration_us, "1e3s", "is not a duration such as"),
        (read_duration_us, "-1s", "is out of range"),
        (read_duration_us, "99999999999h", "is out of range"),
        (read_size_bytes, "1Mbit", "is not a size such as"),
        (read_size_bytes, "-1", "is out of range"),
        (read_bandwidth, "50", "is not a bandwidth such as"),
        (read_bandwidth, "50MB", "is not a bandwidth such as"),
        (read_bandwidth, "7bit", "is less than a byte a second"),
        (read_rate, "120", "is no rate such as"),
        (read_rate, "0/s", "is no rate such as"),
        (read_rate, "-1/s", "is no rate such as"),
        (read_rate, "nan/s", "is no rate such as"),
        (read_rate, "inf/s", "is no rate such as"),
        (read_rate, "1/day", "is no rate such as"),
        (read_span, "uniform(5s, 1s)", "ends before it begins"),
        (read_span, "uniform(5s)", "is none of 20s"),
        (read_span, "gauss(1s, 2s)", "is none of 20s"),
        (read_span, "weibull(0, 2s)", "is a number above 0"),
        (read_span, "weibull(x, 2s)", "is a number above 0"),
        (read_span, "exp(10)", "is not a duration such as"),
        (read_span, "exp(1s", "is not a duration such as"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_with_a_sentence(read: Reader, text: str, told: str) -> None:
    with pytest.raises(LocalError, match=told):
        read(text)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("span", "least_us", "most_us"),
    [
        (Span("fixed", 20), 20, 20),
        (Span("fixed", 0), 1, 1),
        (Span("uniform", 10, 20), 10, 20),
        (Span("exp", 1_000), 1, 36_737),  # -ln(2**-53) of the mean
        (Span("weibull", 1_000, shape=2.0), 1, 6_061),  # its square root
    ],
)
def test_a_span_has_bounds_whatever_chance_gives(span: Span, least_us: int, most_us: int) -> None:
    assert span.draw_us(FixedRng(0)) == least_us
    assert span.draw_us(FixedRng(255)) == most_us


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "mean_us", "median_us"),
    [
        ("uniform(1s, 5s)", 3_000_000, 3_000_000),
        ("exp(10s)", 10_000_000, 6_931_472),
        ("weibull(0.5, 10s)", 20_000_000, 4_804_530),  # scale * Gamma(1 + 1/k), scale * ln(2)**(1/k)
        ("weibull(2, 10s)", 8_862_269, 8_325_546),
    ],
)
def test_a_span_has_the_mean_and_median_of_its_distribution(text: str, mean_us: int, median_us: int) -> None:
    rng = KeyedRng(b"amounts", text)
    drawn = [read_span(text).draw_us(rng) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(mean_us, rel=0.05)
    assert statistics.median(drawn) == pytest.approx(median_us, rel=0.05)


@pytest.mark.property
@given(value=st.integers(0, 1 << 52))
def test_whole_microseconds_are_exact(value: int) -> None:
    assert read_duration_us(f"{value}us") == value
    assert read_size_bytes(str(value)) == read_size_bytes(value) == value


@pytest.mark.property
@given(low=st.integers(0, 1 << 40), more=st.integers(0, 1 << 40), seed=st.binary(max_size=4))
def test_a_uniform_span_stays_inside(low: int, more: int, seed: bytes) -> None:
    assert max(1, low) <= Span("uniform", low, low + more).draw_us(KeyedRng(seed)) <= max(1, low + more)


@pytest.mark.property
@given(text=st.text(max_size=20))
def test_any_text_is_an_amount_or_a_local_error(text: str) -> None:
    for read in (read_duration_us, read_size_bytes, read_bandwidth, read_rate, read_span):
        with suppress(LocalError):
            read(text)
