"""What follows from operations, settled once per entry: cleared runs, and deleted elements that live on.

A run of elements is cleared while an active write or deletion around its container has seen it. A deleted element of a
list lives on while something in it outlived the deletion: a value or content that its author had not seen.
"""

from collections.abc import Callable, Iterable
from typing import final

from .containers import REVIVED, AnyNode, Holder, ListNode, TextNode
from .doc_presence import Presence, below
from .operations import Addend, Deletion, Expulsion, Insertion, Key, Membership, Number, State, Write

type Runs = list[tuple[int, int]]


@final
class Settling:
    """Collects what operations touched in one document, and draws the conclusions."""

    def __init__(self, nodes: list[AnyNode], presence: Presence, writable: Callable[[Number], AnyNode]) -> None:
        self._nodes = nodes
        self._presence = presence
        self._writable = writable
        self._touched: set[tuple[Number, Key | None]] = set()
        self._toggled: dict[State, bool] = {}
        self._inserted: dict[Number, list[Insertion]] = {}
        self.stale: set[tuple[Number, Key]] = set()
        """Keys and elements where what is cleared may have changed."""

    def touch(self, number: Number, key: Key | None = None) -> None:
        """Something changed in a container, or at one key of it."""
        self._touched.add((number, key))

    def inserted(self, run: Insertion) -> None:
        """New elements, which may be cleared already."""
        self.touch(run.container)
        self._inserted.setdefault(run.container, []).append(run)

    def tag(self, deletion: Deletion, found: Runs) -> None:
        """Add runs to a deletion, in any order, overlapping or not."""
        effective = self._toggled.get(deletion, deletion.active)
        if effective:
            self._hide(deletion, deletion.runs, -1)
        old = deletion.runs
        deletion.runs = _union(old + found)
        node = self._writable(deletion.container)
        if isinstance(node, ListNode):
            known = {element for first, count in old for element in range(first, first + count)}
            for first, count in deletion.runs:
                for element in range(first, first + count):
                    if element not in known:
                        node.deletions.setdefault(element, []).append(deletion)
        if effective:
            self._hide(deletion, deletion.runs, 1)

    def extend(self, deletion: Deletion, found: Runs) -> None:
        """Add runs that an active deletion does not have yet."""
        deletion.runs = _union(deletion.runs + found)
        node = self._writable(deletion.container)
        if isinstance(node, ListNode):
            for first, count in found:
                for element in range(first, first + count):
                    node.deletions.setdefault(element, []).append(deletion)
        self._hide(deletion, found, 1)

    def _hide(self, deletion: Deletion, runs: Runs, delta: int) -> None:
        node = self._writable(deletion.container)
        assert isinstance(node, ListNode | TextNode)
        for first, count in runs:
            node.fugue.spans.hide(first, count, delta)
        self.touch(node.number)
        for key in self._cells_in(node, runs):
            self.touch(node.number, key)
            self.stale.add((node.number, key))

    @staticmethod
    def _cells_in(node: ListNode | TextNode, runs: Runs) -> list[Key]:
        if not node.cells:
            return []
        return [key for first, count in runs for key in range(first, first + count) if key in node.cells]

    def toggled(self, state: State, *, was_active: bool) -> None:
        """`state`, which is no undo, became active or inactive. Undoing it many times comes to one change."""
        self._toggled.setdefault(state, was_active)

    def _toggle(self, state: State) -> None:
        match state:
            case Write(container=number, key=key):
                node = self._writable(number)
                assert isinstance(node, Holder)
                node.cell(key).toggled()
                self.touch(number, key)
                self.stale.add((number, key))
            case Insertion():
                self._toggle_run(state)
            case Deletion():
                self._hide(state, state.runs, 1 if state.active else -1)
            case Addend(container=number) | Membership(container=number) | Expulsion(container=number):
                self.touch(number)
            case _:
                raise AssertionError(f"{type(state).__name__} is toggled elsewhere")

    def _toggle_run(self, run: Insertion) -> None:
        node = self._writable(run.container)
        assert isinstance(node, ListNode | TextNode)
        node.fugue.spans.hide(run.first, run.count, -1 if run.active else 1)
        self.touch(node.number)
        for key in self._cells_in(node, [(run.first, run.count)]):
            node.cell(key).toggled()
            self.touch(node.number, key)

    def settle(self) -> set[tuple[Number, Key | None]]:
        """Draw the conclusions; what was touched since the last time."""
        for state, was_active in self._toggled.items():
            if state.active != was_active:
                self._toggle(state)
        self._toggled.clear()
        for number, key in self.stale:
            self._clear_below(number, key)
        self.stale.clear()
        for number, runs in self._inserted.items():
            self._clear(self._writable(number), runs)
        self._inserted.clear()
        touched, self._touched = self._touched, set()
        for number, key in self._deleted_around(touched):
            self._revive(number, key)
        return touched

    def _clear_below(self, number: Number, key: Key) -> None:
        stack: list[Number] = [*self._presence.holder(number).cells[key].children.values()]
        while stack:
            node = self._nodes[stack.pop()]
            self.touch(node.number)
            if isinstance(node, ListNode | TextNode):
                self._clear(self._writable(node.number), node.insertions)
            if isinstance(node, Holder):
                for inner, cell in node.cells.items():
                    if isinstance(node, ListNode):
                        self.touch(node.number, inner)
                    stack.extend(cell.children.values())

    def _clear(self, node: AnyNode, runs: Iterable[Insertion]) -> None:
        assert isinstance(node, ListNode | TextNode)
        bounds = self._presence.bounds(node.number)
        if not bounds and not node.cleared:
            return
        for run in runs:
            if (cleared := below(run, bounds)) != (run.first in node.cleared):
                (node.cleared.add if cleared else node.cleared.remove)(run.first)
                node.fugue.spans.hide(run.first, run.count, 1 if cleared else -1)

    def _deleted_around(self, touched: Iterable[tuple[Number, Key | None]]) -> list[tuple[Number, int]]:
        """The elements of lists that are, or enclose, something touched; inner ones first."""
        found: set[tuple[Number, int]] = set()
        seen: set[Number] = set()
        for number, key in touched:
            self._add_element(found, number, key)
            while number not in seen:
                seen.add(number)
                node = self._nodes[number]
                if number:
                    self._add_element(found, node.parent, node.key)
                    number = node.parent  # noqa: PLW2901 - walks up
        return sorted(found, key=lambda item: (-self._nodes[item[0]].depth, item))

    def _add_element(self, found: set[tuple[Number, int]], number: Number, key: Key | None) -> None:
        if isinstance(key, int) and isinstance(self._nodes[number], ListNode):
            found.add((number, key))

    def _revive(self, number: Number, element: int) -> None:
        node = self._nodes[number]
        assert isinstance(node, ListNode)
        cell = node.cells.get(element)
        if cell is None:
            return
        alive = node.hides(element) > 0 and self._presence.is_present(number, element)
        if alive != cell.revived:
            node = self._writable(number)
            assert isinstance(node, ListNode)
            node.cell(element).revived = alive
            node.fugue.spans.hide(element, 1, -REVIVED if alive else REVIVED)


def _union(runs: Runs) -> Runs:
    result: Runs = []
    for first, count in sorted(runs):
        if result and first <= (end := result[-1][0] + result[-1][1]):
            result[-1] = (result[-1][0], max(end, first + count) - result[-1][0])
        else:
            result.append((first, count))
    return result
