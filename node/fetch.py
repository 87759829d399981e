"""Fetching the chunks of one space from whoever is connected: one device after the other until nothing is missing."""

import logging
from collections.abc import Callable, Mapping
from typing import final

import trio

from latticework.wire import ChunkId, DeviceId, LocalError, PeerError, SpaceId, short

from .chunks import ChunkFetch
from .folders.ports import Deliver
from .link import Link
from .messages import CHUNKS_PROTOCOL
from .params import DIAL_TIMEOUT_S

_log = logging.getLogger(__name__)


@final
class LinkFetcher:
    """The `ChunkFetcher` over the links of this node."""

    def __init__(self, space: SpaceId, links: Callable[[], Mapping[DeviceId, Link]]) -> None:
        self._space = space
        self._links = links

    async def fetch(self, wanted: Mapping[ChunkId, int], deliver: Deliver) -> None:
        """Ask every connected device that shares the space; see the port."""
        left = dict(wanted)
        for link in self._sources():
            if not left:
                return
            try:
                left = await self._fetch_from(link, left, deliver)
            except (PeerError, LocalError) as error:
                _log.info("fetch failed peer=%s space=%s: %s", short(link.device), short(self._space), error)

    def _sources(self) -> list[Link]:
        """Devices that share the space, those in step with us first, each group by id."""
        shared = [(link.state(self._space), link) for _, link in sorted(self._links().items())]
        return [
            link
            for state, link in sorted(shared, key=lambda pair: pair[0] is None or not pair[0].same_frontier)
            if state is not None
        ]

    async def _fetch_from(self, link: Link, wanted: dict[ChunkId, int], deliver: Deliver) -> dict[ChunkId, int]:
        stream = None
        with trio.move_on_after(DIAL_TIMEOUT_S):
            stream = await link.connection.open_stream([CHUNKS_PROTOCOL])
        if stream is None:
            return wanted
        fetch = ChunkFetch(stream, self._space, wanted)
        try:
            async with stream:
                await fetch.run(deliver)
        except (PeerError, LocalError) as error:
            _log.info("fetch cut short peer=%s: %s", short(link.device), error)
        return fetch.left
