"""An entry in the making: its tables, its operations, and the document as it will be."""

from typing import final

from .containers import AnyNode, Holder, ListNode, TextNode
from .doc_ops import (
    Container,
    DeleteElements,
    DocOperations,
    ElementRange,
    ElementRef,
    InsertText,
    Kind,
    Operation,
    OperationRef,
)
from .doc_paths import DocumentError, DocumentPath
from .doc_view import DocumentView
from .document import Document
from .documents import Documents
from .dots import Dot
from .fugue import END, START, Origin
from .operations import Key, Number
from .params import (
    MAX_DELETED_ELEMENTS,
    MAX_DOCUMENT_CONTAINERS,
    MAX_ENTRY_REFERENCES,
    MAX_INSERT_CHARACTERS,
    MAX_OPS_PER_ENTRY,
    MAX_RANGES,
)

type Anchors = tuple[ElementRef | None, bool, ElementRef | None]
"""Parent, side and right origin of an insertion, as an operation says them."""


@final
class Draft:
    """The operations so far, tried on a copy of the document."""

    def __init__(self, documents: Documents, name: str) -> None:
        self._documents, self._version = documents, documents.version
        self._document, self.entry = documents.draft(name)
        self._view = DocumentView(self._document)
        self._entries: dict[bytes, int] = {self.entry.id: 0}
        self._containers: dict[tuple[int, Key, Kind], int] = {}
        self._deleted = 0
        self.typing: tuple[DocumentPath, Number] | None = None
        """The text that was found last; forgotten when an operation may have changed where paths lead."""

    @property
    def document(self) -> Document:
        """The document as it will be. An edit of one operation never gets here: it need not copy what it changes."""
        self.settle()
        return self._document

    def settle(self) -> None:
        """Try the operations that were added since the last time; raises DocumentError if that is too late."""
        if self._version != self._documents.version:
            raise DocumentError("the documents changed while they were edited; begin another edit")
        if len(self.entry.states) < len(self.operations):
            self._document.integrate(self.entry)

    @property
    def view(self) -> DocumentView:
        """Reads the document as it will be."""
        self.settle()
        return self._view

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations so far."""
        return self.entry.content.operations

    def add_unseen(self, operation: Operation) -> None:
        """One more operation, whose effect the draft does not show."""
        self.settle()
        self.add(operation)
        self.entry.states.append(None)

    def add(self, operation: Operation) -> None:
        """One more operation."""
        content = self.entry.content
        if not isinstance(operation, InsertText | DeleteElements):
            self.typing = None
        if len(content.operations) >= MAX_OPS_PER_ENTRY:
            raise DocumentError(f"more than {MAX_OPS_PER_ENTRY} operations in one edit")
        self._say(
            DocOperations(content.document, content.entries, content.containers, (*content.operations, operation))
        )

    def _say(self, content: DocOperations) -> None:
        self.entry.content = content

    def reference(self, dot: Dot) -> OperationRef:
        """An operation by the entry's table."""
        return OperationRef(self._entry(dot), dot.index)

    def references(self, dots: list[Dot]) -> tuple[OperationRef, ...]:
        """Operations by the entry's table."""
        return tuple([self.reference(dot) for dot in dots])

    def _entry(self, dot: Dot) -> int:
        if (at := self._entries.get(dot.entry)) is None:
            content = self.entry.content
            if len(content.entries) >= MAX_ENTRY_REFERENCES:
                raise DocumentError("one edit touches too many earlier ones; make it in parts")
            self._say(
                DocOperations(content.document, (*content.entries, dot.entry), content.containers, content.operations)
            )
            at = self._entries[dot.entry] = len(content.entries) + 1
        return at

    def element(self, node: ListNode | TextNode, element: int) -> ElementRef:
        """An element by the entry's table."""
        insertion = node.insertion_of(element)
        return ElementRef(self._entry(insertion.id), insertion.index, element - insertion.first)

    def ranges(self, node: ListNode | TextNode, runs: list[tuple[int, int]]) -> tuple[ElementRange, ...]:
        """Runs of elements by the entry's table, cut where another insertion begins."""
        result: list[ElementRange] = []
        for first, count in runs:
            at, end = first, first + count
            while at < end:
                insertion = node.insertion_of(at)
                stop = min(end, insertion.first + insertion.count)
                ref = self.element(node, at)
                result.append(ElementRange(ref.entry, ref.operation, ref.offset, stop - at))
                at = stop
        return tuple(result)

    def container(self, node: AnyNode) -> int:
        """A container that exists, by the entry's table."""
        if node.number == 0:
            return 0
        return self.child(self._document.nodes[node.parent], node.key, node.kind)

    def child(self, parent: AnyNode, key: Key, kind: Kind) -> int:
        """The container of this kind at `key` of `parent`, which may be new, by the entry's table."""
        within = self.container(parent)
        if (at := self._containers.get((parent.number, key, kind))) is None:
            step = self.element(parent, key) if isinstance(parent, ListNode) and isinstance(key, int) else str(key)
            content = self.entry.content
            if len(content.containers) >= MAX_DOCUMENT_CONTAINERS:
                raise DocumentError(f"one edit touches more than {MAX_DOCUMENT_CONTAINERS} containers")
            rows = (*content.containers, Container(within, step, kind))
            self._say(DocOperations(content.document, content.entries, rows, content.operations))
            at = self._containers[parent.number, key, kind] = len(rows)
        return at

    def made(self, parent: AnyNode, key: Key, kind: Kind) -> AnyNode:
        """The container of this kind at `key` of `parent`, made if it is new."""
        return self.document.place(self.entry, self.child(parent, key, kind))

    def heads(self, node: Holder, key: Key) -> list[Dot]:
        """The writes that a new write to `key` replaces, the newest first."""
        cell = node.cells.get(key)
        if cell is None:
            return [node.insertion_of(key).id] if isinstance(node, ListNode) and isinstance(key, int) else []
        heads = sorted(cell.register.heads(), key=lambda head: head.order, reverse=True)
        return [head.id for head in heads]

    def anchors(self, node: ListNode | TextNode, origin: Origin) -> Anchors:
        """Where an insertion hangs, by the entry's table."""
        parent = None if origin.parent == START else self.element(node, origin.parent)
        right = None if origin.left_side or origin.right == END else self.element(node, origin.right)
        return parent, origin.left_side, right

    def count_deleted(self, runs: list[tuple[int, int]]) -> None:
        """Refuse deletions that nobody would obey."""
        self._deleted += sum(count for _, count in runs)
        if self._deleted > MAX_DELETED_ELEMENTS:
            raise DocumentError(f"more than {MAX_DELETED_ELEMENTS} elements deleted in one edit; make it in parts")

    def extend_deletion(self, node: ListNode | TextNode, runs: list[tuple[int, int]]) -> bool:
        """Add `runs` to the last operation, if that deleted elements of the same container."""
        last = self.operations[-1] if self.operations else None
        if not isinstance(last, DeleteElements) or last.container != self.container(node):
            return False
        added = self.ranges(node, runs)
        if len(last.ranges) + len(added) > MAX_RANGES or not self.document.extend_deletion(self.entry, node, runs):
            return False
        ranges = [*last.ranges]
        for item in added:
            before = ranges[-1]
            if (before.entry, before.operation) != (item.entry, item.operation):
                ranges.append(item)
            elif item.offset + item.count == before.offset:
                ranges[-1] = ElementRange(item.entry, item.operation, item.offset, item.count + before.count)
            elif before.offset + before.count == item.offset:
                ranges[-1] = ElementRange(item.entry, item.operation, before.offset, item.count + before.count)
            else:
                ranges.append(item)
        self.entry.say_last(DeleteElements(last.container, tuple(ranges)))
        return True

    def extend(self, node: TextNode, origin: Origin, text: str) -> bool:
        """Add `text` to the last operation, if that typed what stands right before it."""
        last = self.operations[-1] if self.operations else None
        if not isinstance(last, InsertText) or len(last.text) + len(text) > MAX_INSERT_CHARACTERS:
            return False
        return self.document.extend(self.entry, node, origin, text)
