"""Nodes of the file tree: what each contains, and what keeps it alive. Which place it has is not their concern.

Content is a multi-value register: a write lists the contents it replaces, and what was written concurrently stays
beside it. Existence is by observed remove: every make, write and move of a node is a *presence*, a removal takes away
those that its author had seen, and a node lives while one is left. So an edit or a move that meets a concurrent
removal wins; and as a content that was removed may be gone from every disk, a move says which ones its author has.

What a voided entry did has no effect, except that the nodes it made keep their kind and their place: honest operations
may stand on them, and must not be lost with them. Such a node is not shown by itself.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, final, override

from latticework.wire import LogId

from .dots import Dot
from .file_values import Directory, Value


class Version(NamedTuple):
    """A content of a node, as one operation wrote it."""

    dot: Dot
    hlc: int
    log: LogId
    value: Value


@dataclass(slots=True)
class _History:
    """What happened to a node after it was made; most nodes have none. Counts are of operations that have effect."""

    writes: dict[Dot, Version] = field(default_factory=dict[Dot, Version])
    moves: dict[Dot, tuple[Dot, ...]] = field(default_factory=dict[Dot, tuple[Dot, ...]])
    """Moves with the contents that their authors had."""
    replaced: dict[Dot, int] = field(default_factory=dict[Dot, int])
    """Contents that a later content stands for."""
    covered: dict[Dot, int] = field(default_factory=dict[Dot, int])
    """Presences that were replaced or removed."""


@final
class Node:
    """One node; compared by identity."""

    __slots__ = ("_history", "dot", "has_effect", "made", "path")

    def __init__(self, dot: Dot) -> None:
        self.dot = dot
        self.made: Version | None = None
        self.has_effect = False
        """False while the operation that made it is unknown or void."""
        self.path: bytes | None = None
        """Where it stands before clashes of names are settled; None where no path leads."""
        self._history: _History | None = None

    @override
    def __repr__(self) -> str:
        return f"Node({self.dot.entry.hex()[:8]}, {self.dot.index}, {self.path!r})"

    @property
    def is_directory(self) -> bool:
        """True for a node that others may stand beneath; fixed when it is made."""
        return self.made is not None and isinstance(self.made.value, Directory)

    def contents(self) -> list[Version]:
        """What it contains, empty when it does not live. Where a move alone keeps it alive, what its author had."""
        history = self._history
        made = self.made
        if made is None:
            return []
        if history is None:
            return [made] if self.has_effect else []
        directory = self.is_directory
        versions = [made] if self.has_effect else []
        versions += [v for v in history.writes.values() if isinstance(v.value, Directory) == directory]
        current = [version for version in versions if version.dot not in history.replaced]
        kept = [version for version in current if version.dot not in history.covered]
        if kept:
            return kept
        moves = self.live_moves()
        had = {dot for move in moves for dot in history.moves[move]}
        return ([version for version in versions if version.dot in had] or current) if moves else []

    def has_contained(self, dot: Dot) -> bool:
        """True for a content of this node, also a former one."""
        made, history = self.made, self._history
        return (made is not None and made.dot == dot) or (history is not None and dot in history.writes)

    def live_moves(self) -> list[Dot]:
        """The moves that keep it alive."""
        history = self._history
        return [] if history is None else [dot for dot in history.moves if dot not in history.covered]

    def write(self, version: Version, *, effect: bool) -> None:
        """A content begins, or ceases, to have effect."""
        writes = self._changed().writes
        if effect:
            writes[version.dot] = version
        else:
            del writes[version.dot]

    def move(self, dot: Dot, contents: tuple[Dot, ...], *, effect: bool) -> None:
        """A move by somebody who had `contents` begins, or ceases, to keep it alive."""
        moves = self._changed().moves
        if effect:
            moves[dot] = contents
        else:
            del moves[dot]

    def replace(self, dots: tuple[Dot, ...], *, effect: bool) -> None:
        """Contents are replaced, or are not any more."""
        _count(self._changed().replaced, dots, effect=effect)

    def cover(self, dots: tuple[Dot, ...], *, effect: bool) -> None:
        """Presences are taken away, or are not any more."""
        _count(self._changed().covered, dots, effect=effect)

    def _changed(self) -> _History:
        if self._history is None:
            self._history = _History()
        return self._history


def _count(counts: dict[Dot, int], dots: tuple[Dot, ...], *, effect: bool) -> None:
    for dot in dots:
        count = counts.get(dot, 0) + (1 if effect else -1)
        if count:
            counts[dot] = count
        else:
            del counts[dot]
