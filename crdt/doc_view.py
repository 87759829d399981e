"""A document as plain Python values."""

from typing import NamedTuple, final

from .containers import AnyNode, CounterNode, ListNode, MapNode, SetNode, TextNode
from .doc_ops import Double, Kind, Scalar
from .doc_paths import DocumentPath, NoSuchPathError, WrongKindError, shown_path
from .doc_presence import Candidate, Presence, identity
from .document import Document
from .operations import Key, Number

type Json = bool | int | float | str | bytes | list[Json] | dict[str, Json] | None
"""What a document holds; bytes are shown as they are, a set as a sorted list."""


class Found(NamedTuple):
    """Where a path leads: a key or element of a container, and what stands there, the winner first."""

    number: Number
    key: Key
    candidates: list[Candidate]


@final
class DocumentView:
    """Reads one document; always its present state."""

    def __init__(self, document: Document) -> None:
        self._nodes: list[AnyNode] = document.nodes
        self._presence: Presence = document.presence

    def json(self) -> dict[str, Json]:
        """The whole document."""
        value = self._container(0)
        assert isinstance(value, dict)
        return value

    def get(self, path: DocumentPath) -> Json:
        """What stands at `path`.

        Raises:
            NoSuchPathError: nothing does.
        """
        return self._container(0) if not path else self._value(self.find(path).candidates[0])

    def text(self, path: DocumentPath) -> str:
        """The text at `path`; raises NoSuchPathError, or WrongKindError if something else is there."""
        node = self.container(path)
        if node is Kind.TEXT:
            return ""  # nobody has typed into it yet
        if not isinstance(node, TextNode):
            raise WrongKindError(f"{shown_path(path)} is no text")
        return node.text()

    def conflicts(self, path: DocumentPath) -> list[Json]:
        """Everything that stands at `path`, the winner first: one value where nobody disagrees.

        Raises:
            NoSuchPathError: nothing does.
        """
        return [self._value(candidate) for candidate in self.find(path).candidates] if path else [self.json()]

    def all_conflicts(self) -> dict[DocumentPath, list[Json]]:
        """Every path where more than one value stands, with all of them."""
        found: dict[DocumentPath, list[Json]] = {}
        self._collect((), 0, found)
        return found

    def _collect(self, path: DocumentPath, number: Number, found: dict[DocumentPath, list[Json]]) -> None:
        node = self._nodes[number]
        if isinstance(node, MapNode):
            steps: list[tuple[str | int, Key]] = [(key, key) for key in sorted(node.cells, key=str)]
        elif isinstance(node, ListNode):
            steps = list(enumerate(_shown(node)))
        else:
            return
        for step, key in steps:
            candidates = self._presence.candidates(number, key)
            if len(candidates) > 1:
                found[*path, step] = [self._value(candidate) for candidate in candidates]
            if candidates and (child := candidates[0].number) is not None:
                self._collect((*path, step), child, found)

    def container(self, path: DocumentPath) -> AnyNode | Kind | None:
        """The container at `path`, its kind if it was only announced, or None for a scalar; raises NoSuchPathError."""
        if not path:
            return self._nodes[0]
        candidate = self.find(path).candidates[0]
        return candidate.kind if candidate.number is None else self._nodes[candidate.number]

    def find(self, path: DocumentPath) -> Found:
        """What stands at `path`, which is not the root.

        Raises:
            NoSuchPathError: nothing does.
        """
        found = self.lookup(path)
        if not found.candidates:
            raise NoSuchPathError(f"nothing is at {shown_path(path)}")
        return found

    def lookup(self, path: DocumentPath) -> Found:
        """`find`, but a key of a map that exists may be absent."""
        number = 0
        for at, step in enumerate(path):
            node, here = self._nodes[number], shown_path(path[:at])
            found = self._step(node, step, here)
            if at + 1 == len(path):
                return found
            if not found.candidates:
                raise NoSuchPathError(f"nothing is at {shown_path(path[: at + 1])}")
            first = found.candidates[0]
            if first.number is None:
                missing = WrongKindError if first.kind is None else NoSuchPathError
                raise missing(f"nothing is inside {shown_path(path[: at + 1])}")
            number = first.number
        raise WrongKindError("the document itself stands at no key")

    def _step(self, node: AnyNode, step: str | int, here: str) -> Found:
        match node, step:
            case MapNode(), str(key):
                return Found(node.number, key, self._presence.candidates(node.number, key))
            case ListNode(), int(index):
                if not 0 <= index < node.fugue.shown:
                    raise NoSuchPathError(f"{here} has {node.fugue.shown} elements, none at {index}")
                element = node.fugue.spans.element_at(node.fugue.spans.find(index))
                return Found(node.number, element, self._elements(node.number, element))
            case _:
                raise WrongKindError(f"{here} is a {node.kind.name.lower()}, which has no {step!r:.40}")

    def _elements(self, number: Number, element: int) -> list[Candidate]:
        # An operation that names what its author had not seen may leave an element without any value.
        return self._presence.candidates(number, element) or [Candidate(None, None, None)]

    def _value(self, candidate: Candidate) -> Json:
        if candidate.number is not None:
            return self._container(candidate.number)
        if candidate.kind is None:
            return plain(candidate.scalar)
        return _empty(candidate.kind)

    def _container(self, number: Number) -> Json:
        node = self._nodes[number]
        match node:
            case MapNode():
                found = {str(key): self._presence.candidates(number, key) for key in sorted(node.cells, key=str)}
                return {key: self._value(candidates[0]) for key, candidates in found.items() if candidates}
            case ListNode():
                return [self._value(self._elements(number, key)[0]) for key in _shown(node)]
            case TextNode():
                return node.text()
            case CounterNode():
                return sum(addend.amount for addend in self._presence.addends(node))
            case SetNode():
                return self.members(node)

    def members(self, node: SetNode) -> list[Json]:
        """The values of a set, sorted by type and value."""
        found = {identity(member.value): member.value for member in self._presence.members(node)}
        return [plain(found[key]) for key in sorted(found, key=_sort_key)]


def plain(scalar: Scalar) -> Json:
    """The scalar as Python has it."""
    return scalar.number if isinstance(scalar, Double) else scalar


def _empty(kind: Kind) -> Json:
    match kind:
        case Kind.MAP:
            return {}
        case Kind.TEXT:
            return ""
        case Kind.COUNTER:
            return 0
        case Kind.LIST | Kind.SET:
            return []


def _shown(node: ListNode) -> list[int]:
    spans = node.fugue.spans
    return [element for span in spans if span.hides <= 0 for element in range(span.start, span.start + span.length)]


def _sort_key(key: tuple[str, Scalar]) -> tuple[str, str | bytes | float]:
    name, scalar = key
    match scalar:
        case None:
            return (name, "")
        case Double():
            return (name, scalar.number)
        case _:
            return (name, scalar)
