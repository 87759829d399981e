import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport.varint import decode_varint, encode_varint
from latticework.wire import MalformedError


@pytest.mark.unit
@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff\x00", b"\x80\x80\x00", b"\xff" * 9, b"\x80" * 9 + b"\x01"])
def test_long_forms_and_long_numbers_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_varint(data)


@pytest.mark.unit
def test_a_number_that_is_cut_off_is_not_there_yet() -> None:
    assert decode_varint(b"") is None
    assert decode_varint(b"\x80") is None
    assert decode_varint(b"\x80" * 8) is None


@pytest.mark.unit
def test_more_than_63_bits_cannot_be_encoded() -> None:
    with pytest.raises(ValueError):
        encode_varint(1 << 63)
    with pytest.raises(ValueError):
        encode_varint(-1)


@pytest.mark.property
@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=4), st.binary(max_size=4))
def test_what_is_encoded_is_decoded_wherever_it_stands(value: int, before: bytes, after: bytes) -> None:
    encoded = encode_varint(value)
    assert decode_varint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))
