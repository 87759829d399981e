"""The transfer of a kept state over one link.

A device that gets entries whose payloads were pruned cannot compute the state from them. It asks a device that has the
same entries for the state below one of its checkpoints, in parts, and takes it if its hash is the one that the
checkpoint signs. Nothing is kept of a transfer that breaks off: the next link begins anew.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import final

import trio

from latticework.crdt import Base
from latticework.crdt.params import MAX_SNAPSHOT_BYTES
from latticework.wire import DeviceId, EntryId, MalformedError, PeerError, SpaceId, StoreError, Threads, short

from .messages import BasePart, BaseRequest
from .params import BASE_PART_BYTES, BASE_PATIENCE_S
from .space import Space
from .upkeep import adopt_base

_log = logging.getLogger(__name__)
_MAX_WAITING = 64
"""Requests of one peer that wait; an honest one has at most one per space."""


type Adopt = Callable[[Space, Threads, Base], Awaitable[None]]


@dataclass(slots=True)
class _Coming:
    space: Space
    checkpoint: EntryId | None = None
    total: int = 0
    data: bytearray = field(default_factory=bytearray)


@final
class BaseExchange:
    """What we ask the device of one link for, and what it asks us for."""

    def __init__(self, device: DeviceId, threads: Threads, adopt: Adopt = adopt_base) -> None:
        self._device = device
        self._threads = threads
        self._take_over = adopt
        self._coming: dict[SpaceId, _Coming] = {}
        self._tried: dict[SpaceId, int] = {}
        self._asked: list[BaseRequest] = []
        self._going: tuple[SpaceId, Base] | None = None

    @property
    def is_asked(self) -> bool:
        """True while the peer waits for a part."""
        return bool(self._asked)

    def want(self, space: Space) -> BaseRequest | None:
        """What to ask a device that has told it has the same entries; None if we lack nothing, or have asked."""
        replica = space.replica
        asked = space.base_source not in {None, self._device} and trio.current_time() < space.base_until_s
        if replica.is_complete or asked:
            return None
        coming = self._coming.get(space.id)
        if (coming is not None and coming.space is space) or self._tried.get(space.id) == replica.entry_count:
            return None
        # Once per set of entries: whoever says another checkpoint has another entry.
        self._tried[space.id] = replica.entry_count
        self._coming[space.id] = _Coming(space)
        space.base_source, space.base_until_s = self._device, trio.current_time() + BASE_PATIENCE_S
        return BaseRequest(space.id, None, 0)

    async def take(self, part: BasePart) -> BaseRequest | None:
        """The next request, or None: it is done, or the peer has nothing for us.

        Raises:
            PeerError: the peer sent what was not asked for, or a state that no checkpoint speaks of.
            StoreError: it could not be kept.
        """
        coming = self._coming.get(part.space)
        if coming is None:
            raise PeerError("base", "a part of a state came that was not asked for")
        if part.checkpoint is None:
            self._end(part.space)
            return None
        if coming.checkpoint is None:
            coming.checkpoint, coming.total = part.checkpoint, part.total
        if (part.checkpoint, part.total, part.offset) != (coming.checkpoint, coming.total, len(coming.data)):
            raise PeerError("base", "a part of a state does not fit those before it")
        if not part.data or len(coming.data) + len(part.data) > min(coming.total, MAX_SNAPSHOT_BYTES):
            raise PeerError("base", "a part of a state is empty or too long")
        coming.data += part.data
        if len(coming.data) < coming.total:
            return BaseRequest(part.space, coming.checkpoint, len(coming.data))
        try:
            await self._adopt(coming, coming.checkpoint)
        finally:
            self._end(part.space)
        return None

    async def _adopt(self, coming: _Coming, checkpoint: EntryId) -> None:
        space = coming.space
        if space.replica.is_complete:
            return
        try:
            await self._take_over(space, self._threads, Base(checkpoint, bytes(coming.data)))
        except MalformedError as error:
            raise PeerError("base", str(error)) from error
        _log.info("state adopted space=%s peer=%s bytes=%d", short(space.id), short(self._device), coming.total)

    def _end(self, identifier: SpaceId) -> None:
        coming = self._coming.pop(identifier, None)
        if coming is not None and coming.space.base_source == self._device:
            coming.space.base_source = None

    def close(self) -> list[SpaceId]:
        """The link ends; the spaces that somebody else must be asked for now."""
        broken = list(self._coming)
        for identifier in broken:
            self._end(identifier)
        return broken

    def ask(self, request: BaseRequest) -> None:
        """The peer wants a part; raises PeerError if it wants too much at once."""
        if len(self._asked) >= _MAX_WAITING:
            raise PeerError("flood", "too many requests for states are waiting")
        self._asked.append(request)

    async def answer(self, spaces: Mapping[SpaceId, Space]) -> BasePart:
        """The answer to the oldest request."""
        request = self._asked.pop(0)
        base = await self._base_for(spaces.get(request.space), request)
        if base is None or request.offset >= len(base.snapshot):
            self._going = None
            return BasePart(request.space, None, 0, 0, b"")
        end = min(request.offset + BASE_PART_BYTES, len(base.snapshot))
        part = base.snapshot[request.offset : end]
        self._going = None if end == len(base.snapshot) else (request.space, base)
        return BasePart(request.space, base.checkpoint, len(base.snapshot), request.offset, part)

    async def _base_for(self, space: Space | None, request: BaseRequest) -> Base | None:
        if self._going is not None and self._going[0] == request.space and request.checkpoint is not None:
            going = self._going[1]
            return going if going.checkpoint == request.checkpoint else None
        if space is None:
            return None
        try:
            base = await self._threads.run(space.store.base)
        except StoreError as error:
            _log.info("no state to send space=%s: %s", short(request.space), error)
            return None
        return base if base is not None and request.checkpoint in {None, base.checkpoint} else None
