"""The range index against plain lists, the exchange against set difference, and forged fingerprints (I9)."""

import hashlib
import secrets
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, override

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.params import BLOCK_ITEMS
from latticework.crdt.ranges import (
    MODULUS_MASK,
    Fingerprinted,
    Listed,
    RangeIndex,
    RangeReconciler,
    Rules,
    Skipped,
    Span,
    ToldRange,
    salted_digest,
    salted_fingerprint,
    shortest_bound,
)

KEY: Final = bytes(range(32))
OTHER_KEY: Final = bytes(range(1, 33))
KEYS: Final = st.binary(min_size=4, max_size=4)
BOUNDS: Final = st.binary(max_size=4)


def digest(key: bytes) -> int:
    return salted_digest(KEY, key)


def index(keys: Iterable[bytes]) -> RangeIndex:
    return RangeIndex((key, digest(key)) for key in keys)


def reference(keys: Iterable[bytes], lower: bytes, upper: bytes | None) -> Span:
    inside = [key for key in keys if key >= lower and (upper is None or key < upper)]
    return Span(sum(map(digest, inside)) & MODULUS_MASK, len(inside))


@pytest.mark.property
@given(st.sets(KEYS, max_size=60), BOUNDS, st.none() | BOUNDS)
def test_a_span_is_the_sum_over_its_keys(keys: set[bytes], lower: bytes, upper: bytes | None) -> None:
    found = index(keys)
    assert found.span(lower, upper) == reference(keys, lower, upper)
    assert list(found.keys(lower, upper)) == sorted(k for k in keys if k >= lower and (upper is None or k < upper))
    assert len(found) == len(keys)


@pytest.mark.property
@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=80))
def test_an_index_that_changed_is_like_one_made_anew(changes: list[tuple[bool, bytes]]) -> None:
    changing, keys = RangeIndex(), set[bytes]()
    for add, key in changes:
        if add:
            assert changing.add(key, digest(key)) == (key not in keys)
            keys.add(key)
        else:
            assert changing.discard(key) == (key in keys)
            keys.discard(key)
        assert changing.span() == reference(keys, b"", None)
    assert list(changing.keys()) == sorted(keys)


@pytest.mark.unit
def test_blocks_are_cut_and_vanish() -> None:
    keys = [n.to_bytes(4) for n in range(5 * BLOCK_ITEMS)]
    built, grown = index(keys), RangeIndex()
    for key in keys:
        assert grown.add(key, digest(key))
    for lower, upper in pairwise([b"", *keys[:: BLOCK_ITEMS // 3], None]):
        assert lower is not None
        assert built.span(lower, upper) == grown.span(lower, upper) == reference(keys, lower, upper)
    assert not grown.add(keys[7], 1)
    for key in keys[: 3 * BLOCK_ITEMS]:
        assert grown.discard(key)
    assert grown.span() == reference(keys[3 * BLOCK_ITEMS :], b"", None)
    assert not grown.discard(b"")
    assert not RangeIndex().discard(b"")
    assert RangeIndex().span() == Span(0, 0)
    assert grown.span(keys[-1], keys[0]) == Span(0, 0), "a range that ends before it begins is empty"


@pytest.mark.property
@given(st.sets(KEYS, min_size=1, max_size=60), st.integers(1, 20))
def test_a_range_is_cut_into_parts_of_equal_count(keys: set[bytes], parts: int) -> None:
    parts = min(parts, len(keys))
    bounds = [shortest_bound(before, after) for before, after in index(keys).cuts(b"", None, parts)]
    sizes = [index(keys).span(low or b"", up).size for low, up in pairwise([b"", *bounds, None])]
    assert sum(sizes) == len(keys)
    assert len(sizes) == parts
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.property
@given(KEYS, KEYS)
def test_the_shortest_bound_lies_between(one: bytes, two: bytes) -> None:
    if one != two:
        before, after = sorted((one, two))
        bound = shortest_bound(before, after)
        assert before < bound <= after
        assert not any(before < bound[:length] <= after for length in range(len(bound)))


def reconcile(
    ours: RangeIndex, theirs: RangeIndex, rules: Rules | None = None, *, whole: bool = False
) -> tuple[set[bytes], set[bytes], int]:
    """have, need and messages of an exchange without frames; every message is filled up with what is agreed."""
    rules = rules or Rules()
    one = RangeReconciler(ours, rules, initiator=True)
    two = RangeReconciler(theirs, rules, initiator=False)
    message, count = [ToldRange(None, Fingerprinted(one.fingerprint(b"", None)))] if whole else one.start(), 1
    while message:
        assert count < 20
        source = two if count % 2 else one
        answer: list[ToldRange] = []
        at: bytes | None = b""
        for lower, ranges in source.answer(message):
            if lower != at:
                answer.append(ToldRange(lower, Skipped()))
            answer += ranges
            at = ranges[-1].upper
        message, count = answer, count + 1
    return one.have, one.need, count


@pytest.mark.property
@settings(deadline=None)
@given(st.sets(KEYS, max_size=120), st.sets(KEYS, max_size=120), st.sets(KEYS, max_size=40), st.integers(2, 16))
def test_the_initiator_learns_exactly_the_difference(
    common: set[bytes], mine: set[bytes], yours: set[bytes], parts: int
) -> None:
    rules = Rules(parts=parts, list_below=2 * parts)
    have, need, _ = reconcile(index(common | mine), index(common | yours), rules)
    assert have == (common | mine) - (common | yours)
    assert need == (common | yours) - (common | mine)


@pytest.mark.unit
def test_a_large_set_with_few_differences_takes_few_messages() -> None:
    keys = [hashlib.sha256(b"%d" % n).digest()[:12] for n in range(20_000)]
    have, need, count = reconcile(index(keys[:-3]), index(keys[2:]))
    assert (have, need) == (set(keys[:2]), set(keys[-3:]))
    assert count <= 6


@pytest.mark.unit
def test_messages_that_lie_cost_one_answer_each() -> None:
    honest = RangeReconciler(index(n.to_bytes(4) for n in range(1000)), Rules(), initiator=False)
    for lie in (
        [ToldRange(None, Fingerprinted(bytes(16)))],
        [ToldRange(b"\0\0\1", Listed(())), ToldRange(b"\0\0\1", Fingerprinted(bytes(16)))],
        [ToldRange(b"\xff", Skipped())],
        [],
    ):
        assert sum(len(ranges) for _, ranges in honest.answer(lie)) <= 17


# Forging: an author chooses entries so that their fingerprint equals an honest entry's.


def forge_xor(target: bytes, candidates: list[bytes]) -> list[bytes]:
    """Candidates whose hashes XOR to `target`: Gaussian elimination over GF(2), milliseconds for 512 of 256 bits."""
    basis: dict[int, tuple[int, int]] = {}
    for at, candidate in enumerate(candidates):
        value, members = int.from_bytes(candidate), 1 << at
        while value and (top := value.bit_length()) in basis:
            value, members = value ^ basis[top][0], members ^ basis[top][1]
        if value:
            basis[value.bit_length()] = (value, members)
    value, members = int.from_bytes(target), 0
    while value:
        row = basis[value.bit_length()]
        value, members = value ^ row[0], members ^ row[1]
    return [candidate for at, candidate in enumerate(candidates) if members >> at & 1]


class XorIndex(RangeIndex):
    """What seed 3 does: XOR of plain hashes, the count not compared."""

    @override
    def span(self, lower: bytes = b"", upper: bytes | None = None) -> Span:
        total = 0
        for key in self.keys(lower, upper):
            total ^= int.from_bytes(key)
        return Span(total, 0)


def attack() -> tuple[bytes, list[bytes]]:
    """An honest entry that only A has, and 512 candidates of which some are given to B only."""
    honest = hashlib.sha256(b"honest").digest()
    return honest, forge_xor(honest, [hashlib.sha256(b"crafted %d" % n).digest() for n in range(512)])


@pytest.mark.unit
def test_512_crafted_entries_hide_an_entry_from_unsalted_xor() -> None:
    honest, crafted = attack()
    common = [hashlib.sha256(b"common %d" % n).digest() for n in range(100)]
    xor = Rules(fingerprint=lambda span: span.total.to_bytes(32))
    ours = XorIndex((key, 0) for key in [*common, honest])
    theirs = XorIndex((key, 0) for key in [*common, *crafted])
    assert reconcile(ours, theirs, xor, whole=True)[:2] == (set(), set()), "both believe that they are equal"


@pytest.mark.unit
@pytest.mark.parametrize("salt", range(8))
def test_512_crafted_entries_hide_nothing_from_salted_sums(salt: int) -> None:
    honest, crafted = attack()
    common = [hashlib.sha256(b"common %d" % n).digest() for n in range(100)]
    key = hashlib.sha256(b"salt %d" % salt).digest()
    ours = RangeIndex((item, salted_digest(key, item)) for item in [*common, honest])
    theirs = RangeIndex((item, salted_digest(key, item)) for item in [*common, *crafted])
    assert reconcile(ours, theirs, whole=True)[:2] == ({honest}, set(crafted))


@pytest.mark.unit
def test_fingerprints_tell_counts_and_sums_apart() -> None:
    fingerprints = {salted_fingerprint(Span(total, size)) for total in range(8) for size in range(8)}
    assert len(fingerprints) == 64
    assert all(len(fingerprint) == 16 for fingerprint in fingerprints)
    assert salted_digest(KEY, b"x") != salted_digest(OTHER_KEY, b"x")
    assert salted_digest(secrets.token_bytes(32), b"x").bit_length() <= 256
