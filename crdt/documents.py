"""The documents of a space: entries in, JSON out.

Everything is a function of the set of entries applied and of the set of void ones, whatever the order. A snapshot is
that set written down in one order, so it is equal exactly when the sets are, and nothing is lost by it.
"""

from collections import ChainMap
from collections.abc import Mapping
from typing import Final, final

from latticework.wire import EntryId, LogId

from .doc_ops import DocOperations
from .doc_paths import DocumentPath, paths_of
from .doc_snapshot import read_snapshot, write_snapshot
from .doc_view import DocumentView
from .document import Document
from .dots import Dot
from .hlc import HLC_MAX
from .operations import Applied, Key, Number, State

_DRAFT: Final = EntryId(b"\xff" * 32)
"""Stands for an entry that is not written yet; no hash is equal to it."""

type Touched = set[tuple[Number, Key | None]]


@final
class Documents:
    """The documents of one space by name."""

    def __init__(self) -> None:
        self._entries: dict[EntryId, Applied] = {}
        self._documents: dict[str, Document] = {}
        self._void: set[EntryId] = set()
        self._seen: dict[LogId, int] = {}
        self.version = 0
        """Counts the times that anything was applied or made void."""

    def apply(
        self, entry: EntryId, hlc: int, log: LogId, seq: int, past: Mapping[LogId, int], content: DocOperations
    ) -> dict[str, frozenset[DocumentPath]]:
        """Apply an admitted entry of the lane of documents; the names of changed documents, and what changed in each.

        `past` is the highest number per log in the entry's causal past, without itself, entries of other lanes counted.
        It is kept, so it must not be changed afterwards. An entry that was applied before changes nothing.
        """
        if entry in self._entries:
            return {}
        applied = Applied(entry, hlc, log, seq, past, content, void=entry in self._void)
        self._entries[entry] = applied
        self.version += 1
        self._seen[log] = max(seq, self._seen.get(log, seq))
        document = self._documents.get(content.document)
        if document is None:
            document = self._documents[content.document] = Document(self._entries)
        return self._changes({content.document: document.integrate(applied)})

    def set_void(self, entries: Mapping[EntryId, bool]) -> dict[str, frozenset[DocumentPath]]:
        """Entries lose their effect (True) or regain it (False), applied or not; what changed, as for `apply`."""
        touched: dict[str, Touched] = {}
        self.version += 1
        for entry, void in entries.items():
            (self._void.add if void else self._void.discard)(entry)
            applied = self._entries.get(entry)
            if applied is not None and applied.void != void:
                name = applied.content.document
                touched.setdefault(name, set()).update(self._documents[name].set_void(applied, void=void))
        return self._changes(touched)

    def _changes(self, touched: Mapping[str, Touched]) -> dict[str, frozenset[DocumentPath]]:
        return {name: paths_of(self._documents[name], what) for name, what in touched.items() if what}

    def names(self) -> list[str]:
        """Documents that hold anything, sorted."""
        return sorted(name for name, document in self._documents.items() if document.presence.has_content(0))

    def document(self, name: str) -> DocumentView:
        """The document `name`; one that nobody wrote to yet is an empty map, and a view of it stays one."""
        return DocumentView(self._documents.get(name) or Document(self._entries))

    def draft(self, name: str) -> tuple[Document, Applied]:
        """A copy of the document `name` that an editor tries its operations on, and the entry that they will be in."""
        content = DocOperations(name, (), (), ())
        draft = Applied(_DRAFT, HLC_MAX + 1, LogId(_DRAFT), 0, self._seen, content, void=False)
        entries = ChainMap({_DRAFT: draft}, self._entries)
        return Document(entries, self._documents.get(name) or Document(self._entries)), draft

    def operation(self, name: str, dot: Dot) -> State | None:
        """An operation of the document `name` that has, or had, an effect."""
        entry = self._entries.get(dot.entry)
        if entry is None or entry.content.document != name or dot.index >= len(entry.states):
            return None
        state = entry.states[dot.index]
        return state if isinstance(state, State) else None

    def operations_of(self, entry: EntryId) -> list[Dot]:
        """The operations of an entry that have, or had, an effect."""
        applied = self._entries.get(entry)
        return [] if applied is None else [state.id for state in applied.states if isinstance(state, State)]

    def entries_of(self, name: str, log: LogId) -> list[Applied]:
        """The entries of one log in the document `name` that are not void, in the order of the log."""
        found = (entry for entry in self._entries.values() if entry.log == log and entry.content.document == name)
        return sorted((entry for entry in found if not entry.void), key=lambda entry: entry.seq)

    def copy_of(self, name: str) -> "Documents":
        """The document `name` as it is now, for an edit that takes its time; costs as much as applying its entries."""
        copy = Documents()
        copy._void = set(self._void)
        for entry in self._entries.values():
            if entry.content.document == name:
                copy.apply(entry.id, entry.hlc, entry.log, entry.seq, entry.past, entry.content)
        copy._seen = dict(self._seen)
        return copy

    def undos(self, name: str, target: Dot) -> list[Dot]:
        """The active undos of an operation."""
        document, state = self._documents.get(name), self.operation(name, target)
        return [undo.id for undo in document.reversals(state) if undo.active] if document and state else []

    def snapshot(self) -> bytes:
        """The set of entries applied and of void ones: canonical, lossless."""
        return write_snapshot(self._entries.values(), self._void)

    @classmethod
    def load(cls, snapshot: bytes) -> "Documents":
        """The documents that wrote `snapshot`.

        Raises:
            MalformedError: it is no snapshot.
        """
        documents = cls()
        entries, documents._void = read_snapshot(snapshot)
        for entry in entries:
            documents.apply(entry.id, entry.hlc, entry.log, entry.seq, entry.past, entry.content)
        return documents
