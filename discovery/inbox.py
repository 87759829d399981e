"""Sightings from a foreign thread into trio, bounded.

A newer sighting of a peer takes the place of an unread one. When `capacity` peers wait, sightings of further peers are
dropped and counted: a flood from the network costs memory for `capacity` sightings and no more.
"""

import threading
from collections.abc import AsyncIterator
from typing import final, override

import trio

from .ports import Sighting


@final
class SightingInbox(AsyncIterator[Sighting]):
    """Made inside trio; `put` may be called from any thread, everything else from trio. One reader."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._token = trio.lowlevel.current_trio_token()
        self._lock = threading.Lock()
        self._waiting: dict[str, Sighting] = {}
        self._readers = trio.lowlevel.ParkingLot()
        self._closed = False
        self.dropped_count = 0

    def put(self, sighting: Sighting) -> None:
        """Hand over `sighting` without waiting; nothing happens once trio has ended."""
        with self._lock:
            full = len(self._waiting) >= self._capacity and sighting.peer_id not in self._waiting
            if full:
                self.dropped_count += 1
                return
            self._waiting.pop(sighting.peer_id, None)
            self._waiting[sighting.peer_id] = sighting
        try:
            self._token.run_sync_soon(self._readers.unpark_all, idempotent=True)
        except trio.RunFinishedError:
            return

    def close(self) -> None:
        """End the iteration; unread sightings are forgotten."""
        self._closed = True
        self._readers.unpark_all()

    @override
    async def __anext__(self) -> Sighting:
        await trio.lowlevel.checkpoint()
        while not self._closed:
            with self._lock:
                for peer_id in self._waiting:
                    return self._waiting.pop(peer_id)
            await self._readers.park()
        raise StopAsyncIteration
