"""What we ask one peer for: ranges of logs, entries by id, and the place where a log parts.

One request for entries and one probe are under way at a time. What an answer did not bring forward is refused: it is
not asked for again until `forget_refusals`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import final

from latticework.wire import EntryId, LogId

from .logs import Head
from .params import SYNC_MAX_IDS_WAITING, SYNC_MAX_TARGETS, SYNC_MAX_WANT, SYNC_MAX_WANT_IDS
from .reconcile_events import ForkFound
from .reconcile_fork import Chains, ForkSearch
from .reconcile_messages import Hashes, Probe, Want, WantIds, WantRange
from .reconcile_round import HeadNames


@dataclass(slots=True)
class _Asked:
    """The request under way: entries come, `admitting` of them are with the driver, `ended` after the last."""

    message: Want | WantIds
    admitting: int = 0
    ended: bool = False
    failed: bool = False


@final
class Requests:
    """Our requests on one connection."""

    def __init__(self, heads: Mapping[LogId, Head], chains: Chains, names: HeadNames) -> None:
        self._heads = heads
        self._chains = chains
        self._names = names
        self._targets: dict[bytes, int] = {}
        self._refused: set[bytes] = set()
        self._ids: dict[EntryId, None] = {}
        self._ids_asked: set[EntryId] = set()
        self._asked: _Asked | None = None
        self._suspects: dict[LogId, int] = {}
        self._searched: set[LogId] = set()
        self._search: ForkSearch | None = None
        self._found: dict[EntryId, ForkFound] = {}
        self._reported: dict[LogId, ForkFound] = {}

    @property
    def busy(self) -> bool:
        """True while an answer with entries is under way."""
        return self._asked is not None

    @property
    def asked(self) -> frozenset[bytes]:
        """Names of the logs that the request under way is about."""
        if self._asked is None or not isinstance(self._asked.message, Want):
            return frozenset()
        return frozenset(wanted.log for wanted in self._asked.message.ranges)

    def forget_refusals(self) -> None:
        """Something changed, here or there: whatever was refused may be asked for once more."""
        self._refused.clear()
        self._ids_asked.clear()
        self._searched.clear()

    def replace_targets(self, lacking: Mapping[bytes, int]) -> None:
        """What the peer has shown in this round: the highest numbers of logs of which it holds more."""
        self._targets = dict(islice(lacking.items(), SYNC_MAX_TARGETS))

    def look_for(self, ids: Iterable[EntryId]) -> None:
        """Entries to fetch by id."""
        for entry in ids:
            if entry not in self._ids_asked and len(self._ids) + len(self._ids_asked) < SYNC_MAX_IDS_WAITING:
                self._ids[entry] = None

    def suspect(self, log: LogId, highest: int) -> None:
        """The peer's branch of `log` differs from ours at or below this number, perhaps."""
        if highest >= 0 and log not in self._searched:
            self._searched.add(log)
            self._suspects[log] = highest

    def next(self) -> list[Want | WantIds | Probe]:
        """What to send now."""
        due: list[Want | WantIds | Probe] = []
        if self._search is None and (probe := self._next_search()) is not None:
            due.append(probe)
        if self._asked is None:
            message = self._next_ids() or self._next_ranges()
            if message is not None:
                self._asked = _Asked(message)
                due.append(message)
        return due

    def on_entries(self, *, empty: bool, last: bool) -> bool:
        """True if the batch is to be admitted: we asked for it and there is something in it."""
        if self._asked is None or self._asked.ended:
            return False
        self._asked.ended = last
        self._asked.admitting += not empty
        return not empty

    def on_admitted(self, *, failed: bool) -> None:
        """The driver is done with one batch."""
        if self._asked is not None and self._asked.admitting:
            self._asked.admitting -= 1
            self._asked.failed |= failed

    def finish(self) -> list[ForkFound]:
        """Draw the sum of a request that has ended, if one has."""
        asked = self._asked
        if asked is None or not asked.ended or asked.admitting:
            return []
        self._asked = None
        if asked.failed:
            if isinstance(asked.message, WantIds):
                self._ids = dict.fromkeys(asked.message.ids) | self._ids
            return []
        if isinstance(asked.message, WantIds):
            self._ids_asked.update(asked.message.ids)
            return [found for entry in asked.message.ids if (found := self._found.pop(entry, None)) is not None]
        self._names.refresh(self._heads)
        for wanted in asked.message.ranges:
            self._weigh(wanted)
        return []

    def on_hashes(self, message: Hashes) -> tuple[list[Probe], list[ForkFound]]:
        """The answer to our probe: the next one, or a fork whose other branch was fetched before."""
        search = self._search
        if search is None or self._names.name(search.log) != message.log:
            return [], []
        if search.answer(message.ids) and (seqs := search.probe()):
            return [Probe(message.log, seqs)], []
        self._search = None
        if search.found is None:
            return [], []
        seq, ours, theirs = search.found
        found = ForkFound(search.log, seq, ours, theirs)
        if self._reported.get(search.log) == found:
            return [], []
        self._reported[search.log] = found
        self.look_for([theirs])
        if theirs not in self._ids:
            return [], [found]
        self._found[theirs] = found
        return [], []

    def _next_search(self) -> Probe | None:
        while self._suspects:
            log = next(iter(self._suspects))
            search = ForkSearch(self._chains, log, self._suspects.pop(log))
            if seqs := search.probe():
                self._search = search
                return Probe(self._names.name(log), seqs)
        return None

    def _next_ids(self) -> WantIds | None:
        ids = tuple(islice(self._ids, SYNC_MAX_WANT_IDS))
        for entry in ids:
            del self._ids[entry]
        return WantIds(ids) if ids else None

    def _next_ranges(self) -> Want | None:
        ranges: list[WantRange] = []
        if self._targets:
            self._names.refresh(self._heads)  # another connection may have brought some of it
        for name, last in list(self._targets.items()):
            log = self._names.log(name)
            head = None if log is None else self._heads.get(log)
            first = 0 if head is None else head.seq + 1
            if first > last:
                del self._targets[name]
            elif name not in self._refused and len(ranges) < SYNC_MAX_WANT:
                after = None if log is None or head is None else self._names.check(log, head.seq, head.id)
                ranges.append(WantRange(name, first, last, after))
        return Want(tuple(ranges)) if ranges else None

    def _weigh(self, wanted: WantRange) -> None:
        """Refuse what did not move, and look whether its chain is another one than ours."""
        log = self._names.log(wanted.log)
        head = None if log is None else self._heads.get(log)
        if head is not None and head.seq >= wanted.first:
            return
        self._refused.add(wanted.log)
        if log is not None and head is not None:
            self.suspect(log, head.seq)
