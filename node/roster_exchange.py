"""What two devices of an account tell each other of its roster, pure: first a root, and more only where those differ.

Each side says the root of its roster when the link begins and whenever it changes. Who hears another root than its own
says the hashes of all its certificates; who hears hashes sends the certificates that are missing there, and says its
own hashes if some are missing here. No certificate is sent twice on a link, and the same two rosters are compared once.
"""

from collections.abc import Sequence
from typing import Final, final

from latticework.crdt import Roster, roster_root

from .messages import RosterHashes, RosterRecords, RosterRoot

_BATCH: Final = 64
"""Certificates in one message: about 560 kB."""


@final
class RosterExchange:
    """One side of one link; what is due is said by `next`."""

    def __init__(self) -> None:
        self._root_due = True
        self._hashes_due = False
        self._lacking: list[bytes] = []
        self._sent: set[bytes] = set()
        self._answered: tuple[bytes, bytes] | None = None

    @property
    def is_due(self) -> bool:
        """Whether `next` has something to say."""
        return self._root_due or self._hashes_due or bool(self._lacking)

    def changed(self) -> None:
        """Our roster grew."""
        self._root_due = True

    def take_root(self, root: bytes, roster: Roster) -> None:
        """The peer said its root."""
        self._answer(root, roster)

    def take_hashes(self, hashes: Sequence[bytes], roster: Roster) -> None:
        """The peer said all its hashes."""
        theirs = frozenset(hashes)
        self._lacking = [d for d in roster.records if d not in theirs and d not in self._sent]
        if any(digest not in roster.records for digest in hashes):
            self._answer(roster_root(hashes), roster)

    def _answer(self, theirs: bytes, roster: Roster) -> None:
        """Say our hashes, unless we did so when both sides were as they are now: what one refuses stays refused."""
        state = (roster.root(), theirs)
        if theirs != state[0] and state != self._answered:
            self._answered = state
            self._hashes_due = True

    def next(self, roster: Roster) -> RosterRoot | RosterHashes | RosterRecords | None:
        """What to say next."""
        if self._root_due:
            self._root_due = False
            return RosterRoot(roster.root())
        if self._hashes_due:
            self._hashes_due = False
            return RosterHashes(tuple(sorted(roster.records)))
        if self._lacking:
            batch, self._lacking = self._lacking[:_BATCH], self._lacking[_BATCH:]
            self._sent.update(batch)
            return RosterRecords(tuple(roster.records[digest] for digest in batch))
        return None
