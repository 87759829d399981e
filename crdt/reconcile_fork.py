"""Where two branches of a log part: a search over the chain by hash.

Below the fork both sides have the same entries, from it on all differ, because each entry names its predecessor. So the
search needs a logarithm of the chain's length; it asks for many numbers at once to save round trips.
"""

from collections.abc import Sequence
from typing import Protocol, final

from latticework.wire import EntryId, LogId

from .params import SYNC_PROBES


class Chains(Protocol):
    """Looks up the entries of our own branch."""

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        """The entry of `log` with this number, or None if we have none."""
        ...


@final
class ForkSearch:
    """The search in one log: ours and theirs differ at `_high`, it seems, and agree at `_low` (-1: before all).

    Each answer brings the two nearer, whatever it says, so a lying peer ends the search early and not late.
    """

    def __init__(self, chains: Chains, log: LogId, highest: int) -> None:
        self._chains = chains
        self.log = log
        self._low, self._high = -1, highest
        self._theirs: EntryId | None = None
        self._asked: tuple[int, ...] = ()

    def probe(self) -> tuple[int, ...]:
        """The numbers to ask for; empty when the search is over."""
        if self._theirs is not None and self._high == self._low + 1:
            self._asked = ()
        else:
            wide = self._high - self._low
            step = -(-wide // SYNC_PROBES)
            self._asked = tuple(range(self._high, self._low, -step))[::-1]
        return self._asked

    def answer(self, ids: Sequence[EntryId | None]) -> bool:
        """Take what the peer has under the numbers asked for; False if there is no fork to be found."""
        if len(ids) != len(self._asked):
            return False
        for seq, theirs in zip(self._asked, ids, strict=True):
            ours = self._chains.entry_at(self.log, seq)
            if theirs is None or ours is None:
                return False
            if ours != theirs:
                self._high, self._theirs = seq, theirs
                return True
            self._low = seq
        return False

    @property
    def found(self) -> tuple[int, EntryId, EntryId] | None:
        """(number, our entry, their entry) once the search is over."""
        ours = self._chains.entry_at(self.log, self._high)
        if self._theirs is None or ours is None or self._high != self._low + 1:
            return None
        return self._high, ours, self._theirs
