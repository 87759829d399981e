"""Real folders of several devices and the engines that keep them in step, in one task tree on virtual time: entries and
chunks are handed over in memory, and counted."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, final

import trio

from latticework.chunkstore import ChunkSealer
from latticework.chunkstore.memory import MemoryChunks
from latticework.crdt import (
    LANE_FILES,
    Changes,
    Conviction,
    Directory,
    Entry,
    FileOperations,
    Make,
    Operation,
    Roster,
    write_batch,
)
from latticework.crdt.params import MAX_BATCH_ENTRIES
from latticework.handshake import found_account, generate, load_keys
from latticework.handshake.epochs import SpaceKeys
from latticework.node.folders.bring import Assembler
from latticework.node.folders.content import ContentReader
from latticework.node.folders.engine import FolderEngine
from latticework.node.folders.ledger import FolderLedger
from latticework.node.folders.ports import Deliver
from latticework.node.folders.root import FolderRoot
from latticework.node.folders.serve import ChunkSource
from latticework.node.folders.watch import NoWatcher
from latticework.node.memory_store import MemoryStore
from latticework.node.space import Space
from latticework.node.space_ports import Origin, SpaceIdentity
from latticework.node.store import Incoming
from latticework.simnet import InlineThreads, KeyedRng
from latticework.simnet.providers import ModelKem, ModelSignatures
from latticework.wire import ChunkId, EntryId, SpaceId, Threads, decode

SPACE: Final = SpaceId(b"S" * 32)
SECRET: Final = bytes(32)
NOW_S: Final = 1_800_000_000


@final
class Ticks:
    """A clock that goes on by a second with each look."""

    def __init__(self) -> None:
        self._now_us = NOW_S * 1_000_000

    def now_us(self) -> int:
        self._now_us += 1_000_000
        return self._now_us

    def monotonic_us(self) -> int:
        return self._now_us


@final
class World:
    """What the sides share: one account, one clock, one disk to put folders on."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.rng = KeyedRng(b"folder world")
        self.clock = Ticks()
        self.signatures = ModelSignatures()
        self.sides: list[Side] = []
        self.nursery: trio.Nursery

    def side(self, name: str) -> "Side":
        side = Side(self, name)
        self.sides.append(side)
        return side

    async def in_step(self) -> None:
        """Scan everywhere and carry entries until nothing changes any more."""
        while True:
            before = [dict(side.space.heads) for side in self.sides]
            for side in self.sides:
                await side.settle()
            for side in self.sides:
                for other in self.sides:
                    if other is not side:
                        await side.hear(other)
            for side in self.sides:
                await side.settle(rescan=False)
            if before == [dict(side.space.heads) for side in self.sides]:
                return


@final
class Side:
    """One device: its space, its folder and the engine between them."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.folder = world.base / name
        self._world = world
        self.asked: list[ChunkId] = []
        """Chunks that were asked of others."""
        self.threads: Threads = InlineThreads()
        """What the folder works on from its next start."""
        FolderRoot.create(self.folder, SPACE)
        keys = load_keys(generate(KeyedRng(b"account"), NOW_S), ModelKem(), world.signatures)
        roster = Roster.found(world.signatures, found_account(keys, name, NOW_S))
        self.store = MemoryStore(name.encode().ljust(16))
        self.chunks = MemoryChunks()
        self._roster = roster
        self._identity = SpaceIdentity(keys.device, keys.signer, bytes(32))
        self.space = self.new_space(self.store)
        self.source = ChunkSource(ChunkSealer(SPACE, SECRET), self.chunks, self.store, (self.folder, SPACE))
        self._engine: FolderEngine | None = None
        self._running = trio.CancelScope()
        self._ended = trio.Event()

    def new_space(self, store: MemoryStore) -> Space:
        """The space as this device has it, on some store."""
        world = self._world
        return Space(
            SPACE,
            self._roster,
            SpaceKeys(SPACE, SECRET, world.rng),
            store,
            self._identity,
            signatures=world.signatures,
            clock=world.clock,
            rng=world.rng,
            threads=InlineThreads(),
            listener=self,
        )

    @property
    def ledger(self) -> FolderLedger:
        assert self._engine is not None
        return self._engine.ledger

    async def run_space(self) -> None:
        await self.space.run()

    async def run_folder(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the folder until `stop_folder`; what is in memory only is lost with it."""
        sealer = ChunkSealer(SPACE, SECRET)
        self._ended = trio.Event()
        with trio.CancelScope() as self._running:
            self._engine = FolderEngine(
                self.folder,
                SPACE,
                self.store.rows(),
                publisher=self.space,
                reader=ContentReader(sealer, self.chunks),
                assembler=Assembler(sealer, self.chunks, self.store),
                source=self.source,
                fetcher=self,
                watcher=NoWatcher(),
                threads=self.threads,
            )
            task_status.started()
            await self._engine.run()
        self._ended.set()

    async def stop_folder(self) -> None:
        self._running.cancel()
        await self._ended.wait()

    def changed(self, changes: Changes) -> None:
        """With what follows, the port `SpaceListener`."""
        if self._engine is not None:
            self._engine.ledger.tree_changed(sorted(changes.paths))

    def admitted(self, entries: Sequence[Entry], origin: Origin) -> None: ...

    def convicted(self, conviction: Conviction) -> None: ...

    def missing(self, ids: Sequence[EntryId], sender: bytes) -> None: ...

    async def fetch(self, wanted: Mapping[ChunkId, int], deliver: Deliver) -> None:
        """The port `ChunkFetcher`, served by the other sides."""
        self.asked += wanted
        for other in self._world.sides:
            if other is not self:
                found = zip(wanted, other.source.get(list(wanted), 1 << 30), strict=False)
                await deliver([(chunk, bytes(data)) for chunk, data in found if data is not None])

    async def hear(self, other: "Side") -> None:
        """Take every entry and proof of `other`."""
        await self.space.take_proofs(list(other.space.proofs.values()))
        known = {entry.id for entry in self.store.entries()}
        new = [entry for entry in other.store.entries() if entry.id not in known]
        for start in range(0, len(new), MAX_BATCH_ENTRIES):
            await self.space.receive(write_batch(new[start : start + MAX_BATCH_ENTRIES]), other.name.encode())

    async def settle(self, *, rescan: bool = True) -> None:
        """Wait until the folder has nothing left to do, after a scan of everything."""
        if rescan:
            self.ledger.disk_changed(None)
        while self.ledger.busy:  # noqa: ASYNC110  # an engine has no event for "nothing left to do"
            await trio.sleep(0.01)

    def operations(self, after: int) -> list[Operation]:
        """What every entry says that came here after the first `after` ones."""
        keys = SpaceKeys(SPACE, SECRET, self._world.rng)
        found: list[Operation] = []
        for entry in list(self.store.entries())[after:]:
            if entry.body.lane == LANE_FILES and (payload := entry.envelope.payload) is not None:
                plaintext = keys.open(entry.body.author, entry.body.seq, entry.body.prev, payload)
                found += decode(FileOperations, plaintext, 1 << 20).operations
        return found

    async def hear_of_a_fork(self, of: "Side", seq: int) -> None:
        """Hear that `of` wrote two entries `seq`, so that nothing it wrote from there on has effect here."""
        store = MemoryStore(of.store.log_nonce)
        log = of.space.own_log
        before = [entry for entry in of.store.entries() if entry.body.author != log or entry.body.seq < seq]
        store.commit([Incoming(entry, checked=True) for entry in before], [], durable=True)
        clone = of.new_space(store)
        clone.load()
        written, _ = clone._write([Make(None, b"forked", Directory())])  # pyright: ignore[reportPrivateUsage]
        assert written[-1].body.seq == seq
        await self.space.receive(write_batch(written), b"somebody")
        assert self.space.convictions

    def files(self) -> dict[str, str]:
        """Text by path of everything in the folder."""
        return {path: (self.folder / path).read_text() for path in self.inodes()}

    def inodes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for directory, directories, names in os.walk(self.folder):
            if directory == str(self.folder):
                directories.remove(".lattice")
            for name in names:
                path = Path(directory) / name
                found[str(path.relative_to(self.folder))] = path.lstat().st_ino
        return found
