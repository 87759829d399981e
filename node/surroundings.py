"""What a node is given: the ports by which it meets the world, and what one start is told.

The real world and the simulated one differ in this alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from latticework.crdt import Entry
from latticework.handshake import Authorize, DeviceKeys, KeyVault, PqxChannel, TransportSigner
from latticework.transport import (
    BufferPool,
    GossipParams,
    GossipRouter,
    Limits,
    Multiaddr,
    Network,
    Router,
    SecureChannel,
)
from latticework.wire import Clock, KemProvider, Rng, SignatureProvider, SpaceId, Threads

from .folders.ports import Watcher
from .runner import Shelves
from .state import StateStore

type Observer = Callable[[SpaceId, Sequence[Entry]], None]
"""Hears of entries that were admitted and stored, in that order; must neither wait nor raise."""


def _nobody(space: SpaceId, entries: Sequence[Entry]) -> None:
    del space, entries


type ChannelOf = Callable[
    [DeviceKeys, bytes, TransportSigner, Rng, KemProvider, SignatureProvider, Authorize], SecureChannel
]
"""Makes the channel of one device from its keys, certificate and transport key, as `PqxChannel` does."""


def _as_it_is(router: GossipRouter) -> Router:
    return router


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything a node meets the world by."""

    network: Network
    clock: Clock
    rng: Rng
    threads: Threads
    kem: KemProvider
    signatures: SignatureProvider
    shelves: Shelves
    vault: KeyVault
    state: StateStore
    watcher: Callable[[Path], Watcher]
    limits: Limits
    buffers: BufferPool
    plain_libp2p: bool = False
    """Whether plain libp2p peers are accepted over Noise, for identify and ping; never for data of ours."""
    observer: Observer = _nobody
    gossip: GossipParams = field(default_factory=GossipParams)
    channel: ChannelOf = PqxChannel
    """The secure channel with devices of the account."""
    wrap_router: Callable[[GossipRouter], Router] = _as_it_is
    """What runs in place of the gossip router: itself, or in simulation a role around it."""


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What one start of a node is told."""

    listen: tuple[Multiaddr, ...]
    peers: tuple[Multiaddr, ...] = ()
