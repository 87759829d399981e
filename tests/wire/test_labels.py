import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.wire import Label, derive

pytestmark = pytest.mark.unit


def test_labels_are_unique() -> None:
    assert len({label.value for label in Label}) == len(list(Label.__members__)) == len(list(Label))


def test_no_label_begins_another() -> None:
    for one, two in permutations(Label, 2):
        assert not one.value.startswith(two.value)


@pytest.mark.parametrize("label", Label)
def test_a_label_is_lattice_object_version(label: Label) -> None:
    assert re.fullmatch(rb"lattice/[a-z0-9]+(-[a-z0-9]+)*/[1-9][0-9]*", label.value)
    assert label.name.lower().replace("_", "-") in {label.value.split(b"/")[1].decode(), "chunk-key"}


def test_a_derived_key_is_hkdf_sha512_with_the_label_in_front() -> None:
    """RFC 5869 over SHA-512 by hand."""
    import hmac  # noqa: PLC0415  # used here alone, to compute the expectation another way

    key = hmac.digest(b"salt", b"secret", "sha512")
    info = b"lattice/chunk/1\x00context"
    first = hmac.digest(key, info + b"\x01", "sha512")
    second = hmac.digest(key, first + info + b"\x02", "sha512")
    assert derive(b"secret", b"salt", Label.CHUNK_KEY, b"context", 100) == (first + second)[:100]


@pytest.mark.property
@given(st.sampled_from(Label), st.sampled_from(Label), st.binary(max_size=5), st.binary(max_size=5))
def test_two_labels_or_contexts_never_give_one_key(one: Label, two: Label, c1: bytes, c2: bytes) -> None:
    same = derive(b"s", b"", one, c1, 32) == derive(b"s", b"", two, c2, 32)
    assert same == ((one, c1) == (two, c2))
