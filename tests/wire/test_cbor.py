"""Canonical CBOR: one encoding per value, and every other byte string is refused cheaply (I14)."""

import tracemalloc
from typing import Final

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latticework.wire import MalformedError, Plain, decode_plain, encode_plain
from latticework.wire.cbor import MAX_DEPTH

LIMIT: Final = 1 << 20

SCALARS = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=40) | st.text(max_size=20)
)


def nested(children: st.SearchStrategy[Plain]) -> st.SearchStrategy[Plain]:
    return st.lists(children, max_size=4) | st.dictionaries(st.integers(0, (1 << 64) - 1), children, max_size=4)


def depth(value: Plain) -> int:
    match value:
        case list():
            return 1 + max(map(depth, value), default=0)
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case _:
            return 0


VALUES: st.SearchStrategy[Plain] = st.recursive(SCALARS, nested, max_leaves=20).filter(lambda v: depth(v) <= MAX_DEPTH)


@pytest.mark.property
@given(VALUES)
def test_what_is_encoded_is_decoded(value: Plain) -> None:
    assert decode_plain(encode_plain(value), LIMIT) == value


@pytest.mark.property
@given(st.binary(max_size=60))
@example(bytes.fromhex("d81c81d81d00"))
def test_any_bytes_are_either_canonical_or_refused(data: bytes) -> None:
    try:
        value = decode_plain(data, LIMIT)
    except MalformedError:
        return
    assert encode_plain(value) == data


@pytest.mark.property
@given(VALUES, st.data())
def test_a_changed_encoding_is_another_value_or_refused(value: Plain, data: st.DataObject) -> None:
    damaged = bytearray(encode_plain(value))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_plain(bytes(damaged), LIMIT)
    except MalformedError:
        return
    assert encode_plain(other) == bytes(damaged) != encode_plain(value)


@pytest.mark.property
@given(VALUES, st.binary(min_size=1, max_size=3))
def test_anything_behind_or_missing_is_refused(value: Plain, surplus: bytes) -> None:
    data = encode_plain(value)
    for wrong in (data + surplus, data[:-1]):
        with pytest.raises(MalformedError):
            decode_plain(wrong, LIMIT)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("18ff", 255),
        ("190100", 256),
        ("1a00010000", 65536),
        ("1b0000000100000000", 1 << 32),
        ("1bffffffffffffffff", (1 << 64) - 1),
        ("20", -1),
        ("3b7fffffffffffffff", -(1 << 63)),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("40", b""),
        ("4401020304", b"\1\2\3\4"),
        ("60", ""),
        ("62c3bc", "\u00fc"),
        ("80", []),
        ("83010203", [1, 2, 3]),
        ("a0", {}),
        ("a201020304", {1: 2, 3: 4}),
        ("a3170018180019010000", {23: 0, 24: 0, 256: 0}),
    ],
)
def test_the_one_encoding_of_a_value(encoded: str, value: Plain) -> None:
    """RFC 8949, appendix A, as far as our subset goes."""
    assert encode_plain(value).hex() == encoded
    assert decode_plain(bytes.fromhex(encoded), LIMIT) == value


REFUSED: Final = {
    "half float that is an integer": "f90000",
    "float": "fb3ff199999999999a",
    "not a number": "f97e00",
    "undefined": "f7",
    "simple value": "f0",
    "simple value in two bytes": "f8ff",
    "boolean in two bytes": "f815",
    "break alone": "ff",
    "reserved additional information": "1c",
    "date as text": "c074323031332d30332d32315432303a30343a30305a",
    "date as number": "c11a514b67b0",
    "date beyond all calendars": "c11b7fffffffffffffff",
    "bignum": "c249010000000000000000",
    "bignum of a small number": "c24101",
    "negative bignum": "c349010000000000000000",
    "decimal fraction": "c48221196ab3",
    "big float": "c5822003",
    "big float of astronomic size": "c5821a0fffffff01",
    "fraction by zero": "d81e820100",
    "regular expression": "d8236161",
    "broken regular expression": "d8236128",
    "mail": "d82460",
    "uuid": "d825505eaffac8b51e480581277fdcc7842faf",
    "address": "d9010444c0a80001",
    "set": "d9010283010203",
    "set of lists": "d901028180",
    "string reference": "d90100826161d81900",
    "shared value": "d81c01",
    "cyclic list": "d81c81d81d00",
    "cyclic map": "d81ca100d81d00",
    "reference to nothing": "d81d00",
    "self-described": "d9d9f700",
    "unknown tag": "d9ffff00",
    "tag inside a list": "81c24101",
    "indefinite bytes": "5f4100ff",
    "indefinite text": "7f6161ff",
    "indefinite list": "9f00ff",
    "indefinite map": "bf0000ff",
    "duplicate keys": "a200010002",
    "unsorted keys": "a202000100",
    "keys sorted by value of the long form": "a2190100001800",
    "text key": "a1616100",
    "byte key": "a1416100",
    "negative key": "a12000",
    "boolean key": "a1f500",
    "null key": "a1f600",
    "list key": "a18000",
    "float key": "a1f9000000",
    "integer in two bytes": "1817",
    "integer in three bytes": "1900ff",
    "integer in five bytes": "1a0000ffff",
    "integer in nine bytes": "1b00000000ffffffff",
    "negative integer in two bytes": "3800",
    "length in two bytes": "580161",
    "list length in two bytes": "980100",
    "integer beyond 64 bits": "3b8000000000000000",
    "lone surrogate": "63eda080",
    "broken UTF-8": "61ff",
    "overlong UTF-8": "62c080",
    "two values": "0000",
    "nothing": "",
    "nine lists": "81" * 8 + "80",
    "nine maps": "a100" * 8 + "a0",
    "ten thousand lists": "81" * 10_000 + "80",
}


@pytest.mark.unit
@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused(encoded: str) -> None:
    with pytest.raises(MalformedError):
        decode_plain(bytes.fromhex(encoded), LIMIT)


@pytest.mark.unit
@pytest.mark.parametrize("encoded", ["81" * 7 + "80", "a100" * 7 + "a0"])
def test_eight_levels_are_read(encoded: str) -> None:
    assert depth(decode_plain(bytes.fromhex(encoded), LIMIT)) == MAX_DEPTH


@pytest.mark.unit
def test_a_value_has_at_most_the_bytes_that_its_reader_allows() -> None:
    data = encode_plain(bytes(100))
    assert decode_plain(data, len(data)) == bytes(100)
    with pytest.raises(MalformedError, match="at most 101"):
        decode_plain(data, len(data) - 1)


@pytest.mark.unit
@pytest.mark.parametrize("head", ["5b", "7b", "9b", "bb", "5a", "7a", "9a", "ba"])
@pytest.mark.parametrize("fill", ["7f", "ff", "00ff", "0000ff", "000000ff"])
@pytest.mark.parametrize("outside", ["", "81", "8800000000000000"])
def test_a_giant_length_in_a_few_bytes_takes_no_memory(head: str, fill: str, outside: str) -> None:
    width = 8 if head.endswith("b") else 4
    data = bytes.fromhex(outside + head + (fill + "ff" * 8)[: 2 * width]) + b"\0" * 4
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            decode_plain(data, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.unit
def test_shared_values_cannot_make_a_few_bytes_endless_to_walk() -> None:
    """Six lists that name the one before forty times each: 4 * 10^9 items, an hour, if they were followed."""
    lists = [b"\xd8\x1c\x81\x00"]
    lists += [b"\xd8\x1c\x98\x28" + (b"\xd8\x1d" + bytes([level])) * 40 for level in range(6)]
    with pytest.raises(MalformedError):
        decode_plain(bytes([0x80 + len(lists)]) + b"".join(lists), LIMIT)


@pytest.mark.unit
def test_memory_is_proportional_to_the_bytes_that_arrived() -> None:
    zeros: list[Plain] = [0] * 100_000
    data = encode_plain(zeros)
    tracemalloc.start()
    decode_plain(data, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * len(data)


@pytest.mark.unit
def test_comparing_with_another_encoder_finds_the_same_bytes() -> None:
    value: Plain = [1, {3: b"x", 1: ["y", None, -7]}, True]
    assert encode_plain(value) == cbor2.dumps(value, canonical=True)
