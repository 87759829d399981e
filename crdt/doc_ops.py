"""What an entry in the lane of documents says: operations on one JSON document.

After Kleppmann and Beresford, "A Conflict-Free Replicated JSON Datatype" (2017). A document is a map; containers below
it are named by where they are and what they are, so that two devices that make the same list offline write into one.
An entry names the containers it touches once, in a table, and other entries once, in another: an operation is then a
few small integers and its value. Reference 0 is always at hand: the root map, or the entry itself.

Nothing here is trusted. A reference to something that does not exist, or that is of another kind, takes the operation's
effect away, for everyone alike.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, final

from latticework.wire import (
    Array,
    Bool,
    Bytes,
    EntryId,
    MalformedError,
    Nested,
    Nullable,
    OneOf,
    Plain,
    SInt,
    Text,
    UInt,
    record,
)

from .params import (
    MAX_DOCUMENT_CONTAINERS,
    MAX_DOCUMENT_NAME_BYTES,
    MAX_ENTRY_REFERENCES,
    MAX_INSERT_BYTES,
    MAX_INSERT_VALUES,
    MAX_KEY_BYTES,
    MAX_OPS_PER_ENTRY,
    MAX_RANGES,
    MAX_REPLACES,
    MAX_SCALAR_BYTES,
)


class Kind(IntEnum):
    """What a container is."""

    MAP = 1
    LIST = 2
    TEXT = 3
    COUNTER = 4
    SET = 5


@record("double", tag=0)
@dataclass(frozen=True, slots=True)
class Double:
    """A floating-point number: IEEE 754 binary64, big-endian; never NaN, which equals nothing."""

    bits: Annotated[bytes, Bytes(8)]

    @classmethod
    def of(cls, number: float) -> "Double":
        return cls(struct.pack(">d", number))

    @property
    def number(self) -> float:
        """The number as Python has it."""
        (number,) = struct.unpack(">d", self.bits)
        return float(number)


@record("make-container", tag=1)
@dataclass(frozen=True, slots=True)
class Make:
    """The value is a container of this `Kind`."""

    kind: Annotated[int, UInt(5)]


@record("absent", tag=2)
@dataclass(frozen=True, slots=True)
class Absent:
    """There is no value: a key that was removed."""


ABSENT: Final = Absent()

type Scalar = bool | int | str | bytes | Double | None
type Value = Scalar | Make | Absent


@final
@dataclass(frozen=True, slots=True)
class ValueKind:
    """A scalar as itself, anything else as one of the tagged records `others`."""

    others: tuple[type, ...]

    def from_plain(self, plain: Plain) -> object:
        match plain:
            case None | bool():
                return plain
            case int():
                return SInt().from_plain(plain)
            case str():
                return Text(MAX_SCALAR_BYTES).from_plain(plain)
            case bytes():
                return Bytes(maximum=MAX_SCALAR_BYTES).from_plain(plain)
            case _:
                value = OneOf(self.others).from_plain(plain)
        if isinstance(value, Double) and math.isnan(value.number):
            raise MalformedError("NaN is no value")
        if isinstance(value, Make) and value.kind == 0:
            raise MalformedError("no kind of container")
        return value

    def to_plain(self, value: object) -> Plain:
        if value is None or isinstance(value, bool | int | str | bytes):
            return value
        return OneOf(self.others).to_plain(value)

    def cddl(self) -> str:
        scalars = f"null / bool / int / tstr .size (0..{MAX_SCALAR_BYTES}) / bstr .size (0..{MAX_SCALAR_BYTES})"
        return f"{scalars} / {OneOf(self.others).cddl()}"


@record("element-ref")
@dataclass(frozen=True, slots=True)
class ElementRef:
    """An element of a list or text: entry (0: this one, n: the n-th of the table), operation, offset in its run."""

    entry: Annotated[int, UInt(MAX_ENTRY_REFERENCES)]
    operation: Annotated[int, UInt(MAX_OPS_PER_ENTRY)]
    offset: Annotated[int, UInt(MAX_INSERT_BYTES)]


@record("operation-ref")
@dataclass(frozen=True, slots=True)
class OperationRef:
    """An operation: entry (0: this one, n: the n-th of the table) and index in it."""

    entry: Annotated[int, UInt(MAX_ENTRY_REFERENCES)]
    operation: Annotated[int, UInt(MAX_OPS_PER_ENTRY)]


@record("element-range")
@dataclass(frozen=True, slots=True)
class ElementRange:
    """`count` elements of one run from `offset` on; what lies beyond its end is nothing."""

    entry: Annotated[int, UInt(MAX_ENTRY_REFERENCES)]
    operation: Annotated[int, UInt(MAX_OPS_PER_ENTRY)]
    offset: Annotated[int, UInt(MAX_INSERT_BYTES)]
    count: Annotated[int, UInt(MAX_INSERT_BYTES)]


@final
@dataclass(frozen=True, slots=True)
class StepKind:
    """A key of a map as text, or an element of a list."""

    def from_plain(self, plain: Plain) -> object:
        return (Text(MAX_KEY_BYTES) if isinstance(plain, str) else Nested(ElementRef)).from_plain(plain)

    def to_plain(self, value: object) -> Plain:
        return value if isinstance(value, str) else Nested(ElementRef).to_plain(value)

    def cddl(self) -> str:
        return f"tstr .size (0..{MAX_KEY_BYTES}) / element-ref"


@record("container")
@dataclass(frozen=True, slots=True)
class Container:
    """The container of kind `kind` at `step` of `parent`: 0 the root map, n the n-th of the table, an earlier one."""

    parent: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    step: Annotated[str | ElementRef, StepKind()]
    kind: Annotated[int, UInt(5)]


type Operation = (
    PutKey | PutElement | InsertText | InsertValues | DeleteElements | Increment | AddMember | RemoveMembers | Undo
)


@record("put-key", tag=1)
@dataclass(frozen=True, slots=True)
class PutKey:
    """`key` of a map has `value`, in place of the writes `replaces`; `lww`: of such writes only the newest counts.

    It also empties the containers at `key`, as far as its author had seen their content.
    """

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    key: Annotated[str, Text(MAX_KEY_BYTES)]
    value: Annotated[Value, ValueKind((Double, Make, Absent))]
    replaces: Annotated[tuple[OperationRef, ...], Array(Nested(OperationRef), MAX_REPLACES)]
    lww: Annotated[bool, Bool()]


@record("put-element", tag=2)
@dataclass(frozen=True, slots=True)
class PutElement:
    """`put-key` for an element of a list."""

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    element: Annotated[ElementRef, Nested(ElementRef)]
    value: Annotated[Scalar | Make, ValueKind((Double, Make))]
    replaces: Annotated[tuple[OperationRef, ...], Array(Nested(OperationRef), MAX_REPLACES)]
    lww: Annotated[bool, Bool()]


@record("insert-text", tag=3)
@dataclass(frozen=True, slots=True)
class InsertText:
    """A run of characters (Unicode code points) as a left or right child of `parent`; null: the start of the text.

    `right` is what followed the run when it was typed, null for the end; it is null also for a left child.
    """

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    parent: Annotated[ElementRef | None, Nullable(Nested(ElementRef))]
    left_side: Annotated[bool, Bool()]
    right: Annotated[ElementRef | None, Nullable(Nested(ElementRef))]
    text: Annotated[str, Text(MAX_INSERT_BYTES)]


@record("insert-values", tag=4)
@dataclass(frozen=True, slots=True)
class InsertValues:
    """`insert-text` for a list."""

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    parent: Annotated[ElementRef | None, Nullable(Nested(ElementRef))]
    left_side: Annotated[bool, Bool()]
    right: Annotated[ElementRef | None, Nullable(Nested(ElementRef))]
    values: Annotated[tuple[Scalar | Make, ...], Array(ValueKind((Double, Make)), MAX_INSERT_VALUES)]


@record("delete-elements", tag=5)
@dataclass(frozen=True, slots=True)
class DeleteElements:
    """Elements of a list or text are deleted; content that was added to one of them at the same time keeps it alive."""

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    ranges: Annotated[tuple[ElementRange, ...], Array(Nested(ElementRange), MAX_RANGES)]


@record("increment", tag=6)
@dataclass(frozen=True, slots=True)
class Increment:
    """A counter counts `amount` more, or less."""

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    amount: Annotated[int, SInt()]


@record("add-member", tag=7)
@dataclass(frozen=True, slots=True)
class AddMember:
    """A set contains `value`."""

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    value: Annotated[Scalar, ValueKind((Double,))]


@record("remove-members", tag=8)
@dataclass(frozen=True, slots=True)
class RemoveMembers:
    """A set forgets the additions `adds`."""

    container: Annotated[int, UInt(MAX_DOCUMENT_CONTAINERS)]
    adds: Annotated[tuple[OperationRef, ...], Array(Nested(OperationRef), MAX_REPLACES)]


@record("undo", tag=9)
@dataclass(frozen=True, slots=True)
class Undo:
    """The operation `target` has no effect while this one has; a redo is the undo of the undo."""

    target: Annotated[OperationRef, Nested(OperationRef)]


OPERATIONS: Final = (
    PutKey,
    PutElement,
    InsertText,
    InsertValues,
    DeleteElements,
    Increment,
    AddMember,
    RemoveMembers,
    Undo,
)


@record("document-operations")
@dataclass(frozen=True, slots=True)
class DocOperations:
    """The payload of an entry in the lane of documents."""

    document: Annotated[str, Text(MAX_DOCUMENT_NAME_BYTES)]
    entries: Annotated[tuple[EntryId, ...], Array(Bytes(32), MAX_ENTRY_REFERENCES)]
    containers: Annotated[tuple[Container, ...], Array(Nested(Container), MAX_DOCUMENT_CONTAINERS)]
    operations: Annotated[tuple[Operation, ...], Array(OneOf(OPERATIONS), MAX_OPS_PER_ENTRY)]
