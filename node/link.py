"""A link: the sync stream with one device of the account, and what both sides have told each other.

The reader takes messages and waits for the spaces to store what they bring: that is the back-pressure. The writer sends
the newest state of whatever changed, so nothing is queued that a newer message would replace.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, assert_never, final

import trio

from latticework.crdt import Reconciler, Roster, write_batch
from latticework.crdt import reconcile_events as rs
from latticework.crdt.params import SYNC_SALT_BYTES
from latticework.crdt.reconcile_messages import Compare, Entries, Message, Proofs, Root
from latticework.transport import Connection, Stream
from latticework.wire import (
    DeviceId,
    EntryId,
    PeerError,
    Rng,
    SpaceId,
    StoreError,
    Threads,
    decode_one_of,
    encode,
    fault_point,
    short,
)

from .bases import BaseExchange
from .messages import (
    SYNC_MESSAGES,
    AboutSpace,
    BasePart,
    BaseRequest,
    RosterHashes,
    RosterRecords,
    RosterRoot,
    SpaceOffer,
    SyncMessage,
)
from .params import MAX_SYNC_MESSAGE_BYTES, RETRY_LAST_S, SERVE_BATCH_BYTES, SYNC_BURST, SYNC_PER_S
from .rate import Pace
from .roster_exchange import RosterExchange
from .space import Space

_log = logging.getLogger(__name__)
_MAX_SERVE_JOBS = 64
_MAX_ANSWERS = 256
"""Answers of ours that a peer leaves unread, besides a few for each space: an honest one waits for them."""
_ANSWERS_PER_SPACE = 16


class Hub(Protocol):
    """What a link needs of its node."""

    @property
    def roster(self) -> Roster: ...
    @property
    def spaces(self) -> Mapping[SpaceId, Space]: ...
    def offers(self) -> Sequence[SpaceOffer]:
        """The spaces that we hold, to tell a device of ours."""
        ...

    def pending(self, space: SpaceId) -> int:
        """Paths of this space that are not on our disk yet."""
        ...

    async def offered(self, offer: SpaceOffer, device: DeviceId) -> None:
        """A device of ours holds this space."""
        ...

    async def take_roster(self, records: Sequence[bytes]) -> None:
        """Certificates that we lacked; raises PeerError for forged ones."""
        ...

    def link_changed(self, device: DeviceId) -> None:
        """What the device told has changed; it may have content that was missing."""
        ...

    def space_changed(self, space: SpaceId) -> None:
        """Every link is to look at this space again."""
        ...


@dataclass(slots=True)
class _ServeJob:
    space: SpaceId
    asked: rs.Serve | rs.ServeIds
    cursor: int = 0


@final
class Link:
    """One device, connected. `run` ends when the stream does."""

    def __init__(
        self, device: DeviceId, connection: Connection, hub: Hub, threads: Threads, rng: Rng, *, outbound: bool
    ) -> None:
        self.device = device
        self.connection = connection
        self.outbound = outbound
        self._hub = hub
        self._threads = threads
        self._rng = rng
        self._syncs: dict[SpaceId, tuple[Space, Reconciler]] = {}
        self._dirty: dict[SpaceId, bool] = {}
        self._requests: list[AboutSpace | BaseRequest] = []
        self._events: dict[tuple[SpaceId, type[rs.Event]], rs.Event] = {}
        self._serving: list[_ServeJob] = []
        self._pace = Pace(SYNC_BURST, SYNC_PER_S)
        self._bases = BaseExchange(device, threads)
        self._roster = RosterExchange()
        self._offers_due = True
        self._pending_offers: list[SpaceOffer] = []
        self._wake = trio.Event()
        self.problem: str | None = None

    async def run(self, stream: Stream, nursery: trio.Nursery) -> None:
        """Exchange until the peer ends the stream; the writing task is in `nursery`, and is left to be cancelled.

        Raises:
            PeerError: the peer broke the protocol, or the connection is lost.
        """
        for space in self._hub.spaces:
            self._dirty[space] = False
        try:
            nursery.start_soon(self._write, stream)
            await self._read(stream)
        finally:
            for space in self._bases.close():
                self._hub.space_changed(space)

    def space_changed(self, space: SpaceId, *, carried: bool = False) -> None:
        """Our frontier of `space`, or what is pending in it, changed; `carried` if gossip tells the peer as well."""
        self._dirty[space] = carried and self._dirty.get(space, True)
        self._wake.set()

    def spaces_changed(self) -> None:
        """We hold another space now."""
        self._offers_due = True
        self._dirty |= dict.fromkeys(self._hub.spaces, False)
        self._wake.set()

    def roster_changed(self) -> None:
        """Our roster grew."""
        self._roster.changed()
        self._dirty |= dict.fromkeys(self._hub.spaces, False)
        # Entries of a device that was unknown until now were refused: they are asked for again.
        for identifier in self._syncs:
            self._note(identifier, rs.Reconsider())
        self._wake.set()

    def missing(self, space: SpaceId, ids: Sequence[EntryId]) -> None:
        """Entries wait for these, and for nothing else; this device may have them."""
        self._note(space, rs.MissingIds(tuple(ids)))

    def _note(self, space: SpaceId, event: rs.Event) -> None:
        self._events[space, type(event)] = event
        self._wake.set()

    def state(self, space: SpaceId) -> Reconciler | None:
        """What the exchange about one space knows."""
        known = self._syncs.get(space)
        return None if known is None else known[1]

    async def _read(self, stream: Stream) -> None:
        while (data := await stream.receive_message(MAX_SYNC_MESSAGE_BYTES)) is not None:
            message = decode_one_of(SYNC_MESSAGES, data, MAX_SYNC_MESSAGE_BYTES)
            try:
                await self._take(message)
            except StoreError as error:
                # Our disk, not the peer: what could not be kept is asked for again on the next link.
                self.problem = str(error)

    async def _take(self, message: SyncMessage) -> None:
        match message:
            case RosterRoot() | RosterHashes():
                await self._spend(1 + len(self._hub.roster.records) / 256)
                match message:
                    case RosterRoot(root):
                        self._roster.take_root(root, self._hub.roster)
                    case RosterHashes(hashes):
                        self._roster.take_hashes(hashes, self._hub.roster)
                self._wake.set()
            case RosterRecords(records):
                await self._hub.take_roster(records)
            case SpaceOffer():
                await self._hub.offered(message, self.device)
            case AboutSpace(space, about):
                await self._about_space(space, about)
            case BaseRequest():
                self._bases.ask(message)
                self._wake.set()
            case BasePart():
                await self._take_base(message)
            case _:
                assert_never(message)

    async def _about_space(self, identifier: SpaceId, message: Message) -> None:
        space = self._hub.spaces.get(identifier)
        if space is None:
            return
        sync = self._sync(space)
        await self._spend(_cost(message, len(space.heads)))
        await self._perform(space, sync, sync.handle(rs.Received(message)))
        self._want_base(space, sync)
        self._hub.link_changed(self.device)

    async def _spend(self, cost: float) -> None:
        if (wait_s := self._pace.spend(cost, trio.current_time())) > 0:
            await trio.sleep(wait_s)

    def _want_base(self, space: Space, sync: Reconciler) -> None:
        if sync.same_frontier and (request := self._bases.want(space)) is not None:
            self._requests.append(request)
            self._wake.set()

    async def _take_base(self, part: BasePart) -> None:
        try:
            request = await self._bases.take(part)
        except StoreError as error:
            self.problem, request = str(error), None
        if request is None:
            self._hub.space_changed(part.space)
        else:
            self._requests.append(request)
            self._wake.set()

    async def _perform(self, space: Space, sync: Reconciler, actions: list[rs.Action]) -> None:
        due = deque(actions)
        while due:
            action = due.popleft()
            match action:
                case rs.Send(message):
                    if len(self._requests) >= _MAX_ANSWERS + _ANSWERS_PER_SPACE * len(self._hub.spaces):
                        raise PeerError("flood", "the peer asks and does not read the answers")
                    self._requests.append(AboutSpace(space.id, message))
                    self._wake.set()
                case rs.Serve() | rs.ServeIds() as asked:
                    if len(self._serving) >= _MAX_SERVE_JOBS:
                        raise PeerError("flood", "too many requests for entries are waiting")
                    self._serving.append(_ServeJob(space.id, asked))
                    self._wake.set()
                case rs.Admit(batch):
                    due += sync.handle(await self._admit(space, batch))
                case rs.TakeProofs(proofs):
                    await space.take_proofs(proofs)
                    due += sync.handle(rs.LocalChanged(self._hub.pending(space.id)))
                case rs.ForkFound(log, seq, _, _):
                    _log.info("fork found space=%s log=%s seq=%d", short(space.id), short(log), seq)
                case rs.Close(code):
                    raise PeerError(code, "the peer broke the protocol of reconciliation")
                case _:
                    assert_never(action)

    async def _admit(self, space: Space, batch: bytes) -> rs.Event:
        try:
            await space.receive(batch, self.device)
        except StoreError as error:
            # Our disk, not the peer: keep the link, and ask for the same entries again once there may be room.
            self.problem = str(error)
            await trio.sleep(RETRY_LAST_S)
            return rs.StoreFailed(self._hub.pending(space.id))
        self.problem = None
        return rs.Admitted(self._hub.pending(space.id))

    def _sync(self, space: Space) -> Reconciler:
        known = self._syncs.get(space.id)
        if known is not None and known[0] is space:
            return known[1]
        # A space whose store was set aside comes back as another one, and the exchange begins anew.
        salt = self._rng.random_bytes(SYNC_SALT_BYTES)
        sync = Reconciler(space.heads, space.proofs, space.store, salt)
        self._syncs[space.id] = (space, sync)
        self._take_sends(space.id, sync.start(self._hub.pending(space.id)))
        return sync

    async def _write(self, stream: Stream) -> None:
        while True:
            message = self._next_message()
            if message is None and self._bases.is_asked:
                message = await self._bases.answer(self._hub.spaces)
            if message is None and self._serving:
                message = await self._next_entries()
            if message is None:
                self._wake = trio.Event()
                if not self._has_work():
                    await self._wake.wait()
                continue
            await stream.send_message(encode(message))

    def _has_work(self) -> bool:
        due = self._roster.is_due or self._offers_due
        return bool(due or self._requests or self._events or self._dirty or self._serving or self._bases.is_asked)

    def _next_message(self) -> SyncMessage | None:
        if (about_roster := self._roster.next(self._hub.roster)) is not None:
            return about_roster
        if self._offers_due:
            self._offers_due = False
            for offer in self._hub.offers():
                self._pending_offers.append(offer)
        if self._pending_offers:
            return self._pending_offers.pop(0)
        if self._requests:
            return self._requests.pop(0)
        return self._next_announcement()

    def _next_announcement(self) -> SyncMessage | None:
        while self._events:
            identifier, _ = key = next(iter(self._events))
            event = self._events.pop(key)
            if (sync := self.state(identifier)) is not None:
                self._take_sends(identifier, sync.handle(event))
        if self._requests:
            return self._requests.pop(0)
        while self._dirty:
            identifier = next(iter(self._dirty))
            carried = self._dirty.pop(identifier)
            space = self._hub.spaces.get(identifier)
            if space is None:
                continue
            sync = self._sync(space)
            self._take_sends(identifier, sync.handle(rs.LocalChanged(self._hub.pending(identifier), carried)))
            self._want_base(space, sync)
            if self._requests:
                return self._requests.pop(0)
        return None

    def _take_sends(self, space: SpaceId, actions: list[rs.Action]) -> None:
        """What these events lead to is only ever something to say."""
        self._requests.extend(AboutSpace(space, action.message) for action in actions if isinstance(action, rs.Send))

    async def _next_entries(self) -> SyncMessage | None:
        job = self._serving[0]
        space = self._hub.spaces.get(job.space)
        if space is None:
            self._serving.pop(0)
            return AboutSpace(job.space, Entries(b"", 1))  # the peer waits for the end of its answer
        try:
            if fault_point("link.serve"):
                raise StoreError("a fault point of the simulation")  # noqa: TRY301  # as the disk would
            batch, cursor = await self._threads.run(partial(_entries_for, space, job))
        except StoreError as error:
            self.problem = str(error)
            batch, cursor = b"", None
        if cursor is None:
            self._serving.pop(0)
        else:
            job.cursor = cursor
        return AboutSpace(job.space, Entries(batch, int(cursor is None)))


def _cost(message: Message, heads: int) -> float:
    """What handling a message takes, in small comparisons: rounds read the whole frontier."""
    match message:
        case Compare() | Root(_, _, bytes()):
            return 1 + heads / 256
        case Proofs(proofs):
            return len(proofs) / 16
        case Entries():
            return 0
        case _:
            return 1 / 16


def _entries_for(space: Space, job: _ServeJob) -> tuple[bytes, int | None]:
    match job.asked:
        case rs.Serve(ranges):
            entries, cursor = space.store.serve(ranges, job.cursor, SERVE_BATCH_BYTES)
            while not entries and cursor is not None:
                entries, cursor = space.store.serve(ranges, cursor, SERVE_BATCH_BYTES)
        case rs.ServeIds(ids):
            forks = {conviction.log: conviction.seq for conviction in space.convictions}
            entries, cursor = space.store.serve_ids(ids, forks, SERVE_BATCH_BYTES), None
        case _:
            assert_never(job.asked)
    return (write_batch(entries) if entries else b""), cursor
