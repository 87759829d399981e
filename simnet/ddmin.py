"""Delta debugging: the parts of an input that a failure needs (Zeller and Hildebrandt, TSE 2002, algorithm ddmin)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from latticework.wire import LocalError


def ddmin[T](items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """A part of `items`, in their order, that still fails, while no part with one item less does.

    `fails` is asked about parts of `items` only, never about all of them: those must fail, as the caller knows. The
    empty part is asked about first, since most failures need nothing of most lists.
    """
    left = tuple(items)
    if not left or fails(()):
        return ()
    pieces = 2
    while len(left) > 1:
        edges = [len(left) * n // pieces for n in range(pieces + 1)]
        cuts: list[tuple[T, ...]] = [left[start:end] for start, end in pairwise(edges)]
        rests: list[tuple[T, ...]] = [left[:start] + left[end:] for start, end in pairwise(edges)]
        # Of two pieces, each is the rest without the other.
        if pieces > 2 and (cut := next(filter(fails, cuts), None)):
            left, pieces = cut, 2
        elif rest := next(filter(fails, rests), None):
            left, pieces = rest, max(pieces - 1, 2)
        elif pieces == len(left):
            break
        else:
            pieces = min(2 * pieces, len(left))
    return left


def least(high: int, low: int, step: int, fails: Callable[[int], bool]) -> int:
    """A number that fails, some steps below `high` and at least `low`, as small as jumps of halved length find it.

    `high` fails, as the caller knows. The number one step below the answer does not, or is below `low`.
    """
    if step < 1:
        raise LocalError("a step is at least 1")
    steps_left = jump = (high - low) // step
    while steps_left > 0:
        jump = min(jump, steps_left)
        smaller = fails(high - jump * step)
        if smaller:
            high -= jump * step
            steps_left -= jump
        elif jump == 1:
            break
        jump = max(jump // 2, 1)
    return high
