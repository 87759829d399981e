"""Looking up what an operation refers to: in its entry's tables, then in the document.

Whether a reference is good depends on the entries that exist and on nothing else. What is not here yet is waited for,
so that an operation which names something outside its causal past takes effect on every replica or on none.
"""

from collections.abc import Mapping, Sequence
from typing import final

from latticework.wire import EntryId

from .containers import NODES, AnyNode, Holder, ListNode, MapNode, Node, TextNode
from .doc_ops import Container, ElementRange, ElementRef, Kind, OperationRef
from .dots import Dot
from .operations import Applied, Insertion, Number, State, Waiting
from .params import MAX_DOCUMENT_DEPTH


class DeadError(Exception):
    """The reference is good for nothing, now and for ever."""


class MissingError(Exception):
    """The operation `dot` is not here yet."""

    def __init__(self, dot: Dot) -> None:
        super().__init__(dot)
        self.dot = dot


@final
class References:
    """Looks up references in one document; makes the containers that are named for the first time."""

    def __init__(self, entries: Mapping[EntryId, Applied], nodes: list[AnyNode]) -> None:
        self._entries = entries
        self._nodes = nodes
        self.owned: set[Number] | None = None

    def writable(self, number: Number) -> AnyNode:
        """The container `number`; a draft copies it from the document before it first changes it."""
        if self.owned is not None and number not in self.owned:
            self._nodes[number] = self._nodes[number].copy()
            self.owned.add(number)
        return self._nodes[number]

    def dot(self, entry: Applied, ref: OperationRef | ElementRef | ElementRange) -> Dot:
        """The name of the operation that `ref` means."""
        if ref.entry == 0:
            return Dot(entry.id, ref.operation)
        if ref.entry > len(entry.content.entries):
            raise DeadError
        return Dot(entry.content.entries[ref.entry - 1], ref.operation)

    def dots(self, entry: Applied, index: int, refs: Sequence[OperationRef]) -> tuple[Dot, ...]:
        """Operations before that at `index`, told from the table alone; they need not exist."""
        known = len(entry.content.entries)
        usable = [ref for ref in refs if (ref.entry or ref.operation < index) and ref.entry <= known]
        return tuple([self.dot(entry, ref) for ref in usable])

    def state(self, entry: Applied, index: int, ref: OperationRef | ElementRef | ElementRange) -> State:
        """The operation itself, for the operation at `index` of `entry`: of its own entry it may name earlier ones."""
        if ref.entry == 0:
            if ref.operation >= index:
                raise DeadError
            named = entry
        else:
            named = self._named(entry, ref)
        if ref.operation >= len(named.content.operations) or named.content.document != entry.content.document:
            raise DeadError
        # An entry that is being applied may wake one that waits for it before its last operations are in.
        state = named.states[ref.operation] if ref.operation < len(named.states) else Waiting(ref.operation)
        if state is None:
            raise DeadError
        if isinstance(state, Waiting):
            raise MissingError(self.dot(entry, ref))
        return state

    def _named(self, entry: Applied, ref: OperationRef | ElementRef | ElementRange) -> Applied:
        if ref.entry > len(entry.content.entries):
            raise DeadError
        named = self._entries.get(entry.content.entries[ref.entry - 1])
        if named is None:
            raise MissingError(self.dot(entry, ref))
        return named

    def insertion(self, entry: Applied, index: int, ref: ElementRef | ElementRange, number: Number) -> Insertion:
        """The insertion in container `number` that the element or range is part of."""
        state = self.state(entry, index, ref)
        if not isinstance(state, Insertion) or state.container != number:
            raise DeadError
        return state

    def element(self, entry: Applied, index: int, ref: ElementRef, number: Number) -> int:
        """The number of an element of container `number`."""
        insertion = self.insertion(entry, index, ref, number)
        if ref.offset >= insertion.count:
            raise DeadError
        return insertion.first + ref.offset

    def any_node(self, entry: Applied, index: int, at: int) -> AnyNode:
        """The container that stands at `at` in the entry's table."""
        return self.writable(self._container(entry, index, at, 0))

    def node[N: AnyNode](self, entry: Applied, index: int, at: int, cls: type[N]) -> N:
        """The container that stands at `at` in the entry's table, which must be of this class."""
        node: Node = self.any_node(entry, index, at)
        if not isinstance(node, cls):
            raise DeadError
        return node

    def sequence(self, entry: Applied, index: int, at: int) -> ListNode | TextNode:
        """The list or text that stands at `at` in the entry's table."""
        node = self.any_node(entry, index, at)
        if not isinstance(node, ListNode | TextNode):
            raise DeadError
        return node

    def _container(self, entry: Applied, index: int, at: int, depth: int) -> Number:
        if at == 0:
            return 0
        if (found := entry.places.get(at)) is not None:
            number, first_use = found
            if index < first_use:
                raise DeadError
            return number
        rows = entry.content.containers
        if at > len(rows) or depth >= MAX_DOCUMENT_DEPTH or rows[at - 1].parent >= at:
            raise DeadError
        row = rows[at - 1]
        parent = self._container(entry, index, row.parent, depth + 1)
        number = self._child(entry, index, parent, row)
        first_use = row.step.operation + 1 if isinstance(row.step, ElementRef) and row.step.entry == 0 else 0
        above = entry.places[row.parent][1] if row.parent else 0
        entry.places[at] = (number, max(first_use, above))
        return number

    def _child(self, entry: Applied, index: int, number: Number, row: Container) -> Number:
        parent = self._nodes[number]
        if parent.depth >= MAX_DOCUMENT_DEPTH or row.kind not in NODES:
            raise DeadError
        kind = Kind(row.kind)
        key: str | int
        if isinstance(parent, MapNode) and isinstance(row.step, str):
            key = row.step
        elif isinstance(parent, ListNode) and isinstance(row.step, ElementRef):
            key = self.element(entry, index, row.step, number)
        else:
            raise DeadError
        found = parent.cells.get(key)
        if found is not None and (child := found.children.get(kind)) is not None:
            return child
        cell = self._holder(number).cell(key)
        child = cell.children[kind] = len(self._nodes)
        self._nodes.append(NODES[kind](child, number, key, parent.depth + 1))
        if self.owned is not None:
            self.owned.add(child)
        return child

    def _holder(self, number: Number) -> Holder:
        node = self.writable(number)
        assert isinstance(node, Holder)
        return node
