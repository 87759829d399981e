"""Work in groups, so that a thread hop or a commit serves many items."""

from collections.abc import Iterator, Sequence


def in_groups[T](items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """`items` in order, `count` at a time."""
    for start in range(0, len(items), count):
        yield items[start : start + count]
