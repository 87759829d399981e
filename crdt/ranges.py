"""Range-based set reconciliation: an index of sums, and the exchange that finds where two sets differ.

Both sides keep their items sorted by key. A side tells the fingerprint of a range; the other answers nothing if its own
is equal, splits the range in parts, or lists what it has there (Meyer, "Range-Based Set Reconciliation", 2023; the
parameters of negentropy v1 are one choice of `Rules`). A fingerprint is the sum of the items' digests modulo 2^256 with
their count, hashed to 16 bytes. Digests must be keyed with a salt that nobody knew when the items were made: sums of
plain hashes, and even more XORs, can be forged by choosing items (crdt-sync report, fact 4).
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, final

from blake3 import blake3

from latticework.wire import Label

from .params import BLOCK_ITEMS, FINGERPRINT_BYTES, RANGE_PARTS

MODULUS_MASK = (1 << 256) - 1


class Span(NamedTuple):
    """What a range holds: the sum of the digests modulo 2^256, and their number."""

    total: int
    size: int


@final
class _Block:
    __slots__ = ("digests", "keys", "total")

    def __init__(self, keys: list[bytes], digests: list[int]) -> None:
        self.keys = keys
        self.digests = digests
        self.total = sum(digests)


class RangeIndex:
    """Distinct keys in order, each with a digest below 2^256; the sum of any range costs two partial blocks.

    Keys compare as byte strings. A bound is any byte string, or None for infinity; ranges include their lower bound.
    """

    def __init__(self, items: Iterable[tuple[bytes, int]] = ()) -> None:
        """Takes the items in any order; each key at most once."""
        ordered = sorted(items)
        keys, digests = [key for key, _ in ordered], [digest for _, digest in ordered]
        self._blocks = [
            _Block(keys[at : at + BLOCK_ITEMS], digests[at : at + BLOCK_ITEMS])
            for at in range(0, len(keys), BLOCK_ITEMS)
        ]
        self._changed()

    def __len__(self) -> int:
        return self._counts()[-1]

    def add(self, key: bytes, digest: int) -> bool:
        """False if the key is there already."""
        if not self._blocks:
            self._blocks = [_Block([key], [digest])]
            self._changed()
            return True
        at = self._block_of(key)
        block = self._blocks[at]
        place = bisect_left(block.keys, key)
        if place < len(block.keys) and block.keys[place] == key:
            return False
        block.keys.insert(place, key)
        block.digests.insert(place, digest)
        block.total += digest
        if len(block.keys) > 2 * BLOCK_ITEMS:
            self._blocks[at : at + 1] = [
                _Block(block.keys[:BLOCK_ITEMS], block.digests[:BLOCK_ITEMS]),
                _Block(block.keys[BLOCK_ITEMS:], block.digests[BLOCK_ITEMS:]),
            ]
        self._changed()
        return True

    def discard(self, key: bytes) -> bool:
        """False if the key is not there."""
        if not self._blocks:
            return False
        at = self._block_of(key)
        block = self._blocks[at]
        place = bisect_left(block.keys, key)
        if place == len(block.keys) or block.keys[place] != key:
            return False
        del block.keys[place]
        block.total -= block.digests.pop(place)
        if not block.keys:
            del self._blocks[at]
        self._changed()
        return True

    def span(self, lower: bytes = b"", upper: bytes | None = None) -> Span:
        """Sum and count of the keys from `lower` to below `upper`."""
        if not self._blocks:
            return Span(0, 0)
        first, start = self._place(lower)
        last, end = self._place(upper)
        counts, sums = self._counts(), self._prefix_sums()
        count = counts[last] + end - counts[first] - start
        if count <= 0:
            return Span(0, 0)
        if first == last:
            return Span(sum(self._blocks[first].digests[start:end]) & MODULUS_MASK, count)
        total = sums[last] - sums[first]
        if start:
            total -= sum(self._blocks[first].digests[:start])
        if end:
            total += sum(self._blocks[last].digests[:end])
        return Span(total & MODULUS_MASK, count)

    def keys(self, lower: bytes = b"", upper: bytes | None = None) -> Iterator[bytes]:
        """The keys of a range in order; the index must not change meanwhile."""
        at, place = self._place(lower)
        while at < len(self._blocks):
            for key in self._blocks[at].keys[place:]:
                if upper is not None and key >= upper:
                    return
                yield key
            at, place = at + 1, 0

    def cuts(self, lower: bytes, upper: bytes | None, parts: int) -> list[tuple[bytes, bytes]]:
        """Where to cut a range in `parts` of equal count, the first ones one longer: (last key before, first after).

        The range holds at least `parts` keys.
        """
        first = self._rank(lower)
        size, longer = divmod(self._rank(upper) - first, parts)
        places = [first + size * part + min(part, longer) for part in range(1, parts)]
        return [(self._key_at(place - 1), self._key_at(place)) for place in places]

    def _changed(self) -> None:
        self._count_cache: list[int] | None = None
        self._sum_cache: list[int] | None = None

    def _counts(self) -> list[int]:
        if self._count_cache is None:
            self._count_cache = list(accumulate((len(block.keys) for block in self._blocks), initial=0))
        return self._count_cache

    def _prefix_sums(self) -> list[int]:
        if self._sum_cache is None:
            self._sum_cache = list(accumulate((block.total for block in self._blocks), initial=0))
        return self._sum_cache

    def _block_of(self, key: bytes) -> int:
        return max(0, bisect_right(self._blocks, key, key=_first_key) - 1)

    def _place(self, bound: bytes | None) -> tuple[int, int]:
        if bound is None or not self._blocks:
            return len(self._blocks), 0
        at = self._block_of(bound)
        place = bisect_left(self._blocks[at].keys, bound)
        return (at, place) if place < len(self._blocks[at].keys) else (at + 1, 0)

    def _rank(self, bound: bytes | None) -> int:
        at, place = self._place(bound)
        return self._counts()[at] + place

    def _key_at(self, rank: int) -> bytes:
        counts = self._counts()
        at = bisect_right(counts, rank) - 1
        return self._blocks[at].keys[rank - counts[at]]


def _first_key(block: _Block) -> bytes:
    return block.keys[0]


def shortest_bound(before: bytes, after: bytes) -> bytes:
    """The shortest byte string above `before` that is not above `after`; the two differ, `before` is the smaller."""
    same = next((at for at, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), len(before))
    return after[: same + 1]


def salted_digest(key: bytes, item: bytes) -> int:
    """The digest of an item under a 32-byte key."""
    return int.from_bytes(blake3(item, key=key).digest())


def salted_fingerprint(span: Span) -> bytes:
    """16 bytes of a sum of salted digests and their count."""
    data = Label.SYNC_FINGERPRINT.value + span.total.to_bytes(32) + span.size.to_bytes(8)
    return hashlib.sha256(data).digest()[:FINGERPRINT_BYTES]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a set is reconciled; both sides need the same `fingerprint`, the rest is each side's choice.

    A range of fewer than `list_below` keys is listed, another one is cut in `parts`. In a list that arrives, keys lack
    their first `told_from` bytes.
    """

    fingerprint: Callable[[Span], bytes] = salted_fingerprint
    bound: Callable[[bytes, bytes], bytes] = shortest_bound
    parts: int = RANGE_PARTS
    list_below: int = 2 * RANGE_PARTS
    told_from: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing more to say about the range."""


@dataclass(frozen=True, slots=True)
class Fingerprinted:
    """The fingerprint of what the sender has in the range."""

    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """The keys of the range that the sender has: all of them."""

    keys: tuple[bytes, ...]


type Told = Skipped | Fingerprinted | Listed


@dataclass(frozen=True, slots=True)
class ToldRange:
    """What one side tells about a range; it begins where the one before it ends. `upper` None is infinity."""

    upper: bytes | None
    told: Told


@final
class RangeReconciler:
    """One side of an exchange about one set. The initiator learns what it has and what it needs, as keys are told.

    Each answer makes every open range smaller or listed, so an honest exchange ends after as many messages as the
    index has levels; a dishonest one costs one bounded answer per message. The answering side keeps no state.
    """

    def __init__(self, index: RangeIndex, rules: Rules, *, initiator: bool) -> None:
        self._index = index
        self._rules = rules
        self._initiator = initiator
        self.have: set[bytes] = set()
        self.need: set[bytes] = set()

    def start(self) -> list[ToldRange]:
        """The first message: the whole key space."""
        return list(self._divide(b"", None))

    def answer(self, ranges: Sequence[ToldRange]) -> Iterator[tuple[bytes, list[ToldRange]]]:
        """For each range that needs one, its lower bound and the answer; what lies between needs none.

        Ranges must ascend. The caller may stop early for want of room, and tell one fingerprint of the remainder.
        """
        lower = b""
        for told_range in ranges:
            upper = told_range.upper
            match told_range.told:
                case Skipped():
                    pass
                case Fingerprinted(theirs):
                    if theirs != self.fingerprint(lower, upper):
                        yield lower, list(self._divide(lower, upper))
                case Listed(keys):
                    if self._initiator:
                        self._compare(lower, upper, keys)
                    else:
                        yield lower, [ToldRange(upper, Listed(tuple(self._index.keys(lower, upper))))]
            if upper is None:
                return
            lower = upper

    def fingerprint(self, lower: bytes, upper: bytes | None) -> bytes:
        """Of what we have in a range."""
        return self._rules.fingerprint(self._index.span(lower, upper))

    def _compare(self, lower: bytes, upper: bytes | None, keys: tuple[bytes, ...]) -> None:
        cut = self._rules.told_from
        ours, theirs = {key[cut:] for key in self._index.keys(lower, upper)}, set(keys)
        self.have |= ours - theirs
        self.need |= theirs - ours

    def _divide(self, lower: bytes, upper: bytes | None) -> Iterator[ToldRange]:
        index, rules = self._index, self._rules
        if index.span(lower, upper).size < rules.list_below:
            yield ToldRange(upper, Listed(tuple(index.keys(lower, upper))))
            return
        bounds = [rules.bound(before, after) for before, after in index.cuts(lower, upper, rules.parts)]
        for bound in [*bounds, upper]:
            yield ToldRange(bound, Fingerprinted(self.fingerprint(lower, bound)))
            if bound is not None:
                lower = bound
