"""Operations of a document as they are held: what they say with every reference looked up, and whether they are active.

An operation is active while its entry is not void and no active undo targets it: `blocks` counts the reasons against.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from latticework.wire import EntryId, LogId

from .doc_ops import DeleteElements, DocOperations, Operation, Scalar, Value
from .dots import Dot
from .params import MAX_DELETED_ELEMENTS, MAX_OPS_PER_ENTRY

type Number = int
"""A container's number on this replica; 0 is the root map."""
type Key = str | int
"""What stands in a container: a key of a map, or the number of an element of a list on this replica."""
type Bound = dict[LogId, int]
"""Per log, the first place that is not covered."""


@final
@dataclass(slots=True)
class Applied:
    """An entry in the lane of documents. `past` is the highest number per log in its causal past, without itself."""

    id: EntryId
    hlc: int
    log: LogId
    seq: int
    past: Mapping[LogId, int]
    content: DocOperations
    void: bool
    states: "list[State | Waiting | None]" = field(default_factory=list["State | Waiting | None"])
    places: dict[int, tuple[Number, int]] = field(default_factory=dict[int, tuple[Number, int]])
    """Rows of the table that were looked up: the container, and the first operation that may use it."""

    _counted: int = 0
    _deleted: int = 0
    _first_refused: int = MAX_OPS_PER_ENTRY

    def deletes_too_much(self, index: int) -> bool:
        """Whether the deletions up to the operation at `index` name more elements than one entry may delete."""
        for operation in self.content.operations[self._counted : index + 1]:
            self._counted += 1
            if self._deleted <= MAX_DELETED_ELEMENTS and isinstance(operation, DeleteElements):
                self._deleted += sum([item.count for item in operation.ranges])
                if self._deleted > MAX_DELETED_ELEMENTS:
                    self._first_refused = self._counted - 1
        return index >= self._first_refused

    def say_last(self, operation: Operation) -> None:
        """Say something else in place of the last operation; a draft does."""
        said = self.content
        operations = (*said.operations[:-1], operation)
        self.content = DocOperations(said.document, said.entries, said.containers, operations)


class State:
    """One operation. Its place is its number in its log times the size of an entry, plus its index."""

    __slots__ = ("blocks", "entry", "index")

    def __init__(self, entry: Applied, index: int) -> None:
        self.entry = entry
        self.index = index
        self.blocks = 1 if entry.void else 0

    @property
    def id(self) -> Dot:
        return Dot(self.entry.id, self.index)

    @property
    def order(self) -> tuple[int, bytes, int]:
        return (self.entry.hlc, self.entry.id, self.index)

    @property
    def place(self) -> int:
        return self.entry.seq * MAX_OPS_PER_ENTRY + self.index

    @property
    def active(self) -> bool:
        return self.blocks == 0

    def widen(self, bound: Bound) -> None:
        """Extend `bound` by what the author of this operation had seen."""
        entry = self.entry
        for log, seq in entry.past.items():
            if bound.get(log, 0) < (place := (seq + 1) * MAX_OPS_PER_ENTRY):
                bound[log] = place
        if bound.get(entry.log, 0) < self.place:
            bound[entry.log] = self.place


@final
class Waiting:
    """An operation that names another that is not here yet."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Write(State):
    """A value for a key or an element."""

    __slots__ = ("container", "key", "lww", "replaces", "value")

    def __init__(
        self,
        entry: Applied,
        index: int,
        container: Number,
        key: Key,
        value: Value,
        replaces: tuple[Dot, ...],
        *,
        lww: bool,
    ) -> None:
        super().__init__(entry, index)
        self.container = container
        self.key = key
        self.value = value
        self.replaces = replaces
        self.lww = lww


@final
class Insertion(State):
    """A run of elements from `first` on."""

    __slots__ = ("container", "count", "first")

    def __init__(self, entry: Applied, index: int, container: Number, first: int, count: int) -> None:
        super().__init__(entry, index)
        self.container = container
        self.first = first
        self.count = count


@final
class Initial:
    """The value an element was inserted with, as a write to it."""

    __slots__ = ("insertion", "value")
    replaces: tuple[Dot, ...] = ()
    lww = False

    def __init__(self, insertion: Insertion, value: Value) -> None:
        self.insertion = insertion
        self.value = value

    @property
    def id(self) -> Dot:
        return self.insertion.id

    @property
    def order(self) -> tuple[int, bytes, int]:
        return self.insertion.order

    @property
    def active(self) -> bool:
        return self.insertion.blocks == 0


@final
class Deletion(State):
    """Tags on elements: disjoint runs of numbers, sorted."""

    __slots__ = ("container", "runs")

    def __init__(self, entry: Applied, index: int, container: Number, runs: list[tuple[int, int]]) -> None:
        super().__init__(entry, index)
        self.container = container
        self.runs = runs


@final
class Addend(State):
    """A counter counts `amount` more."""

    __slots__ = ("amount", "container")

    def __init__(self, entry: Applied, index: int, container: Number, amount: int) -> None:
        super().__init__(entry, index)
        self.container = container
        self.amount = amount


@final
class Membership(State):
    """A set contains `value`."""

    __slots__ = ("container", "value")

    def __init__(self, entry: Applied, index: int, container: Number, value: Scalar) -> None:
        super().__init__(entry, index)
        self.container = container
        self.value = value


@final
class Expulsion(State):
    """A set forgets additions."""

    __slots__ = ("container",)

    def __init__(self, entry: Applied, index: int, container: Number) -> None:
        super().__init__(entry, index)
        self.container = container


@final
class Reversal(State):
    """An undo; `depth` counts the undos below it."""

    __slots__ = ("depth", "target")
    depth: int

    def __init__(self, entry: Applied, index: int, target: State) -> None:
        super().__init__(entry, index)
        self.target = target
        self.depth = target.depth + 1 if isinstance(target, Reversal) else 0
