"""Into how many parts nodes fall, by union-find."""

from collections.abc import Callable, Iterable
from typing import Final, final


@final
class Parts:
    """The parts of the nodes `among`, by their links; links to others do not count."""

    def __init__(self, among: Iterable[int], neighbours: Callable[[int], Iterable[int]]) -> None:
        self._above = {number: number for number in among}
        self.count: Final = self._unite(neighbours)

    def joined(self, a: int, b: int) -> bool:
        """Whether two of the nodes are in one part."""
        return self._root(a) == self._root(b)

    def _unite(self, neighbours: Callable[[int], Iterable[int]]) -> int:
        above, root = self._above, self._root
        count = len(above)
        for number in above:
            for far in neighbours(number):
                if far in above and (one := root(number)) != (two := root(far)):
                    above[one] = two
                    count -= 1
            if count <= 1:
                break
        return count

    def _root(self, number: int) -> int:
        above = self._above
        while (over := above[number]) != number:
            above[number] = number = above[over]
        return number
