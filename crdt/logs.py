"""Admission: which entries may enter the logs of a space, in which order, and what waits.

An entry is admitted once its predecessor and its dependencies are. The verdict depends on the entry's causal past
alone; the local clock may delay an entry from the far future, never refuse one (Kleppmann, "Making CRDTs Byzantine
Fault Tolerant", 2022). What waits is bounded per sender, so that nobody can fill our memory with orphans.

Two entries under one number convict their log. From the fork on, its entries are admitted only where an entry of a log
in good standing depends on them: they keep the graph whole, and the equivocator can add nothing by itself, not even
with log keys made up for the purpose.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

from latticework.wire import EntryId, LogId, SpaceId, encode

from .causality import Causality, Spot
from .containment import Contested, Convictions
from .entry import LANE_LOG, LANE_MERGE, STATE_LANES, Body, Entry, Envelope, signature_verifies
from .hlc import hlc_us
from .orphans import Orphans
from .params import MAX_CLOCK_AHEAD_US, MAX_SEQ
from .statements import Conviction, FraudKind, prove_fork


class Position(NamedTuple):
    """Where an admitted entry stands."""

    log: LogId
    seq: int
    hlc: int


class Head(NamedTuple):
    """The newest entry of a log."""

    seq: int
    id: EntryId
    hlc: int


class Positions(Protocol):
    """Looks up admitted entries; the entry store of the node, or a dict in tests."""

    def position(self, entry: EntryId) -> Position | None:
        """Where `entry` stands, or None if it was never admitted."""
        ...

    def entry(self, entry: EntryId) -> Entry | None:
        """The admitted entry itself."""
        ...

    def entries_from(self, log: LogId, seq: int, last: int = MAX_SEQ) -> Sequence[Entry]:
        """Admitted entries of `log` with numbers from `seq` to `last`, of all branches, in admission order."""
        ...


@dataclass(frozen=True, slots=True)
class Admitted:
    """The entry extends its log."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Waiting:
    """The entry waits: for the entry `missing`, or until `due_us` when its clock is ahead of ours."""

    entry: EntryId
    missing: EntryId | None
    due_us: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The entry is not admitted: whoever made it is wrong, or it is of no use as things stand."""

    entry: EntryId
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """The payload of an entry that we had admitted without one."""

    entry: Entry


type Verdict = Admitted | Waiting | Refused | Filled | Conviction
_UNNEEDED = "its log is convicted of equivocation"


@final
class Logs:
    """The logs of one space: their heads, and the entries that wait.

    `heads` is what peers are told: the newest entry of each log, or of a convicted one the last below its fork. `holes`
    are the entries whose payload is missing and would change the state, `bare` the others without one.
    """

    def __init__(self, space: SpaceId, positions: Positions) -> None:
        self._space = space
        self._positions = positions
        self._orphans = Orphans()
        self._fresh: dict[EntryId, Entry] = {}
        self._aside: dict[EntryId, tuple[Entry, bytes]] = {}
        self._needed: set[EntryId] = set()
        self._head_of: dict[EntryId, LogId] = {}
        self.heads: dict[LogId, Head] = {}
        self.causality = Causality()
        self.convictions = Convictions()
        self.contested: dict[LogId, dict[EntryId, Contested]] = {}
        self.holes: set[EntryId] = set()
        self.bare: set[EntryId] = set()

    def position(self, entry: EntryId) -> Position | None:
        """Where an admitted entry stands; knows what was admitted and is not committed yet."""
        if (fresh := self._fresh.get(entry)) is not None:
            return _position(fresh)
        if (log := self._head_of.get(entry)) is not None:
            head = self.heads[log]
            return Position(log, head.seq, head.hlc)
        return self._positions.position(entry)

    def entry(self, entry: EntryId) -> Entry | None:
        """An admitted entry."""
        return self._fresh.get(entry) or self._positions.entry(entry)

    def spot(self, entry: EntryId) -> Spot | None:
        """Where an admitted entry stands in the causal graph."""
        position = self.position(entry)
        return None if position is None else self.causality.spot(entry, position.log, position.seq)

    def is_below(self, later: EntryId, earlier: EntryId) -> bool:
        """True when the admitted entry `earlier` is in the past of `later`, or is it."""
        one, other = self.spot(later), self.spot(earlier)
        return one is not None and other is not None and self.causality.covers(one, other)

    def below(self, later: EntryId) -> Callable[[EntryId], bool]:
        """`is_below` for many entries: what is in the past of `later`, or is it."""
        spot = self.spot(later)
        reach = {} if spot is None else self.causality.reach(spot)

        def covers(entry: EntryId) -> bool:
            earlier = self.spot(entry)
            return earlier is not None and reach.get(earlier.chain, -1) >= earlier.seq

        return covers

    def restore(self, entry: Entry) -> list[Conviction]:
        """Take an entry that was admitted in an earlier run, in admission order."""
        other = self._other_at(entry)
        verdict = None if other is None else self._convict_by(other, entry)
        self._take(entry)
        return [verdict] if isinstance(verdict, Conviction) else []

    def take_own(self, entry: Entry) -> None:
        """Take an entry that we wrote; it is known at once and must be committed next."""
        self._fresh[entry.id] = entry
        self._take(entry)

    def committed(self) -> None:
        """What was admitted so far can be looked up in the store."""
        self._fresh.clear()

    def offer(
        self,
        offered: Sequence[tuple[Entry, bytes]],
        now_us: int,
        allow: Callable[[Entry], str | None],
        vouch: Callable[[Entry], bool] = lambda _: False,
    ) -> list[Verdict]:
        """Judge entries, each with its sender, then whatever waited for them.

        `allow` has the last word on an entry that is otherwise admissible: a reason to refuse it, or None. It may keep
        what it learnt from an entry it allows, because that entry is admitted at once. `vouch` says of a log's first
        entry, before what it depends on is here, whether it is worth waiting for.
        """
        verdicts: list[Verdict] = []
        for item in offered:
            queue = deque([item])
            while queue:
                current, sender = queue.popleft()
                verdict = self._judge(current, now_us, allow)
                match verdict:
                    case Admitted():
                        self._fresh[current.id] = current
                        self._take(current)
                        queue += self._orphans.release(current.id)
                    case Waiting():
                        verdict, called = self._hold(current, sender, verdict, vouch)
                        queue += called
                    case Conviction():
                        # Convicted or not, an honest entry may need this one.
                        queue.appendleft((current, sender))
                    case Refused() if verdict.reason == _UNNEEDED:
                        self._aside[current.id] = (current, sender)
                        continue
                    case Refused() | Filled() | None:
                        pass
                if verdict is not None:
                    verdicts.append(verdict)
        verdicts += [Refused(entry, _UNNEEDED) for entry in self._aside]
        self._aside, self._needed = {}, set()
        return verdicts

    def convict(self, conviction: Conviction) -> bool:
        """Take a verified proof; False when it says nothing new. The log's head goes back below the fork."""
        log, fork = conviction.log, conviction.seq
        before = self.convictions.fork(log)
        last = MAX_SEQ if before is None else before - 1
        if not self.convictions.add(conviction):
            return False
        # What stands above an earlier fork is known: many convictions of one log, each lower, cost no more than one.
        above = list(self._positions.entries_from(log, fork, last))
        known = {entry.id for entry in above}
        fresh = (e for e in self._fresh.values() if e.body.author == log and fork <= e.body.seq <= last)
        above += [e for e in fresh if e.id not in known]
        self.contested[log] = {entry.id: _contested(entry) for entry in above} | self.contested.get(log, {})
        head = self.heads.get(log)
        if head is not None and head.seq >= fork:
            self._set_head(log, None)
            below = min(above, key=lambda entry: entry.body.seq, default=None)
            prev = None if below is None or below.body.prev is None else self.position(below.body.prev)
            if below is not None and below.body.prev is not None and prev is not None:
                self._set_head(log, Head(prev.seq, below.body.prev, prev.hlc))
        return True

    def missing(self) -> list[EntryId]:
        """Entries that others wait for and nobody has sent."""
        return self._orphans.missing()

    def due(self, now_us: int) -> list[tuple[Entry, bytes]]:
        """Take out the entries whose clock we have caught up with, each with its sender, to offer again."""
        return self._orphans.take_if(lambda entry, missing: missing is None and not _ahead(entry, now_us))

    def forget_sender(self, sender: bytes) -> None:
        """Drop what `sender` left waiting: its connection ended."""
        self._orphans.forget_sender(sender)

    def is_waiting(self, entry: EntryId) -> bool:
        """True while an entry waits."""
        return self._orphans.holds(entry)

    def waiting_count(self) -> int:
        """Entries that wait."""
        return self._orphans.count()

    def _judge(self, entry: Entry, now_us: int, allow: Callable[[Entry], str | None]) -> Verdict | None:
        body = entry.body
        if not self._is_next(body):
            if self.position(entry.id) is not None:
                return self._fill(entry)
            if (other := self._other_at(entry)) is not None:
                return self._convict_by(other, entry)
        if self.convictions.contests(body.author, body.seq) and not self._is_needed(entry.id):
            return Refused(entry.id, _UNNEEDED)
        floor = 0
        if body.prev is not None:
            prev = self.position(body.prev)
            if prev is None:
                return Waiting(entry.id, body.prev, 0)
            if prev.log != body.author or prev.seq + 1 != body.seq:
                return Refused(entry.id, "its predecessor is not the one before it in its log")
            floor = prev.hlc
        for dep in body.deps:
            position = self.position(dep)
            if position is None:
                return Waiting(entry.id, dep, 0)
            if position.log == body.author:
                return Refused(entry.id, "it depends on its own log")
            floor = max(floor, position.hlc)
        if body.hlc <= floor:
            return Refused(entry.id, "its clock is not ahead of what it depends on")
        if _ahead(entry, now_us):
            return Waiting(entry.id, None, hlc_us(body.hlc) - MAX_CLOCK_AHEAD_US)
        if reason := allow(entry):
            return Refused(entry.id, reason)
        return Admitted(entry)

    def _is_next(self, body: Body) -> bool:
        """True for what every log in good standing gets most: the number after its head, which cannot be known."""
        head = self.heads.get(body.author)
        return body.author not in self.convictions and body.seq == (0 if head is None else head.seq + 1)

    def _take(self, entry: Entry) -> None:
        body = entry.body
        spots = [spot for dep in body.deps if (spot := self.spot(dep)) is not None]
        builds = body.lane not in {LANE_LOG, LANE_MERGE}
        self.causality.admit(entry.id, body.author, body.seq, body.prev, spots, builds=builds)
        if entry.envelope.payload is None:
            (self.holes if body.lane in STATE_LANES else self.bare).add(entry.id)
        if self.convictions.contests(body.author, body.seq):
            self.contested[body.author][entry.id] = _contested(entry)
        else:
            self._set_head(body.author, Head(body.seq, entry.id, body.hlc))

    def _set_head(self, log: LogId, head: Head | None) -> None:
        old = self.heads.pop(log, None)
        if old is not None:
            del self._head_of[old.id]
        if head is not None:
            self.heads[log] = head
            self._head_of[head.id] = log

    def _fill(self, entry: Entry) -> Verdict | None:
        bare = self.entry(entry.id) if entry.id in self.holes or entry.id in self.bare else None
        if entry.envelope.payload is None or bare is None:
            return None
        # Its own signature stays: the one that came along may never have been checked.
        envelope = Envelope(entry.envelope.body, bare.envelope.signature, entry.envelope.payload)
        entry = Entry(entry.id, entry.body, envelope)
        self.holes.discard(entry.id)
        self.bare.discard(entry.id)
        self._fresh[entry.id] = entry
        return Filled(entry)

    def _other_at(self, entry: Entry) -> Entry | None:
        """Another entry under the number of this one, in a log that is not convicted there yet."""
        body = entry.body
        head = self.heads.get(body.author)
        if head is None or head.seq < body.seq or self.convictions.contests(body.author, body.seq):
            return None
        fresh = (e for e in self._fresh.values() if e.body.author == body.author and e.body.seq == body.seq)
        stored = self._positions.entries_from(body.author, body.seq, body.seq)
        return next((e for source in (fresh, stored) for e in source if e.id != entry.id), None)

    def _convict_by(self, one: Entry, other: Entry) -> Verdict:
        # An entry that came inside a chain may have a signature that nobody has checked yet.
        if not (signature_verifies(one) and signature_verifies(other)):
            return Refused(other.id, "another entry has its number, and a signature that does not verify")
        proof = encode(prove_fork(self._space, one, other))
        conviction = Conviction(one.body.author, one.body.seq, FraudKind.FORK, proof)
        self.convict(conviction)
        return conviction

    def _is_needed(self, entry: EntryId) -> bool:
        return entry in self._needed or self._orphans.is_awaited(entry)

    def _hold(
        self, entry: Entry, sender: bytes, verdict: Waiting, vouch: Callable[[Entry], bool]
    ) -> tuple[Verdict | None, list[tuple[Entry, bytes]]]:
        body = entry.body
        vital = (
            body.author in self.heads
            or self.convictions.contests(body.author, body.seq)
            or (body.seq == 0 and vouch(entry))
        )
        outcome, awaited = self._orphans.hold(entry, sender, verdict.missing, vital=vital)
        match outcome:
            case "held":
                return verdict, self._called(awaited)
            case "known":
                return None, self._called(awaited)
            case "full":
                return Refused(entry.id, "its sender keeps too many entries waiting"), []

    def _called(self, awaited: list[EntryId]) -> list[tuple[Entry, bytes]]:
        """What was put aside and is needed after all: `awaited` and its past, in the order in which it came."""
        queue: list[EntryId | None] = [*awaited]
        wanted: set[EntryId] = set()
        while queue:
            identifier = queue.pop()
            if identifier is not None and identifier in self._aside and identifier not in wanted:
                wanted.add(identifier)
                body = self._aside[identifier][0].body
                queue += [*body.deps, body.prev]
        self._needed |= wanted
        return [self._aside.pop(identifier) for identifier in list(self._aside) if identifier in wanted]


def _position(entry: Entry) -> Position:
    return Position(entry.body.author, entry.body.seq, entry.body.hlc)


def _contested(entry: Entry) -> Contested:
    return Contested(entry.id, entry.body.seq, entry.body.prev)


def _ahead(entry: Entry, now_us: int) -> bool:
    return hlc_us(entry.body.hlc) > now_us + MAX_CLOCK_AHEAD_US
