"""Editing a document: what a user means, turned into operations.

An editor works on a draft of the document, so each call sees what those before it did, and the document itself stays as
it is until the operations come back as an entry. Between the two the document may move on: operations say what they
were made against, so nothing is lost.

    edit = DocumentEditor(documents, "shopping")
    edit.put(("list",), ["milk"])
    edit.insert(("list",), 1, ["bread"])
    edit.splice(("list", 0), 0, 0, "oat ")
    payload = encode(edit.operations())
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import final

from latticework.wire import EntryId, LogId, encode

from .containers import AnyNode, CounterNode, ListNode, MapNode, SetNode, TextNode
from .doc_diff import replacements
from .doc_draft import Draft
from .doc_ops import (
    ABSENT,
    Absent,
    AddMember,
    DeleteElements,
    DocOperations,
    Increment,
    InsertText,
    InsertValues,
    Kind,
    Make,
    PutElement,
    PutKey,
    RemoveMembers,
    Scalar,
    Undo,
)
from .doc_paths import DocumentError, DocumentPath, NoSuchPathError, WrongKindError, shown_path
from .doc_presence import identity
from .doc_values import Count, Input, Member, check, checked, counted, key_of, pieces, scalar_of, written
from .doc_view import DocumentView
from .documents import Documents
from .dots import Dot
from .operations import Key
from .params import MAX_DOCUMENT_NAME_BYTES, MAX_EDIT_BYTES, MAX_INSERT_VALUES, MAX_RANGES, MAX_REPLACES


@final
class DocumentEditor:
    """Edits of the document `name`. `log` is the log they will be written to: only its operations are undone unasked.

    An editor is for the moment: once anything was applied to the documents, it raises a DocumentError.
    Every call raises a DocumentError, and then does nothing: NoSuchPathError where nothing stands at the path or an
    index is out of range, WrongKindError where something else stands there or the value cannot be written. Only what
    turns out too large half-way leaves an editor in pieces: begin another.
    """

    def __init__(self, documents: Documents, name: str, log: LogId | None = None) -> None:
        if len(checked(name).encode()) > MAX_DOCUMENT_NAME_BYTES:
            raise DocumentError(f"a document's name has at most {MAX_DOCUMENT_NAME_BYTES} bytes")
        self._documents = documents
        self._log = log
        self._draft = Draft(documents, name)

    @property
    def view(self) -> DocumentView:
        """Reads the document as it will be, save what undo and redo change."""
        return self._draft.view

    def operations(self) -> DocOperations:
        """What was done so far, as the payload of one entry; raises DocumentError if that is too large."""
        content = self._draft.entry.content
        if len(encode(content)) > MAX_EDIT_BYTES:
            raise DocumentError(f"more than {MAX_EDIT_BYTES} bytes in one edit; make it in parts")
        return content

    def put(self, path: DocumentPath, value: Input, *, lww: bool = False) -> None:
        """Have `value` at a key of a map, or in place of an element of a list.

        A dict, list, set or string becomes a container, which replaces the one that is there. `lww` marks a write of
        which only the newest counts, so that it is never in conflict with another such write.
        """
        node, key = self._place(path)
        check(value, node.depth + 1)
        self._put(node, key, value, lww=lww)

    def delete(self, path: DocumentPath) -> None:
        """Remove a key of a map, or an element of a list."""
        found = self.view.find(path)
        node = self._draft.document.nodes[found.number]
        if isinstance(node, ListNode) and isinstance(found.key, int):
            self._delete(node, [(found.key, 1)])
        elif isinstance(node, MapNode):
            self._write(node, found.key, ABSENT, lww=False)

    def insert(self, path: DocumentPath, index: int, content: str | Sequence[Input]) -> None:
        """Insert text into a text, or elements into a list, before the element `index`."""
        self.splice(path, index, 0, content)

    def remove(self, path: DocumentPath, start: int, count: int) -> None:
        """Delete `count` characters of a text or elements of a list."""
        node = self._sequence(path, start, count)
        self._remove(node, start, count)

    def splice(self, path: DocumentPath, start: int, count: int, content: str | Sequence[Input]) -> None:
        """Replace `count` characters or elements by `content`."""
        node = self._sequence(path, start, count)
        match node, content:
            case TextNode(), str():
                checked(content)
                # Where text is typed does not depend on what is deleted behind it, so the draft need not know yet.
                runs = node.fugue.spans.shown_runs(start, count)
                self._type(node, start, content)
                self._delete(node, runs)
            case ListNode(), Sequence() if not isinstance(content, str):
                for value in content:
                    check(value, node.depth + 1)
                self._remove(node, start, count)
                self._fill_list(self._again(node, ListNode), start, content)
            case _:
                raise WrongKindError(f"{shown_path(path)} is a {node.kind.name.lower()}; the content is for another")

    def set_text(self, path: DocumentPath, text: str) -> None:
        """Make the text at `path` read `text`, by small edits that leave what did not change alone."""
        checked(text)
        node = self._existing(path, TextNode)
        for start, count, content in replacements(node.text(), text):
            self.splice(path, start, count, content)

    def add(self, path: DocumentPath, amount: int) -> None:
        """Count `amount` more, or less; makes the counter if nothing stands there."""
        counted(amount)
        self._add(self._made(path, CounterNode, Kind.COUNTER), amount)

    def add_to_set(self, path: DocumentPath, value: Member) -> None:
        """Have `value` in a set; makes the set if nothing stands there."""
        member = scalar_of(value)
        node = self._made(path, SetNode, Kind.SET)
        self._draft.add(AddMember(self._draft.container(node), member))

    def remove_from_set(self, path: DocumentPath, value: Member) -> None:
        """Have `value` no more in a set."""
        node, wanted = self._existing(path, SetNode), identity(scalar_of(value))
        adds = [member.id for member in self._draft.document.presence.members(node) if identity(member.value) == wanted]
        if not adds:
            raise NoSuchPathError(f"{shown_path(path)} does not contain it")
        container = self._draft.container(node)
        for at in range(0, len(adds), MAX_REPLACES):
            self._draft.add(RemoveMembers(container, self._draft.references(adds[at : at + MAX_REPLACES])))

    def undo(self, target: Dot, *, anyone: bool = False) -> None:
        """Take the effect of an operation away; `anyone` allows it for operations of other logs.

        The draft does not show it: the effect appears when the entry is applied.
        """
        state = self._documents.operation(self._draft.entry.content.document, target)
        if state is None:
            raise NoSuchPathError("this document has no such operation")
        if not anyone and state.entry.log != self._log:
            raise DocumentError("the operation is somebody else's")
        self._draft.add_unseen(Undo(self._draft.reference(target)))

    def undo_entry(self, entry: EntryId, *, anyone: bool = False) -> None:
        """Take the effect of all operations of an entry away, the last one first."""
        for target in reversed(self._documents.operations_of(entry)):
            self.undo(target, anyone=anyone)

    def redo(self, target: Dot) -> None:
        """Take every undo of an operation back."""
        undos = self._documents.undos(self._draft.entry.content.document, target)
        if not undos:
            raise NoSuchPathError("the operation is not undone")
        for undo in undos:
            self._draft.add_unseen(Undo(self._draft.reference(undo)))

    def redo_entry(self, entry: EntryId) -> None:
        """Take every undo of an entry's operations back."""
        name = self._draft.entry.content.document
        for target in self._documents.operations_of(entry):
            if self._documents.undos(name, target):
                self.redo(target)

    def _place(self, path: DocumentPath) -> tuple[MapNode | ListNode, Key]:
        if not path:
            raise WrongKindError("the document itself stays a map")
        if isinstance(path[-1], str):
            key_of(path[-1])
        found = self.view.lookup(path)
        node = self._draft.document.nodes[found.number]
        assert isinstance(node, MapNode | ListNode)
        return node, found.key

    def _container(self, path: DocumentPath) -> AnyNode:
        """The container at `path`, made where it was only announced."""
        if not path:
            return self._draft.document.nodes[0]
        found = self.view.find(path)
        first = found.candidates[0]
        if first.kind is None:
            raise WrongKindError(f"a single value is at {shown_path(path)}")
        nodes = self._draft.document.nodes
        if first.number is not None:
            return nodes[first.number]
        return self._draft.made(nodes[found.number], found.key, first.kind)

    def _existing[N: AnyNode](self, path: DocumentPath, cls: type[N]) -> N:
        node = self._container(path)
        if not isinstance(node, cls):
            raise WrongKindError(f"a {node.kind.name.lower()} is at {shown_path(path)}")
        return node

    def _made[N: AnyNode](self, path: DocumentPath, cls: type[N], kind: Kind) -> N:
        node, key = self._place(path)
        if not self._draft.document.presence.candidates(node.number, key):
            check(Count(), node.depth + 1)
            self._write(node, key, Make(kind), lww=False)
        return self._existing(path, cls)

    def _again[N: AnyNode](self, node: AnyNode, cls: type[N]) -> N:
        """The container as it is now: a draft copies it when it changes it first."""
        found = self._draft.document.nodes[node.number]
        assert isinstance(found, cls)
        return found

    def _sequence(self, path: DocumentPath, start: int, count: int) -> ListNode | TextNode:
        typing = self._draft.typing
        node = self._draft.document.nodes[typing[1]] if typing and typing[0] == path else self._container(path)
        if isinstance(node, TextNode):
            self._draft.typing = (path, node.number)
        elif not isinstance(node, ListNode):
            raise WrongKindError(f"a {node.kind.name.lower()} is at {shown_path(path)}")
        if start < 0 or count < 0 or start + count > node.fugue.shown:
            raise NoSuchPathError(f"{shown_path(path)} has {node.fugue.shown} elements, not {start} to {start + count}")
        return node

    def _write(self, node: MapNode | ListNode, key: Key, value: Scalar | Make | Absent, *, lww: bool) -> None:
        draft = self._draft
        replaces = draft.references(draft.heads(node, key)[:MAX_REPLACES])
        container = draft.container(node)
        if isinstance(node, ListNode) and isinstance(key, int):
            assert not isinstance(value, Absent)
            draft.add(PutElement(container, draft.element(node, key), value, replaces, lww))
        else:
            draft.add(PutKey(container, str(key), value, replaces, lww))

    def _put(self, node: MapNode | ListNode, key: Key, value: Input, *, lww: bool) -> None:
        how = written(value)
        self._write(node, key, how, lww=lww)
        if isinstance(how, Make):
            self._fill(node, key, Kind(how.kind), value)

    def _fill(self, parent: MapNode | ListNode, key: Key, kind: Kind, value: Input) -> None:
        """Put the content of `value` into the container that was just made for it."""
        if not isinstance(value, Count) and not value:
            return
        node = self._draft.made(parent, key, kind)
        match node, value:
            case TextNode(), str():
                self._type(node, 0, value)
            case CounterNode(), Count(start=start) if start:
                self._add(node, start)
            case MapNode(), Mapping():
                for inner, item in value.items():
                    self._put(self._again(node, MapNode), inner, item, lww=False)
            case SetNode(), AbstractSet():
                container = self._draft.container(node)
                for member in sorted({identity(scalar_of(member)) for member in value}, key=repr):
                    self._draft.add(AddMember(container, member[1]))
            case ListNode(), Sequence() if not isinstance(value, str | bytes):
                self._fill_list(node, 0, value)
            case _:
                pass

    def _fill_list(self, node: ListNode, index: int, values: Sequence[Input]) -> None:
        draft = self._draft
        for at in range(0, len(values), MAX_INSERT_VALUES):
            part = values[at : at + MAX_INSERT_VALUES]
            node = self._again(node, ListNode)
            parent, left_side, right = draft.anchors(node, node.fugue.origin_at(index + at))
            first = node.fugue.total
            how = tuple([written(value) for value in part])
            draft.add(InsertValues(draft.container(node), parent, left_side, right, how))
            for element, (kind, value) in enumerate(zip(how, part, strict=True), first):
                if isinstance(kind, Make):
                    self._fill(self._again(node, ListNode), element, Kind(kind.kind), value)

    def _type(self, node: TextNode, index: int, text: str) -> None:
        draft = self._draft
        for at, piece in enumerate(pieces(text)):
            node = self._again(node, TextNode) if at else node
            origin = node.fugue.origin_at(index)
            if not draft.extend(node, origin, piece):
                parent, left_side, right = draft.anchors(node, origin)
                draft.add(InsertText(draft.container(node), parent, left_side, right, piece))
            index += len(piece)

    def _remove(self, node: ListNode | TextNode, start: int, count: int) -> None:
        self._delete(node, node.fugue.spans.shown_runs(start, count))

    def _delete(self, node: ListNode | TextNode, runs: list[tuple[int, int]]) -> None:
        draft = self._draft
        if isinstance(node, ListNode):
            draft.typing = None
        draft.count_deleted(runs)
        if not runs or draft.extend_deletion(node, runs):
            return
        ranges = draft.ranges(node, runs)
        for at in range(0, len(ranges), MAX_RANGES):
            draft.add(DeleteElements(draft.container(node), ranges[at : at + MAX_RANGES]))

    def _add(self, node: CounterNode, amount: int) -> None:
        self._draft.add(Increment(self._draft.container(node), amount))
