"""The commands that look at, and bring back, what was: `checkout` and `restore`."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

from latticework.crdt import (
    Base,
    Directory,
    Entry,
    File,
    FileTree,
    Projection,
    Shown,
    Symlink,
    hlc_us,
    hlc_utc,
    next_hlc,
    past_of,
    shown_name,
    state_at,
)
from latticework.wire import LocalError, StoreError, Threads

from .app import Node
from .doc_commands import plain, read_path, shown_path
from .exits import EXIT_USAGE
from .folders.restoring import Restored
from .frames import Data
from .history import find_entry, space_named
from .requests import Caller, Command, ControlError, Request, text
from .runner import SpaceRunner
from .space import Space

_LISTED_AT_ONCE = 1000


def commands(node: Node) -> dict[str, Command]:
    """The commands by name."""
    past = _Past(node)
    return {"checkout": past.checkout, "restore": past.restore}


@dataclass(frozen=True, slots=True)
class Past:
    """The state of a space at an earlier moment, and how many entries it is made of."""

    state: Projection
    entries: int


async def state_when(space: Space, threads: Threads, covers: Callable[[Entry], bool]) -> Past:
    """The state that the entries for which `covers` holds add up to; those hold the past of each of them.

    Raises:
        LocalError: what one of them did is pruned.
    """

    def compute() -> Past:
        entries = [entry for entry in space.store.entries() if covers(entry)]
        base: Base | None = space.store.base()
        return Past(state_at(space.replica, entries, base), len(entries))

    # The owner writes nothing meanwhile, so the causal graph stands still while a thread reads it.
    return await space.work(partial(threads.run, compute))


@final
class _Past:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def checkout(self, request: Request, caller: Caller) -> Data:
        """A document, or what there was, as of an entry or a time."""
        runner, space, past = await self._past(request)
        answer: dict[str, Data] = {"space": runner.name, "entries": past.entries}
        name = request.get("document")
        if not isinstance(name, str):
            await self._list(past.state.tree, space, caller)
            return {**answer, "documents": list[Data](past.state.documents.names())}
        view = past.state.documents.document(name)
        if not view.json():
            known = ", ".join(past.state.documents.names()) or "none"
            raise LocalError(f"there was no document {name!r} then; there was: {known}")
        path = read_path(request.get("path"), view)
        conflicts: dict[str, Data] = {
            shown_path(place): [plain(version) for version in versions]
            for place, versions in view.all_conflicts().items()
            if place[: len(path)] == path
        }
        return {**answer, "document": name, "value": plain(view.get(path)), "conflicts": conflicts}

    async def restore(self, request: Request, caller: Caller) -> Data:
        """Files of a folder as they were, without removing what came later."""
        del caller
        runner, prefix = self._folder(request)
        space, engine = runner.space, runner.engine
        if space is None or engine is None:
            raise StoreError(runner.problem or "the folder is being opened; try again")
        past = await state_when(space, self._node.threads, _until(request))
        wanted = {path: shown for path, shown in past.state.tree.shown.items() if _is_below(path, prefix)}
        if not wanted:
            where = shown_name(prefix) if prefix else "this folder"
            raise LocalError(f"nothing of {where} was there then")
        later = [path for path in space.tree.shown if _is_below(path, prefix) and path not in wanted]
        now_hlc = next_hlc(0, self._node.now_us())
        done = await engine.restoring.restore(wanted, now_hlc)
        return _described(runner, done, len(wanted), len(later))

    async def _past(self, request: Request) -> tuple[SpaceRunner, Space, Past]:
        if request.get("at_us") is not None:
            runner, space = space_named(self._node, request.get("space"))
            return runner, space, await state_when(space, self._node.threads, _until(request))
        named = request.get("space")
        runners = list(self._node.runners.values()) if named is None else [space_named(self._node, named)[0]]
        runner, space, entry = await find_entry(self._node.threads, runners, text(request, "entry"))
        return runner, space, await state_when(space, self._node.threads, past_of(space.replica, entry.id))

    def _folder(self, request: Request) -> tuple[SpaceRunner, bytes]:
        folders = [runner for runner in self._node.runners.values() if runner.folder is not None]
        path = request.get("path")
        if isinstance(path, str):
            for runner in folders:
                if runner.folder is not None and Path(path).is_relative_to(runner.folder):
                    relative = os.fsencode(Path(path).relative_to(runner.folder))
                    return runner, b"" if relative == b"." else relative
            raise LocalError(f"{path} lies in none of your folders (lattice folder list)")
        name = request.get("space")
        folders = [runner for runner in folders if name is None or runner.name == name]
        if len(folders) != 1:
            known = ", ".join(sorted(str(runner.folder) for runner in folders)) or "none here"
            raise LocalError(f"say which folder by its path; there is: {known}")
        return folders[0], b""

    async def _list(self, tree: FileTree, space: Space, caller: Caller) -> None:
        for group in _groups(sorted(tree.shown.items())):
            await caller.event(event="files", files=[_file(path, shown, space) for path, shown in group])


def _groups(items: Sequence[tuple[bytes, Shown]]) -> Iterator[Sequence[tuple[bytes, Shown]]]:
    for start in range(0, len(items), _LISTED_AT_ONCE):
        yield items[start : start + _LISTED_AT_ONCE]


def _file(path: bytes, shown: Shown, space: Space) -> Data:
    value = shown.value
    return {
        "path": shown_name(path),
        "kind": {File: "file", Directory: "directory", Symlink: "symlink"}[type(value)],
        "size": value.size if isinstance(value, File) else None,
        "written": hlc_utc(shown.hlc).isoformat(),
        "device": space.replica.author_name(shown.log),
    }


def _until(request: Request) -> Callable[[Entry], bool]:
    at_us = request.get("at_us")
    if not isinstance(at_us, int):
        raise ControlError("usage", "the request lacks a time", EXIT_USAGE)
    return lambda entry: hlc_us(entry.body.hlc) <= at_us


def _is_below(path: bytes, prefix: bytes) -> bool:
    return not prefix or path == prefix or path.startswith(prefix + b"/")


def _described(runner: SpaceRunner, done: Restored, wanted: int, later: int) -> dict[str, Data]:
    beside: Mapping[bytes, bytes] = done.beside
    return {
        "folder": runner.name,
        "restored": [shown_name(path) for path in done.paths],
        "beside": {shown_name(path): shown_name(target) for path, target in beside.items()},
        "unchanged": wanted - len(done.paths) - len(done.failed),
        "later": later,
        "failed": [
            {"path": shown_name(path), "reason": why.reason.value, "message": why.message, "action": why.action}
            for path, why in sorted(done.failed.items())
        ],
    }
