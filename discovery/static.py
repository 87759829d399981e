"""Peers that the user configured, as a `Discovery`: each address is sighted once, in order."""

from collections.abc import AsyncIterator, Iterable
from typing import final, override

import trio

from latticework.transport import Multiaddr

from .ports import Sighting


@final
class StaticDiscovery:
    """A `Discovery` over configured addresses; those with one `/p2p` name are one sighting, nameless ones one each."""

    def __init__(self, addresses: Iterable[Multiaddr]) -> None:
        grouped: dict[str, list[Multiaddr]] = {}
        for address in addresses:
            key = str(address) if address.peer_id is None else str(address.peer_id)
            grouped.setdefault(key, []).append(address)
        self._sightings = tuple(_sighting(tuple(group)) for group in grouped.values())

    def sightings(self) -> AsyncIterator[Sighting]:
        """All of them from the start, then the end."""
        return _Replay(self._sightings)

    def announce(self, addresses: tuple[Multiaddr, ...]) -> None:
        """Nobody listens: nothing happens."""


def _sighting(group: tuple[Multiaddr, ...]) -> Sighting:
    peer_id = group[0].peer_id
    return Sighting(tuple(address.with_peer(None) for address in group), str(peer_id or ""), "static")


@final
class _Replay(AsyncIterator[Sighting]):
    def __init__(self, sightings: tuple[Sighting, ...]) -> None:
        self._left = iter(sightings)

    @override
    async def __anext__(self) -> Sighting:
        await trio.lowlevel.checkpoint()
        for sighting in self._left:
            return sighting
        raise StopAsyncIteration
