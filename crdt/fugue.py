"""Fugue: the order of a list or text that several people edit at once, without interleaving their runs.

Weidner and Kleppmann, "The Art of the Fugue: Minimizing Interleaving in Collaborative Text Editing" (2023), in the
variant FugueMax (section 5), which is maximally non-interleaving: elements form a tree, an element is a left or a right
child of the element it was typed beside, and the order is the traversal. Right siblings are ordered by their right
origin, the farther one first, then by id; left siblings by id.

Elements are numbered as they arrive, so the numbers differ between replicas and only `rank` knows the ids. A run is
stored once: an element that is missing from `_heads` is the right child of the number below it and shares its right
origin. Whatever an operation says, it is one more node of the tree, so any two replicas that hold the same nodes agree.
"""

from bisect import bisect_right, insort
from collections.abc import Callable
from typing import NamedTuple, final

from .fugue_edges import Edges, Place
from .spans import Spans, Spot

START = -1
"""The root of the tree, before all elements."""
END = -2
"""The right origin of what was typed at the very end."""


type Rank = tuple[bytes, int, int]
"""The id of an element: entry, index of the operation, offset in its run."""


class Origin(NamedTuple):
    """Where a run hangs: beside `parent`, and before `right` at the time (END, or ignored for a left child)."""

    parent: int
    left_side: bool
    right: int


@final
class Fugue:
    """One sequence. `rank` gives an element's id, comparable and the same on every replica."""

    def __init__(self, rank: Callable[[int], Rank]) -> None:
        self._rank = rank
        self.spans = Spans()
        self.total = 0
        self._last_right = END
        self._heads: dict[int, Origin] = {}
        self._head_numbers: list[int] = []
        self._right_kids: dict[int, list[int]] = {}
        self._left_kids: dict[int, list[int]] = {}
        self._right_edges = Edges(self._from_left)
        self._left_edges = Edges(self._from_right)

    def copy(self, rank: Callable[[int], Rank]) -> "Fugue":
        """An independent copy that asks another `rank`."""
        other = Fugue(rank)
        other.spans, other.total, other._last_right = self.spans.copy(), self.total, self._last_right
        other._heads, other._head_numbers = self._heads.copy(), self._head_numbers.copy()
        other._right_kids = {key: kids.copy() for key, kids in self._right_kids.items()}
        other._left_kids = {key: kids.copy() for key, kids in self._left_kids.items()}
        other._right_edges = self._right_edges.copy(other._from_left)
        other._left_edges = self._left_edges.copy(other._from_right)
        return other

    @property
    def shown(self) -> int:
        """How many elements are shown."""
        return self.spans.shown

    def insert_at(self, index: int, count: int) -> Origin:
        """Insert a run before the shown element `index`, as its author does; the new elements are the last `count`."""
        start = self.total
        if index == 0:
            first = self.spans.first_element()
            origin = Origin(START, False, END) if first is None else Origin(first, True, END)
            self.spans.insert_first(start, count)
        else:
            spot = self.spans.find(index - 1)
            origin = self._origin_after(spot)
            self.spans.insert_after(spot, start, count)
        self._hang(start, count, origin)
        return origin

    def origin_at(self, index: int) -> Origin:
        """Where a run that is inserted before the shown element `index` hangs."""
        if index:
            return self._origin_after(self.spans.find(index - 1))
        first = self.spans.first_element()
        return Origin(START, False, END) if first is None else Origin(first, True, END)

    def continues(self, origin: Origin) -> bool:
        """Whether a run at `origin` goes on from the newest element as if both had been one."""
        return not origin.left_side and origin.parent == self.total - 1 != START and origin.right == self._last_right

    def _origin_after(self, spot: Spot) -> Origin:
        left, following = self.spans.element_at(spot), self.spans.next_element(spot)
        if following is None:
            return Origin(left, False, END)
        if self._has_right_kid(left):
            return Origin(following, True, END)
        return Origin(left, False, following)

    def integrate(self, origin: Origin, count: int) -> int:
        """Insert a run of somebody else, shown; the number of its first element."""
        start, spans = self.total, self.spans
        parent, left_side, _ = origin
        if left_side:
            kids = self._left_kids.get(parent)
            at = bisect_right(kids, self._rank(start), key=self._rank) if kids else 0
            if kids and at < len(kids):
                spans.insert_before(spans.spot(self._left_edges.end(kids[at])), start, count)
            else:
                spans.insert_before(spans.spot(parent), start, count)
        else:
            kids = self._siblings(parent)
            at = self._place(kids, origin.right, start) if kids else 0
            if kids and at:
                spans.insert_after(spans.spot(self._run_end(self._right_edges.end(kids[at - 1]))), start, count)
            elif parent == START:
                spans.insert_first(start, count)
            else:
                spans.insert_after(spans.spot(parent), start, count)
        self._hang(start, count, origin, at)
        return start

    def _hang(self, start: int, count: int, origin: Origin, at: int = 0) -> None:
        """Note where the run stands in the tree; `at` is its place among its siblings."""
        parent, left_side, right = origin
        if self.continues(origin):
            self.total += count
            return
        self.total = start + count
        self._heads[start] = origin
        self._head_numbers.append(start)
        kids = (self._left_kids if left_side else self._right_kids).setdefault(parent, [])
        kids.insert(at, start)
        if left_side and at == 0:
            (self._left_edges.extend if len(kids) == 1 else self._left_edges.replace)(parent, start)
        elif not left_side and at == len(kids) - 1 and parent != START:
            above = self._run_head(parent)
            (self._right_edges.extend if at == 0 else self._right_edges.replace)(above, start)
        self._last_right = parent if left_side else right

    def _has_right_kid(self, element: int) -> bool:
        return element in self._right_kids or (element + 1 < self.total and element + 1 not in self._heads)

    def _siblings(self, parent: int) -> list[int] | None:
        """The right children of `parent`; a run that goes on there is cut, so that its rest is one of them."""
        following = parent + 1
        if parent != START and following < self.total and following not in self._heads:
            self._right_edges.insert(self._run_head(parent), following)
            self._heads[following] = Origin(parent, False, self._right_origin(parent))
            insort(self._head_numbers, following)
            self._right_kids[parent] = [following]
        return self._right_kids.get(parent)

    def _right_origin(self, element: int) -> int:
        head = self._heads[self._run_head(element)]
        return head.parent if head.left_side else head.right

    def _place(self, kids: list[int], right: int, start: int) -> int:
        """The place of the run `start` with the right origin `right` among its right siblings."""

        def order(right: int, element: int) -> tuple[bool, int, int, int, Rank]:
            block, span, offset = (0, 0, 0) if right == END else self.spans.spot(right)
            return (right != END, -block, -span, -offset, self._rank(element))

        return bisect_right(kids, order(right, start), key=lambda kid: order(self._heads[kid].right, kid))

    def _run_head(self, element: int) -> int:
        return self._head_numbers[bisect_right(self._head_numbers, element) - 1]

    def _run_end(self, head: int) -> int:
        following = bisect_right(self._head_numbers, head)
        return (self._head_numbers[following] if following < len(self._head_numbers) else self.total) - 1

    def _from_left(self, element: int) -> Place:
        return self.spans.spot(element)

    def _from_right(self, element: int) -> Place:
        block, span, offset = self.spans.spot(element)
        return (-block, -span, -offset)
