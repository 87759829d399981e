"""A link: the sync stream with one device of the account, and what both sides have told each other.

The reader takes messages and waits for the spaces to store what they bring: that is the back-pressure. The writer sends
the newest state of whatever changed, so nothing is queued that a newer message would replace.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, assert_never, final

import trio

from latticework.crdt import FrontierSync, Roster
from latticework.crdt import frontier as fs
from latticework.transport import Connection, Stream
from latticework.wire import (
    DeviceId,
    PeerError,
    SpaceId,
    StoreError,
    Threads,
    decode_one_of,
    encode,
)

from .groups import first_error
from .messages import SYNC_MESSAGES, AboutSpace, RosterHashes, RosterRecords, SpaceOffer, SyncMessage
from .params import MAX_SYNC_MESSAGE_BYTES, RETRY_LAST_S, SERVE_BATCH_BYTES
from .space import Space

_MAX_SERVE_JOBS = 64
_ROSTER_BATCH = 64


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


@dataclass(slots=True)
class _ServeJob:
    space: SpaceId
    ranges: tuple[fs.Range, ...]
    cursor: int = 0


@final
class Link:
    """One device, connected. `run` ends when the stream does."""

    def __init__(self, device: DeviceId, connection: Connection, hub: Hub, threads: Threads, *, outbound: bool) -> None:
        self.device = device
        self.connection = connection
        self.outbound = outbound
        self._hub = hub
        self._threads = threads
        self._syncs: dict[SpaceId, FrontierSync] = {}
        self._dirty: dict[SpaceId, None] = {}
        self._requests: deque[AboutSpace] = deque()
        self._serving: deque[_ServeJob] = deque()
        self._roster_due = True
        self._roster_missing = False
        self._roster_answer: tuple[bytes, ...] = ()
        self._offers_due = True
        self._pending_offers: deque[SpaceOffer] = deque()
        self._wake = trio.Event()
        self.problem: str | None = None

    async def run(self, stream: Stream) -> None:
        """Exchange until the peer ends the stream.

        Raises:
            PeerError: the peer broke the protocol, or the connection is lost.
        """
        for space in self._hub.spaces:
            self._dirty[space] = None
        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, stream)
                await self._read(stream)
                nursery.cancel_scope.cancel()

    def space_changed(self, space: SpaceId) -> None:
        """Our frontier of `space`, or what is pending in it, changed."""
        self._dirty[space] = None
        self._wake.set()

    def spaces_changed(self) -> None:
        """We hold another space now."""
        self._offers_due = True
        self._dirty |= dict.fromkeys(self._hub.spaces)
        self._wake.set()

    def roster_changed(self) -> None:
        """Our roster grew."""
        self._roster_due = True
        self._dirty |= dict.fromkeys(self._hub.spaces)
        for identifier, sync in self._syncs.items():
            # Entries of a device that was unknown until now were refused: they are asked for again.
            for action in sync.retry():
                if isinstance(action, fs.Send):
                    self._requests.append(AboutSpace(identifier, action.message))
        self._wake.set()

    def state(self, space: SpaceId) -> FrontierSync | None:
        """What the exchange about one space knows."""
        return self._syncs.get(space)

    async def _read(self, stream: Stream) -> None:
        while (data := await stream.receive_message(MAX_SYNC_MESSAGE_BYTES)) is not None:
            message = decode_one_of(SYNC_MESSAGES, data, MAX_SYNC_MESSAGE_BYTES)
            match message:
                case RosterHashes(hashes):
                    self._roster_answer = tuple(hashes)
                    self._roster_missing = True
                    # We lack some too: our own hashes ask for them.
                    self._roster_due |= any(known not in self._hub.roster.records for known in hashes)
                    self._wake.set()
                case RosterRecords(records):
                    await self._hub.take_roster(records)
                case SpaceOffer():
                    await self._hub.offered(message, self.device)
                case AboutSpace(space, about):
                    await self._about_space(space, about)
                case _:
                    assert_never(message)

    async def _about_space(self, identifier: SpaceId, message: fs.Message) -> None:
        space = self._hub.spaces.get(identifier)
        if space is None:
            return
        sync = self._sync(space)
        await self._perform(space, sync, sync.handle(fs.Received(message)))
        self._hub.link_changed(self.device)

    async def _perform(self, space: Space, sync: FrontierSync, actions: list[fs.Action]) -> None:
        for action in actions:
            match action:
                case fs.Send(message):
                    self._requests.append(AboutSpace(space.id, message))
                    self._wake.set()
                case fs.Serve(ranges):
                    if len(self._serving) >= _MAX_SERVE_JOBS:
                        raise PeerError("flood", "too many requests for entries are waiting")
                    self._serving.append(_ServeJob(space.id, ranges))
                    self._wake.set()
                case fs.Admit(envelopes):
                    await self._admit(space, sync, envelopes)
                case fs.ForkSeen(log):
                    self.problem = f"log {log.hex()[:8]} has two different entries under one number"
                case _:
                    assert_never(action)

    async def _admit(self, space: Space, sync: FrontierSync, envelopes: tuple[bytes, ...]) -> None:
        try:
            await space.receive(envelopes, self.device)
        except StoreError as error:
            # Our disk, not the peer: keep the link, and ask for the same entries again once there may be room.
            self.problem = str(error)
            await trio.sleep(RETRY_LAST_S)
            await self._perform(space, sync, sync.retry())
            return
        self.problem = None
        await self._perform(space, sync, sync.admitted())

    def _sync(self, space: Space) -> FrontierSync:
        sync = self._syncs.get(space.id)
        if sync is None:
            sync = self._syncs[space.id] = FrontierSync(space.heads)
        return sync

    async def _write(self, stream: Stream) -> None:
        while True:
            message = self._next_message()
            if message is None and self._serving:
                message = await self._next_entries()
            if message is None:
                self._wake = trio.Event()
                if not self._has_work():
                    await self._wake.wait()
                continue
            await stream.send_message(encode(message))

    def _has_work(self) -> bool:
        due = self._roster_due or self._roster_missing or self._offers_due
        return bool(due or self._requests or self._dirty or self._serving)

    def _next_message(self) -> SyncMessage | None:
        roster = self._hub.roster
        if self._roster_due:
            self._roster_due = False
            return RosterHashes(tuple(sorted(roster.records)))
        if self._roster_missing:
            lacking = [signed for digest, signed in roster.records.items() if digest not in self._roster_answer]
            self._roster_missing = len(lacking) > _ROSTER_BATCH
            self._roster_answer += tuple(d for d in roster.records if d not in self._roster_answer)[:_ROSTER_BATCH]
            if lacking:
                return RosterRecords(tuple(lacking[:_ROSTER_BATCH]))
        if self._offers_due:
            self._offers_due = False
            for offer in self._hub.offers():
                self._pending_offers.append(offer)
        if self._pending_offers:
            return self._pending_offers.popleft()
        if self._requests:
            return self._requests.popleft()
        return self._next_announcement()

    def _next_announcement(self) -> SyncMessage | None:
        while self._dirty:
            identifier = next(iter(self._dirty))
            del self._dirty[identifier]
            space = self._hub.spaces.get(identifier)
            if space is None:
                continue
            for action in self._sync(space).handle(fs.LocalChanged(self._hub.pending(identifier))):
                if isinstance(action, fs.Send):
                    return AboutSpace(identifier, action.message)
        return None

    async def _next_entries(self) -> SyncMessage | None:
        job = self._serving[0]
        space = self._hub.spaces.get(job.space)
        if space is None:
            self._serving.popleft()
            return None
        serve = partial(space.store.serve, job.ranges, job.cursor, SERVE_BATCH_BYTES)
        try:
            envelopes, cursor = await self._threads.run(serve)
        except StoreError as error:
            self.problem = str(error)
            envelopes, cursor = [], None
        if cursor is None:
            self._serving.popleft()
        else:
            job.cursor = cursor
        return AboutSpace(job.space, fs.Entries(tuple(envelopes), int(cursor is None)))
