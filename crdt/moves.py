"""Moves in a tree, replayed in one total order: the highly-available move operation for replicated trees (Kleppmann,
Mulligan, Gomes, Beresford, IEEE TPDS 2022).

The tree is what comes out when all moves are done in the order of their clocks, where a move that would make a cycle is
without effect. A late one undoes what is later, is done, and what is later is done again. Where the paper does that
for each, this merges a whole batch at once: log of n, batch of k, late by s: O(k log k + s), not O(k s).
"""

from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable
from typing import Final, Literal, NamedTuple, final

from .params import MAX_PATH_BYTES

MAX_DEPTH: Final = MAX_PATH_BYTES // 2
"""Directories above a node that has children; a path that is shown cannot have more. It bounds a check for cycles."""

type Order = tuple[int, bytes, int]
"""Clock, entry, index: distinct for every operation, and the same everywhere."""
_NOWHERE: Final[Order] = (-1, b"", 0)


class Placing[N: Hashable](NamedTuple):
    """A move: `node` is called `name` beneath `parent`."""

    order: Order
    node: N
    parent: N
    name: bytes


class Position[N: Hashable](NamedTuple):
    """Where a node stands, and the order of the move that put it there."""

    parent: N
    name: bytes
    order: Order


@final
class Moves[N: Hashable]:
    """All moves in order, and the tree that they make: `positions` and its inverse `children`."""

    def __init__(self) -> None:
        self._log: list[Placing[N]] = []
        self._before: list[Position[N] | Literal[False] | None] = []
        """Where the node of each move stood before it; False for a move without effect."""
        self.positions: dict[N, Position[N]] = {}
        self.children: dict[N, dict[N, None]] = {}

    def merge(self, added: Iterable[Placing[N]], removed: Collection[Order] = ()) -> dict[N, None]:
        """Take moves into the history, and others out of it; the nodes that stand elsewhere now, as far as may be
        parents before their children.
        """
        new = sorted(added, key=_order)
        if not new and not removed:
            return {}
        first = min([new[0].order, *removed] if new else removed)
        touched: dict[N, Position[N] | None] = {}
        if self._log and first <= self._log[-1].order:
            new = self._undo_from(bisect_left(self._log, first, key=_order), touched) + new
            new.sort(key=_order)
            if removed:
                gone = set(removed)
                new = [placing for placing in new if placing.order not in gone]
        for placing in new:
            self._do(placing, touched)
        positions = self.positions
        moved = [node for node, before in touched.items() if positions.get(node) != before]
        moved.sort(key=lambda node: positions[node].order if node in positions else _NOWHERE)
        return dict.fromkeys(moved)

    def _undo_from(self, start: int, touched: dict[N, Position[N] | None]) -> list[Placing[N]]:
        late = self._log[start:]
        for placing, before in zip(reversed(late), reversed(self._before[start:]), strict=True):
            if before is False:
                continue
            node = placing.node
            after = self.positions[node]
            touched.setdefault(node, after)
            self._leave(node, after.parent)
            if before is None:
                del self.positions[node]
            else:
                self.positions[node] = before
                self.children.setdefault(before.parent, {})[node] = None
        del self._log[start:], self._before[start:]
        return late

    def _do(self, placing: Placing[N], touched: dict[N, Position[N] | None]) -> None:
        order, node, parent, name = placing
        self._log.append(placing)
        if node == parent or (node in self.children and self._would_close(node, parent)):
            self._before.append(False)
            return
        before = self.positions.get(node)
        if node not in touched:
            touched[node] = before
        if before is not None:
            self._leave(node, before.parent)
        self.positions[node] = Position(parent, name, order)
        self.children.setdefault(parent, {})[node] = None
        self._before.append(before)

    def _leave(self, node: N, parent: N) -> None:
        siblings = self.children[parent]
        del siblings[node]
        if not siblings:
            del self.children[parent]

    def _would_close(self, node: N, parent: N) -> bool:
        """True when `node` stands above `parent`, or `parent` too deep to tell."""
        positions = self.positions
        for _ in range(MAX_DEPTH):
            position = positions.get(parent)
            if position is None:
                return False
            parent = position.parent
            if parent == node:
                return True
        return True


def _order[N: Hashable](placing: Placing[N]) -> Order:
    return placing.order
