"""The port through which a node hears of peers: mDNS, configured addresses, later the DHT.

A sighting is a hint and never proof: nothing in it is authenticated before the handshake. Whoever is on the local
network can invent a peer, or report one gone; a consumer dials what it may and drops no connection for a sighting.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from latticework.transport import Multiaddr

type Source = Literal["mdns", "static"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is now known of one peer from one source; it replaces what that source said before.

    `peer_id` is the libp2p text form; it is empty if a configured address names nobody. `addresses` carry no `/p2p`
    part, and are empty if the peer is `gone`.
    """

    addresses: tuple[Multiaddr, ...]
    peer_id: str
    source: Source
    gone: bool = False


class Discovery(Protocol):
    """Where sightings come from; one consumer at a time."""

    def sightings(self) -> AsyncIterator[Sighting]:
        """Sightings as they come in; ends when the source is closed or has no more."""
        ...

    def announce(self, addresses: tuple[Multiaddr, ...]) -> None:
        """Tell others from now on that we are at `addresses`, and nowhere else; returns at once."""
        ...
