"""Tier C's scheduler: a bucket queue that runs events in exact order of (time, sequence).

Events wait in buckets of 1.024 ms by their time; a bucket is sorted once, in C, when its turn comes, which replaces a
heap operation for each event (simnet report, "Scheduler (tier C)": 1.7 times a heap). That alone is right only while
no event is scheduled into the bucket that runs, so such events (links shorter than a bucket, timers) wait in a heap
beside it, and both are merged. The order is that of one heap over all events, whatever the bucket's width.

A callback gets the time and two arguments, because an event is one flat tuple; what the two mean is the caller's.
Copies of a message to many nodes have targets: a delay and a node's number in one integer, which the sender keeps per
link, so that a copy costs one tuple and touches no memory of the receiver's before it arrives.
"""

import gc
from collections.abc import Callable, Iterable
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Final, Never, final

BUCKET_BITS: Final = 10
"""A bucket is 2**10 us: below the shortest latency between regions, 2 ms, so that the heap stays nearly empty."""

NUMBER_BITS: Final = 24
"""Of a target: the lowest bits are the number of the node."""
NUMBER_MASK: Final = (1 << NUMBER_BITS) - 1

type Callback[A, B] = Callable[[int, A, B], None]
"""(time of the event, and what was given when it was scheduled)."""
type _Event = tuple[int, int, Callable[[int, Never, Never], None], object, object]
"""(time, sequence, callback, and its arguments, which were of the callback's types when they were given)."""


def target_of(delay_us: int, number: int) -> int:
    """What `post_each` wants for a link of that delay to the node of that number."""
    return delay_us << NUMBER_BITS | number


@final
class Timer:
    """A scheduled call that can be called off."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do nothing when the time comes; nothing happens if it has come."""
        self._call = None

    def fire(self, _now_us: int, _a: object, _b: object) -> None:
        """Make the call, unless it was called off; for the scheduler."""
        if self._call is not None:
            self._call()


@final
class BucketScheduler:
    """Virtual time and what is to happen in it; `now_us` is the time of the event that runs."""

    __slots__ = ("_buckets", "_keys", "_near", "_open", "_sequence", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self._buckets: dict[int, list[_Event]] = {}
        self._keys: list[int] = []
        self._near: list[_Event] = []
        self._open = 0
        """No event of this bucket or an earlier one is in `_buckets`."""
        self._sequence = 0

    def __len__(self) -> int:
        """Events that wait; those called off among them."""
        return len(self._near) + sum(map(len, self._buckets.values()))

    def post[A, B](self, at_us: int, callback: Callback[A, B], a: A, b: B) -> None:
        """Call `callback(at_us, a, b)` at `at_us`; what is past already happens now. The quickest way in."""
        self._sequence += 1
        bucket = self._buckets.get(at_us >> BUCKET_BITS)
        if bucket is not None:
            bucket.append((at_us, self._sequence, callback, a, b))
        else:
            self._begin((at_us, self._sequence, callback, a, b))

    def post_each[B](self, targets: Iterable[int], callback: Callback[int, B], b: B) -> None:
        """For each target call `callback(its time, target, b)`: one call for all copies of a message."""
        buckets, sequence, now_us = self._buckets, self._sequence, self.now_us
        for target in targets:
            sequence += 1
            at_us = now_us + (target >> 24)  # literals: BUCKET_BITS and the other would be looked up for each copy
            bucket = buckets.get(at_us >> 10)
            if bucket is not None:
                bucket.append((at_us, sequence, callback, target, b))
            else:
                self._begin((at_us, sequence, callback, target, b))
        self._sequence = sequence

    def at[*Ts](self, at_us: int, callback: Callable[[*Ts], None], *arguments: *Ts) -> Timer:
        """Call `callback(*arguments)` at `at_us`, or now if that is past, unless the timer is cancelled."""
        timer = Timer(partial(callback, *arguments))
        self.post(at_us, timer.fire, None, None)
        return timer

    def run(self, until_us: int) -> int:
        """Run every event up to and including `until_us`, which is the time afterwards; the number of events.

        The cyclic garbage collector waits meanwhile: with millions of events alive it would look through all of them
        again and again (it was a third of the time at 10,000 nodes), and events form no cycles.
        """
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._run(until_us)
        finally:
            if collecting:
                gc.enable()

    def _run(self, until_us: int) -> int:
        keys, last, ran = self._keys, until_us >> BUCKET_BITS, self._run_near(until_us)
        while keys and keys[0] <= last:
            self._open = heappop(keys)
            bucket = self._buckets.pop(self._open)
            bucket.sort()
            ran += self._run_bucket(bucket) if self._open < last else self._run_last(bucket, until_us)
        self._open = max(self._open, last)
        self.now_us = max(self.now_us, until_us)
        return ran

    def _run_bucket(self, bucket: list[_Event]) -> int:
        near, ran = self._near, len(bucket)
        for at_us, _, callback, a, b in bucket:
            # What is near was scheduled since the bucket was opened, so at equal times it comes later.
            if near and near[0][0] < at_us:
                ran += self._run_near(at_us - 1)
            self.now_us = at_us
            callback(at_us, a, b)  # type: ignore[arg-type]  # they were given together
        return ran + self._run_near((self._open + 1 << BUCKET_BITS) - 1)

    def _run_last(self, bucket: list[_Event], until_us: int) -> int:
        """The bucket in which the run ends: what is later stays."""
        self._near += bucket
        heapify(self._near)
        return self._run_near(until_us)

    def _run_near(self, until_us: int) -> int:
        near, ran = self._near, 0
        while near and near[0][0] <= until_us:
            at_us, _, callback, a, b = heappop(near)
            ran += 1
            self.now_us = at_us
            callback(at_us, a, b)  # type: ignore[arg-type]  # they were given together
        return ran

    def _begin(self, event: _Event) -> None:
        """A new bucket, or the heap beside the open one."""
        key = event[0] >> BUCKET_BITS
        if key > self._open:
            self._buckets[key] = [event]
            heappush(self._keys, key)
        else:
            heappush(self._near, (max(event[0], self.now_us), *event[1:]))
