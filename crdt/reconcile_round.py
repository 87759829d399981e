"""One round of frontier reconciliation: which heads differ, found over a snapshot of the frontier.

A head that either side names is settled: both take its log out of their index before the next fingerprint. So a log
that moved from an old place to a new one does not spoil two ranges, and a message can mix names, ranges that are told
in full and fingerprints of the rest. The newest heads are named first, because differences are mostly recent; the
ranges are in order of age for the same reason (crdt-sync report 3.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, final

from blake3 import blake3

from latticework.wire import EntryId, LogId

from .logs import Head
from .params import (
    RANGE_PARTS,
    SYNC_CHECK_BYTES,
    SYNC_LIST_CHEAP_HEADS,
    SYNC_LIST_HEADS,
    SYNC_MAX_HEADS,
    SYNC_MAX_PARTS,
    SYNC_MAX_RANGES,
    SYNC_MAX_TARGETS,
    SYNC_NAME_BYTES,
    SYNC_NEWEST_HEADS,
    SYNC_RANGE_HEADS,
    SYNC_RECHECK_STEPS,
)
from .ranges import RangeIndex, salted_fingerprint, shortest_bound
from .reconcile_messages import HeadRange, Heads

_CLOCK_MAX = (1 << 64) - 1

type _Bounds = tuple[bytes, bytes | None]


class NamedHead(NamedTuple):
    """A head as it is told on one connection; `key` is its place in the order, newest first."""

    log: LogId
    seq: int
    id: EntryId
    name: bytes
    key: bytes
    digest: int
    check: bytes


@final
class HeadNames:
    """The keyed names of one connection for our logs and heads; kept, so that a round hashes only what changed."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._heads: dict[LogId, NamedHead] = {}
        self._logs: dict[bytes, LogId] = {}
        self._news: dict[LogId, None] = {}

    def refresh(self, heads: Mapping[LogId, Head]) -> None:
        """Take over the frontier."""
        for log, head in heads.items():
            known = self._heads.get(log)
            if known is None or known.id != head.id:
                named = self._named(log, head, None if known is None else known.name)
                self._heads[log] = named
                self._logs[named.name] = log
                self._news[log] = None
        if len(self._heads) > len(heads):
            for log in [log for log in self._heads if log not in heads]:
                del self._logs[self._heads.pop(log).name]

    def take_news(self) -> list[NamedHead]:
        """Heads that have changed since this was asked the last time."""
        news = [self._heads[log] for log in self._news if log in self._heads]
        self._news.clear()
        return news

    def all(self) -> list[NamedHead]:
        """The frontier as of the last `refresh`."""
        return list(self._heads.values())

    def log(self, name: bytes) -> LogId | None:
        """Our log of that name, as of the last `refresh`."""
        return self._logs.get(name)

    def name(self, log: LogId) -> bytes:
        """The name of any log."""
        known = self._heads.get(log)
        return blake3(log, key=self._key).digest(SYNC_NAME_BYTES) if known is None else known.name

    def check(self, log: LogId, seq: int, entry: EntryId) -> bytes:
        """The check of any entry, as it is told of a head."""
        return self._digest(log, seq, entry)[:SYNC_CHECK_BYTES]

    def _digest(self, log: LogId, seq: int, entry: EntryId) -> bytes:
        return blake3(log + seq.to_bytes(8) + entry, key=self._key).digest()

    def _named(self, log: LogId, head: Head, name: bytes | None) -> NamedHead:
        name = name or self.name(log)
        digest = self._digest(log, head.seq, head.id)
        key = (_CLOCK_MAX - head.hlc).to_bytes(8) + name
        return NamedHead(log, head.seq, head.id, name, key, int.from_bytes(digest), digest[:SYNC_CHECK_BYTES])


@dataclass(slots=True)
class _Reply:
    heads: list[NamedHead] = field(default_factory=list[NamedHead])
    listed: list[_Bounds] = field(default_factory=list[_Bounds])
    open: list[tuple[bytes, bytes | None, int]] = field(default_factory=list[tuple[bytes, bytes | None, int]])

    @property
    def room(self) -> int:
        return SYNC_MAX_HEADS - len(self.heads)


@final
class Round:
    """Our half of a round. `lacking` is what the peer has shown to hold beyond us, `forks` what contradicts ours.

    `news` are the heads that changed since a round that was completed, or None if there was none.
    """

    def __init__(self, heads: Sequence[NamedHead], news: Sequence[NamedHead] | None) -> None:
        self._news = news if news is not None and len(news) <= SYNC_NEWEST_HEADS else None
        self._heads = {head.name: head for head in heads}
        self._by_key = {head.key: head for head in heads}
        self._index = RangeIndex((head.key, head.digest) for head in self._by_key.values())
        self._told: set[bytes] = set()
        self.lacking: dict[bytes, int] = {}
        self.forks: list[LogId] = []

    def open(self) -> tuple[Heads, tuple[HeadRange, ...]]:
        """The first step: the news if the peer knows the rest, or else the newest heads; and one fingerprint."""
        reply = _Reply()
        if self._news is not None:
            for head in self._news:
                self._tell(reply, head)
            reply.open.append((b"", None, 1))
        else:
            self._tell_within(reply, b"", None, SYNC_NEWEST_HEADS)
        return self._message(reply)

    def answer(
        self, step: int, heads: Heads, ranges: Sequence[HeadRange]
    ) -> tuple[Heads, tuple[HeadRange, ...]] | None:
        """The next step, to the step with this number; no ranges in it mean that nothing is left open.

        None for a message that breaks the rules.
        """
        count = len(heads.seqs)
        if len(heads.names) != count * SYNC_NAME_BYTES or len(heads.checks) != count * SYNC_CHECK_BYTES:
            return None
        if not _ascending(ranges):
            return None
        reply = _Reply()
        for at, seq in enumerate(heads.seqs):
            name = heads.names[at * SYNC_NAME_BYTES : (at + 1) * SYNC_NAME_BYTES]
            self._compare(reply, name, seq, heads.checks[at * SYNC_CHECK_BYTES : (at + 1) * SYNC_CHECK_BYTES])
        differing, agreed, in_full = self._weigh(ranges)
        answers = len(reply.heads)
        for lower, upper in in_full:
            self._tell_within(reply, lower, upper, reply.room, bare=True)
        if step == 0 and differing and self._tell_news(reply):
            reply.open += [(lower, upper, 1) for lower, upper in differing]
        elif len(differing) > 1 and not agreed and self._nearly_all(differing):
            for lower, upper in differing:
                self._tell_within(reply, lower, upper, reply.room)
        elif not self._explain(reply, step, differing, agreed, len(reply.heads) - answers):
            self._divide(reply, differing, coarsely=step == 0 and 0 < len(reply.heads) - answers < RANGE_PARTS)
        return self._message(reply)

    def _compare(self, reply: _Reply, name: bytes, seq: int, check: bytes) -> None:
        ours = self._heads.get(name)
        if ours is None:
            if len(self.lacking) < SYNC_MAX_TARGETS:
                self.lacking[name] = seq
            return
        self._index.discard(ours.key)
        if ours.seq < seq:
            self.lacking[name] = seq
        elif ours.check != check:
            if ours.seq == seq:
                self.forks.append(ours.log)
            if ours.name not in self._told:
                self._tell(reply, ours)

    def _weigh(self, ranges: Sequence[HeadRange]) -> tuple[list[_Bounds], list[_Bounds], list[_Bounds]]:
        """The ranges that differ, those that agree, and those of which the peer has told all."""
        weighed: tuple[list[_Bounds], list[_Bounds], list[_Bounds]] = ([], [], [])
        differing, agreed, in_full = weighed
        lower = b""
        for told_range in ranges:
            upper = told_range.upper or None
            if told_range.told:
                same = told_range.told == self._fingerprint(lower, upper)
                (agreed if same else differing).append((lower, upper))
            elif told_range.told is not None:
                in_full.append((lower, upper))
            if upper is not None:
                lower = upper
        return weighed

    def _tell_news(self, reply: _Reply) -> bool:
        """Name what changed since the last round and was not named; False if there is nothing."""
        before = len(reply.heads)
        for head in self._news or ():
            if reply.room and self._index.discard(head.key):
                self._tell(reply, head)
        return len(reply.heads) > before

    def _explain(self, reply: _Reply, step: int, differing: list[_Bounds], agreed: list[_Bounds], moved: int) -> bool:
        """Name our newest heads and fingerprint the other ranges once more, if names may explain why they differ.

        A log that grew stands in front with us and in its old place with the peer; its name takes it out of both. So
        we count what moved: what this reply names already, and what our newest range has beyond the average.
        """
        if len(differing) < 2 or step >= SYNC_RECHECK_STEPS:
            return False
        (lower, upper), others = differing[0], differing[1:]
        in_front = not self._index.span(b"", lower).size
        sizes = [self._index.span(*bounds).size for bounds in differing]
        if in_front:
            everything = sum(sizes) + sum(self._index.span(*bounds).size for bounds in agreed)
            moved += sizes[0] - everything // len(differing + agreed)
        else:
            others = differing
        # Comparing once more costs a message, listing costs bytes: the more of them, the weaker a hint suffices.
        weight = 2 if sum(sizes) <= SYNC_LIST_CHEAP_HEADS else 8
        if weight * moved < len(others):
            return False
        if in_front:
            self._tell_within(reply, lower, upper, reply.room)
        reply.open += [(low, up, 1) for low, up in others]
        return True

    def _nearly_all(self, differing: list[_Bounds]) -> bool:
        """True if these hold most of what is left: then nearly every head may differ, and cutting costs time."""
        return 2 * sum(self._index.span(lower, upper).size for lower, upper in differing) > len(self._index)

    def _divide(self, reply: _Reply, differing: list[_Bounds], *, coarsely: bool) -> None:
        """List short ranges, cut long ones; into few parts where names in the same message may be all that differed."""
        for lower, upper in differing:
            count = self._index.span(lower, upper).size
            if count <= min(SYNC_LIST_HEADS, reply.room):
                self._tell_within(reply, lower, upper, count)
            else:
                fine = max(RANGE_PARTS, min(SYNC_MAX_PARTS, count // SYNC_RANGE_HEADS))
                reply.open.append((lower, upper, RANGE_PARTS if coarsely else fine))

    def _tell_within(self, reply: _Reply, lower: bytes, upper: bytes | None, count: int, *, bare: bool = False) -> None:
        """Name our newest `count` heads of a range; a remainder stays open. `bare`: the peer has none left there."""
        keys = list(islice(self._index.keys(lower, upper), count + 1))
        for key in keys[:count]:
            self._tell(reply, self._by_key[key])
        middle = shortest_bound(keys[count - 1], keys[count]) if 0 < count < len(keys) else lower
        if len(keys) <= count:
            if not bare:
                reply.listed.append((lower, upper))
            return
        if middle != lower and not bare:
            reply.listed.append((lower, middle))
        reply.open.append((middle, upper, 1))

    def _tell(self, reply: _Reply, head: NamedHead) -> None:
        self._index.discard(head.key)
        self._told.add(head.name)
        reply.heads.append(head)

    def _fingerprint(self, lower: bytes, upper: bytes | None) -> bytes:
        return salted_fingerprint(self._index.span(lower, upper))

    def _message(self, reply: _Reply) -> tuple[Heads, tuple[HeadRange, ...]]:
        parts: list[tuple[bytes, bytes | None, bytes]] = [(lower, upper, b"") for lower, upper in reply.listed]
        for lower, upper, count in reply.open:
            parts += self._cut(lower, upper, count)
        ranges: list[HeadRange] = []
        at: bytes | None = b""
        for lower, upper, told in sorted(parts, key=lambda part: part[0]):
            if len(ranges) >= SYNC_MAX_RANGES - 2:
                ranges.append(HeadRange(b"", self._fingerprint(at or b"", None)))
                break
            if lower != at:
                ranges.append(HeadRange(lower, None))
            ranges.append(HeadRange(upper or b"", told))
            at = upper
        heads = reply.heads
        columns = Heads(
            b"".join(head.name for head in heads),
            tuple(head.seq for head in heads),
            b"".join(head.check for head in heads),
        )
        return columns, tuple(ranges)

    def _cut(self, lower: bytes, upper: bytes | None, parts: int) -> list[tuple[bytes, bytes | None, bytes]]:
        cut: list[tuple[bytes, bytes | None, bytes]] = []
        if 1 < parts <= self._index.span(lower, upper).size:
            for before, after in self._index.cuts(lower, upper, parts):
                bound = shortest_bound(before, after)
                cut.append((lower, bound, self._fingerprint(lower, bound)))
                lower = bound
        return [*cut, (lower, upper, self._fingerprint(lower, upper))]


def _ascending(ranges: Sequence[HeadRange]) -> bool:
    """True if bounds ascend, infinity comes last, and each range tells what a range may."""
    lower = b""
    for at, told_range in enumerate(ranges):
        if told_range.told is not None and len(told_range.told) not in {0, 16}:
            return False
        if told_range.upper == b"":
            return at == len(ranges) - 1
        if told_range.upper <= lower:
            return False
        lower = told_range.upper
    return True
