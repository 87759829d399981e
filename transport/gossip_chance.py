"""Choices of a router, drawn from the bytes of an `Rng`: the same stream makes the same choices."""

import struct
from collections.abc import Sequence
from typing import final

from latticework.wire import Rng

_DRAW = struct.Struct("<I")
_DRAWS_BYTES = 64 * _DRAW.size
"""Taken from the stream at a time: one call per heartbeat instead of one per choice."""


@final
class Chance:
    """Uniform choices; a bias of 2**-32 times the number of choices is accepted."""

    __slots__ = ("_draws", "_left", "_rng")

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._draws = b""
        self._left = 0
        """Bytes of `_draws` that are not used up; the last come first."""

    def below(self, count: int) -> int:
        """A number of 0 to `count` - 1."""
        if not self._left:
            self._draws = self._rng.random_bytes(_DRAWS_BYTES)
            self._left = _DRAWS_BYTES
        self._left -= 4
        return _DRAW.unpack_from(self._draws, self._left)[0] * count >> 32  # type: ignore[no-any-return]  # an int

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
