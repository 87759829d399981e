import pytest

from latticework.simnet import KeyedRng
from latticework.wire import Rng

pytestmark = pytest.mark.unit


def test_a_stream_depends_on_seed_and_names_only() -> None:
    rng: Rng = KeyedRng(b"seed", "node-1", "nonces")
    assert rng.random_bytes(40) == KeyedRng(b"seed", "node-1").child("nonces").random_bytes(40)
    assert KeyedRng(b"seed").random_bytes(32) != KeyedRng(b"seee").random_bytes(32)
    assert KeyedRng(b"seed", "ab").random_bytes(32) != KeyedRng(b"seed", "a", "b").random_bytes(32)


def test_a_child_does_not_notice_what_its_parent_or_siblings_drew() -> None:
    root = KeyedRng(b"seed")
    before = root.child("b").random_bytes(32)
    root.random_bytes(100)
    root.child("a").random_bytes(7)
    assert root.child("b").random_bytes(32) == before


def test_one_long_draw_equals_many_short_ones_and_never_repeats() -> None:
    one, many = KeyedRng(b"s"), KeyedRng(b"s")
    long = one.random_bytes(1 << 16)
    assert long == b"".join(many.random_bytes(1 << 8) for _ in range(1 << 8))
    assert len({long[offset : offset + 16] for offset in range(0, 1 << 16, 16)}) == 1 << 12


def test_the_first_bytes_are_pinned() -> None:
    assert KeyedRng(b"latticework", "pin").random_bytes(8).hex() == "f48ce83688b4826b"


def test_its_repr_does_not_show_the_key() -> None:
    assert len(repr(KeyedRng(b"seed"))) < 24
