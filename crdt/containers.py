"""Containers of a document and what they hold. The document decides what is cleared; these hold and find."""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from typing import Final, final

from .counter import Counter
from .doc_ops import Kind, Value
from .fugue import Fugue, Rank
from .operations import Addend, Bound, Deletion, Initial, Insertion, Key, Membership, Number, Write
from .orset import OrSet
from .registers import Register

REVIVED: Final = 1 << 40
"""More reasons to show an element than there can be to hide it."""


@final
class Cell:
    """One key of a map or element of a list: a register, and the containers that stand there, one of each kind."""

    __slots__ = ("_bound", "children", "register", "revived")

    def __init__(self) -> None:
        self.register = Register[Write | Initial]()
        self.children: dict[Kind, Number] = {}
        self.revived = False
        self._bound: Bound | None = None

    def copy(self) -> "Cell":
        other = Cell()
        other.register, other.children, other.revived = self.register.copy(), self.children.copy(), self.revived
        return other

    def bound(self) -> Bound:
        """What the authors of the active writes had seen: so much of the containers here is cleared."""
        if self._bound is None:
            bound: Bound = {}
            for write in self.register.writes:
                if isinstance(write, Write) and write.active:
                    write.widen(bound)
            self._bound = bound  # whole at once: a snapshot may be taken in a thread beside readers
        return self._bound

    def written(self, write: Write) -> None:
        self.register.add(write)
        if self._bound is not None and write.active:
            write.widen(self._bound)

    def toggled(self) -> None:
        self.register.toggled()
        self._bound = None


class Node(ABC):
    """A container: its number, where it stands, and how deep."""

    __slots__ = ("depth", "key", "number", "parent")
    kind: Kind

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        self.number = number
        self.parent = parent
        self.key = key
        self.depth = depth

    @abstractmethod
    def copy(self) -> "Node":
        """A container that changes on its own."""
        ...


class Holder(Node):
    """A container of cells. A copy borrows them from the original, and copies each before it changes it."""

    __slots__ = ("_borrowed", "cells")

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        super().__init__(number, parent, key, depth)
        self.cells: dict[Key, Cell] = {}
        self._borrowed: set[Key] = set()

    def cell(self, key: Key) -> Cell:
        """The cell at `key` to be changed, made if need be."""
        if (cell := self.cells.get(key)) is None:
            cell = self.cells[key] = self._new_cell(key)
        elif key in self._borrowed:
            self._borrowed.discard(key)
            cell = self.cells[key] = cell.copy()
        return cell

    def _new_cell(self, key: Key) -> Cell:  # noqa: ARG002 - an element of a list begins with its value
        return Cell()

    def borrow(self, original: "Holder") -> None:
        """Begin with the cells of `original`, which stay as they are."""
        self.cells, self._borrowed = original.cells.copy(), set(original.cells)


@final
class MapNode(Holder):
    """A map."""

    __slots__ = ()
    kind = Kind.MAP

    def copy(self) -> "MapNode":
        other = MapNode(self.number, self.parent, self.key, self.depth)
        other.borrow(self)
        return other


class Sequence(Holder):
    """A list or text: the order, which operation inserted which element, and which insertions are cleared.

    Those are known by their first element; a write that replaced a container around them had seen them.
    """

    __slots__ = ("cleared", "firsts", "fugue", "insertions")

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        super().__init__(number, parent, key, depth)
        self.fugue = Fugue(self.rank)
        self.firsts = array("q")
        self.insertions: list[Insertion] = []
        self.cleared: set[int] = set()

    def insertion_of(self, element: int) -> Insertion:
        return self.insertions[bisect_right(self.firsts, element) - 1]

    def rank(self, element: int) -> Rank:
        """The id of an element."""
        insertion = self.insertion_of(element)
        return (insertion.entry.id, insertion.index, element - insertion.first)

    def announce(self, insertion: Insertion) -> None:
        """`insertion` brings the next elements; said before they are placed, because placing asks for their rank."""
        self.firsts.append(insertion.first)
        self.insertions.append(insertion)

    def _copy_into(self, other: "Sequence") -> None:
        other.borrow(self)
        other.cleared = self.cleared.copy()
        other.firsts, other.insertions = self.firsts[:], self.insertions.copy()
        other.fugue = self.fugue.copy(other.rank)


@final
class TextNode(Sequence):
    """A text: code points by element number."""

    __slots__ = ("_points",)
    kind = Kind.TEXT

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        super().__init__(number, parent, key, depth)
        self._points = array("I")

    def append(self, text: str) -> None:
        """The content of the newest elements."""
        self._points.frombytes(text.encode("utf-32-le", "surrogatepass"))

    def text(self) -> str:
        """What is shown."""
        points = self._points
        pieces = [points[s.start : s.start + s.length] for s in self.fugue.spans if s.hides <= 0]
        return b"".join(piece.tobytes() for piece in pieces).decode("utf-32-le", "surrogatepass")

    def copy(self) -> "TextNode":
        other = TextNode(self.number, self.parent, self.key, self.depth)
        self._copy_into(other)
        other._points = self._points[:]
        return other


@final
class ListNode(Sequence):
    """A list: values by element number, and the deletions of each element."""

    __slots__ = ("deletions", "values")
    kind = Kind.LIST

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        super().__init__(number, parent, key, depth)
        self.values: list[Value] = []
        self.deletions: dict[int, list[Deletion]] = {}

    def _new_cell(self, key: Key) -> Cell:
        """The first write of an element is the value it was inserted with."""
        assert isinstance(key, int)
        cell = Cell()
        cell.register.add(Initial(self.insertion_of(key), self.values[key]))
        return cell

    def deletion_bound(self, element: int) -> Bound:
        """What the authors of the active deletions of `element` had seen."""
        bound: Bound = {}
        for deletion in self.deletions.get(element, ()):
            if deletion.active:
                deletion.widen(bound)
        return bound

    def hides(self, element: int) -> int:
        """Reasons to hide `element`, its revival not counted."""
        span = self.fugue.spans.span_at(self.fugue.spans.spot(element))
        cell = self.cells.get(element)
        return span.hides + (REVIVED if cell is not None and cell.revived else 0)

    def copy(self) -> "ListNode":
        other = ListNode(self.number, self.parent, self.key, self.depth)
        self._copy_into(other)
        other.values, other.deletions = self.values.copy(), {k: tags.copy() for k, tags in self.deletions.items()}
        return other


@final
class CounterNode(Node):
    """A counter."""

    __slots__ = ("counter",)
    kind = Kind.COUNTER

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        super().__init__(number, parent, key, depth)
        self.counter = Counter[Addend]()

    def copy(self) -> "CounterNode":
        other = CounterNode(self.number, self.parent, self.key, self.depth)
        other.counter = self.counter.copy()
        return other


@final
class SetNode(Node):
    """A set of scalars."""

    __slots__ = ("members",)
    kind = Kind.SET

    def __init__(self, number: Number, parent: Number, key: Key, depth: int) -> None:
        super().__init__(number, parent, key, depth)
        self.members = OrSet[Membership]()

    def copy(self) -> "SetNode":
        other = SetNode(self.number, self.parent, self.key, self.depth)
        other.members = self.members.copy()
        return other


type AnyNode = MapNode | ListNode | TextNode | CounterNode | SetNode
NODES: Final[dict[Kind, type[MapNode | ListNode | TextNode | CounterNode | SetNode]]] = {
    cls.kind: cls for cls in (MapNode, ListNode, TextNode, CounterNode, SetNode)
}
