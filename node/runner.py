"""Running one space: open its store, own its replica, keep its folder; set a damaged store aside and go on.

A damaged database is renamed, never deleted. Entries come back from the peers, rows from a scan of the folder; what was
only here is published anew, so nothing is lost that is still on some disk.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, final

import trio

from latticework.chunkstore import ChunkSealer, ChunkStore
from latticework.crdt import Changes, Conviction, DocumentPath, Entry, Roster
from latticework.handshake.epochs import SpaceKeys
from latticework.wire import (
    Clock,
    EntryId,
    LocalError,
    Rng,
    SignatureProvider,
    SpaceId,
    StoreError,
    Threads,
    short,
)

from .checkpoints import CheckpointDue
from .folders.bring import Assembler
from .folders.content import ContentReader
from .folders.engine import FolderEngine
from .folders.ports import ChunkFetcher, Watcher
from .folders.serve import ChunkSource
from .groups import first_error
from .params import CHECKPOINT_LOOK_S, RETRY_LAST_S
from .space import Space
from .space_ports import Origin, SpaceIdentity
from .spread import Spread
from .store import SpaceStore, StoreCorruptError
from .upkeep import say_checkpoint, uncovered

_log = logging.getLogger(__name__)
JOIN_WAIT_S = 10.0
"""How long a folder that joins a space waits to hear what is in it before its own files are published."""


type DocumentWatcher = Callable[[Mapping[str, frozenset[DocumentPath]]], None]
"""Hears which places of which documents changed."""


class Shelves(Protocol):
    """Where a space's data is kept: a directory, or memory."""

    def open_store(self, space: SpaceId, fresh_nonce: bytes) -> SpaceStore:
        """Open or make the store; blocking; raises StoreError."""
        ...

    def open_chunks(self, space: SpaceId) -> ChunkStore:
        """Open or make the packs; blocking; raises StoreError."""
        ...

    def set_aside(self, space: SpaceId, when_us: int) -> Path | None:
        """Rename a damaged store out of the way; where it is now."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """The ports a space runs on."""

    clock: Clock
    rng: Rng
    threads: Threads
    signatures: SignatureProvider
    shelves: Shelves
    watcher: Callable[[Path], Watcher]
    spread: Spread
    observer: Callable[[SpaceId, Sequence[Entry]], None]


class SpaceHub(Protocol):
    """What a running space tells its node."""

    def convicted(self, space: SpaceId, conviction: Conviction) -> None:
        """A log equivocated: everybody must hear of it before anything else."""
        ...

    def missing(self, space: SpaceId, ids: Sequence[EntryId], sender: bytes) -> None:
        """What `sender` sent waits for these entries."""
        ...

    def space_changed(self, space: SpaceId, *, carried: bool = False) -> None:
        """The frontier, or what is pending, changed; `carried` if gossip takes that to everybody."""
        ...

    def space_opened(self, space: SpaceId) -> None:
        """The space can be synced now."""
        ...

    async def heard_of(self, space: SpaceId) -> None:
        """Wait until a connected device has told all its entries of the space."""
        ...


@final
class SpaceRunner:
    """One space of this node; `space` and `engine` are None while the store is not open."""

    def __init__(
        self,
        identifier: SpaceId,
        name: str,
        epoch_secret: bytes,
        folder: Path | None,
        *,
        own: bool,
        roster: Roster,
        identity: SpaceIdentity,
        world: World,
        hub: SpaceHub,
        fetcher: ChunkFetcher,
        on_documents: DocumentWatcher = lambda _: None,
    ) -> None:
        self.id = identifier
        self.name = name
        self.folder = folder
        self._own = own
        self._roster = roster
        self._identity = identity
        self._world = world
        self._hub = hub
        self._fetcher = fetcher
        self._secret = epoch_secret
        self.space: Space | None = None
        self.engine: FolderEngine | None = None
        self.source: ChunkSource | None = None
        self.problem: str | None = None
        self.set_aside: Path | None = None
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self._due = CheckpointDue()
        self._on_documents = on_documents

    @property
    def pending(self) -> int:
        """Paths that are not in step on this disk."""
        if self.engine is None:
            return 0 if self.folder is None else 1
        return self.engine.ledger.pending_count

    async def run(self) -> None:
        """Run until cancelled, through whatever happens to the disk."""
        try:
            with self.scope:
                while True:
                    await self._run_or_mend()
        finally:
            self.ended.set()

    async def _run_or_mend(self) -> None:
        try:
            try:
                await self._run_once()
            except StoreCorruptError as error:
                await self._put_aside(error)
        except StoreError as error:
            self.problem = str(error)
            _log.error("space=%s: %s", short(self.id), error)
            await trio.sleep(RETRY_LAST_S)
        except Exception:  # noqa: BLE001  # the supervisor of one space: a bug begins it anew from its store
            self.problem = "a bug in this node; see its log"
            _log.exception("space=%s failed", short(self.id))
            await trio.sleep(RETRY_LAST_S)

    async def _run_once(self) -> None:
        world = self._world
        nonce = world.rng.random_bytes(16)
        store = await world.threads.run(lambda: world.shelves.open_store(self.id, nonce))
        try:
            chunks = await world.threads.run(lambda: world.shelves.open_chunks(self.id))
            try:
                await self._serve(store, chunks)
            finally:
                self.space = self.engine = self.source = None
                chunks.close()
        finally:
            store.close()

    async def _serve(self, store: SpaceStore, chunks: ChunkStore) -> None:
        world = self._world
        keys = SpaceKeys(self.id, self._secret, world.rng)
        sealer = ChunkSealer(self.id, self._secret)
        space = Space(
            self.id,
            self._roster,
            keys,
            store,
            self._identity,
            signatures=world.signatures,
            clock=world.clock,
            rng=world.rng,
            threads=world.threads,
            listener=self,
        )
        await world.threads.run(space.load)
        space.pending_hook = partial(self._hub.space_changed, self.id)
        source = ChunkSource(sealer, chunks, store, None if self.folder is None else (self.folder, self.id))
        self.source = source
        self.space = space
        self.problem = None
        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(space.run)
                nursery.start_soon(self._keep_checkpoints, space)
                nursery.start_soon(self._world.spread.keep, space)
                self._hub.space_opened(self.id)
                if self.folder is not None:
                    nursery.start_soon(self._keep_folder, self.folder, space, sealer, chunks, source)
                await space.damaged.wait()
                nursery.cancel_scope.cancel()
        raise StoreCorruptError("the store of this space is damaged")

    async def _keep_folder(
        self, folder: Path, space: Space, sealer: ChunkSealer, chunks: ChunkStore, source: ChunkSource
    ) -> None:
        world = self._world
        rows = await world.threads.run(space.store.rows)
        if not rows and not space.heads and not self._own:
            with trio.move_on_after(JOIN_WAIT_S):
                await self._hub.heard_of(self.id)
        self.engine = FolderEngine(
            folder,
            self.id,
            rows,
            publisher=space,
            reader=ContentReader(sealer, chunks),
            assembler=Assembler(sealer, chunks, space.store),
            source=source,
            fetcher=self._fetcher,
            watcher=world.watcher(folder),
            threads=world.threads,
        )
        await self.engine.run()

    def changed(self, changes: Changes) -> None:
        """See `SpaceListener`."""
        if self.engine is not None and changes.paths:
            self.engine.ledger.tree_changed(sorted(changes.paths))
        if changes.documents:
            self._on_documents(changes.documents)
        # If entries did it, their own announcement follows, which knows how urgent it is.
        self._hub.space_changed(self.id, carried=True)

    def admitted(self, entries: Sequence[Entry], origin: Origin) -> None:
        """See `SpaceListener`."""
        self._world.observer(self.id, entries)
        own = origin is Origin.OWN
        self._due.note(entries, own=own, now_us=self._world.clock.now_us())
        carried = self._world.spread.admitted(self.id, entries) if own else origin is Origin.GOSSIP
        self._hub.space_changed(self.id, carried=carried)

    def convicted(self, conviction: Conviction) -> None:
        """See `SpaceListener`."""
        self._hub.convicted(self.id, conviction)

    def missing(self, ids: Sequence[EntryId], sender: bytes) -> None:
        """See `SpaceListener`."""
        self._hub.missing(self.id, ids, sender)

    async def _keep_checkpoints(self, space: Space) -> None:
        world = self._world
        self._due = await uncovered(space, world.threads, world.clock.now_us())
        while True:
            await trio.sleep(CHECKPOINT_LOOK_S)
            if self._due.is_due(world.clock.now_us()) and space.replica.is_complete:
                try:
                    await say_checkpoint(space, world.threads, world.clock.now_us())
                except StoreCorruptError:
                    raise
                except (StoreError, LocalError) as error:
                    _log.warning("no checkpoint said space=%s: %s", short(self.id), error)

    async def _put_aside(self, error: StoreCorruptError) -> None:
        world = self._world
        now_us = world.clock.now_us()
        self.set_aside = await world.threads.run(lambda: world.shelves.set_aside(self.id, now_us))
        self._own = False
        self.problem = f"{error}; it was set aside and is rebuilt"
        _log.error("space=%s: %s", short(self.id), self.problem)
