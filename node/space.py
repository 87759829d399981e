"""One space in a running node: the single task that owns its replica and its store.

Others hand it work through a bounded inbox. What is written locally is durable before anybody can hear of it: `heads`,
the frontier that peers are told, is brought up to date only after the commit.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import final

import trio

from latticework.crdt import (
    Changes,
    Conviction,
    DocOperations,
    Documents,
    Entry,
    FileTree,
    Head,
    Operation,
    Roster,
    Run,
    SpaceEvent,
    SpaceReplica,
    Writer,
    next_batch,
    read_batch,
    read_proof,
)
from latticework.handshake.epochs import SpaceKeys
from latticework.wire import (
    Clock,
    DeviceId,
    EntryId,
    Label,
    LocalError,
    LogId,
    MalformedError,
    Rng,
    SignatureProvider,
    SpaceId,
    StoreError,
    Threads,
    derive,
    fault_point,
)
from latticework.wire.signing import Ed25519Signer

from .admission import Admission, count_reasons
from .folders.ports import NO_MOVES, LocalChange, LocalMoves
from .local_changes import operations_of, row_after, rows_after_moves
from .owner import Owner
from .params import CHAIN_MODE_BYTES, RETRY_LAST_S, SIGNATURES_AFTER_S
from .rows import rebased
from .signatures import PendingSignatures
from .space_ports import Origin, SpaceIdentity, SpaceListener
from .store import DiskChange, DiskMoves, Incoming, Row, SpaceStore, StoreCorruptError


@final
class Space:
    """A space and its owner task `run`."""

    def __init__(
        self,
        space: SpaceId,
        roster: Roster,
        keys: SpaceKeys,
        store: SpaceStore,
        identity: SpaceIdentity,
        *,
        signatures: SignatureProvider,
        clock: Clock,
        rng: Rng,
        threads: Threads,
        listener: SpaceListener,
    ) -> None:
        self.id = space
        self._roster = roster
        self._keys = keys
        self.store = store
        self._identity = identity
        self._signatures = signatures
        self._clock = clock
        self._rng = rng
        self._threads = threads
        self._listener = listener
        self._owner = Owner(self._failed)
        self._signatures_due = PendingSignatures(store, threads)
        self._idle_failed = False
        self.heads: dict[LogId, Head] = {}
        self.proofs: dict[bytes, bytes] = {}
        self.refused: dict[str, int] = {}
        self.damaged = trio.Event()
        self.pending_hook: Callable[[], None] = lambda: None
        self.base_source: DeviceId | None = None
        """The device that the state below pruned entries is fetched from now, until `base_until_s` from it alone."""
        self.base_until_s = 0.0
        self._signer = self._log_signer()
        self._replica = self.fresh_replica()

    @property
    def tree(self) -> FileTree:
        """The tree of all admitted entries; read between awaits only."""
        return self._replica.projection.tree

    @property
    def documents(self) -> Documents:
        """The documents of all admitted entries; read between awaits only."""
        return self._replica.projection.documents

    @property
    def replica(self) -> SpaceReplica:  # to be read between awaits
        return self._replica

    @property
    def device(self) -> DeviceId:
        """The device that writes here."""
        return self._identity.device

    @property
    def own_log(self) -> LogId:
        """The log that this device writes."""
        return LogId(self._signer.public)

    @property
    def convictions(self) -> Sequence[Conviction]:
        """The logs that equivocated, one proof each."""
        return list(self._replica.logs.convictions)

    def is_void(self, entry: EntryId) -> bool:
        """See the port `Publisher`."""
        return self._replica.is_void(entry)

    def load(self) -> None:
        """Rebuild the replica from the store, before anybody else has the space; blocking.

        Raises:
            StoreCorruptError: an entry is damaged.
        """
        self._load()
        self._publish_heads()

    def _load(self) -> None:
        replica = self.fresh_replica()
        try:
            convictions = replica.load(self.store.entries(), self.store.proofs(), self.store.base())
        except MalformedError as error:
            raise StoreCorruptError(f"what is stored is refused: {error}") from error
        for conviction in convictions:
            self.store.keep_proof(conviction)
        self._replica = replica
        if self.store.was_moved or self.own_log in replica.logs.convictions:
            # A copied or restored database may have lost entries that others already hold: never reuse their numbers.
            self._open_new_log()

    async def run(self) -> None:
        """Own the replica until cancelled; whoever still waits then hears that the space is closed."""
        await self._owner.run(self._idle, self._idle_after_s)

    async def publish(
        self, changes: Sequence[LocalChange], rows: Mapping[bytes, Row], moves: LocalMoves = NO_MOVES
    ) -> dict[bytes, Row | None]:
        """See the port `Publisher`."""
        try:
            return await self._owner.ask(partial(self._do_publish, changes, rows, moves))
        except LocalError as error:
            # A space that is not complete yet takes no writes: the folder tries again.
            raise StoreError(str(error)) from error

    async def record(self, changes: Sequence[DiskChange | DiskMoves]) -> None:
        """See the port `Publisher`."""
        if changes:
            await self._owner.ask(partial(self.commit, (), changes, durable=False))

    async def edit(self, make: Callable[[Documents], DocOperations | None]) -> EntryId | None:
        """Write what `make` says to do to the documents as they are; the entry that carries it.

        Raises:
            LocalError: what `make` raises, or the state is not complete.
            StoreError: nothing was written.
        """
        return await self._owner.ask(partial(self._do_edit, make))

    async def receive(self, batch: bytes, sender: bytes, origin: Origin = Origin.SYNC) -> int:
        """Offer entries that the device `sender` sent; how many are new and stored.

        Raises:
            PeerError: the batch is malformed or forged; nothing of it was taken.
            StoreError: nothing could be stored.
        """
        return await self._owner.ask(partial(self._do_receive, batch, sender, origin))

    async def take_proofs(self, proofs: Iterable[bytes]) -> None:
        """Take FraudProofs that anybody sent.

        Raises:
            PeerError: one proves nothing.
        """
        await self._owner.ask(partial(self._do_proofs, list(proofs)))

    async def work[T](self, work: Callable[[], Awaitable[T]]) -> T:
        """Have the owner do `work`, which may use `commit`, `reload`, `announce` and `fresh_replica`; see `upkeep`."""
        return await self._owner.ask(work)

    def pending_changed(self) -> None:
        """See the port `Publisher`."""
        self.pending_hook()

    def forget_sender(self, sender: bytes) -> None:
        """A peer is gone: drop what it left waiting."""
        self._replica.logs.forget_sender(sender)

    def roster_changed(self) -> None:
        """The account has other devices now; the owner will judge by that."""
        self._owner.post(self._do_roster_changed)

    async def _do_publish(
        self, changes: Sequence[LocalChange], rows: Mapping[bytes, Row], moves: LocalMoves
    ) -> dict[bytes, Row | None]:
        await self.check_signatures()
        written, changed = self._write(operations_of(self.tree, changes, rows, moves))
        result: dict[bytes, Row | None] = {}
        disk: list[DiskChange | DiskMoves] = []
        for change in changes:
            row = row_after(self.tree, change, rows)
            result[change.path] = row
            disk.append(DiskChange(change.path, row, () if change.found is None else change.found.pieces))
        if moves.moves:
            moved = rows_after_moves(self.tree, moves, rows)
            result |= moved
            disk.append(DiskMoves(moves.paths))
            disk += [DiskChange(move.new, moved[move.new]) for move in moves.moves]
        changed.paths -= result.keys()
        for path, row in rebased(rows, self.tree, frozenset(changed.paths)).items():
            result[path] = row
            disk.append(DiskChange(path, row))
        await self.commit([Incoming(entry, checked=True) for entry in written], disk, durable=bool(written))
        self.announce(written, changed)
        return result

    def _write(self, operations: Sequence[Operation]) -> tuple[list[Entry], Changes]:
        written: list[Entry] = []
        changes = Changes()
        ends: list[tuple[int, EntryId]] = []
        while (batch := next_batch(operations, ends)) is not None:
            content, end = batch
            entries, changed = self._replica.write(self.writer(), content, self._clock.now_us())
            ends.append((end, entries[-1].id))
            written += entries
            changes.add(changed)
        return written, changes

    async def _do_edit(self, make: Callable[[Documents], DocOperations | None]) -> EntryId | None:
        await self.check_signatures()
        operations = make(self.documents)
        if operations is None:
            return None
        written, changes = self._replica.write(self.writer(), operations, self._clock.now_us())
        await self.commit([Incoming(entry, checked=True) for entry in written], (), durable=True)
        self.announce(written, changes)
        return written[-1].id

    async def _do_receive(self, batch: bytes, sender: bytes, origin: Origin) -> int:
        run = await self._threads.run(partial(self._parse, batch))
        self._signatures_due.note(run.unchecked)
        incoming = [(entry, sender) for entry in run.entries]
        stored = await self._take(self._replica.receive(incoming, self._clock.now_us()), sender, origin)
        self._signatures_due.keep_only(self._replica.logs.is_waiting)
        return stored

    def _parse(self, batch: bytes) -> Run:
        return read_batch(self.id, batch, chain=len(batch) >= CHAIN_MODE_BYTES)

    async def check_signatures(self) -> None:
        """Before anything of ours depends on an entry, its own signature is checked."""
        if await self._signatures_due.check():
            await self.reload()

    def _idle_after_s(self) -> float:
        if self._idle_failed:
            return RETRY_LAST_S
        if self._signatures_due.any_stored:
            return SIGNATURES_AFTER_S
        return 1.0 if self._replica.logs.waiting_count() else math.inf

    async def _idle(self) -> None:
        self._idle_failed = True
        if await self._signatures_due.check(hops=1):
            await self.reload()
        due = self._replica.logs.due(self._clock.now_us())
        if due:
            await self._take(self._replica.receive(due, self._clock.now_us()), b"")
        self._idle_failed = False

    async def _do_proofs(self, proofs: Sequence[bytes]) -> None:
        read = await self._threads.run(lambda: [read_proof(self.id, proof) for proof in proofs])
        # Of many about one log the lowest says it all.
        lowest = {conviction.log: conviction for conviction in sorted(read, key=lambda known: -known.seq)}
        for conviction in lowest.values():
            await self._take(self._replica.take_proof(conviction.proof), b"")

    async def _do_roster_changed(self) -> None:
        if changes := self._replica.roster_changed():
            self._listener.changed(changes)

    async def _take(self, events: Sequence[SpaceEvent], sender: bytes, origin: Origin = Origin.SYNC) -> int:
        found = Admission.of(events)
        count_reasons(self.refused, found.reasons)
        if found.stored:
            await self.commit(self._signatures_due.incoming(found.stored), [], durable=False)
        if found.filled or found.convictions:
            await self._keep(found.filled, list(found.convictions.values()))
        self.announce(found.stored, found.changes, origin)
        if missing := self._replica.logs.missing():
            self._listener.missing(missing, sender)
        return len(found.stored)

    async def _keep(self, filled: Sequence[Entry], convictions: Sequence[Conviction]) -> None:
        try:
            for entry in filled:
                await self._threads.run(partial(self.store.fill, entry))
            self._replica.logs.committed()
            for conviction in convictions:
                await self._convicted(conviction)
        except StoreError:
            # As in `commit`.
            await self.reload()
            raise

    async def _convicted(self, conviction: Conviction) -> None:
        await self._threads.run(partial(self.store.keep_proof, conviction))
        if conviction.log == self.own_log:
            # Our own log was forked, by a copy of this home perhaps: the log is retired, the device goes on.
            await self._threads.run(self._open_new_log)
        self._publish_heads()
        self._listener.convicted(conviction)

    async def commit(
        self, entries: Sequence[Incoming], changes: Sequence[DiskChange | DiskMoves], *, durable: bool
    ) -> None:
        """Store what the replica took and what the disk shows, and tell the new frontier."""
        try:
            if fault_point("space.commit"):
                raise StoreError("a fault point of the simulation")  # noqa: TRY301  # as the disk would
            await self._threads.run(lambda: self.store.commit(entries, changes, durable=durable))
        except StoreError:
            if entries:
                # The replica is ahead of the store: go back to what is stored, so that no number is used twice.
                await self.reload()
            raise
        self._replica.logs.committed()
        self._publish_heads()

    async def reload(self) -> None:
        """Go back to what is stored."""
        try:
            await self._threads.run(self._load)
        except StoreError as error:
            raise StoreCorruptError(f"the store neither takes nor gives entries: {error}") from error
        self._publish_heads()
        self._listener.changed(Changes(set(self.tree.shown), dict.fromkeys(self.documents.names(), frozenset({()}))))

    def announce(self, entries: Sequence[Entry], changes: Changes, origin: Origin = Origin.OWN) -> None:
        """Tell the listener what was committed."""
        if changes:
            self._listener.changed(changes)
        if entries:
            self._listener.admitted(entries, origin)

    def _publish_heads(self) -> None:
        self.heads.clear()
        self.heads.update(self._replica.frontier)
        self._replica.takes_pruned = self.own_log not in self.heads or not self._replica.is_complete
        self.proofs.clear()
        # A proof about a log that nobody has opened concerns nothing yet; anybody can make any number of them.
        known = self._replica.authors
        self.proofs.update((c.key, c.proof) for c in self._replica.logs.convictions if c.log in known)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, StoreCorruptError):
            self.damaged.set()

    def fresh_replica(self) -> SpaceReplica:
        """A replica of this space with nothing in it."""
        return SpaceReplica(self.id, self._roster, self._signatures, self._keys, self.store)

    def writer(self) -> Writer:
        """Who writes here now."""
        return Writer(self._signer, self._identity.device, self._identity.signer)

    def _open_new_log(self) -> None:
        self.store.new_log(self._rng.random_bytes(16))
        self._signer = self._log_signer()

    def _log_signer(self) -> Ed25519Signer:
        seed = derive(self._identity.log_secret, self.id, Label.LOG_OPEN, self.store.log_nonce, 32)
        return Ed25519Signer(seed)
