"""Links of tier C: when a message of one node reaches another, if it does.

A message is one event, whatever its size. Latency is fixed per link; what a scenario adds (jitter, loss, bursts,
reordering, duplicates, corruption) is drawn per message from (seed, source, destination, count), so that leaving out a
node or a message between others shifts nothing. Nothing is drawn for a share that is 0. Between two nodes messages
stay in order, as on the stream they stand for, unless they are reordered. A protocol that cannot do with less than a
stream asks for `stream_arrival_us` instead, which loses nothing.

Uplinks and downlinks are token buckets with bounded queues: of messages sent together, the i-th leaves at exactly
i * size / rate (check V13 of the simnet report), and one that finds no room is dropped. Draws are splitmix64, which is
not cryptographic (`draws`).
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, final

from latticework.wire import LocalError, Rng

from ..draws import below, draw, key_from, threshold
from ..link import MAX_LOSSES, MIN_RETRANSMIT_US
from ..regions import LIBP2P_REGIONS, Regions, read_regions
from ..scenario import Group, Links
from ..workload import Workload
from .scheduler import NUMBER_BITS, NUMBER_MASK, target_of

LAN: Final = Regions(("lan",), (1,), ((500,),))
"""One switched network: half a millisecond between any two devices, plus jitter; chosen here."""
_SECOND_US: Final = 1_000_000
# One stream of draws per purpose and link; any different numbers would do.
_JITTER, _LOSS, _BURST, _BURST_LOSS, _CORRUPT, _DUPLICATE, _REORDER, _BACK = range(1, 9)


def regions_of(links: Links) -> Regions:
    """The regions that `links` names; raises LocalError if it is a file that holds none."""
    match links.regions:
        case "internet":
            return LIBP2P_REGIONS
        case "lan":
            return LAN
        case path:
            return read_regions(Path(path))


@final
class TokenBucket:
    """A line of `rate` bytes per second with room for `queue_bytes` that wait, the message on its way included."""

    __slots__ = ("_bytes", "_queue_bytes", "_rate", "_since_us", "dropped")

    def __init__(self, rate: int, queue_bytes: int) -> None:
        self._rate = rate
        self._queue_bytes = queue_bytes
        self._since_us = 0
        self._bytes = 0
        """Bytes accepted since `_since_us`, without a pause: a sum, so that rounding does not add up."""
        self.dropped = 0

    def pass_us(self, size: int, now_us: int) -> int | None:
        """When the last byte is through; None if the queue is full. An idle line takes a message of any size."""
        waiting = self._waiting(now_us)
        if waiting > 0 and waiting + size > self._queue_bytes:
            self.dropped += 1
            return None
        return self.through_us(size, now_us)

    def through_us(self, size: int, now_us: int) -> int:
        """As `pass_us`, but with room for everything: of a stream it is the sender that waits."""
        if self._waiting(now_us) <= 0:
            self._since_us, self._bytes = now_us, 0
        self._bytes += size
        return self._since_us + self._bytes * _SECOND_US // self._rate

    def _waiting(self, now_us: int) -> int:
        return self._bytes - (now_us - self._since_us) * self._rate // _SECOND_US


@dataclass(slots=True, eq=False)
class _Path:
    """One direction between two nodes."""

    key: int
    latency_us: int
    spread: int
    """Jitter adds less than so many microseconds."""
    jitter_key: int
    count: int = 0
    last_us: int = 0
    in_burst: bool = False


@dataclass(frozen=True, slots=True)
class _Thresholds:
    loss: int
    burst_enter: int
    burst_leave: int
    burst_loss: int
    corrupt: int
    duplicate: int
    reorder: int

    @classmethod
    def of(cls, links: Links) -> "_Thresholds":
        shares = (links.loss, links.burst_enter, links.burst_leave, links.burst_loss)
        return cls(*map(threshold, (*shares, links.corrupt, links.duplicate, links.reorder)))

    @property
    def idle(self) -> bool:
        return not (self.loss or self.burst_enter or self.corrupt or self.duplicate or self.reorder)


@dataclass(eq=False)
class LinkCounters:
    """Messages (copies, that is) that did not arrive, by reason, and those that arrived twice or late."""

    lost: int = 0
    cut: int = 0
    queue_full: int = 0
    duplicated: int = 0
    reordered: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A partition: `side[node]` is 1 on one side of it; nothing passes to the other, nor back unless `one_way`."""

    side: bytes
    one_way: bool

    def stops(self, source: int, destination: int) -> bool:
        near, far = self.side[source], self.side[destination]
        return near != far and (not self.one_way or near == 1)


@final
class MessageLinks:
    """The links between all nodes of a run; `groups[n]` is node n's group.

    With a `workload`, latencies between its neighbours are those that it says.

    Raises:
        LocalError: the regions cannot be read.
    """

    def __init__(self, links: Links, groups: Sequence[Group], rng: Rng, workload: Workload | None = None) -> None:
        self._links = links
        self._shares = _Thresholds.of(links)
        self._regions = regions_of(links)
        self._base, self._fixed, place = key_from(rng), key_from(rng), key_from(rng)
        self.region = _placed(groups, self._regions, place)
        """Of each node, as a position in the names of `regions_of`."""
        self._given = {} if workload is None else _given(workload)
        self._paths: dict[int, _Path] = {}
        """By source and destination, in one number."""
        queue = links.queue_bytes
        self.up: dict[int, TokenBucket] = {n: TokenBucket(g.up, queue) for n, g in enumerate(groups) if g.up}
        self.down: dict[int, TokenBucket] = {n: TokenBucket(g.down, queue) for n, g in enumerate(groups) if g.down}
        self._cuts: list[Cut] = []
        self.counters: Final = LinkCounters()

    @property
    def quick(self) -> bool:
        """True while a message takes `latency_us` and nothing else can happen to it."""
        chance = self._links.jitter or not self._shares.idle
        return not (chance or self.up or self.down or self._cuts)

    def latency_us(self, source: int, destination: int) -> int:
        """The fixed latency of a direction; that of the way back is the same, unless the scenario's is uniform."""
        if self._given and (given_us := self._given.get((source, destination))) is not None:
            return given_us
        if self._links.uniform_us is not None:
            low, high = self._links.uniform_us
            base_us = low + below(draw(self._base, source), destination, high - low + 1)
        else:
            base_us = self._regions.latency_us[self.region[source]][self.region[destination]]
        if not self._links.jitter_us:
            return base_us
        near, far = (source, destination) if source < destination else (destination, source)
        return base_us + below(draw(self._fixed, near), far, self._links.jitter_us)

    def cut(self, cut: Cut) -> None:
        """Begin a partition; what is on its way arrives."""
        self._cuts.append(cut)

    def heal(self, cut: Cut) -> None:
        """End a partition."""
        self._cuts.remove(cut)

    def reachable(self, source: int, destination: int) -> bool:
        """Whether no partition is in the way."""
        return not any(cut.stops(source, destination) for cut in self._cuts)

    def arrivals_us(self, source: int, destination: int, size: int, now_us: int) -> tuple[int, ...]:
        """When the copies of a message get to the destination's downlink: usually one, none if it is lost."""
        uplink = self.up.get(source)
        leaves_us = now_us if uplink is None else uplink.pass_us(size, now_us)
        if leaves_us is None:
            self.counters.queue_full += 1
            return ()
        if self._cuts and not self.reachable(source, destination):
            self.counters.cut += 1
            return ()
        path = self._paths.get(source << NUMBER_BITS | destination) or self._open(source, destination)
        path.count += 1
        if self._shares.idle:
            return (self._in_order(path, leaves_us),)
        return self._by_chance(path, leaves_us)

    def on_their_way(self, source: int, targets: Sequence[int], size: int, now_us: int) -> list[int]:
        """Targets for the copies that will arrive, with their delays, of a message that a node sends to `targets`."""
        if self._cuts or self.up or not self._shares.idle:
            return [
                target_of(at_us - now_us, target & NUMBER_MASK)
                for target in targets
                for at_us in self.arrivals_us(source, target & NUMBER_MASK, size, now_us)
            ]
        # For jitter alone, which the published runs of gossipsub have: `arrivals_us` and `draw`, written out.
        found: list[int] = []
        paths, base = self._paths, source << NUMBER_BITS
        for target in targets:
            far = target & NUMBER_MASK
            path = paths.get(base | far) or self._open(source, far)
            path.count += 1
            z = (path.jitter_key + path.count * 0x9E37_79B9_7F4A_7C15) & 0xFFFF_FFFF_FFFF_FFFF
            z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & 0xFFFF_FFFF_FFFF_FFFF
            z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & 0xFFFF_FFFF_FFFF_FFFF
            at_us = now_us + path.latency_us + (path.spread * (z ^ (z >> 31)) >> 64)
            at_us = max(at_us, path.last_us)
            path.last_us = at_us
            found.append(at_us - now_us << NUMBER_BITS | far)
        return found

    def stream_arrival_us(self, source: int, destination: int, size: int, now_us: int) -> int:
        """When a message on a stream gets to the destination's downlink: in order, and late if it was lost.

        As on tier F: time-outs double, and after `MAX_LOSSES` it gets through. Partitions are the caller's part.
        """
        uplink = self.up.get(source)
        leaves_us = now_us if uplink is None else uplink.through_us(size, now_us)
        path = self._paths.get(source << NUMBER_BITS | destination) or self._open(source, destination)
        path.count += 1
        if not self._shares.idle:
            timeout_us = max(MIN_RETRANSMIT_US, 2 * path.latency_us)
            for attempt in range(MAX_LOSSES):
                if not self._is_lost(path):
                    break
                self.counters.lost += 1
                leaves_us += timeout_us << attempt
                path.count += 1
        return self._in_order(path, leaves_us)

    def through_downlink_us(self, destination: int, size: int, now_us: int) -> int | None:
        """When a message that is at a node's downlink now is through; None if it finds no room."""
        through_us = self.down[destination].pass_us(size, now_us)
        if through_us is None:
            self.counters.queue_full += 1
        return through_us

    def _open(self, source: int, destination: int) -> _Path:
        key, latency_us = draw(draw(self._base, source), destination), self.latency_us(source, destination)
        path = _Path(key, latency_us, int(latency_us * self._links.jitter) + 1, key ^ _JITTER)
        self._paths[source << NUMBER_BITS | destination] = path
        return path

    def _by_chance(self, path: _Path, leaves_us: int) -> tuple[int, ...]:
        shares, counters = self._shares, self.counters
        if self._is_lost(path):
            counters.lost += 1
            return ()
        if self._happens(path, _REORDER, shares.reorder):
            counters.reordered += 1
            # Held back by up to one more latency; what was sent later goes past it.
            arrives_us = leaves_us + self._travel_us(path) + self._drawn(path, _BACK, path.latency_us)
        else:
            arrives_us = self._in_order(path, leaves_us)
        if self._happens(path, _DUPLICATE, shares.duplicate):
            counters.duplicated += 1
            return arrives_us, arrives_us + self._drawn(path, _BACK, path.latency_us)
        return (arrives_us,)

    def _is_lost(self, path: _Path) -> bool:
        """By loss, in a burst (Gilbert-Elliott), or corrupt, which a typed message cannot be and arrive."""
        shares = self._shares
        if shares.burst_enter:
            turns = shares.burst_leave if path.in_burst else shares.burst_enter
            if self._happens(path, _BURST, turns):
                path.in_burst = not path.in_burst
            if path.in_burst and self._happens(path, _BURST_LOSS, shares.burst_loss):
                return True
        return self._happens(path, _LOSS, shares.loss) or self._happens(path, _CORRUPT, shares.corrupt)

    def _happens(self, path: _Path, purpose: int, share: int) -> bool:
        return bool(share) and draw(path.key ^ purpose, path.count) < share

    def _drawn(self, path: _Path, purpose: int, bound: int) -> int:
        return below(path.key ^ purpose, path.count, bound + 1)

    def _travel_us(self, path: _Path) -> int:
        return path.latency_us + (path.spread * draw(path.jitter_key, path.count) >> 64 if path.spread > 1 else 0)

    def _in_order(self, path: _Path, leaves_us: int) -> int:
        path.last_us = max(path.last_us, leaves_us + self._travel_us(path))
        return path.last_us


def _given(workload: Workload) -> dict[tuple[int, int], int]:
    return {(near, far): latency_us for near, links in enumerate(workload.links) for far, latency_us in links}


def _placed(groups: Sequence[Group], regions: Regions, key: int) -> bytes:
    """The region that each node's group names, or else one by population."""
    bounds = list(accumulate(regions.weights))
    named = {group.region for group in groups}
    if unknown := sorted(named - {"", *regions.names}):
        raise LocalError(f"there is no region {unknown[0]!r}; there is: {', '.join(regions.names)}")
    where = {name: regions.names.index(name) for name in sorted(named) if name}
    return bytes(
        where[group.region] if group.region else bisect(bounds, below(key, node, bounds[-1]))
        for node, group in enumerate(groups)
    )
