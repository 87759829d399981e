"""Containment: what of a convicted log keeps its effect, as a pure function of the entries and proofs (report 3.8).

Below the fork everything stays. From the fork on, an entry keeps its effect only if it is *settled*: a majority of the
devices that take part, without the author's own, has named it or a later entry of its branch in a checkpoint (decision
26). Where no other device takes part, the author's checkpoints count: they carry the device's composite signature,
which whoever stole the log key cannot make. Everything else is void for effect and kept for structure, so honest
entries that depend on it stay valid. When a replica learnt of the fork never enters the rule, so replicas agree in any
order of discovery.

A device that opened its log with such a word already in its past is not asked about what that word covers: it may
confirm, its silence is no doubt. Otherwise every device that joins would make settled history less settled.

Only checkpoints below their own log's fork count. That keeps the rule free of circles: where a log's fork is depends on
proofs alone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, final

from latticework.wire import DeviceId, EntryId, LogId

from .statements import Conviction


class Attested(NamedTuple):
    """An entry that `device` has named in a checkpoint; `later` opened their logs with that in their past."""

    device: DeviceId
    entry: EntryId
    later: frozenset[DeviceId]


class Contested(NamedTuple):
    """An admitted entry of a convicted log, at or above its fork."""

    entry: EntryId
    seq: int
    prev: EntryId | None


@final
@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one convicted log."""

    fork: int
    settled: EntryId | None
    void: frozenset[EntryId]


@final
class Convictions:
    """The convictions of one space: per log the one with the lowest number, whatever came first."""

    def __init__(self) -> None:
        self._by_log: dict[LogId, Conviction] = {}

    def add(self, conviction: Conviction) -> bool:
        """True if it says more than was known."""
        known = self._by_log.get(conviction.log)
        if known is not None and known.seq <= conviction.seq:
            return False
        self._by_log[conviction.log] = conviction
        return True

    def fork(self, log: LogId) -> int | None:
        """From which number on `log` cannot be trusted; None while it is in good standing."""
        conviction = self._by_log.get(log)
        return None if conviction is None else conviction.seq

    def contests(self, log: LogId, seq: int) -> bool:
        """True when entry `seq` of `log` stands at or above the fork."""
        conviction = self._by_log.get(log)
        return conviction is not None and seq >= conviction.seq

    def __iter__(self) -> Iterator[Conviction]:
        return iter(sorted(self._by_log.values(), key=lambda conviction: conviction.log))

    def __len__(self) -> int:
        return len(self._by_log)

    def __contains__(self, log: object) -> bool:
        return log in self._by_log


def judge(
    fork: int,
    author: Callable[[EntryId], DeviceId | None],
    participants: Collection[DeviceId],
    contested: Collection[Contested],
    attested: Iterable[Attested],
) -> Judgement:
    """What of one convicted log is void.

    Args:
        fork: the log's lowest convicted number.
        author: the device that writes the branch whose lowest contested entry is given; None if not known.
        participants: the devices on the roster that have opened a log in good standing in this space.
        contested: every admitted entry of the log at or above `fork`.
        attested: what checkpoints of any device say about these entries.
    """
    by_id = {entry.entry: entry for entry in contested}
    words: dict[EntryId, _Words] = {}
    for device, named, later in attested:
        for identifier in _branch_below(by_id, named):
            word = words.setdefault(identifier, _Words())
            if device in word.given and later <= word.later:
                break  # So it is all the way down.
            word.given.add(device)
            word.later |= later
    roots: dict[EntryId, EntryId] = {}
    for entry in sorted(contested, key=lambda entry: entry.seq):
        roots[entry.entry] = entry.entry if entry.prev is None else roots.get(entry.prev, entry.entry)
    highest_first = sorted((by_id[entry] for entry in words), key=lambda entry: (-entry.seq, entry.entry))
    settled = next((e for e in highest_first if words[e.entry].settle(participants, author(roots[e.entry]))), None)
    kept = frozenset[EntryId]() if settled is None else frozenset(_branch_below(by_id, settled.entry))
    return Judgement(fork, None if settled is None else settled.entry, frozenset(by_id) - kept)


@dataclass(slots=True)
class _Words:
    """Who has named an entry or a later one, and who joined with that in his past."""

    given: set[DeviceId] = field(default_factory=set[DeviceId])
    later: set[DeviceId] = field(default_factory=set[DeviceId])

    def settle(self, participants: Collection[DeviceId], author: DeviceId | None) -> bool:
        electors = {d for d in participants if d != author and (d in self.given or d not in self.later)}
        if not electors:
            return author in self.given
        return 2 * len(self.given & electors) > len(electors)


def _branch_below(by_id: Mapping[EntryId, Contested], top: EntryId) -> Iterable[EntryId]:
    current = by_id.get(top)
    while current is not None:
        yield current.entry
        current = None if current.prev is None else by_id.get(current.prev)
