"""What counts in a document: which writes are heads, what was cleared, and what is therefore there.

A write to a key or element empties the containers there as far as its author had seen their content, and so does the
deletion of an element. What was added at the same time stays, and keeps the container around it alive.
"""

from collections.abc import Iterator
from typing import NamedTuple, final

from .containers import AnyNode, Cell, CounterNode, Holder, ListNode, MapNode, SetNode, TextNode
from .doc_ops import Absent, Kind, Make, Scalar
from .operations import Addend, Bound, Initial, Key, Membership, Number, State, Write
from .registers import newest_first


class Candidate(NamedTuple):
    """One thing that stands at a key or element: a scalar, or a container (None: nobody wrote into it yet)."""

    scalar: Scalar
    kind: Kind | None
    number: Number | None


def identity(scalar: Scalar) -> tuple[str, Scalar]:
    """Equal for equal scalars; Python has True equal to 1."""
    return (type(scalar).__name__, scalar)


@final
class Presence:
    """Reads the containers `nodes` of one document."""

    def __init__(self, nodes: list[AnyNode]) -> None:
        self._nodes = nodes

    def bounds(self, number: Number) -> list[Bound]:
        """What is cleared in container `number`: every place below one of these."""
        result: list[Bound] = []
        while number:
            node = self._nodes[number]
            holder = self.holder(node.parent)
            result.append(holder.cells[node.key].bound())
            if isinstance(holder, ListNode) and isinstance(node.key, int) and node.key in holder.deletions:
                result.append(holder.deletion_bound(node.key))
            number = node.parent
        return [bound for bound in result if bound]

    def holder(self, number: Number) -> Holder:
        """The container `number`, which holds cells because another is inside it."""
        node = self._nodes[number]
        assert isinstance(node, Holder)
        return node

    def heads(self, number: Number, key: Key) -> list[Write | Initial]:
        """The values at `key` of container `number`, the winner first."""
        holder = self.holder(number)
        cell, bounds = holder.cells[key], self.bounds(number)
        dead = False
        if isinstance(holder, ListNode) and isinstance(key, int):
            bounds.append(holder.deletion_bound(key))
            dead = holder.hides(key) > 0
        found = [head for head in cell.register.heads() if not isinstance(head.value, Absent)]
        return newest_first(
            [head for head in found if not (dead if isinstance(head, Initial) else below(head, bounds))]
        )

    def candidates(self, number: Number, key: Key) -> list[Candidate]:
        """What stands at `key`, the winner first: the heads, then containers that live on by their content alone."""
        holder = self.holder(number)
        cell = holder.cells.get(key)
        if cell is None:
            if not isinstance(holder, ListNode) or not isinstance(key, int):
                return []
            return [self._candidate(None, holder.values[key])]
        found = [self._candidate(cell, head.value) for head in self.heads(number, key)]
        found += [Candidate(None, kind, at) for kind, at in sorted(cell.children.items()) if self.has_content(at)]
        result: dict[tuple[object, Kind | None], Candidate] = {}
        for candidate in found:
            result.setdefault((identity(candidate.scalar), candidate.kind), candidate)
        return list(result.values())

    @staticmethod
    def _candidate(cell: Cell | None, value: Scalar | Make | Absent) -> Candidate:
        match value:
            case Make(kind):
                return Candidate(None, Kind(kind), cell.children.get(Kind(kind)) if cell else None)
            case Absent():
                raise AssertionError("the absence of a value is no candidate")
            case _:
                return Candidate(value, None, None)

    def has_content(self, number: Number) -> bool:
        """Whether anything in container `number` outlived what was cleared."""
        node = self._nodes[number]
        match node:
            case MapNode():
                return any(self.is_present(number, key) for key in node.cells)
            case ListNode() | TextNode():
                return node.fugue.shown > 0
            case CounterNode():
                return any(True for _ in self.addends(node))
            case SetNode():
                return any(True for _ in self.members(node))

    def is_present(self, number: Number, key: Key) -> bool:
        """Whether `key` of a map, or an element of a list that was deleted, is there."""
        if self.heads(number, key):
            return True
        return any(self.has_content(child) for child in self.holder(number).cells[key].children.values())

    def addends(self, node: CounterNode) -> Iterator[Addend]:
        """The increments that count."""
        bounds = self.bounds(node.number)
        return (addend for addend in node.counter.standing() if not below(addend, bounds))

    def members(self, node: SetNode) -> Iterator[Membership]:
        """The additions that count."""
        bounds = self.bounds(node.number)
        return (member for member in node.members.standing() if not below(member, bounds))


def below(state: State, bounds: list[Bound]) -> bool:
    """Whether one of `bounds` covers the operation."""
    log, place = state.entry.log, state.place
    return any(place < bound.get(log, 0) for bound in bounds)
