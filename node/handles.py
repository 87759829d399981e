"""Spaces of a running node."""

from collections.abc import Callable
from typing import final

import trio

from latticework.crdt import DocOperations, Documents
from latticework.wire import EntryId, LocalError, LogId, StoreError

from . import app, space
from .account import space_of
from .documents import Changes, Doc
from .params import FIRST_CONTACT_S, OFFER_WAIT_S, OFFERS_FOLLOW_S
from .runner import SpaceRunner
from .state import KnownSpace

_OPEN_S = 30.0
"""A store that does not open within this time has a problem to tell."""


@final
class Space:
    """One space by name, or by the beginning of its id. It is joined or made when it is first needed."""

    def __init__(self, node: app.Node, name: str) -> None:
        self._node = node
        self.name = name

    def doc(self, name: str) -> Doc:
        """The document `name`; it exists once somebody has written to it."""
        return Doc(self, name)

    def documents(self) -> list[str]:
        """Documents that hold anything, sorted."""
        return self.read().names()

    @property
    def runner(self) -> SpaceRunner | None:
        """What runs this space, if it is held; raises LocalError where several have this name."""
        known = self._known()
        return None if known is None else self._node.runners.get(space_of(known))

    @property
    def own_log(self) -> LogId | None:
        """The log that this device writes here, once the space is open."""
        runner = self.runner
        return None if runner is None or runner.space is None else runner.space.own_log

    def read(self) -> Documents:
        """The documents as they are; empty while the space is not open."""
        runner = self.runner
        return Documents() if runner is None or runner.space is None else runner.space.documents

    def listen(self, feed: Changes) -> None:
        """Tell `feed` what changes in the documents of this space."""
        self._node.holdings.listen(lambda: self.runner, feed)

    async def hold(self, *, create: bool = True) -> "Space":
        """Hold the space: join it if a device of ours offers it, else make it.

        A space that is new here is waited for: up to ten seconds to hear what is in it.

        Raises:
            LocalError: there is no such space and `create` is False.
            StoreError: its store cannot be opened.
        """
        await self._opened(create=create)
        return self

    async def appear(self) -> None:
        """Wait until there is such a space, here or on another device, and hold it."""
        while self._known() is None:
            await self._node.changed()
        await self._opened(create=False)

    async def write(self, make: Callable[[Documents], DocOperations | None]) -> EntryId | None:
        """Write what `make` says to do to the documents as they are; the entry, or None if that was nothing.

        Raises:
            StoreError: nothing was written.
            Exception: whatever `make` raises; then nothing was written either.
        """
        failures: list[Exception] = []

        def guarded(documents: Documents) -> DocOperations | None:
            # It runs in the task that owns the space, which must outlive what a caller's function does.
            try:
                return make(documents)
            except Exception as error:  # noqa: BLE001  # raised again below, for the caller
                failures.append(error)
                return None

        entry = await (await self._opened(create=True)).edit(guarded)
        if failures:
            raise failures[0]
        return entry

    async def in_step(self) -> None:
        """Wait until every connected device that shares this space has said that it has what we have."""
        opened = await self._opened(create=False)
        while not all(
            (state := link.state(opened.id)) is not None and state.in_step for link in self._node.peers.links.values()
        ):
            await self._node.changed()

    def _known(self) -> KnownSpace | None:
        return self._node.account.find(self.name)

    async def _opened(self, *, create: bool) -> space.Space:
        runner = self.runner
        if runner is not None and runner.space is not None and runner.space.heads:
            return runner.space
        if runner is None:
            await self._join(create=create)
        opened = await self._open()
        waited_for = self._node.holdings.waited_for
        if not (opened.heads or opened.id in waited_for) and _has_others(self._node):
            with trio.move_on_after(FIRST_CONTACT_S):
                await self._node.heard_of(opened.id)
            waited_for.add(opened.id)
        return opened

    async def _join(self, *, create: bool) -> None:
        """Hold the space; make it if nobody has one of this name."""
        # Another device may be about to tell of a space of this name; two of one name are not wanted.
        await offered(self._node, lambda: self._known() is not None, create=create)
        known = self._known()
        if known is not None:
            await self._node.holdings.join(space_of(known).hex())
        elif create:
            try:
                await self._node.holdings.create(self.name)
            except LocalError:
                if self._known() is None:
                    raise
                # Another task needed it at the same time, and was first.
        else:
            names = ", ".join(sorted(known.name for known in self._node.account.spaces)) or "none yet"
            raise LocalError(f"there is no space named {self.name!r}; there is: {names}")

    async def _open(self) -> space.Space:
        with trio.move_on_after(_OPEN_S):
            while (runner := self.runner) is None or runner.space is None:
                await self._node.changed()
            return runner.space
        runner = self.runner
        raise StoreError((runner.problem if runner is not None else None) or "the space does not open")


async def offered(node: app.Node, is_known: Callable[[], bool], *, create: bool) -> None:
    """Wait until a space that is meant is known; not long where it would be made, and not at all by a lone device."""
    if is_known() or not _has_others(node):
        return
    with trio.move_on_after(OFFER_WAIT_S if create else FIRST_CONTACT_S):
        others = 1 if create else len(node.roster.members) - 1
        while not (is_known() or len(node.peers.links) >= others):
            await node.changed()
        with trio.move_on_after(OFFERS_FOLLOW_S):
            while not is_known():
                await node.changed()


def _has_others(node: app.Node) -> bool:
    return len(node.roster.members) > 1
