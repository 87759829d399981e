"""`lattice up`: one node of one home, in the foreground, until a signal or `lattice down`."""

import logging
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import trio

from latticework.discovery import Discovery, MdnsConfig, open_mdns
from latticework.handshake import MlKem1024, SealedFileVault
from latticework.transport import BufferPool, Limits, Multiaddr, PeerId, TcpNetwork
from latticework.wire import LocalError
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

from .app import Node, open_node
from .control import ControlServer
from .folders.watch import FileWatcher
from .groups import first_error
from .home import Home, HomeLock
from .identity import open_identity
from .params import DEFAULT_PORT
from .shelves import HomeShelves
from .state import StateFile
from .surroundings import NodeOptions, Surroundings
from .system import SystemClock, SystemRng, WorkerThreads

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """What `lattice up` was told; an empty `listen` means the default port, or any when it is taken."""

    listen: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    mdns: bool = True
    plain_libp2p: bool = False
    passphrase: str | None = None


def run_daemon(home: Home, options: DaemonOptions, ready: Callable[[Node], None]) -> None:
    """Run until told to stop; blocking.

    Raises:
        HomeLockedError: another node runs in this home.
        LocalError, StoreError: it cannot start; the message says why.
    """
    # Wrong addresses are told before anything is locked or opened.
    _parsed(options.listen)
    _parsed(options.peers)
    with HomeLock(home):
        trio.run(_serve, home, options, ready)


async def _serve(home: Home, options: DaemonOptions, ready: Callable[[Node], None]) -> None:
    scope = trio.CancelScope()
    with scope, first_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, scope)
            async with home_node(home, options) as node:
                nursery.start_soon(ControlServer(node, home.socket, scope.cancel).run)
                await trio.lowlevel.checkpoint()
                ready(node)
                await trio.sleep_forever()


@asynccontextmanager
async def home_node(home: Home, options: DaemonOptions) -> AsyncGenerator[Node]:
    """The node of `home`, on real files and sockets, for as long as the block runs; the caller holds the home's lock.

    Raises:
        LocalError, StoreError: it cannot start; the message says why.
    """
    rng, clock, threads = SystemRng(), SystemClock(), WorkerThreads()
    vault = SealedFileVault(home.keys, rng, options.passphrase)
    secrets = await threads.run(lambda: open_identity(vault, rng, clock))
    around = Surroundings(
        network=TcpNetwork(),
        clock=clock,
        rng=rng,
        threads=threads,
        kem=MlKem1024(),
        signatures=CompositeSignatures(),
        shelves=HomeShelves(home),
        vault=vault,
        state=StateFile(home.state, secrets.state_key, rng),
        watcher=FileWatcher,
        limits=Limits(),
        buffers=BufferPool(),
        plain_libp2p=options.plain_libp2p,
    )
    listen = _parsed(options.listen) or (await _default_address(),)
    seed = rng.random_bytes(32)
    discoveries: Sequence[Discovery] = ()
    async with AsyncExitStack() as stack:
        if options.mdns:
            peer_id = PeerId.of_key(Ed25519Signer(seed).public)
            config = MdnsConfig(loopback=all(address.host.startswith("127.") for address in listen))
            discoveries = [await stack.enter_async_context(open_mdns(peer_id, threads, rng, config))]
        node_options = NodeOptions(listen, _parsed(options.peers))
        yield await stack.enter_async_context(
            open_node(secrets, around, node_options, discoveries, transport_seed=seed)
        )


def _parsed(addresses: Sequence[str]) -> tuple[Multiaddr, ...]:
    return tuple(Multiaddr.parse(text) for text in addresses)


async def _default_address() -> Multiaddr:
    """The default port on every interface if it is free, any port otherwise."""
    wanted = Multiaddr.tcp("0.0.0.0", DEFAULT_PORT)  # noqa: S104  # a node is there to be reached
    try:
        listener = await TcpNetwork().listen(wanted)
    except LocalError:
        return Multiaddr.tcp("0.0.0.0", 0)  # noqa: S104  # as above
    await listener.aclose()
    return wanted


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            _log.info("stopping signal=%s", signal.Signals(number).name)
            scope.cancel()
            return
