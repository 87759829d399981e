"""The lookups of a Kademlia run: what each should find, and what it found.

A lookup is found if the closest honest node is among the peers it gives: of all that were up from its beginning to its
end, the source left out. Liars are not looked for; they are always found.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, final

from latticework.discovery import Contact, Found

from ..result import Deliveries
from .kad_keys import closest


@dataclass(slots=True, eq=False)
class LookupCounters:
    """Of lookups that have ended: `hops_total` counts the hops of those that found, `asked` all requests.

    `abandoned` ones ended with their source; they are neither found nor failed.
    """

    lookups: int = 0
    found: int = 0
    failed: int = 0
    abandoned: int = 0
    hops_total: int = 0
    asked: int = 0


@dataclass(slots=True, eq=False)
class _Running:
    source: int
    key: int
    began_us: int


@final
class Lookups:
    """All lookups of a run by number; `honest[n]` says whether node n may be looked for."""

    def __init__(self, contacts: Sequence[Contact], honest: Sequence[bool]) -> None:
        self.deliveries: Final = Deliveries()
        self.counters: Final = LookupCounters()
        self._keys = [contact.key for contact in contacts]
        self._numbers = {key: number for number, key in enumerate(self._keys)}
        self._honest = honest
        self._here: list[int] = []
        """Keys of the honest nodes that are up, ascending."""
        self._since_us = [0] * len(contacts)
        self._running: dict[int, _Running] = {}

    def came(self, number: int, now_us: int) -> None:
        """A node is up."""
        self._since_us[number] = now_us
        if self._honest[number]:
            insort(self._here, self._keys[number])

    def went(self, number: int) -> None:
        """A node is down, and its lookups with it."""
        if self._honest[number]:
            del self._here[bisect_left(self._here, self._keys[number])]
        for lookup in [lookup for lookup, running in self._running.items() if running.source == number]:
            del self._running[lookup]
            self.counters.abandoned += 1

    def begin(self, source: int, key: int, now_us: int) -> int:
        """A lookup of `key` begins; its number."""
        lookup = self.deliveries.publish(source, now_us)
        self._running[lookup] = _Running(source, key, now_us)
        self.counters.lookups += 1
        return lookup

    def end(self, found: Found, now_us: int) -> None:
        """A lookup has given its result."""
        running = self._running.pop(found.operation, None)
        if running is None:
            return
        counters = self.counters
        counters.asked += found.asked
        truth = self._truth(running)
        if truth in {contact.key for contact in found.contacts}:
            counters.found += 1
            counters.hops_total += found.hops
            self.deliveries.deliver(found.operation, running.source, now_us)
        else:
            counters.failed += 1

    def fail(self, lookup: int) -> None:
        """A lookup was refused."""
        if self._running.pop(lookup, None) is not None:
            self.counters.failed += 1

    @property
    def expected(self) -> int:
        """Lookups that should have found, those that have not ended among them."""
        return self.counters.lookups - self.counters.abandoned

    def figures(self) -> Mapping[str, int]:
        """Counters by name."""
        return asdict(self.counters)

    def _truth(self, running: _Running) -> int | None:
        """The key that should be found; None if there is nobody."""
        own = self._keys[running.source]
        best = self._here[closest(self._here, running.key)] if self._here else own
        if best != own and self._since_us[self._numbers[best]] <= running.began_us:
            return best
        others = (key for key in self._here if key != own and self._was_here(key, running.began_us))
        return min(others, key=lambda key: key ^ running.key, default=None)

    def _was_here(self, key: int, since_us: int) -> bool:
        return self._since_us[self._numbers[key]] <= since_us
