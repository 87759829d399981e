"""OR-set: a value is in the set while an active addition of it was not removed; a removal lists the additions it saw.

So a value that somebody adds while another removes it stays (Shapiro et al., "A comprehensive study of Convergent and
Commutative Replicated Data Types", 2011, specification 15), and undoing the removal brings its additions back.
"""

from collections.abc import Hashable, Iterator
from typing import Protocol, final


class Act(Protocol):
    """An operation that may be undone."""

    @property
    def active(self) -> bool: ...


class Addition(Act, Protocol):
    """One addition."""

    @property
    def id(self) -> Hashable: ...


@final
class OrSet[A: Addition]:
    """The additions, and who removed which."""

    __slots__ = ("_additions", "_removals")

    def __init__(self) -> None:
        self._additions: dict[Hashable, A] = {}
        self._removals: dict[Hashable, list[Act]] = {}

    def copy(self) -> "OrSet[A]":
        """An independent copy that shares the operations."""
        other = OrSet[A]()
        other._additions = self._additions.copy()
        other._removals = {key: acts.copy() for key, acts in self._removals.items()}
        return other

    def add(self, addition: A) -> None:
        """One more addition."""
        self._additions[addition.id] = addition

    def remove(self, addition: Hashable, removal: Act) -> None:
        """`removal` removes `addition`, which may be unknown."""
        self._removals.setdefault(addition, []).append(removal)

    def standing(self) -> Iterator[A]:
        """The additions that count."""
        for key, addition in self._additions.items():
            if addition.active and not any(act.active for act in self._removals.get(key, ())):
                yield addition
