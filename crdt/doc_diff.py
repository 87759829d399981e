"""The difference of two texts as few replacements: first by lines, then by words inside what changed."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from .params import MAX_DIFF_TOKENS

type Replacement = tuple[int, int, str]
"""Position in the old text, how many characters go, what comes instead."""


def replacements(old: str, new: str) -> list[Replacement]:
    """What turns `old` into `new`, from the end to the start, so that each position holds when it is used."""
    prefix = _common(old, new)
    suffix = _common(old[prefix:][::-1], new[prefix:][::-1])
    found = _by_lines(old[prefix : len(old) - suffix], new[prefix : len(new) - suffix])
    return [(prefix + at, count, text) for at, count, text in found][::-1]


def _common(old: str, new: str) -> int:
    """Length of the common prefix."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _by_lines(old: str, new: str) -> Iterator[Replacement]:
    for at, before, after in _blocks(old.splitlines(keepends=True), new.splitlines(keepends=True)):
        yield from ((at + inner, len(gone), text) for inner, gone, text in _by_words(before, after))


def _by_words(old: str, new: str) -> Iterator[tuple[int, str, str]]:
    words = [re.findall(r"\w+|\s+|[^\w\s]", text) for text in (old, new)]
    if not old or not new or max(len(side) for side in words) > MAX_DIFF_TOKENS:
        yield 0, old, new
        return
    for at, before, after in _blocks(*words):
        prefix = _common(before, after)
        suffix = _common(before[prefix:][::-1], after[prefix:][::-1])
        yield at + prefix, before[prefix : len(before) - suffix], after[prefix : len(after) - suffix]


def _blocks(old: list[str], new: list[str]) -> Iterator[tuple[int, str, str]]:
    position = 0
    for name, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before = "".join(old[a:b])
        if name != "equal":
            yield position, before, "".join(new[c:d])
        position += len(before)
