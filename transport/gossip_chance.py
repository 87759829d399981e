"""Choices of a router, drawn from the bytes of an `Rng`: the same stream makes the same choices."""

import struct
from collections.abc import Sequence
from typing import final

from latticework.wire import Rng

_DRAWS = struct.Struct("<64I")
"""Numbers taken from the stream at a time: one call per heartbeat instead of one per choice."""


@final
class Chance:
    """Uniform choices; a bias of 2**-32 times the number of choices is accepted."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._draws: list[int] = []

    def below(self, count: int) -> int:
        """A number of 0 to `count` - 1."""
        if not self._draws:
            self._draws = list(_DRAWS.unpack(self._rng.random_bytes(_DRAWS.size)))
        return self._draws.pop() * count >> 32

    def sample[T](self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items, or all of them, in random order."""
        pool = list(items)
        end = len(pool)
        count = min(count, end)
        for index in range(count):
            other = index + self.below(end - index)
            pool[index], pool[other] = pool[other], pool[index]
        del pool[count:]
        return pool

    def shuffled[T](self, items: Sequence[T]) -> list[T]:
        """All items in random order."""
        return self.sample(items, len(items))
