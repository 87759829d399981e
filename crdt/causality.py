"""Who had seen what: the happened-before relation of admitted entries, kept small.

Per pair of chains the direct dependencies are kept as two rising lists, so one dependency costs two integers and a
question about the past walks chains, not entries. A chain is a log, or from the fork on one branch of it; a fork thus
never blurs what an entry depends on. The relation is that of Lamport, "Time, Clocks, and the Ordering of Events", 1978.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, final

from latticework.wire import EntryId, LogId


class Spot(NamedTuple):
    """An entry's place: its chain and its number there."""

    chain: int
    seq: int


@dataclass(slots=True)
class _Steps:
    """From own number `at[i]` on, the chain depends directly on `seq[i]` of another."""

    at: list[int] = field(default_factory=list[int])
    seq: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class _Chain:
    log: LogId
    last: int
    tip: EntryId
    parent: Spot | None = None
    built: dict[int, int] = field(default_factory=dict[int, int])
    direct: dict[int, _Steps] = field(default_factory=dict[int, _Steps])


@final
class Causality:
    """The relation over the entries of one space; fed in admission order."""

    def __init__(self) -> None:
        self._chains: list[_Chain] = []
        self._trunk: dict[LogId, int] = {}
        self._aside: dict[EntryId, int] = {}

    def spot(self, entry: EntryId, log: LogId, seq: int) -> Spot:
        """Where an admitted entry stands."""
        return Spot(self._aside.get(entry, self._trunk.get(log, -1)), seq)

    def admit(
        self,
        entry: EntryId,
        log: LogId,
        seq: int,
        prev: EntryId | None,
        deps: Sequence[Spot],
        *,
        builds: bool = True,
    ) -> None:
        """Take an entry whose predecessor and dependencies were admitted; `builds` if it does more than name them."""
        number = self._chain_for(entry, log, seq, prev)
        chain = self._chains[number]
        chain.last, chain.tip = seq, entry
        for dep in deps:
            if builds:
                chain.built[dep.chain] = max(dep.seq, chain.built.get(dep.chain, -1))
            steps = chain.direct.setdefault(dep.chain, _Steps())
            if not steps.seq or steps.seq[-1] < dep.seq:
                steps.at.append(seq)
                steps.seq.append(dep.seq)

    def reach(self, spot: Spot) -> dict[int, int]:
        """Per chain the highest number in the past of the entry at `spot`, that entry included."""
        reach: dict[int, int] = {spot.chain: spot.seq}
        queue = [spot.chain]
        while queue:
            number = queue.pop()
            seq = reach[number]
            for other, steps in self._chains[number].direct.items():
                index = bisect_right(steps.at, seq)
                if index and reach.get(other, -1) < steps.seq[index - 1]:
                    reach[other] = steps.seq[index - 1]
                    queue.append(other)
        return reach

    def past(self, spot: Spot) -> Mapping[LogId, int]:
        """Per log the highest number in the past of the entry at `spot`, without that entry."""
        past: dict[LogId, int] = {}
        for number, seq in self.reach(spot).items():
            below = seq - 1 if number == spot.chain else seq
            if below >= 0:
                log = self._chains[number].log
                past[log] = max(past.get(log, -1), below)
        return past

    def covers(self, later: Spot, earlier: Spot) -> bool:
        """True when `earlier` is in the past of `later`, or is it."""
        return self.reach(later).get(earlier.chain, -1) >= earlier.seq

    def uncovered(self, by: Spot | None, *, but: LogId) -> list[EntryId]:
        """The last entry of each chain, those of the log `but` apart, that is not in the past of the entry at `by`."""
        reach = {} if by is None else self.reach(by)
        return [
            chain.tip
            for number, chain in enumerate(self._chains)
            if chain.log != but and reach.get(number, -1) < chain.last
        ]

    def built_on_both(self, log: LogId, fork: int) -> set[LogId]:
        """Other logs whose entries build directly on two branches of `log` at or above `fork`."""
        found: set[LogId] = set()
        for chain in self._chains:
            built = [
                Spot(*spot) for spot in chain.built.items() if self._chains[spot[0]].log == log and spot[1] >= fork
            ]
            if chain.log != log and not all(self._on_one_branch(a, b) for a, b in combinations(built, 2)):
                found.add(chain.log)
        return found

    def _on_one_branch(self, one: Spot, other: Spot) -> bool:
        return self._leads_to(one, other) or self._leads_to(other, one)

    def _leads_to(self, lower: Spot, upper: Spot | None) -> bool:
        # By predecessors alone: a branch may depend on another through the entries of other logs.
        while upper is not None and upper.chain != lower.chain:
            upper = self._chains[upper.chain].parent
        return upper is not None and lower.seq <= upper.seq

    def _chain_for(self, entry: EntryId, log: LogId, seq: int, prev: EntryId | None) -> int:
        trunk = self._trunk.get(log)
        if trunk is None:
            self._trunk[log] = len(self._chains)
            self._chains.append(_Chain(log, seq, entry))
            return self._trunk[log]
        parent = trunk if prev is None else self._aside.get(prev, trunk)
        if seq > self._chains[parent].last:
            if parent != trunk:
                self._aside[entry] = parent
            return parent
        branch = len(self._chains)
        self._chains.append(_Chain(log, seq, entry))
        if prev is not None:
            # A branch depends on the trunk up to where it left it.
            self._chains[branch].direct[parent] = _Steps([seq], [seq - 1])
            self._chains[branch].parent = Spot(parent, seq - 1)
        self._aside[entry] = branch
        return branch
