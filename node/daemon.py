"""`lattice up`: one node of one home, in the foreground, until a signal or `lattice down`."""

import logging
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import final

import trio

from latticework.discovery import Discovery, MdnsConfig, open_mdns
from latticework.handshake import MlKem1024, SealedFileVault
from latticework.transport import Limits, Multiaddr, PeerId, TcpNetwork
from latticework.wire import LocalError
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

from .app import Node, NodeOptions, Surroundings, open_node
from .control import ControlServer
from .folders.watch import FileWatcher
from .groups import first_error
from .home import Home, HomeLock
from .identity import NodeSecrets, open_identity
from .params import DEFAULT_PORT
from .shelves import HomeShelves
from .state import StateFile
from .system import SystemClock, SystemRng, WorkerThreads

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """What `lattice up` was told; an empty `listen` means the default port, or any when it is taken."""

    listen: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    mdns: bool = True
    passphrase: str | None = None


def run_daemon(home: Home, options: DaemonOptions, ready: Callable[[Node], None]) -> None:
    """Run until told to stop; blocking.

    Raises:
        HomeLockedError: another node runs in this home.
        LocalError, StoreError: it cannot start; the message says why.
    """
    listen = tuple(Multiaddr.parse(text) for text in options.listen)
    peers = tuple(Multiaddr.parse(text) for text in options.peers)
    with HomeLock(home):
        trio.run(_Daemon(home, options, listen, peers, ready).main)


@final
class _Daemon:
    def __init__(
        self,
        home: Home,
        options: DaemonOptions,
        listen: tuple[Multiaddr, ...],
        peers: tuple[Multiaddr, ...],
        ready: Callable[[Node], None],
    ) -> None:
        self._home = home
        self._options = options
        self._listen = listen
        self._peers = peers
        self._ready = ready
        self._scope = trio.CancelScope()

    async def main(self) -> None:
        rng, clock, threads = SystemRng(), SystemClock(), WorkerThreads()
        vault = SealedFileVault(self._home.keys, rng, self._options.passphrase)
        secrets = await threads.run(lambda: open_identity(vault, rng, clock))
        around = Surroundings(
            network=TcpNetwork(),
            clock=clock,
            rng=rng,
            threads=threads,
            kem=MlKem1024(),
            signatures=CompositeSignatures(),
            shelves=HomeShelves(self._home),
            vault=vault,
            state=StateFile(self._home.state, secrets.state_key, rng),
            watcher=FileWatcher,
            limits=Limits(),
        )
        with self._scope, first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_on_signal)
                async with self._node(secrets, around) as node:
                    server = ControlServer(node, self._home.socket, self._scope.cancel)
                    nursery.start_soon(server.run)
                    await trio.lowlevel.checkpoint()
                    self._ready(node)
                    await trio.sleep_forever()

    @asynccontextmanager
    async def _node(self, secrets: NodeSecrets, around: Surroundings) -> AsyncGenerator[Node]:
        listen = self._listen or (await self._default_address(),)
        options = NodeOptions(listen, self._peers)
        seed = around.rng.random_bytes(32)
        discoveries: Sequence[Discovery] = ()
        async with AsyncExitStack() as stack:
            if self._options.mdns:
                peer_id = PeerId.of_key(Ed25519Signer(seed).public)
                config = MdnsConfig(loopback=all(address.host.startswith("127.") for address in listen))
                discoveries = [await stack.enter_async_context(open_mdns(peer_id, around.threads, around.rng, config))]
            yield await stack.enter_async_context(open_node(secrets, around, options, discoveries, transport_seed=seed))

    async def _default_address(self) -> Multiaddr:
        """The default port on every interface if it is free, any port otherwise."""
        wanted = Multiaddr.tcp("0.0.0.0", DEFAULT_PORT)  # noqa: S104  # a node is there to be reached
        try:
            listener = await TcpNetwork().listen(wanted)
        except LocalError:
            return Multiaddr.tcp("0.0.0.0", 0)  # noqa: S104  # as above
        await listener.aclose()
        return wanted

    async def _stop_on_signal(self) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                _log.info("stopping signal=%s", signal.Signals(number).name)
                self._scope.cancel()
                return
