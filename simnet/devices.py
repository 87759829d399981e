"""Whole nodes in simulation: `node/app.py` unchanged, on a simulated host with memory for a disk.

A device keeps its identity, state and stores between starts, as a disk would; `SimDevice.up` starts its node.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

from latticework.handshake import MemoryVault
from latticework.node.app import Node, open_node
from latticework.node.folders.watch import NoWatcher
from latticework.node.identity import create_identity, open_identity
from latticework.node.shelves import MemoryShelves
from latticework.node.state import MemoryState, NodeState
from latticework.node.surroundings import NodeOptions, Observer, Surroundings
from latticework.transport import GossipParams, GossipRouter, Limits, Multiaddr, Router
from latticework.wire import StoreError

from .clock import VirtualClock
from .clocks import OwnClock
from .cpu import running_on
from .crypto import Providers, providers
from .nat import NatBox
from .network import SimNetwork
from .rng import KeyedRng
from .threads import InlineThreads

ANY_PORT: Final = Multiaddr.parse("/ip4/0.0.0.0/tcp/0")


def _unobserved(*_: object) -> None:
    """Nobody listens."""


def _as_it_is(router: GossipRouter) -> Router:
    return router


@dataclass(frozen=True, slots=True)
class DeviceSetup:
    """How a device differs from a plain one: its cryptography, place, clock, processor, and who watches it."""

    providers: Providers = field(default_factory=lambda: providers("memo"))
    boxes: tuple[NatBox, ...] = ()
    skew_us: int = 0
    drift_ppm: float = 0.0
    cpu: float = 0.0
    gossip: GossipParams = field(default_factory=GossipParams)
    observer: Observer = _unobserved
    listen: Multiaddr = ANY_PORT
    wrap_router: Callable[[GossipRouter], Router] = _as_it_is


@final
class SimDevice:
    """One device of a simulation; `rng` should be a child of the run's, keyed by `name`."""

    def __init__(
        self, name: str, network: SimNetwork, clock: VirtualClock, rng: KeyedRng, setup: DeviceSetup | None = None
    ) -> None:
        setup = DeviceSetup() if setup is None else setup
        self.name = name
        self.host: Final = network.host(name, setup.boxes)
        self.host.cpu.factor = setup.cpu
        self.clock: Final = OwnClock(clock, setup.skew_us, setup.drift_ppm)
        self.vault: Final = MemoryVault()
        self.disk_full = 0
        """While it is not 0, nothing can be stored: how many reasons there are for that."""
        self._rng = rng
        self._setup = setup
        create_identity(self.vault, name, rng.child("identity"), self.clock)
        self._starts = 0
        self._around = Surroundings(
            network=self.host,
            clock=self.clock,
            rng=rng.child("node"),
            threads=InlineThreads(),
            kem=setup.providers.kem,
            signatures=setup.providers.signatures,
            shelves=MemoryShelves(self._before_write),
            vault=self.vault,
            state=MemoryState(),
            watcher=_no_watcher,
            limits=Limits(),
            buffers=network.buffers,
            observer=setup.observer,
            gossip=setup.gossip,
            wrap_router=setup.wrap_router,
            channel=setup.providers.channel,
        )

    def remember(self, state: NodeState) -> None:
        """Start from `state` next time."""
        self._around.state.save(state)

    def lose_disk(self) -> None:
        """Forget every entry; identity and state are kept, as on a device whose spaces were deleted."""
        self._around = replace(self._around, shelves=MemoryShelves(self._before_write))

    @asynccontextmanager
    async def up(self, peers: Sequence[Multiaddr] = ()) -> AsyncGenerator[Node]:
        """The running node; leaving the block stops it and keeps what it stored."""
        self._starts += 1
        secrets = open_identity(self.vault, self._rng.child(f"start-{self._starts}"), self.clock)
        seed = self._rng.child(f"transport-{self._starts}").random_bytes(32)
        options = NodeOptions((self._setup.listen,), tuple(peers))
        token = running_on.set(self.host.cpu)
        try:
            async with open_node(secrets, self._around, options, (), transport_seed=seed) as node:
                yield node
        finally:
            running_on.reset(token)

    def _before_write(self) -> None:
        if self.disk_full:
            raise StoreError(f"the disk of {self.name} is full")


def _no_watcher(path: Path) -> NoWatcher:
    del path
    return NoWatcher()
