"""One document: operations in, effects on its containers. What is shown is a pure function of the operations applied.

Three rules make the order of arrival irrelevant. Structure is never taken back: an inserted element keeps its place
whatever happens to it. Effects are counted: an element is shown while nothing active hides it, a write counts while
nothing active replaced it. And whether a write empties a container is read off the causal past of its author, log by
log, and not off the time of its arrival.

What depends on several operations at once (whether a container was cleared, whether an element that was deleted is
alive because somebody wrote into it) is settled once per entry, in `settle`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import assert_never, final

from latticework.wire import EntryId

from .containers import AnyNode, CounterNode, ListNode, MapNode, Sequence, SetNode, TextNode
from .doc_ops import (
    AddMember,
    DeleteElements,
    ElementRange,
    Increment,
    InsertText,
    InsertValues,
    Operation,
    PutElement,
    PutKey,
    RemoveMembers,
    Undo,
)
from .doc_presence import Presence
from .doc_references import DeadError, MissingError, References
from .doc_settling import Settling
from .dots import Dot
from .fugue import END, START, Origin
from .operations import (
    Addend,
    Applied,
    Deletion,
    Expulsion,
    Insertion,
    Key,
    Membership,
    Number,
    Reversal,
    State,
    Waiting,
    Write,
)
from .params import MAX_UNDO_DEPTH


@final
class Document:
    """The containers of one document; `base` makes a draft of another document, which stays as it is."""

    def __init__(self, entries: Mapping[EntryId, Applied], base: "Document | None" = None) -> None:
        self.nodes: list[AnyNode] = [MapNode(0, 0, "", 0)] if base is None else base.nodes.copy()
        self.presence = Presence(self.nodes)
        self._look = References(entries, self.nodes)
        if base is not None:
            self._look.owned = set()
        self._settling = Settling(self.nodes, self.presence, self._look.writable)
        self._waiting: dict[Dot, list[Callable[[], None]]] = {}
        self._reversals: dict[Dot, list[Reversal]] = {}
        self._woken: deque[Callable[[], None]] = deque()

    def integrate(self, entry: Applied) -> set[tuple[Number, Key | None]]:
        """Apply the operations of an entry from where it left off; what was touched: a container, or a key of one."""
        for index in range(len(entry.states), len(entry.content.operations)):
            entry.states.append(None)
            self._integrate(entry, index)
            while self._woken:
                self._woken.popleft()()
        return self._settling.settle()

    def set_void(self, entry: Applied, *, void: bool) -> set[tuple[Number, Key | None]]:
        """Take the effect of an entry away, or give it back; what was touched."""
        entry.void = void
        for state in entry.states:
            if isinstance(state, State):
                self._block(state, 1 if void else -1)
        return self._settling.settle()

    def place(self, entry: Applied, at: int) -> AnyNode:
        """The container that a draft names in row `at` of its table, made if it is new."""
        return self._look.any_node(entry, len(entry.content.operations), at)

    def extend(self, draft: Applied, node: TextNode, origin: Origin, text: str) -> bool:
        """Add `text` to the last operation of a draft, if that typed what stands right before it."""
        operation, state = draft.content.operations[-1], draft.states[-1]
        if not isinstance(operation, InsertText) or not isinstance(state, Insertion) or state.container != node.number:
            return False
        if state.first + state.count != node.fugue.total or not node.fugue.continues(origin):
            return False
        node.fugue.integrate(origin, len(text))
        node.append(text)
        state.count += len(text)
        longer = InsertText(
            operation.container, operation.parent, operation.left_side, operation.right, operation.text + text
        )
        draft.say_last(longer)
        return True

    def extend_deletion(self, draft: Applied, node: Sequence, runs: list[tuple[int, int]]) -> bool:
        """Add shown elements to the last operation of a draft, if that deleted others of the same container."""
        state = draft.states[-1] if draft.states else None
        if not isinstance(state, Deletion) or state.container != node.number:
            return False
        self._settling.extend(state, runs)
        self._settling.settle()
        return True

    def reversals(self, target: State) -> list[Reversal]:
        """The undos of an operation, active or not."""
        return self._reversals.get(target.id, [])

    def _integrate(self, entry: Applied, index: int) -> None:
        try:
            state = self._read(entry, index, entry.content.operations[index])
        except DeadError:
            entry.states[index] = None
        except MissingError as missing:
            entry.states[index] = Waiting(index)
            self._wait(missing.dot, partial(self._integrate, entry, index))
        else:
            entry.states[index] = state
            if self._waiting:
                self._woken.extend(self._waiting.pop(state.id, ()))

    def _wait(self, dot: Dot, wake: Callable[[], None]) -> None:
        self._waiting.setdefault(dot, []).append(wake)

    def _read(self, entry: Applied, index: int, operation: Operation) -> State:
        look = self._look
        match operation:
            case InsertText() | InsertValues():
                return self._insert(entry, index, operation)
            case DeleteElements():
                sequence = look.sequence(entry, index, operation.container)
                if entry.deletes_too_much(index):
                    raise DeadError
                deletion = Deletion(entry, index, sequence.number, [])
                self._tag(deletion, operation.ranges)
                return deletion
            case PutKey():
                keyed = look.node(entry, index, operation.container, MapNode)
                return self._write(entry, index, operation, keyed, operation.key)
            case PutElement():
                listed = look.node(entry, index, operation.container, ListNode)
                element = look.element(entry, index, operation.element, listed.number)
                return self._write(entry, index, operation, listed, element)
            case Increment():
                counter = look.node(entry, index, operation.container, CounterNode)
                addend = Addend(entry, index, counter.number, operation.amount)
                counter.counter.add(addend)
                self._settling.touch(counter.number)
                return addend
            case AddMember() | RemoveMembers():
                return self._set(entry, index, operation)
            case Undo():
                return self._undo(entry, index, operation)
            case _:
                assert_never(operation)

    def _insert(self, entry: Applied, index: int, operation: InsertText | InsertValues) -> Insertion:
        node = self._look.sequence(entry, index, operation.container)
        match operation, node:
            case InsertText(text=text), TextNode() if text:
                count = len(text)
            case InsertValues(values=values), ListNode() if values:
                count = len(values)
            case _:
                raise DeadError
        parent = START if operation.parent is None else self._look.element(entry, index, operation.parent, node.number)
        right = END if operation.right is None else self._look.element(entry, index, operation.right, node.number)
        if operation.left_side and (parent == START or right != END):
            raise DeadError
        insertion = Insertion(entry, index, node.number, node.fugue.total, count)
        node.announce(insertion)
        node.fugue.integrate(Origin(parent, operation.left_side, right), insertion.count)
        if isinstance(node, TextNode) and isinstance(operation, InsertText):
            node.append(operation.text)
        elif isinstance(node, ListNode) and isinstance(operation, InsertValues):
            node.values.extend(operation.values)
        if not insertion.active:
            node.fugue.spans.hide(insertion.first, insertion.count, 1)
        self._settling.inserted(insertion)
        return insertion

    def _tag(self, deletion: Deletion, ranges: Iterable[ElementRange]) -> None:
        """Tag the elements of `ranges`; those of insertions that are not here yet are tagged when they come."""
        found: list[tuple[int, int]] = []
        late: dict[Dot, list[ElementRange]] = {}
        for item in ranges:
            try:
                insertion = self._look.insertion(deletion.entry, deletion.index, item, deletion.container)
            except DeadError:
                continue
            except MissingError as missing:
                late.setdefault(missing.dot, []).append(item)
                continue
            if (count := min(item.count, insertion.count - item.offset)) > 0:
                found.append((insertion.first + item.offset, count))
        for dot, items in late.items():
            self._wait(dot, partial(self._tag, deletion, items))
        self._settling.tag(deletion, found)

    def _write(
        self, entry: Applied, index: int, operation: PutKey | PutElement, node: MapNode | ListNode, key: Key
    ) -> Write:
        replaces = self._look.dots(entry, index, operation.replaces)
        write = Write(entry, index, node.number, key, operation.value, replaces, lww=operation.lww)
        cell = node.cell(key)
        cell.written(write)
        self._settling.touch(node.number, key)
        if write.active and cell.children:
            self._settling.stale.add((node.number, key))
        return write

    def _set(self, entry: Applied, index: int, operation: AddMember | RemoveMembers) -> Membership | Expulsion:
        node = self._look.node(entry, index, operation.container, SetNode)
        self._settling.touch(node.number)
        if isinstance(operation, AddMember):
            addition = Membership(entry, index, node.number, operation.value)
            node.members.add(addition)
            return addition
        removal = Expulsion(entry, index, node.number)
        for dot in self._look.dots(entry, index, operation.adds):
            node.members.remove(dot, removal)
        return removal

    def _undo(self, entry: Applied, index: int, operation: Undo) -> Reversal:
        target = self._look.state(entry, index, operation.target)
        undo = Reversal(entry, index, target)
        if undo.depth >= MAX_UNDO_DEPTH:
            raise DeadError
        self._reversals.setdefault(target.id, []).append(undo)
        if undo.active:
            self._block(target, 1)
        return undo

    def _block(self, state: State, delta: int) -> None:
        """One more reason why `state` is inactive, or one less."""
        was_active = state.active
        state.blocks += delta
        if was_active == state.active:
            return
        if isinstance(state, Reversal):
            self._block(state.target, -delta)
        else:
            self._settling.toggled(state, was_active=was_active)
