"""The commands about documents: `doc new|get|set|delete|edit|list|watch|undo|redo`, and `space create|join|list`."""

import json
from typing import cast, final

import trio

from latticework.crdt import DocumentEditor, DocumentError, DocumentPath, Documents, DocumentView, Input, Json
from latticework.crdt.containers import ListNode
from latticework.wire import LocalError

from .account import space_of
from .app import Node
from .documents import Doc
from .exits import EXIT_CONFLICT, EXIT_USAGE
from .frames import Data
from .groups import first_error
from .handles import Space, offered
from .requests import Caller, Command, ControlError, Request, text

DEFAULT_SPACE = "home"
END = "-"
"""The last step of a path that means the end of a list (RFC 6901)."""
_INDEX_DIGITS = 10


def commands(node: Node) -> dict[str, Command]:
    """The commands by name."""
    documents = _Documents(node)
    return {
        "doc new": documents.new,
        "doc get": documents.get,
        "doc set": documents.set,
        "doc delete": documents.delete,
        "doc edit": documents.edit,
        "doc list": documents.list,
        "doc watch": documents.watch,
        "doc undo": documents.undo,
        "doc redo": documents.redo,
        "space create": documents.create,
        "space join": documents.join,
        "space list": documents.spaces,
    }


@final
class _Documents:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def new(self, request: Request, caller: Caller) -> Data:
        """Make a document."""
        del caller
        space = await self._space(request, create=True)
        doc = space.doc(text(request, "document"))
        content = _value(request)
        if not isinstance(content, dict):
            raise ControlError("usage", "a document is a JSON object: {...}", EXIT_USAGE)
        if doc.json():
            raise ControlError("conflict", f"there is a document {doc.name!r} already", EXIT_CONFLICT)
        if not content:
            raise ControlError("usage", "a document begins with something in it", EXIT_USAGE)
        fields = cast("dict[str, Input]", content)

        def fill(edit: DocumentEditor) -> None:
            for key, value in fields.items():
                edit.put((key,), value)

        await doc.change(fill)
        return {"document": doc.name, "space": space.name}

    async def get(self, request: Request, caller: Caller) -> Data:
        """What stands at a path."""
        del caller
        doc = await self._existing(request)
        path = _path(request, doc.view)
        value = doc.get(*path) if path else doc.json()
        conflicts: dict[str, Data] = {
            shown_path(place): [plain(version) for version in versions]
            for place, versions in doc.view.all_conflicts().items()
            if place[: len(path)] == path
        }
        return {"document": doc.name, "value": plain(value), "conflicts": conflicts}

    async def set(self, request: Request, caller: Caller) -> Data:
        """Have a value at a path, or at the end of a list."""
        del caller
        space = await self._space(request, create=True)
        doc, value = space.doc(text(request, "document")), cast("Input", _value(request))

        def write(edit: DocumentEditor) -> None:
            path = _path(request, edit.view)
            if not path:
                raise ControlError("usage", "say where: a path such as /title", EXIT_USAGE)
            if path[-1] == END and isinstance(elements := _container(edit.view, path[:-1]), ListNode):
                edit.insert(path[:-1], elements.fugue.shown, [value])
            else:
                edit.put(path, value)

        await doc.change(write)
        return {"document": doc.name}

    async def delete(self, request: Request, caller: Caller) -> Data:
        """Remove what stands at a path, or everything."""
        del caller
        doc = await self._existing(request)

        def remove(edit: DocumentEditor) -> None:
            path = _path(request, edit.view)
            for place in [path] if path else [(key,) for key in edit.view.json()]:
                edit.delete(place)

        await doc.change(remove)
        return {"document": doc.name}

    async def edit(self, request: Request, caller: Caller) -> Data:
        """Give a text to the caller's editor and take what it left; what others write meanwhile is merged with it."""
        doc = await self._existing(request)
        path = _path(request, doc.view)
        async with doc.edit() as edit:
            before = edit.view.text(path)
            await caller.event(event="text", text=before)
            answer = await caller.receive()
            after = None if answer is None else answer.get("text")
            changed = isinstance(after, str) and after != before
            if isinstance(after, str) and changed:
                edit.set_text(path, after)
        return {"document": doc.name, "changed": changed}

    async def undo(self, request: Request, caller: Caller) -> Data:
        """Take this device's newest change back."""
        del caller
        doc = await self._existing(request, gone=True)
        if not await doc.undo():
            raise LocalError(f"this device changed nothing in {doc.name!r} that could be undone")
        return {"document": doc.name}

    async def redo(self, request: Request, caller: Caller) -> Data:
        """Take the last undo back."""
        del caller
        doc = await self._existing(request, gone=True)
        if not await doc.redo():
            raise LocalError(f"this device undid nothing in {doc.name!r} since its last change")
        return {"document": doc.name}

    async def list(self, request: Request, caller: Caller) -> Data:
        """Every document."""
        del caller
        wanted = request.get("space")
        if wanted is not None or not self._node.runners:
            try:
                space = await self._space(request, create=False)
            except LocalError:
                if wanted is not None:
                    raise
                return []
            return _listed(space.name, space.read())
        runners = [runner for runner in self._node.runners.values() if runner.space is not None]
        return [item for r in runners if r.space is not None for item in _listed(r.name, r.space.documents)]

    async def watch(self, request: Request, caller: Caller) -> Data:
        """Tell every change until the caller goes away."""
        space = await self._space(request, create=False)
        doc = space.doc(text(request, "document"))
        changes = doc.changes()
        await caller.event(event="document", paths=[], value=plain(doc.json()))
        with first_error():
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_until_gone, caller, nursery.cancel_scope)
                    async for change in changes:
                        paths: list[Data] = [shown_path(path) for path in sorted(change.paths, key=str)]
                        await caller.event(event="document", paths=paths, value=plain(doc.json()))
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
        return None

    async def create(self, request: Request, caller: Caller) -> Data:
        """Make a space without a folder."""
        del caller
        name = text(request, "name")
        return {"space": (await self._node.holdings.create(name)).hex(), "name": name}

    async def join(self, request: Request, caller: Caller) -> Data:
        """Hold a space of the account without a folder."""
        del caller
        name = text(request, "name")
        return {"space": (await self._node.holdings.join(name)).hex(), "name": name}

    async def spaces(self, request: Request, caller: Caller) -> Data:
        """Every space of the account."""
        del request, caller
        return [
            {
                "name": known.name,
                "space": space_of(known).hex(),
                "held": known.held,
                "folder": known.folder is not None,
                "documents": len(Space(self._node, space_of(known).hex()).documents()),
            }
            for known in self._node.account.spaces
        ]

    async def _space(self, request: Request, *, create: bool) -> Space:
        """The space that is meant: the one named, else the only one there is, else `home`."""
        name = request.get("space")
        if not isinstance(name, str):
            name = await self._usual(create=create)
        return await Space(self._node, name).hold(create=create)

    async def _usual(self, *, create: bool) -> str:
        await offered(self._node, lambda: bool(self._node.account.spaces), create=create)
        known = self._node.account.spaces
        if len(known) == 1:
            return known[0].name
        if known and not create and all(space.name != DEFAULT_SPACE for space in known):
            raise LocalError(f"say which space with --space: {', '.join(sorted(space.name for space in known))}")
        return DEFAULT_SPACE

    async def _existing(self, request: Request, *, gone: bool = False) -> Doc:
        """The document that is meant; `gone` allows one that holds nothing any more."""
        space = await self._space(request, create=False)
        doc = space.doc(text(request, "document"))
        if not gone and not doc.json():
            known = ", ".join(space.documents()) or "none yet"
            raise LocalError(f"there is no document {doc.name!r} in {space.name!r}; there is: {known}")
        return doc


async def _until_gone(caller: Caller, scope: trio.CancelScope) -> None:
    await caller.receive()
    scope.cancel()


def _listed(space: str, documents: Documents) -> list[Data]:
    return [
        {"document": name, "space": space, "conflicts": len(documents.document(name).all_conflicts())}
        for name in documents.names()
    ]


def plain(value: Json) -> Data:
    """A value of a document for JSON: bytes as hexadecimal."""
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def shown_path(path: DocumentPath) -> str:
    """A path as people write it: RFC 6901, a JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path) or "/"


def read_path(given: Data, view: DocumentView) -> DocumentPath:
    """A JSON pointer; a step is an index where a list stands, a key anywhere else. Raises ControlError."""
    if given is None or given in {"", "/"}:
        return ()
    if not isinstance(given, str) or not given.startswith("/"):
        raise ControlError("usage", "a path begins with /, for example /items/0/title", EXIT_USAGE)
    path: DocumentPath = ()
    for step in given[1:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        is_index = key.isascii() and key.isdecimal() and len(key) < _INDEX_DIGITS
        path = (*path, int(key) if is_index and isinstance(_container(view, path), ListNode) else key)
    return path


def _path(request: Request, view: DocumentView) -> DocumentPath:
    return read_path(request.get("path"), view)


def _container(view: DocumentView, path: DocumentPath) -> object:
    try:
        return view.container(path)
    except DocumentError:
        return None


def _value(request: Request) -> object:
    try:
        return json.loads(text(request, "value"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ControlError("usage", f"the value is no JSON: {error}", EXIT_USAGE) from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
