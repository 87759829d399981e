"""Nodes of the file tree: what each contains, and what keeps it alive. Which place it has is not their concern.

Content is a multi-value register: a write lists the contents it replaces, and what was written concurrently stays
beside it. Existence is by observed remove: every make, write and move of a node is a *presence*, a removal takes away
those that its author had seen, and a node lives while one is left. So an edit or a move that meets a concurrent
removal wins.

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
    moves: dict[Dot, None] = field(default_factory=dict[Dot, None])
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
        """What it contains, empty when it does not live. A content that was removed counts where a move saved it."""
        history = self._history
        made = self.made
        if made is None:
            return []
        if history is None:
            return [made] if self.has_effect else []
        current = [made] if self.has_effect and made.dot not in history.replaced else []
        directory = self.is_directory
        current += [
            version
            for version in history.writes.values()
            if isinstance(version.value, Directory) == directory and version.dot not in history.replaced
        ]
        kept = [version for version in current if version.dot not in history.covered]
        return kept or (current if self.live_moves() else [])

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

    def move(self, dot: Dot, *, effect: bool) -> None:
        """A move begins, or ceases, to keep it alive."""
        moves = self._changed().moves
        if effect:
            moves[dot] = None
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
