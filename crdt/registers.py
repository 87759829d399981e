"""Registers: one place that several people write to.

A write names the writes it replaces. The heads are the active writes that no active write replaced, not even through
others that are inactive by now: so undoing a write brings back what it replaced, unless somebody replaced that as well.
Concurrent writes stay side by side (multi-value), save that of those marked `lww` only the newest counts.
"""

from collections.abc import Hashable, Iterable
from typing import Protocol, final


class Write(Protocol):
    """One write to a register."""

    @property
    def id(self) -> Hashable: ...
    @property
    def replaces(self) -> tuple[Hashable, ...]: ...
    @property
    def lww(self) -> bool: ...
    @property
    def active(self) -> bool: ...
    @property
    def order(self) -> tuple[int, bytes, int]:
        """Clock, entry and index: total, and the same on every replica."""
        ...


def newest_first[W: Write](writes: Iterable[W]) -> list[W]:
    """In falling order; of the `lww` writes only the newest."""
    ordered = sorted(writes, key=lambda write: write.order, reverse=True)
    newest = next((write for write in ordered if write.lww), None)
    return [write for write in ordered if write is newest or not write.lww]


@final
class Register[W: Write]:
    """A set of writes, with the heads computed when somebody looks."""

    __slots__ = ("_early", "_heads", "_writes")

    def __init__(self) -> None:
        self._writes: dict[Hashable, W] = {}
        self._early: set[Hashable] = set()
        self._heads: dict[Hashable, W] | None = {}

    def copy(self) -> "Register[W]":
        """An independent copy that shares the writes."""
        other = Register[W]()
        other._writes, other._early, other._heads = self._writes.copy(), self._early.copy(), None
        return other

    @property
    def writes(self) -> Iterable[W]:
        """Every write, active or not."""
        return self._writes.values()

    def add(self, write: W) -> None:
        """One more write; it may come before those it replaces."""
        heads = self._heads
        self._early.update(key for key in write.replaces if key not in self._writes)
        self._writes[write.id] = write
        if (
            heads is None
            or not write.active
            or write.id in self._early
            or not all(key in heads for key in write.replaces)
        ):
            self._heads = None
            return
        for key in write.replaces:
            heads.pop(key, None)
        heads[write.id] = write

    def toggled(self) -> None:
        """Some write became active or inactive."""
        self._heads = None

    def heads(self) -> Iterable[W]:
        """The writes that count, in no order."""
        if self._heads is None:
            replaced = self._replaced()
            self._heads = {key: w for key, w in self._writes.items() if w.active and key not in replaced}
        return self._heads.values()

    def _replaced(self) -> set[Hashable]:
        replaced: set[Hashable] = set()
        stack = [key for write in self._writes.values() if write.active for key in write.replaces]
        while stack:
            key = stack.pop()
            if key in replaced:
                continue
            replaced.add(key)
            write = self._writes.get(key)
            if write is not None and not write.active:
                stack.extend(write.replaces)
        return replaced
