"""Shortest paths from many sources at once, by buckets of arrival time.

This is delta-stepping (Meyer and Sanders, J. Algorithms 49, 2003) on arrays. Nodes settle bucket by bucket; the nodes
of one bucket follow all their links in a few array operations, and those that are reached anew inside the same bucket
follow theirs again, until none is. Each link is followed once or little more, where sweeping all nodes until nothing
changes (Bellman-Ford) follows it some 26 times on a mesh of the world; any bucket width gives the same integers.

A state is `message * node_count + node`: states of several messages share buckets, since every message starts at 0.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticework.wire import LocalError

UNREACHED: Final = 2**31 - 1
"""The first arrival at a node that no copy reached: later than every real one."""
_SWEEP_STATES: Final = 1 << 13
"""States whose links are followed at once: half a MiB per array at 8 links. Measured: flat from 2^12 to 2^15."""
_BUCKETS_PER_DELAY: Final = 4
"""Buckets per mean delay of a link. Measured: 2 to 6 are alike; finer ones search oftener, wider ones follow again."""


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Where a node's copies go: `neighbours` and `delay_us` are int32[node_count, slot_count], no delay negative.

    `forwards`, bool[node_count], are the nodes whose links count; the sources' always do. `arrives`, bool[state_count,
    slot_count], are the links that count for each state. None means all.
    """

    neighbours: NDArray[np.int32]
    delay_us: NDArray[np.int32]
    forwards: NDArray[np.bool_] | None
    arrives: NDArray[np.bool_] | None


def first_arrivals(ways: Ways, sources: NDArray[np.int64], mean_delay_us: int) -> NDArray[np.int32]:
    """Microseconds by the shortest way from each source to each node, or `UNREACHED`: int32[source_count, node_count].

    `mean_delay_us` sets the width of buckets: it costs time if it is wrong, never a wrong result.

    Raises: LocalError if arrivals come within one bucket and one delay of 2^31 us.
    """
    node_count = len(ways.neighbours)
    width_us = min(max(1, mean_delay_us // _BUCKETS_PER_DELAY), UNREACHED // 2)
    last_us = UNREACHED - width_us - int(ways.delay_us.max())
    first = np.full(sources.size * node_count, UNREACHED, np.int32)
    states = np.arange(sources.size) * node_count + sources
    first[states] = 0
    _follow(first, ways, states, 0)
    start_us = 0
    while start_us <= last_us:
        # One comparison finds a whole bucket: below its start, the difference wraps to a large number.
        states = np.flatnonzero((first.view(np.uint32) - np.uint32(start_us)) < np.uint32(width_us))
        if not states.size:
            later = first[(first >= start_us) & (first < UNREACHED)]
            if not later.size:
                return first.reshape(sources.size, node_count)
            start_us = int(later.min())
            continue
        start_us += width_us
        while states.size:
            if ways.forwards is not None:
                states = states.compress(ways.forwards.take(states % node_count))
            states = _follow(first, ways, states, start_us)
    raise LocalError(f"arrivals after {max(0, last_us)} us: times end at {UNREACHED} us")


def _follow(first: NDArray[np.int32], ways: Ways, states: NDArray[np.int64], end_us: int) -> NDArray[np.int64]:
    """Follow the links of `states`, lowering `first`; the states that are now reached earlier, and before `end_us`."""
    again = [
        _sweep(first, ways, states[start : start + _SWEEP_STATES], end_us)
        for start in range(0, states.size, _SWEEP_STATES)
    ]
    return np.concatenate(again) if again else states


def _sweep(first: NDArray[np.int32], ways: Ways, states: NDArray[np.int64], end_us: int) -> NDArray[np.int64]:
    """`_follow` for few enough states for the cache."""
    # mode="wrap" all through: every index is in range, and checking that costs numpy up to a third of a gather.
    nodes = states % len(ways.neighbours)
    arrival = ways.delay_us.take(nodes, axis=0, mode="wrap")
    arrival += first.take(states, mode="wrap")[:, None]
    target = ways.neighbours.take(nodes, axis=0, mode="wrap") + (states - nodes)[:, None]
    arrival, target = arrival.reshape(-1), target.reshape(-1)
    earlier = arrival < first.take(target, mode="wrap")
    if ways.arrives is not None:
        earlier &= ways.arrives.take(states, axis=0, mode="wrap").reshape(-1)
    chosen = np.flatnonzero(earlier)
    arrival, target = arrival.take(chosen, mode="wrap"), target.take(chosen, mode="wrap")
    np.minimum.at(first, target, arrival)
    chosen = np.flatnonzero(arrival < end_us)
    arrival, target = arrival.take(chosen), target.take(chosen)
    return target.compress(first.take(target) == arrival)
