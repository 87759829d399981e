"""The order of a replicated sequence: spans of element numbers in blocks of bounded size.

A span is a stretch of consecutive element numbers that stand side by side and are hidden by equally many reasons. Local
typing extends a span, so a text of 260,000 edits holds some twenty thousand. Spans stand in blocks, a block knows how
many of its elements are shown, and a cursor remembers where the last edit was: people type where they typed before.
An element is found from its number through a sorted index of span starts.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple, final

from .params import BLOCK_SPANS, INDEX_CHUNK, SEARCH_STRIDE


@final
class Span:
    """Elements `start` to `start + length`, shown unless `hides` is positive."""

    __slots__ = ("block", "hides", "length", "start")

    def __init__(self, start: int, length: int, hides: int, block: "Block") -> None:
        self.start = start
        self.length = length
        self.hides = hides
        self.block = block


@final
class Block:
    """Neighbouring spans. `at` is where the block stood once among the blocks: it only ever moves to the right."""

    __slots__ = ("at", "spans")

    def __init__(self, at: int) -> None:
        self.at = at
        self.spans: list[Span] = []


class Spot(NamedTuple):
    """A place in the order: block, span inside the block, element inside the span."""

    block: int
    span: int
    offset: int


@final
class SpanIndex:
    """Spans by the number of their first element, as sorted chunks of starts."""

    def __init__(self) -> None:
        self._chunks: list[list[int]] = [[]]
        self._firsts: list[int] = [0]
        self._spans: dict[int, Span] = {}

    def containing(self, element: int) -> Span:
        at = bisect_right(self._firsts, element) - 1
        chunk = self._chunks[at]
        place = bisect_right(chunk, element)
        # Starts are joined away, so the span may begin in the chunk before.
        return self._spans[chunk[place - 1] if place else self._chunks[at - 1][-1]]

    def add(self, span: Span) -> None:
        start = span.start
        self._spans[start] = span
        at = bisect_right(self._firsts, start) - 1
        chunk = self._chunks[at]
        insort(chunk, start)
        if len(chunk) > INDEX_CHUNK:
            half = len(chunk) // 2
            self._chunks.insert(at + 1, chunk[half:])
            self._firsts.insert(at + 1, chunk[half])
            del chunk[half:]

    def remove(self, start: int) -> None:
        del self._spans[start]
        at = bisect_right(self._firsts, start) - 1
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, start)]
        if not chunk and at:
            del self._chunks[at]
            del self._firsts[at]

    def move(self, span: Span, start: int) -> None:
        """Give `span` another first element; no other span starts in between."""
        at = bisect_right(self._firsts, min(start, span.start)) - 1
        chunk = self._chunks[at]
        place = bisect_left(chunk, span.start)
        if place == len(chunk) or (at + 1 < len(self._firsts) and start >= self._firsts[at + 1]):
            self.remove(span.start)
            span.start = start
            self.add(span)
            return
        del self._spans[span.start]
        chunk[place] = start
        span.start = start
        self._spans[start] = span


@final
class Spans:
    """The order of all elements, hidden ones included, with positions counted over the shown ones."""

    def __init__(self) -> None:
        self.shown = 0
        self._blocks: list[Block] = []
        self._counts: list[int] = []
        self._index = SpanIndex()
        self._cursor_block = 0
        self._cursor_base = 0

    def copy(self) -> "Spans":
        """An independent copy; linear in the number of spans."""
        other = Spans()
        other.shown, other._counts = self.shown, self._counts.copy()
        for at, block in enumerate(self._blocks):
            twin = Block(at)
            twin.spans = [Span(span.start, span.length, span.hides, twin) for span in block.spans]
            other._blocks.append(twin)
        for span in sorted((s for block in other._blocks for s in block.spans), key=lambda s: s.start):
            other._index.add(span)
        return other

    def __iter__(self) -> Iterator[Span]:
        """Every span in order."""
        for block in self._blocks:
            yield from block.spans

    def spot(self, element: int) -> Spot:
        """Where `element` stands."""
        span = self._index.containing(element)
        block = span.block
        if self._blocks[block.at] is not block:
            block.at = self._blocks.index(block, block.at)
        return Spot(block.at, block.spans.index(span), element - span.start)

    def find(self, index: int) -> Spot:
        """Where the shown element number `index` stands; `index` is below `shown`."""
        counts, block, base = self._counts, self._cursor_block, self._cursor_base
        while index < base:
            low = max(0, block - SEARCH_STRIDE)
            if index < base - (skipped := sum(counts[low:block])) or block - low == 1:
                block, base = low, base - skipped
                continue
            while index < base:
                block -= 1
                base -= counts[block]
        while index >= base + counts[block]:
            if index >= base + (skipped := sum(counts[block : block + SEARCH_STRIDE])):
                block, base = block + SEARCH_STRIDE, base + skipped
                continue
            base += counts[block]
            block += 1
        self._cursor_block, self._cursor_base = block, base
        rest = index - base
        for at, span in enumerate(self._blocks[block].spans):
            if span.hides <= 0:
                if rest < span.length:
                    return Spot(block, at, rest)
                rest -= span.length
        raise AssertionError("a block shows fewer elements than it says")

    def shown_runs(self, index: int, count: int) -> list[tuple[int, int]]:
        """The `count` shown elements from number `index` on, as runs (first, length) in order."""
        result: list[tuple[int, int]] = []
        if not count:
            return result
        block, at, offset = self.find(index)
        while True:
            spans = self._blocks[block].spans
            while at < len(spans):
                span = spans[at]
                if span.hides <= 0:
                    taken = min(count, span.length - offset)
                    result.append((span.start + offset, taken))
                    if not (count := count - taken):
                        return result
                at, offset = at + 1, 0
            block, at = block + 1, 0

    def index_of(self, element: int) -> int:
        """How many shown elements stand before `element`."""
        spot = self.spot(element)
        spans = self._blocks[spot.block].spans
        before = sum(span.length for span in spans[: spot.span] if span.hides <= 0)
        inside = spot.offset if spans[spot.span].hides <= 0 else 0
        return sum(self._counts[: spot.block]) + before + inside

    def span_at(self, spot: Spot) -> Span:
        return self._blocks[spot.block].spans[spot.span]

    def element_at(self, spot: Spot) -> int:
        return self._blocks[spot.block].spans[spot.span].start + spot.offset

    def next_element(self, spot: Spot) -> int | None:
        """The element right after that at `spot`, shown or not."""
        spans = self._blocks[spot.block].spans
        span = spans[spot.span]
        if spot.offset + 1 < span.length:
            return span.start + spot.offset + 1
        if spot.span + 1 < len(spans):
            return spans[spot.span + 1].start
        if spot.block + 1 < len(self._blocks):
            return self._blocks[spot.block + 1].spans[0].start
        return None

    def first_element(self) -> int | None:
        return self._blocks[0].spans[0].start if self._blocks else None

    def insert_first(self, start: int, length: int) -> None:
        """New shown elements before all others."""
        if not self._blocks:
            self._blocks.append(Block(0))
            self._counts.append(0)
        self._put(0, 0, start, length)

    def insert_after(self, spot: Spot, start: int, length: int) -> None:
        """New shown elements right after that at `spot`."""
        block, at, offset = spot
        span = self._blocks[block].spans[at]
        if offset + 1 < span.length:
            self._split(block, at, offset + 1)
        elif span.start + span.length == start and span.hides == 0:
            span.length += length
            self._count(block, length)
            return
        self._put(block, at + 1, start, length)

    def insert_before(self, spot: Spot, start: int, length: int) -> None:
        """New shown elements right before that at `spot`."""
        block, at, offset = spot
        if offset:
            self._split(block, at, offset)
            at += 1
        self._put(block, at, start, length)

    def hide(self, start: int, length: int, delta: int) -> None:
        """Add `delta` reasons to hide to each of the elements `start` to `start + length`."""
        end = start + length
        while start < end:
            spot = self.spot(start)
            count = min(end - start, self.span_at(spot).length - spot.offset)
            self.change(spot, count, delta)
            start += count

    def change(self, spot: Spot, count: int, delta: int) -> None:
        """`hide` for `count` elements of one span, from `spot` on."""
        block, at, offset = spot
        spans = self._blocks[block].spans
        span = spans[at]
        hides = span.hides + delta
        if (span.hides <= 0) != (hides <= 0):
            self._count(block, count if hides <= 0 else -count)
        if not offset and at and self._joins(spans[at - 1], span.start, hides):
            spans[at - 1].length += count
            self._shrink_front(spans, at, count)
            if count == span.length and at < len(spans):
                self._join_next(spans, at - 1)
        elif offset + count == span.length and at + 1 < len(spans) and self._precedes(span, spans[at + 1], hides):
            following = spans[at + 1]
            if not offset:
                self._index.remove(span.start)
                del spans[at]
            span.length = offset
            following.length += count
            self._index.move(following, following.start - count)
        else:
            if offset + count < span.length:
                self._split(block, at, offset + count)
            if offset:
                self._split(block, at, offset)
                at += 1
            spans[at].hides = hides
            if len(spans) > BLOCK_SPANS:
                self._halve(block)

    @staticmethod
    def _joins(before: Span, start: int, hides: int) -> bool:
        return before.hides == hides and before.start + before.length == start

    @staticmethod
    def _precedes(span: Span, following: Span, hides: int) -> bool:
        return following.hides == hides and span.start + span.length == following.start

    def _shrink_front(self, spans: list[Span], at: int, count: int) -> None:
        span = spans[at]
        if count == span.length:
            self._index.remove(span.start)
            del spans[at]
        else:
            span.length -= count
            self._index.move(span, span.start + count)

    def _join_next(self, spans: list[Span], at: int) -> None:
        span, following = spans[at], spans[at + 1]
        if self._precedes(span, following, span.hides):
            span.length += following.length
            self._index.remove(following.start)
            del spans[at + 1]

    def _count(self, block: int, delta: int) -> None:
        self._counts[block] += delta
        self.shown += delta
        if block < self._cursor_block:
            self._cursor_base += delta

    def _put(self, block: int, at: int, start: int, length: int) -> None:
        home = self._blocks[block]
        span = Span(start, length, 0, home)
        home.spans.insert(at, span)
        self._index.add(span)
        self._count(block, length)
        if len(home.spans) > BLOCK_SPANS:
            self._halve(block)

    def _split(self, block: int, at: int, offset: int) -> None:
        """Make the elements from `offset` on a span of their own; the block is not halved, so that places stay."""
        home = self._blocks[block]
        span = home.spans[at]
        tail = Span(span.start + offset, span.length - offset, span.hides, home)
        span.length = offset
        home.spans.insert(at + 1, tail)
        self._index.add(tail)

    def _halve(self, block: int) -> None:
        home = self._blocks[block]
        half = len(home.spans) // 2
        other = Block(block + 1)
        other.spans = home.spans[half:]
        del home.spans[half:]
        for span in other.spans:
            span.block = other
        moved = sum(span.length for span in other.spans if span.hides <= 0)
        self._blocks.insert(block + 1, other)
        self._counts[block] -= moved
        self._counts.insert(block + 1, moved)
        if block < self._cursor_block:
            self._cursor_block += 1
