"""Paths in a document, and what can be wrong with them."""

from collections.abc import Iterable

from latticework.wire import LocalError

from .containers import ListNode
from .document import Document
from .operations import Key, Number

type DocumentPath = tuple[str | int, ...]
"""Keys of maps, and indexes in lists, from the root map on."""


class DocumentError(LocalError):
    """A document cannot be read or edited as asked."""


class NoSuchPathError(DocumentError):
    """Nothing stands at the path, or an index is out of range."""


class WrongKindError(DocumentError):
    """Something else stands at the path than the call is for, or the value cannot be written."""


def shown_path(path: DocumentPath) -> str:
    """The path for people: /chapters/0/title."""
    return "/" + "/".join(str(step) for step in path)


def paths_of(document: Document, touched: Iterable[tuple[Number, Key | None]]) -> frozenset[DocumentPath]:
    """Where the containers and keys are now; a list element that is hidden is where it would be."""
    known: dict[Number, DocumentPath] = {0: ()}
    return frozenset(
        path if key is None else (*path, _step(document, number, key))
        for number, key in touched
        for path in [_path(document, number, known)]
    )


def _path(document: Document, number: Number, known: dict[Number, DocumentPath]) -> DocumentPath:
    if (path := known.get(number)) is None:
        node = document.nodes[number]
        path = known[number] = (*_path(document, node.parent, known), _step(document, node.parent, node.key))
    return path


def _step(document: Document, number: Number, key: Key) -> str | int:
    node = document.nodes[number]
    return node.fugue.spans.index_of(key) if isinstance(node, ListNode) and isinstance(key, int) else key
