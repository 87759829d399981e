"""The commands about documents: `doc new|get|set|delete|edit|list|watch`, and `space create|join|list`."""

import json
from typing import cast, final

from latticework.crdt import DocumentEditor, DocumentPath, Input, Json
from latticework.wire import LocalError

from .account import space_of
from .app import Node
from .documents import Doc
from .exits import EXIT_CONFLICT, EXIT_USAGE
from .frames import Data
from .handles import Space
from .requests import Caller, Command, ControlError, Request, text

DEFAULT_SPACE = "home"


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
        doc = self._doc(request)
        await self._space(request).hold()
        content = _value(request)
        if not isinstance(content, dict):
            raise ControlError("usage", "a document is a JSON object: {...}", EXIT_USAGE)
        if doc.json():
            raise ControlError("conflict", f"there is a document {doc.name!r} already", EXIT_CONFLICT)
        fields = cast("dict[str, Input]", content)

        def fill(edit: DocumentEditor) -> None:
            for key, value in fields.items():
                edit.put((key,), value)

        await doc.change(fill)
        return {"document": doc.name, "space": self._space(request).name}

    async def get(self, request: Request, caller: Caller) -> Data:
        """What stands at a path."""
        del caller
        await self._space(request).hold(create=False)
        doc, path = self._existing(request), _path(request)
        value = doc.get(*path) if path else doc.json()
        conflicts: dict[str, Data] = {
            "/" + "/".join(map(str, place)): [plain(version) for version in versions]
            for place, versions in doc.view.all_conflicts().items()
            if place[: len(path)] == path
        }
        return {"document": doc.name, "value": plain(value), "conflicts": conflicts}

    async def set(self, request: Request, caller: Caller) -> Data:
        """Have a value at a path."""
        del caller
        doc, path, value = self._doc(request), _path(request), _value(request)
        if not path:
            raise ControlError("usage", "say where: a path such as /title", EXIT_USAGE)
        await doc.put(path, cast("Input", value))
        return {"document": doc.name}

    async def delete(self, request: Request, caller: Caller) -> Data:
        """Remove what stands at a path, or everything."""
        del caller
        await self._space(request).hold(create=False)
        doc, path = self._existing(request), _path(request)

        def empty(edit: DocumentEditor) -> None:
            for key in edit.view.json():
                edit.delete((key,))

        if path:
            await doc.delete(*path)
        else:
            await doc.change(empty)
        return {"document": doc.name}

    async def edit(self, request: Request, caller: Caller) -> Data:
        """Give a text to the caller's editor and take what it left; what others write meanwhile is merged with it."""
        await self._space(request).hold(create=False)
        doc, path = self._existing(request), _path(request)
        before = str(doc.text(*path))
        async with doc.edit() as edit:
            await caller.event(event="text", text=before)
            answer = await caller.receive()
            after = None if answer is None else answer.get("text")
            if isinstance(after, str) and after != before:
                edit.set_text(path, after)
        return {"document": doc.name, "changed": isinstance(after, str) and after != before}

    async def list(self, request: Request, caller: Caller) -> Data:
        """Every document."""
        del caller
        wanted = request.get("space")
        found: list[Data] = []
        for runner in self._node.runners.values():
            if runner.space is not None and wanted in {None, runner.name}:
                documents = runner.space.documents
                found += [
                    {"document": name, "space": runner.name, "conflicts": len(documents.document(name).all_conflicts())}
                    for name in documents.names()
                ]
        return found

    async def watch(self, request: Request, caller: Caller) -> Data:
        """Tell every change until the caller goes away."""
        doc = self._doc(request)
        await self._space(request).hold()
        await caller.event(event="document", paths=[], value=plain(doc.json()))
        async for change in doc.changes():
            paths: list[Data] = ["/" + "/".join(map(str, path)) for path in sorted(change.paths, key=str)]
            await caller.event(event="document", paths=paths, value=plain(doc.json()))
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
                "documents": len(Space(self._node, known.name).documents()),
            }
            for known in self._node.account.spaces
        ]

    def _space(self, request: Request) -> Space:
        name = request.get("space")
        if isinstance(name, str):
            return Space(self._node, name)
        known = self._node.account.spaces
        return Space(self._node, known[0].name if len(known) == 1 else DEFAULT_SPACE)

    def _doc(self, request: Request) -> Doc:
        return self._space(request).doc(text(request, "document"))

    def _existing(self, request: Request) -> Doc:
        doc = self._doc(request)
        if not doc.json():
            known = ", ".join(self._space(request).documents()) or "none yet"
            raise LocalError(f"there is no document {doc.name!r} in {self._space(request).name!r}; there is: {known}")
        return doc


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


def _path(request: Request) -> DocumentPath:
    given = request.get("path")
    if given is None or given in {"", "/"}:
        return ()
    if not isinstance(given, str) or not given.startswith("/"):
        raise ControlError("usage", "a path begins with /, for example /items/0/title", EXIT_USAGE)
    return tuple(int(step) if step.isdecimal() else step for step in given[1:].split("/"))


def _value(request: Request) -> object:
    try:
        return json.loads(text(request, "value"))
    except ValueError as error:
        raise ControlError("usage", f"the value is no JSON: {error}", EXIT_USAGE) from error
