import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.wire import padme, step_then_padme
from latticework.wire.padding import pad, unpad


def published(length: int) -> int:
    """The algorithm as the PURBs paper and the reference implementation state it, in floating point of their day."""
    exponent = length.bit_length() - 1
    significant = exponent.bit_length()
    last = exponent - significant
    mask = (1 << last) - 1
    return (length + mask) & ~mask


@pytest.mark.unit
@pytest.mark.parametrize(
    ("length", "padded"),
    [
        (0, 0),
        (1, 1),
        (2, 2),
        (8, 8),
        (9, 10),
        (10, 10),
        (11, 12),
        (100, 104),
        (1000, 1024),
        (1025, 1088),
        (10_000, 10_240),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, (1 << 20) + (1 << 15)),
    ],
)
def test_known_sizes(length: int, padded: int) -> None:
    assert padme(length) == padded


@pytest.mark.property
@given(st.integers(16, 1 << 60))
def test_padme_is_as_published_and_costs_at_most_twelve_percent(length: int) -> None:
    padded = padme(length)
    assert padded == published(length)
    assert length <= padded < length * 1.12
    assert padme(padded) == padded
    bits = padded.bit_length()
    assert (padded & -padded).bit_length() - 1 >= bits - 1 - (bits - 1).bit_length() - 1


@pytest.mark.unit
def test_every_small_size_costs_at_most_twelve_percent_and_never_shrinks() -> None:
    sizes = [padme(length) for length in range(100_000)]
    assert sizes == sorted(sizes)
    assert all(length <= padded <= length * 1.12 for length, padded in enumerate(sizes))
    assert len(set(sizes)) < 500


@pytest.mark.unit
@pytest.mark.parametrize(
    ("length", "padded"), [(0, 128), (1, 128), (128, 128), (129, 256), (2048, 2048), (2049, 2176), (65_536, 65_536)]
)
def test_small_payloads_grow_in_steps(length: int, padded: int) -> None:
    assert step_then_padme(length) == padded


@pytest.mark.property
@given(st.binary(max_size=300), st.integers(1, 300))
def test_what_is_padded_is_unpadded(data: bytes, more: int) -> None:
    padded = pad(data, len(data) + more)
    assert len(padded) == len(data) + more
    assert unpad(padded) == data


@pytest.mark.unit
@pytest.mark.parametrize("data", [b"", b"\x80", b"\x00", b"\x80\x00\x00", b"x\x80"])
def test_data_that_looks_like_padding_comes_back_whole(data: bytes) -> None:
    assert unpad(pad(data, 128)) == data


@pytest.mark.unit
@pytest.mark.parametrize("padded", [b"", b"\x00", bytes(128), b"abc", b"\x80x", b"\x81\x00", b"\x01"])
def test_padding_without_its_mark_is_none(padded: bytes) -> None:
    assert unpad(padded) is None


@pytest.mark.property
@given(st.binary(max_size=200))
def test_unpadding_noise_gives_a_prefix_or_none(data: bytes) -> None:
    plain = unpad(data)
    assert plain is None or pad(plain, len(data)) == data
