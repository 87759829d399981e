"""Counter: the sum of the active increments, each known by its operation.

Never a running total per author: under a fork both branches would write the same total, and one would be lost.
"""

from collections.abc import Iterator
from typing import Protocol, final


class Counted(Protocol):
    """One increment, which may be negative."""

    @property
    def amount(self) -> int: ...
    @property
    def active(self) -> bool: ...


@final
class Counter[C: Counted]:
    """A list of increments."""

    __slots__ = ("_increments",)

    def __init__(self) -> None:
        self._increments: list[C] = []

    def copy(self) -> "Counter[C]":
        """An independent copy that shares the increments."""
        other = Counter[C]()
        other._increments = self._increments.copy()
        return other

    def add(self, increment: C) -> None:
        """One more increment."""
        self._increments.append(increment)

    def standing(self) -> Iterator[C]:
        """The increments that count; their sum may exceed 64 bits."""
        return (increment for increment in self._increments if increment.active)
