"""Whole nodes in simulation: `node/app.py` unchanged, on a simulated host with memory for a disk.

A device keeps its identity, state and stores between starts, as a disk would; `SimDevice.up` starts its node.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

from latticework.handshake import MemoryVault
from latticework.node.app import Node, NodeOptions, Surroundings, open_node
from latticework.node.folders.watch import NoWatcher
from latticework.node.identity import create_identity, open_identity
from latticework.node.shelves import MemoryShelves
from latticework.node.state import MemoryState
from latticework.transport import Limits, Multiaddr

from .clock import VirtualClock
from .network import SimNetwork
from .providers import ModelKem, ModelSignatures
from .rng import KeyedRng
from .threads import InlineThreads

_ANYWHERE = Multiaddr.parse("/ip4/0.0.0.0/tcp/0")


@final
class SimDevice:
    """One device of a simulation; `rng` should be a child of the run's, keyed by `name`."""

    def __init__(self, name: str, network: SimNetwork, clock: VirtualClock, rng: KeyedRng) -> None:
        self.name = name
        self._clock = clock
        self._rng = rng
        self._vault = MemoryVault()
        create_identity(self._vault, name, rng.child("identity"), clock)
        self._starts = 0
        self._around = Surroundings(
            network=network.host(name),
            clock=clock,
            rng=rng.child("node"),
            threads=InlineThreads(),
            kem=ModelKem(),
            signatures=ModelSignatures(),
            shelves=MemoryShelves(),
            vault=self._vault,
            state=MemoryState(),
            watcher=_no_watcher,
            limits=Limits(),
        )

    @asynccontextmanager
    async def up(self, peers: Sequence[Multiaddr] = ()) -> AsyncGenerator[Node]:
        """The running node; leaving the block stops it and keeps what it stored."""
        self._starts += 1
        secrets = open_identity(self._vault, self._rng.child(f"start-{self._starts}"), self._clock)
        seed = self._rng.child(f"transport-{self._starts}").random_bytes(32)
        options = NodeOptions((_ANYWHERE,), tuple(peers))
        async with open_node(secrets, self._around, options, (), transport_seed=seed) as node:
            yield node


def _no_watcher(path: Path) -> NoWatcher:
    del path
    return NoWatcher()
