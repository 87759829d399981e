"""One space in a running node: the single task that owns its replica and its store.

Others talk to it through a bounded inbox. What is written locally is durable before anybody can hear of it: `heads`,
the frontier that peers are told, is brought up to date only after the commit.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never, final

import trio

from latticework.crdt import (
    Entry,
    FileTree,
    Forked,
    Head,
    Put,
    Refused,
    Roster,
    SpaceReplica,
    Stored,
    Waiting,
    read_entry,
)
from latticework.handshake.epochs import SpaceKeys
from latticework.wire import (
    Clock,
    DeviceId,
    Label,
    LogId,
    MalformedError,
    PeerError,
    Rng,
    SignatureProvider,
    Signer,
    SpaceId,
    StoreError,
    Threads,
    derive,
)
from latticework.wire.signing import Ed25519Signer

from .folders.ports import LocalChange
from .local_changes import operations_of, row_after
from .params import INBOX_COMMANDS
from .rows import rebased
from .store import DiskChange, Row, SpaceStore, StoreCorruptError


@dataclass(slots=True)
class _Reply[T]:
    """Where the owner leaves the result of a command."""

    done: trio.Event = field(default_factory=trio.Event)
    value: T | None = None
    error: StoreError | PeerError | None = None


@dataclass(frozen=True, slots=True)
class _Publish:
    changes: Sequence[LocalChange]
    rows: Mapping[bytes, Row]
    reply: _Reply[dict[bytes, Row | None]]


@dataclass(frozen=True, slots=True)
class _Record:
    changes: Sequence[DiskChange]
    reply: _Reply[None]


@dataclass(frozen=True, slots=True)
class _Receive:
    envelopes: Sequence[bytes]
    sender: bytes
    reply: _Reply[None]


type _Command = _Publish | _Record | _Receive


@dataclass(frozen=True, slots=True)
class SpaceIdentity:
    """Who writes in this space on this device."""

    device: DeviceId
    signer: Signer
    log_secret: bytes


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
        on_change: Callable[[frozenset[bytes]], None],
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
        self._on_change = on_change
        self._send, self._receive = trio.open_memory_channel[_Command](INBOX_COMMANDS)
        self.heads: dict[LogId, Head] = {}
        self.refused: dict[str, int] = {}
        self.damaged = trio.Event()
        self.pending_hook: Callable[[], None] = lambda: None
        self._signer = self._log_signer()
        self._replica = self._new_replica()

    @property
    def tree(self) -> FileTree:
        """The tree of all admitted entries; read between awaits only."""
        return self._replica.tree

    @property
    def replica(self) -> SpaceReplica:
        """The replica, for reading between awaits."""
        return self._replica

    def load(self) -> None:
        """Rebuild the replica from the store; blocking.

        Raises:
            StoreCorruptError: an entry is damaged.
        """
        replica = self._new_replica()
        for entry in self.store.entries():
            try:
                replica.restore(entry)
            except MalformedError as error:
                raise StoreError(f"a stored entry is refused: {error}") from error
        self._replica = replica
        if self.store.was_moved:
            # A copied or restored database may have lost entries that others already hold: never reuse their numbers.
            self.store.new_log(self._rng.random_bytes(16))
            self._signer = self._log_signer()
        self._publish_heads()

    async def run(self) -> None:
        """Own the replica until cancelled; whoever still waits then hears that the space is closed."""
        try:
            await self._own()
        finally:
            self._close_inbox()

    async def _own(self) -> None:
        while True:
            due = trio.current_time() + 1.0 if self._replica.logs.waiting_count() else float("inf")
            command: _Command | None = None
            with trio.move_on_at(due):
                command = await self._receive.receive()
            match command:
                case _Publish(changes, rows, reply):
                    await self._answer(reply, partial(self._do_publish, changes, rows))
                case _Record(changes, reply):
                    await self._answer(reply, partial(self._commit, (), changes, durable=False))
                case _Receive(envelopes, sender, reply):
                    await self._answer(reply, partial(self._do_receive, envelopes, sender))
                case None:
                    await self._offer_due()
                case _:
                    assert_never(command)

    async def publish(self, changes: Sequence[LocalChange], rows: Mapping[bytes, Row]) -> dict[bytes, Row | None]:
        """See the port `Publisher`."""
        reply: _Reply[dict[bytes, Row | None]] = _Reply()
        return await self._ask(_Publish(changes, rows, reply), reply) or {}

    async def record(self, changes: Sequence[DiskChange]) -> None:
        """See the port `Publisher`."""
        if changes:
            reply: _Reply[None] = _Reply()
            await self._ask(_Record(changes, reply), reply)

    async def receive(self, envelopes: Sequence[bytes], sender: bytes) -> None:
        """Offer entries that the device `sender` sent.

        Raises:
            PeerError: one of them is forged or malformed; the ones before it were taken.
            StoreError: nothing could be stored.
        """
        reply: _Reply[None] = _Reply()
        await self._ask(_Receive(envelopes, sender, reply), reply)

    def pending_changed(self) -> None:
        """See the port `Publisher`."""
        self.pending_hook()

    def forget_sender(self, sender: bytes) -> None:
        """A peer is gone: drop what it left waiting."""
        self._replica.logs.forget_sender(sender)

    def _close_inbox(self) -> None:
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                reply = self._receive.receive_nowait().reply
                reply.error = StoreError("the space is closed")
                reply.done.set()
        self._receive.close()

    async def _ask[T](self, command: _Command, reply: _Reply[T]) -> T | None:
        try:
            await self._send.send(command)
        except trio.BrokenResourceError:
            raise StoreError("the space is closed") from None
        # The owner finishes a command it has taken, so waiting is short and a lost reply impossible.
        with trio.CancelScope(shield=True):
            await reply.done.wait()
        if reply.error is not None:
            raise reply.error
        return reply.value

    async def _answer[T](self, reply: _Reply[T], work: Callable[[], Awaitable[T]]) -> None:
        try:
            reply.value = await work()
        except (StoreError, PeerError) as error:
            reply.error = error
            if isinstance(error, StoreCorruptError):
                self.damaged.set()
        finally:
            reply.done.set()

    async def _do_publish(self, changes: Sequence[LocalChange], rows: Mapping[bytes, Row]) -> dict[bytes, Row | None]:
        written = self._write(operations_of(self.tree, changes, rows))
        result: dict[bytes, Row | None] = {}
        disk: list[DiskChange] = []
        for change in changes:
            row = row_after(self.tree, change)
            result[change.path] = row
            disk.append(DiskChange(change.path, row, () if change.found is None else change.found.pieces))
        changed = frozenset[bytes]().union(*(stored.changed for stored in written)) - result.keys()
        for path, row in rebased(rows, self.tree, changed).items():
            result[path] = row
            disk.append(DiskChange(path, row))
        await self._commit([stored.entry for stored in written], disk, durable=bool(written))
        self._on_change(changed)
        return result

    def _write(self, puts: Sequence[Put]) -> list[Stored]:
        if not puts:
            return []
        identity = self._identity
        written = self._replica.write(self._signer, identity.signer, identity.device, puts, self._clock.now_us())
        for stored in written:
            self.store.remember(stored.entry)
        return written

    async def _do_receive(self, envelopes: Sequence[bytes], sender: bytes) -> None:
        entries: list[Entry] = []
        failure: PeerError | None = None
        try:
            entries = await self._threads.run(lambda: self._parse(envelopes))
        except MalformedError as error:
            failure = error
        await self._admit([(entry, sender) for entry in entries])
        if failure is not None:
            raise failure

    def _parse(self, envelopes: Sequence[bytes]) -> list[Entry]:
        return [read_entry(self.id, data) for data in envelopes]

    async def _offer_due(self) -> None:
        await self._admit(self._replica.logs.due(self._clock.now_us()))

    async def _admit(self, offered: Sequence[tuple[Entry, bytes]]) -> None:
        stored: list[Entry] = []
        forks: list[Entry] = []
        changed: set[bytes] = set()
        for entry, sender in offered:
            for event in self._replica.receive(entry, sender, self._clock.now_us()):
                match event:
                    case Stored(admitted, paths):
                        self.store.remember(admitted)
                        stored.append(admitted)
                        changed |= paths
                    case Forked(forked, _):
                        forks.append(forked)
                    case Refused(_, reason):
                        self.refused[reason] = self.refused.get(reason, 0) + 1
                    case Waiting():
                        pass
                    case _:
                        assert_never(event)
        if stored:
            await self._commit(stored, [], durable=False)
            self._on_change(frozenset(changed))
        for forked in forks:
            await self._threads.run(partial(self.store.keep_fork, forked))

    async def _commit(self, entries: Sequence[Entry], changes: Sequence[DiskChange], *, durable: bool) -> None:
        try:
            await self._threads.run(lambda: self.store.commit(entries, changes, durable=durable))
        except StoreError:
            if entries:
                # The replica is ahead of the store: go back to what is stored, so that no number is used twice.
                await self._reload()
            raise
        self._publish_heads()

    async def _reload(self) -> None:
        try:
            await self._threads.run(self.load)
        except StoreError as error:
            raise StoreCorruptError(f"the store neither takes nor gives entries: {error}") from error
        self._on_change(frozenset(self.tree.shown))

    def _publish_heads(self) -> None:
        self.heads.clear()
        self.heads.update(self._replica.frontier)

    def _new_replica(self) -> SpaceReplica:
        return SpaceReplica(self.id, self._roster, self._signatures, self._keys, self.store)

    def _log_signer(self) -> Ed25519Signer:
        seed = derive(self._identity.log_secret, self.id, Label.LOG_OPEN, self.store.log_nonce, 32)
        return Ed25519Signer(seed)
