"""Records: what each wire kind accepts, to the bound."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.wire import (
    Array,
    Bool,
    Bytes,
    Const,
    MalformedError,
    Nested,
    Nullable,
    OneOf,
    Plain,
    SInt,
    Text,
    UInt,
    cddl,
    decode,
    decode_one_of,
    encode,
    encode_plain,
    from_plain,
    record,
    to_plain,
)


@record("inner")
@dataclass(frozen=True, slots=True)
class Inner:
    key: Annotated[bytes, Bytes(2)]


@record("apple", tag=1)
@dataclass(frozen=True, slots=True)
class Apple:
    size: Annotated[int, UInt(9)]


@record("pear", tag=2)
@dataclass(frozen=True, slots=True)
class Pear:
    pass


@record("sample", tag=7)
@dataclass(frozen=True, slots=True)
class Sample:
    version: Annotated[int, Const(1)]
    count: Annotated[int, UInt()]
    small: Annotated[int, UInt(255)]
    signed: Annotated[int, SInt()]
    exact: Annotated[bytes, Bytes(4)]
    between: Annotated[bytes, Bytes(maximum=3, minimum=1)]
    name_of_it: Annotated[str, Text(4)]
    flag: Annotated[bool, Bool()]
    maybe: Annotated[int | None, Nullable(UInt(5))]
    many: Annotated[tuple[int, ...], Array(UInt(), 3)]
    inner: Annotated[Inner, Nested(Inner)]
    fruit: Annotated[Apple | Pear, OneOf((Apple, Pear))]


SAMPLE: Final = Sample(1, 2, 3, -4, b"abcd", b"x", "name", True, None, (1, 2), Inner(b"ab"), Pear())
PLAIN: Final[list[Plain]] = [7, 1, 2, 3, -4, b"abcd", b"x", "name", True, None, [1, 2], [b"ab"], [2]]
FIELDS: Final = ["tag", *Sample.__dataclass_fields__]


def changed(field: str, value: Plain) -> bytes:
    plain = list(PLAIN)
    plain[FIELDS.index(field)] = value
    return encode_plain(plain)


@pytest.mark.unit
def test_a_record_is_the_array_of_its_fields_behind_its_tag() -> None:
    assert to_plain(SAMPLE) == PLAIN
    assert encode(SAMPLE) == encode_plain(PLAIN)
    assert decode(Sample, encode(SAMPLE), 1000) == SAMPLE
    assert from_plain(Sample, PLAIN) == SAMPLE


@pytest.mark.unit
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 0),
        ("count", (1 << 64) - 1),
        ("small", 255),
        ("signed", -(1 << 63)),
        ("signed", (1 << 63) - 1),
        ("between", b"xyz"),
        ("name_of_it", ""),
        ("name_of_it", "\u00e9\u00e9"),
        ("flag", False),
        ("maybe", 5),
        ("many", []),
        ("many", [1, 2, 3]),
        ("fruit", [1, 9]),
    ],
)
def test_a_value_at_its_bound_is_read(field: str, value: Plain) -> None:
    data = changed(field, value)
    assert encode(decode(Sample, data, 1000)) == data


@pytest.mark.unit
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tag", 8),
        ("tag", True),
        ("tag", None),
        ("tag", b"\7"),
        ("version", 2),
        ("version", True),
        ("version", [list(range(100))]),
        ("count", -1),
        ("count", True),
        ("count", None),
        ("count", b"\2"),
        ("small", 256),
        ("signed", 1 << 63),
        ("signed", False),
        ("exact", b"abc"),
        ("exact", b"abcde"),
        ("exact", "abcd"),
        ("between", b""),
        ("between", b"wxyz"),
        ("name_of_it", "abcde"),
        ("name_of_it", "\u00e9\u00e9\u00e9"),
        ("name_of_it", b"name"),
        ("flag", 0),
        ("flag", 1),
        ("flag", None),
        ("maybe", 6),
        ("maybe", False),
        ("many", [1, 2, 3, 4]),
        ("many", [1, None]),
        ("many", {0: 1}),
        ("many", b"\1\2"),
        ("inner", []),
        ("inner", [b"ab", b"cd"]),
        ("inner", [b"abc"]),
        ("inner", None),
        ("inner", b"ab"),
        ("fruit", []),
        ("fruit", [3]),
        ("fruit", [1]),
        ("fruit", [1, 10]),
        ("fruit", [2, 0]),
        ("fruit", [True, 1]),
        ("fruit", [b"\1", 1]),
        ("fruit", {0: 1}),
        ("fruit", None),
    ],
)
def test_a_value_beyond_its_bound_or_of_another_type_is_refused(field: str, value: Plain) -> None:
    with pytest.raises(MalformedError):
        decode(Sample, changed(field, value), 10_000)


@pytest.mark.unit
@pytest.mark.parametrize("length", [n for n in range(len(PLAIN) + 3) if n != len(PLAIN)])
def test_missing_and_surplus_fields_are_refused(length: int) -> None:
    with pytest.raises(MalformedError, match="13 items"):
        decode(Sample, encode_plain([*PLAIN, 0, 0][:length]), 1000)


@pytest.mark.unit
@pytest.mark.parametrize("plain", [None, 0, b"", "x", {}, {0: 7}], ids=repr)
def test_a_record_is_nothing_but_an_array(plain: Plain) -> None:
    with pytest.raises(MalformedError):
        decode(Sample, encode_plain(plain), 99)
    with pytest.raises(MalformedError):
        decode_one_of((Apple, Pear), encode_plain(plain), 99)


@pytest.mark.unit
def test_an_error_names_the_record_and_the_field_and_stays_short() -> None:
    with pytest.raises(MalformedError, match=r"^sample\.inner: inner\.key: expected 2 bytes, got 3$"):
        decode(Sample, changed("inner", [b"abc"]), 1000)
    with pytest.raises(MalformedError) as caught:
        decode(Sample, changed("version", [b"x" * 4000]), 9000)
    assert len(str(caught.value)) < 200
    assert caught.value.code == "malformed"


@pytest.mark.unit
def test_a_tagged_record_is_read_by_its_tag_alone() -> None:
    assert decode_one_of((Apple, Pear), encode(Apple(3)), 99) == Apple(3)
    assert decode_one_of((Apple, Pear), encode(Pear()), 99) == Pear()
    with pytest.raises(MalformedError, match="unknown tag 2"):
        decode_one_of((Apple,), encode(Pear()), 99)


@pytest.mark.unit
def test_more_bytes_than_allowed_are_refused_unread() -> None:
    with pytest.raises(MalformedError, match="at most 3"):
        decode(Apple, b"\xff" * 4, 3)


@pytest.mark.unit
def test_a_field_without_a_kind_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match=r"Bad\.x has no wire kind"):

        @record("bad")
        @dataclass(frozen=True)
        class Bad:  # pyright: ignore[reportUnusedClass]  # the declaration is the test
            x: int


@pytest.mark.property
@given(
    st.builds(
        replace,
        st.just(SAMPLE),
        count=st.integers(0, (1 << 64) - 1),
        signed=st.integers(-(1 << 63), (1 << 63) - 1),
        between=st.binary(min_size=1, max_size=3),
        name_of_it=st.text(max_size=4).filter(lambda t: len(t.encode()) <= 4),
        flag=st.booleans(),
        maybe=st.none() | st.integers(0, 5),
        many=st.lists(st.integers(0, 99), max_size=3).map(tuple),
        fruit=st.builds(Apple, st.integers(0, 9)) | st.just(Pear()),
    )
)
def test_every_record_comes_back(sample: Sample) -> None:
    assert decode(Sample, encode(sample), 1000) == sample


@pytest.mark.property
@given(st.binary(max_size=80))
def test_noise_is_refused_and_raises_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(Sample, data, 1000)


@pytest.mark.unit
def test_the_cddl_of_a_record_is_one_field_a_line() -> None:
    assert cddl(Sample) == (
        "sample = [\n"
        "  tag: 7,\n"
        "  version: 1,\n"
        "  count: uint,\n"
        "  small: 0..255,\n"
        "  signed: int,\n"
        "  exact: bstr .size 4,\n"
        "  between: bstr .size (1..3),\n"
        "  name-of-it: tstr .size (0..4),\n"
        "  flag: bool,\n"
        "  maybe: 0..5 / null,\n"
        "  many: [0*3 uint],\n"
        "  inner: inner,\n"
        "  fruit: apple / pear,\n"
        "]"
    )
    assert cddl(Pear) == "pear = [\n  tag: 2,\n]"
