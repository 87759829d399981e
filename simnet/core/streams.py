"""Messages on streams on tier C: each arrives once and in order, late if it was lost, through both ends' lines."""

from .links import MessageLinks, TokenBucket
from .scheduler import BucketScheduler, Callback


def carry[A, B](
    scheduler: BucketScheduler, links: MessageLinks, way: tuple[int, int], size: int, hear: Callback[A, B], a: A, b: B
) -> None:
    """Call `hear(when, a, b)` when a message of `size` bytes has gone `way`, (from, to), that no partition stops."""
    at_us = links.stream_arrival_us(*way, size, scheduler.now_us)
    down = links.down.get(way[1])
    if down is None:
        scheduler.post(at_us, hear, a, b)
    else:
        scheduler.at(at_us, _pass_down, scheduler, down, size, hear, a, b)


def _pass_down[A, B](
    scheduler: BucketScheduler, down: TokenBucket, size: int, hear: Callback[A, B], a: A, b: B
) -> None:
    scheduler.post(down.through_us(size, scheduler.now_us), hear, a, b)
