"""Who is closest to a key among many: by bisection over sorted keys, instead of looking at all of them."""

from bisect import bisect_left

from latticework.discovery.kad_params import KEY_BITS


def closest(keys: list[int], target: int) -> int:
    """The index of the key closest to `target` in ascending `keys`, one or more: the half that shares the next bit."""
    first, last = 0, len(keys)
    for half in reversed(range(KEY_BITS)):
        if last - first == 1:
            break
        middle = bisect_left(keys, (keys[first] >> half | 1) << half, first, last)
        if middle in {first, last}:
            continue
        if target >> half & 1:
            first = middle
        else:
            last = middle
    return first
