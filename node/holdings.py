"""The spaces that this node holds: made, joined, given a folder, run."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import final
from weakref import WeakKeyDictionary

import trio

from latticework.crdt import DocumentPath, SpaceGenesis
from latticework.wire import LocalError, SpaceId, encode

from .account import Account, space_of
from .documents import Changes
from .folders.ports import ChunkFetcher
from .folders.root import FolderRoot
from .runner import SpaceHub, SpaceRunner, World
from .space import Space
from .space_ports import SpaceIdentity
from .state import KnownSpace

MAX_SPACE_NAME_BYTES = 255


@final
class Holdings:
    """One runner per space that is held; `fetcher` makes each its source of chunks."""

    def __init__(
        self,
        account: Account,
        hub: SpaceHub,
        world: World,
        identity: SpaceIdentity,
        fetcher: Callable[[SpaceId], ChunkFetcher],
    ) -> None:
        self._account = account
        self._hub = hub
        self._world = world
        self._identity = identity
        self._fetcher = fetcher
        self._nursery: trio.Nursery | None = None
        self._changing = trio.Lock()
        self._feeds: WeakKeyDictionary[Changes, Callable[[], SpaceRunner | None]] = WeakKeyDictionary()
        self.waited_for: set[SpaceId] = set()
        """Spaces whose first word from others was waited for; once per run is enough."""
        self.runners: dict[SpaceId, SpaceRunner] = {}

    @property
    def open_spaces(self) -> dict[SpaceId, Space]:
        """Spaces whose store is open."""
        return {key: runner.space for key, runner in self.runners.items() if runner.space is not None}

    def start(self, nursery: trio.Nursery) -> None:
        """Run every space that is held."""
        self._nursery = nursery
        for known in self._account.spaces:
            if known.held:
                self._run(known, own=False)

    def listen(self, runner: Callable[[], SpaceRunner | None], feed: Changes) -> None:
        """Tell `feed` what changes in the documents of the space that `runner` gives, until nobody else holds it."""
        self._feeds[feed] = runner

    def _documents_changed(self, space: SpaceId, changed: Mapping[str, frozenset[DocumentPath]]) -> None:
        for feed, runner in list(self._feeds.items()):
            held = runner()
            if held is not None and held.id == space:
                feed.note(changed)

    async def create(self, name: str, folder: Path | None = None) -> SpaceId:
        """Make a space, of the files in `folder` if that is given, and hold it.

        Raises:
            LocalError: the name is taken, the path overlaps another folder or cannot be one.
        """
        async with self._changing:
            return await self._create(name, folder)

    async def _create(self, name: str, folder: Path | None) -> SpaceId:
        if not name or not name.isprintable() or len(name.encode()) > MAX_SPACE_NAME_BYTES:
            raise LocalError(f"the name of a space is printable text of at most {MAX_SPACE_NAME_BYTES} bytes")
        if any(known.name == name for known in self._account.spaces):
            raise LocalError(f"there is a space named {name!r} already; choose another name")
        rng = self._world.rng
        genesis = SpaceGenesis(1, self._account.roster.account, self._identity.device, rng.random_bytes(32))
        await self._mark(folder, genesis.space)
        place = None if folder is None else os.fsencode(folder)
        known = KnownSpace(encode(genesis), name, rng.random_bytes(32), place, held=True)
        await self._account.put_space(known)
        self.waited_for.add(genesis.space)
        self._run(known, own=True)
        return genesis.space

    async def join(self, name: str, folder: Path | None = None) -> SpaceId:
        """Hold the space `name` of the account, in `folder` if that is given; what is there is merged, never deleted.

        Raises:
            LocalError: no such space, or it is kept in a folder already, or the path cannot be one.
        """
        async with self._changing:
            return await self._join(name, folder)

    async def _join(self, name: str, folder: Path | None) -> SpaceId:
        known = self._account.named(name)
        identifier = space_of(known)
        if known.folder is not None and folder is not None:
            raise LocalError(f"{name!r} is already kept in {os.fsdecode(known.folder)}")
        if known.held and folder is None:
            return identifier
        await self._mark(folder, identifier)
        known = replace(known, folder=None if folder is None else os.fsencode(folder), held=True)
        await self._account.put_space(known)
        if (runner := self.runners.pop(identifier, None)) is not None:
            runner.scope.cancel()
            # Cancelled in between, the space would not run until the next start.
            with trio.CancelScope(shield=True):
                await runner.ended.wait()
        self._run(known, own=False)
        return identifier

    async def _mark(self, folder: Path | None, space: SpaceId) -> None:
        if folder is None:
            return
        for known in self._account.spaces:
            if known.folder is not None:
                other = Path(os.fsdecode(known.folder))
                if folder == other or folder.is_relative_to(other) or other.is_relative_to(folder):
                    raise LocalError(f"{folder} overlaps the folder {known.name!r} in {other}")
        await self._world.threads.run(partial(FolderRoot.create, folder, space))

    def _run(self, known: KnownSpace, *, own: bool) -> None:
        assert self._nursery is not None
        identifier = space_of(known)
        runner = SpaceRunner(
            identifier,
            known.name,
            known.epoch_secret,
            None if known.folder is None else Path(os.fsdecode(known.folder)),
            own=own,
            roster=self._account.roster,
            identity=self._identity,
            world=self._world,
            hub=self._hub,
            fetcher=self._fetcher(identifier),
            on_documents=partial(self._documents_changed, identifier),
        )
        self.runners[identifier] = runner
        self._nursery.start_soon(runner.run)
