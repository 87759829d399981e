"""Spaces of a running node."""

from collections.abc import Callable
from typing import final

import trio

from latticework.crdt import DocOperations, Documents
from latticework.wire import EntryId, LocalError, StoreError

from . import app, space
from .account import space_of
from .documents import Doc
from .runner import SpaceRunner

_OPEN_S = 30.0
"""A store that does not open within this time has a problem to tell."""


@final
class Space:
    """One space by name. It is joined or made when it is first needed."""

    def __init__(self, node: app.Node, name: str) -> None:
        self._node = node
        self.name = name

    def doc(self, name: str) -> Doc:
        """The document `name`; it exists once somebody has written to it."""
        return Doc(self, name)

    def documents(self) -> list[str]:
        """Documents that hold anything, sorted."""
        runner = self.runner
        return [] if runner is None or runner.space is None else runner.space.documents.names()

    @property
    def runner(self) -> SpaceRunner | None:
        """What runs this space, if it is held."""
        named = {known.name: space_of(known) for known in self._node.account.spaces}
        return self._node.runners.get(named[self.name]) if self.name in named else None

    def read(self) -> Documents:
        """The documents as they are; empty while the space is not open."""
        runner = self.runner
        return Documents() if runner is None or runner.space is None else runner.space.documents

    async def hold(self, *, create: bool = True) -> "Space":
        """Hold the space: join it if a device of ours offers it, else make it.

        Raises:
            LocalError: there is no such space and `create` is False.
            StoreError: its store cannot be opened.
        """
        await self._opened(create=create)
        return self

    async def write(self, make: Callable[[Documents], DocOperations | None]) -> EntryId | None:
        """Write what `make` says to do to the documents as they are; the entry, or None if that was nothing.

        Raises:
            LocalError: as `make` does.
            StoreError: nothing was written.
        """
        return await (await self._opened(create=True)).edit(make)

    async def in_step(self) -> None:
        """Wait until every connected device that shares this space has said that it has what we have."""
        opened = await self._opened(create=False)
        while not all(
            (state := link.state(opened.id)) is not None and state.in_step for link in self._node.peers.links.values()
        ):
            await self._node.changed()

    async def _opened(self, *, create: bool) -> space.Space:
        if self.runner is None:
            if any(known.name == self.name for known in self._node.account.spaces):
                await self._node.holdings.join(self.name)
            elif create:
                await self._node.holdings.create(self.name)
            else:
                raise LocalError(f"there is no space named {self.name!r}")
        with trio.move_on_after(_OPEN_S):
            while (runner := self.runner) is None or runner.space is None:
                await self._node.changed()
            return runner.space
        runner = self.runner
        raise StoreError((runner.problem if runner is not None else None) or "the space does not open")
