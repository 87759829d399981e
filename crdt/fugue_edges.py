"""Where a subtree of the Fugue tree ends: its last element if one always follows the last child, or its first.

The edges are kept as paths: a node, the outermost child on one side, the outermost child of that, and so on. Whoever
hangs something beneath the end of a path extends it. Who hangs something beyond an outermost child cuts the path there;
then the shorter part moves to a path of its own, so that n operations move nodes O(n log n) times in all. Walking down
instead would let a member who builds a deep tree make every operation cost as much as the tree is deep: one full entry
on a tree of 32,000 took 9 s, and takes 0.3 s.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import final

type Place = tuple[int, int, int]


@final
class Edges:
    """The outermost paths on one side. `place` grows along every path."""

    def __init__(self, place: Callable[[int], Place]) -> None:
        self._place = place
        self._paths: dict[int, list[int]] = {}

    def copy(self, place: Callable[[int], Place]) -> "Edges":
        """An independent copy that asks another `place`."""
        other = Edges(place)
        for path in {id(path): path for path in self._paths.values()}.values():
            other._paths |= dict.fromkeys(path, path.copy())
        return other

    def end(self, node: int) -> int:
        """The outermost node beneath `node`, or itself."""
        path = self._paths.get(node)
        return node if path is None else path[-1]

    def extend(self, parent: int, child: int) -> None:
        """Hang the first child beneath `parent` on this side."""
        path = self._paths.setdefault(parent, [parent])
        path.append(child)
        self._paths[child] = path

    def replace(self, parent: int, child: int) -> None:
        """Hang a child beneath `parent` beyond the one that was outermost."""
        path = self._paths[parent]
        at = self._index(path, parent) + 1
        shorter = slice(at, None) if len(path) < 2 * at else slice(at)
        moved = path[shorter]
        del path[shorter]
        self._paths |= dict.fromkeys(moved, moved)
        self.extend(parent, child)

    def insert(self, parent: int, node: int) -> None:
        """Put `node` between `parent` and its outermost child."""
        path = self._paths.setdefault(parent, [parent])
        path.insert(self._index(path, parent) + 1, node)
        self._paths[node] = path

    def _index(self, path: list[int], node: int) -> int:
        return bisect_left(path, self._place(node), key=self._place)
