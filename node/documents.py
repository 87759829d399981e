"""A document, its typed parts, and what happens to it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, Self, final

import trio

from latticework.crdt import (
    DocOperations,
    DocumentEditor,
    DocumentPath,
    Documents,
    DocumentView,
    Input,
    Json,
    NoSuchPathError,
    Undoable,
    undoable,
)
from latticework.crdt.doc_values import Member
from latticework.wire import EntryId, LogId

type Step = str | int


class Home(Protocol):
    """What a document needs of its space."""

    @property
    def own_log(self) -> LogId | None: ...
    def read(self) -> Documents: ...
    async def hold(self, *, create: bool = True) -> object: ...
    async def appear(self) -> None:
        """Wait until somebody makes the space, then hold it: who looks on makes none."""
        ...

    async def write(self, make: Callable[[Documents], DocOperations | None]) -> EntryId | None: ...
    def listen(self, feed: "Changes") -> None:
        """Tell `feed` what changes in the documents of this space, for as long as anybody else holds it."""
        ...


@final
@dataclass(frozen=True, slots=True)
class DocChange:
    """Places of a document that changed since the last one was given, by whomever."""

    paths: frozenset[DocumentPath]


@final
class Doc:
    """One document by name: a JSON-like value that devices edit together.

    A path is a tuple of keys and list indexes. Reading shows what this device has. Every writing call is one entry: it
    returns when the entry is durable, and raises `DocumentError` (a LocalError) with nothing written when it makes no
    sense, `StoreError` when the disk refuses.
    """

    def __init__(self, space: Home, name: str) -> None:
        self._space = space
        self.name = name

    @property
    def view(self) -> DocumentView:
        """The document as it is, for reading before the next await."""
        return self._space.read().document(self.name)

    def json(self) -> dict[str, Json]:
        """The whole document as plain Python values; a set as a sorted list."""
        return self.view.json()

    def get(self, *path: Step) -> Json:
        """The value at a path; raises NoSuchPathError."""
        return self.view.get(path)

    def conflicts(self, *path: Step) -> list[Json]:
        """Everything that was written to a place at once; the first is what `get` gives."""
        return self.view.conflicts(path)

    def text(self, *path: Step) -> "Text":
        """The text at a path."""
        return Text(self, path)

    def list(self, *path: Step) -> "List":
        """The list at a path."""
        return List(self, path)

    def counter(self, *path: Step) -> "Counter":
        """The counter at a path; it is made by the first `add`."""
        return Counter(self, path)

    def set(self, *path: Step) -> "Set":
        """The set at a path; it is made by the first `add`."""
        return Set(self, path)

    async def put(self, path: DocumentPath, value: Input, *, lww: bool = False) -> None:
        """Have `value` there; see `DocumentEditor.put`."""
        await self.change(lambda edit: edit.put(path, value, lww=lww))

    async def delete(self, *path: Step) -> None:
        """Remove what stands there."""
        await self.change(lambda edit: edit.delete(path))

    async def change(self, work: Callable[[DocumentEditor], None]) -> None:
        """Do several things as one entry: `work` runs on the document as it then is, at once, and must not wait."""

        def make(documents: Documents) -> DocOperations | None:
            edit = DocumentEditor(documents, self.name, self._space.own_log)
            work(edit)
            operations = edit.operations()
            return operations if operations.operations else None

        await self._space.write(make)

    @asynccontextmanager
    async def edit(self) -> AsyncGenerator[DocumentEditor]:
        """Collect edits in the block and write them as one entry at its end; an exception writes nothing.

        The block works on a copy of the document, so it may wait: what others write meanwhile is merged, as if it had
        been written elsewhere. Where nothing needs to wait, `change` does without the copy.
        """
        await self._space.hold()
        edit = DocumentEditor(self._space.read().copy_of(self.name), self.name, self._space.own_log)
        yield edit
        operations = edit.operations()
        if operations.operations:
            await self._space.write(lambda _: operations)

    async def undo(self) -> bool:
        """Take the newest change of this device back that is not undone, whatever others did since.

        False if there is none. It may have been made in an earlier run: what can be undone is read off our log.
        """

        def work(edit: DocumentEditor, known: Undoable) -> None:
            if known.done:
                edit.undo_entry(known.done[-1])

        return await self._take_back(work)

    async def redo(self) -> bool:
        """Take the last undo back; False if there is none, or if this device changed something since."""

        def work(edit: DocumentEditor, known: Undoable) -> None:
            if known.undone:
                edit.redo_entry(known.undone[-1])

        return await self._take_back(work)

    def changes(self) -> "Changes":
        """Every change from now on, by this device or another; what happens while you are busy comes as one."""
        return Changes(self._space, self.name)

    async def until(self, holds: Callable[[DocumentView], bool]) -> None:
        """Wait until the document is as `holds` says; where it asks for what is not there, it is not."""
        changes = self.changes()
        if not self._is(holds):
            async for _ in changes:
                if self._is(holds):
                    return

    def _is(self, holds: Callable[[DocumentView], bool]) -> bool:
        with suppress(NoSuchPathError):
            return holds(self.view)
        return False

    async def _take_back(self, work: Callable[[DocumentEditor, Undoable], None]) -> bool:
        def make(documents: Documents) -> DocOperations | None:
            log = self._space.own_log
            assert log is not None
            edit = DocumentEditor(documents, self.name, log)
            work(edit, undoable(documents, self.name, log))
            operations = edit.operations()
            return operations if operations.operations else None

        return await self._space.write(make) is not None


@final
class Changes:
    """An async iterator over the changes of one document; begun when it is made. A cancelled wait loses nothing."""

    def __init__(self, space: Home, document: str) -> None:
        self._space = space
        self._document = document
        self._pending: set[DocumentPath] = set()
        self._wake = trio.Event()
        space.listen(self)

    def note(self, changed: Mapping[str, frozenset[DocumentPath]]) -> None:
        """Documents of the space changed at these places."""
        if paths := changed.get(self._document):
            self._pending |= paths
            self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DocChange:
        """The next change.

        Raises:
            LocalError, StoreError: the space cannot be held.
        """
        await trio.lowlevel.checkpoint()
        await self._space.appear()
        while not self._pending:
            self._wake = trio.Event()
            await self._wake.wait()
        paths = frozenset(self._pending)
        self._pending.clear()
        return DocChange(paths)


class _Part:
    __slots__ = ("_doc", "path")

    def __init__(self, doc: Doc, path: DocumentPath) -> None:
        self._doc = doc
        self.path = path


@final
class Text(_Part):
    """A text that people type into together, indexed by Unicode code points. Make it with `put(path, "")`."""

    def __str__(self) -> str:
        return self._doc.view.text(self.path)

    def __len__(self) -> int:
        return len(str(self))

    async def insert(self, index: int, text: str) -> None:
        """Insert before the character `index`."""
        await self._doc.change(lambda edit: edit.insert(self.path, index, text))

    async def delete(self, index: int, count: int = 1) -> None:
        """Delete characters."""
        await self._doc.change(lambda edit: edit.remove(self.path, index, count))

    async def replace(self, text: str) -> None:
        """Make it read `text`; what did not change is left alone, so concurrent edits of it merge."""
        await self._doc.change(lambda edit: edit.set_text(self.path, text))


@final
class List(_Part):
    """A list. Make it with `put(path, [])`."""

    def get(self) -> Json:
        """Its elements."""
        return self._doc.view.get(self.path)

    def __len__(self) -> int:
        elements = self.get()
        return len(elements) if isinstance(elements, list) else 0

    async def insert(self, index: int, *values: Input) -> None:
        """Insert before the element `index`."""
        await self._doc.change(lambda edit: edit.insert(self.path, index, values))

    async def append(self, *values: Input) -> None:
        """Add at the end."""
        await self._doc.change(lambda edit: edit.insert(self.path, _length(edit, self.path), values))

    async def delete(self, index: int, count: int = 1) -> None:
        """Delete elements."""
        await self._doc.change(lambda edit: edit.remove(self.path, index, count))


@final
class Counter(_Part):
    """A number that devices add to at once."""

    def get(self) -> int:
        """Its value."""
        value = self._doc.view.get(self.path)
        return value if isinstance(value, int) else 0

    async def add(self, amount: int = 1) -> None:
        """Count `amount` more, or less if it is negative."""
        await self._doc.change(lambda edit: edit.add(self.path, amount))


@final
class Set(_Part):
    """A set of plain values; an addition wins over a removal that did not know of it."""

    def get(self) -> Sequence[Json]:
        """Its members, sorted."""
        members = self._doc.view.get(self.path)
        return members if isinstance(members, list) else []

    async def add(self, value: Member) -> None:
        """Have `value` in it."""
        await self._doc.change(lambda edit: edit.add_to_set(self.path, value))

    async def discard(self, value: Member) -> None:
        """Have `value` no more in it."""
        await self._doc.change(lambda edit: edit.remove_from_set(self.path, value))


def _length(edit: DocumentEditor, path: DocumentPath) -> int:
    elements = edit.view.get(path)
    return len(elements) if isinstance(elements, list) else 0
