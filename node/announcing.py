"""When peers are told that a space has changed: at once, unless gossip tells them anyway and there are many of them.

Every link that hears of a change compares frontiers. What gossip carries reaches everybody without that, so in a large
mesh the comparison of the whole, which repairs what gossip lost, is made at intervals: with each change on each link it
cost as much as the entries themselves (docs/performance.md, simulation).
"""

from collections.abc import Mapping
from typing import Never, Protocol, final

import trio

from latticework.wire import DeviceId, SpaceId

from .params import ANNOUNCE_AT_ONCE_LINKS, ANNOUNCE_EVERY_S, ANNOUNCE_SETTLE_S


class Announced(Protocol):
    """A link that can be told."""

    def space_changed(self, space: SpaceId, *, carried: bool = False) -> None:
        """What we hold of `space` changed; `carried` if gossip tells the peer as well."""
        ...


@final
class Announcer:
    """Tells `links`, a live mapping; `run` tells what waits."""

    def __init__(self, links: Mapping[DeviceId, Announced]) -> None:
        self._links = links
        self._waiting: dict[SpaceId, None] = {}
        self._noted = trio.Event()
        self._quiet_until_s = 0.0

    def changed(self, space: SpaceId, *, carried: bool) -> None:
        """`space` has changed; `carried` if only by entries that gossip takes to everybody."""
        many = len(self._links) > ANNOUNCE_AT_ONCE_LINKS
        if not (carried and many):
            self._tell(space, carried=False)
            return
        self._waiting[space] = None
        self._noted.set()

    async def run(self) -> Never:
        """Tell what waits, no space more often than every `ANNOUNCE_EVERY_S` seconds; until cancelled."""
        while True:
            await self._noted.wait()
            # Not while the news is on its way: every difference would be one of time.
            await trio.sleep_until(max(self._quiet_until_s, trio.current_time() + ANNOUNCE_SETTLE_S))
            self._noted = trio.Event()
            if self._waiting:
                # What was told at once meanwhile waits no more, and is no reason for a pause.
                self._quiet_until_s = trio.current_time() + ANNOUNCE_EVERY_S
            for space in list(self._waiting):
                self._tell(space, carried=True)

    def _tell(self, space: SpaceId, *, carried: bool) -> None:
        self._waiting.pop(space, None)
        for link in self._links.values():
            link.space_changed(space, carried=carried)
