"""The one place where a node is wired: keys, account, network, secure channel, discovery, spaces, folders.

`open_node` reads top to bottom like the architecture. Everything is a constructor argument; the real world and the
simulated one differ in the `Surroundings` alone.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import final

import trio

from latticework.crdt import Conviction, Member, Roster
from latticework.discovery import Discovery
from latticework.handshake import AnonymousChannel, Paired, load_keys
from latticework.transport import (
    Connection,
    Gossip,
    GossipBounds,
    GossipRouter,
    Multiaddr,
    PeerId,
    Stream,
)
from latticework.wire import (
    DeviceId,
    EntryId,
    MalformedError,
    SpaceId,
    StoreError,
    Threads,
    short,
)
from latticework.wire.signing import Ed25519Signer

from .account import Account, found_state
from .announcing import Announcer
from .desk import PairingDesk
from .fetch import LinkFetcher
from .folders.serve import ChunkSource
from .holdings import Holdings
from .identity import NodeSecrets, renew_prekeys
from .messages import SpaceOffer
from .params import PREKEY_CHECK_S
from .peers import Peers
from .plain import PlainPeers
from .runner import SpaceRunner, World
from .space import Space
from .space_ports import SpaceIdentity
from .spread import Spread, own_record
from .state import KnownDevice, NodeState
from .surroundings import NodeOptions, Surroundings

_log = logging.getLogger(__name__)
AGENT = "latticework/0.0.1"
_KEPT_ADDRESSES = 16


@final
class Node:
    """A running node. Made by `open_node`; every method is for tasks of this process, remote callers use `control`."""

    def __init__(self, secrets: NodeSecrets, around: Surroundings, state: NodeState, transport_seed: bytes) -> None:
        self._secrets = secrets
        self._around = around
        self._transport = Ed25519Signer(transport_seed)
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None
        self.keys = load_keys(secrets.device_seeds, around.kem, around.signatures)
        self.account = Account(state, around.state, around.signatures, around.threads, self._roster_changed)
        own, first_seqno = PeerId.of_key(self._transport.public), around.clock.now_us()
        router = GossipRouter(own, around.gossip, around.rng, self._transport, first_seqno=first_seqno)
        self.gossip = Gossip(around.wrap_router(router), around.clock, GossipBounds())
        self.peers = Peers(
            self,
            self.gossip,
            around.network,
            around.clock,
            around.rng,
            around.threads,
            anonymous=AnonymousChannel(around.rng, around.kem),
            plain=PlainPeers(self._transport, around.rng, AGENT, accept=around.plain_libp2p),
            limits=around.limits,
            buffers=around.buffers,
            agent=AGENT,
        )
        self._announcer = Announcer(self.peers.links)
        self.holdings = Holdings(
            self.account,
            self,
            World(
                around.clock,
                around.rng,
                around.threads,
                around.signatures,
                around.shelves,
                around.watcher,
                Spread(self.gossip, self.peers.device_of),
                around.observer,
            ),
            SpaceIdentity(self.device, self.keys.signer, secrets.log_secret),
            lambda space: LinkFetcher(space, lambda: self.peers.links),
        )
        self.desk = PairingDesk(self, around.signatures, around.clock, around.rng, self.peers.dial_anonymous)

    # What links, peers and the pairing desk ask.

    @property
    def device(self) -> DeviceId:
        """The id of the device we are."""
        return self.keys.device

    @property
    def threads(self) -> Threads:
        """Where blocking work of this node is done."""
        return self._around.threads

    def now_us(self) -> int:
        """The time, in microseconds since 1970."""
        return self._around.clock.now_us()

    @property
    def name(self) -> str:
        """What other devices call us."""
        return self._secrets.name

    @property
    def transport_key(self) -> bytes:
        """The Ed25519 key behind the PeerId of this run."""
        return self._transport.public

    def signed_record(self, addresses: tuple[Multiaddr, ...]) -> bytes:
        """Where we listen, signed by the transport key."""
        return own_record(self._transport, self._around.clock, addresses)

    @property
    def roster(self) -> Roster:
        """The devices of the account."""
        return self.account.roster

    @property
    def spaces(self) -> Mapping[SpaceId, Space]:
        """Spaces whose store is open."""
        return self.holdings.open_spaces

    @property
    def runners(self) -> Mapping[SpaceId, SpaceRunner]:
        """Every space that we hold."""
        return self.holdings.runners

    def offers(self) -> Sequence[SpaceOffer]:
        """Every space that we hold or know of."""
        return self.account.offers()

    def own_addresses(self) -> tuple[str, ...]:
        """Where we listen."""
        return tuple(str(address) for address in self.peers.listening[:_KEPT_ADDRESSES])

    def pending(self, space: SpaceId) -> int:
        """Paths not in step in this space's folder."""
        runner = self.runners.get(space)
        return 0 if runner is None else runner.pending

    def chunk_source(self, space: SpaceId) -> ChunkSource | None:
        """Where chunks of `space` are served from."""
        runner = self.runners.get(space)
        return None if runner is None else runner.source

    async def offered(self, offer: SpaceOffer, device: DeviceId) -> None:
        """Remember a space of the account; a person joins it with `folder join`."""
        if await self.account.take_offer(offer):
            _log.info("space offered peer=%s", short(device))
            for link in self.peers.links.values():
                if link.device != device:
                    link.spaces_changed()
            self._wake()

    async def take_roster(self, records: Sequence[bytes]) -> None:
        """Add certificates that a device of the account sent."""
        await self.account.take_records(records)

    def link_changed(self, device: DeviceId) -> None:
        """A link came, went or told something: content that was missing may have a source now."""
        link = self.peers.links.get(device)
        for key, runner in self.runners.items():
            state = None if link is None else link.state(key)
            if runner.engine is not None and state is not None:
                runner.engine.retry_without_source()
        self._wake()

    def learned_addresses(self, device: DeviceId, addresses: tuple[Multiaddr, ...]) -> None:
        """Remember where a device listens, and keep it connected."""
        self.peers.dialler.retire(device, addresses)
        for address in addresses:
            self.peers.dialler.keep(address, "learned", device)
        known = KnownDevice(device, tuple(str(address) for address in addresses[:_KEPT_ADDRESSES]))
        self.later(lambda: self.account.put_device(known))

    def sighted(self) -> None:
        """Discovery told of a peer: whoever waits to pair looks again."""
        self._wake()

    async def pair_inbound(self, connection: Connection, stream: Stream) -> None:
        """Somebody connected to pair."""
        await self.desk.serve(connection, stream)

    async def paired(self, paired: Paired) -> None:
        """Keep the device that we paired with connected."""
        known = KnownDevice(paired.remote, paired.addresses[:_KEPT_ADDRESSES])
        self._keep(known, "paired")
        await self.account.put_device(known)
        self.peers.dialler.redial()

    def _keep(self, known: KnownDevice, source: str) -> None:
        for text in known.addresses:
            with suppress(MalformedError):
                self.peers.dialler.keep(Multiaddr.parse(text), source, known.device)

    # What spaces tell.

    def space_changed(self, space: SpaceId, *, carried: bool = False) -> None:
        """Tell everyone connected."""
        self._announcer.changed(space, carried=carried)
        self._wake()

    def convicted(self, space: SpaceId, conviction: Conviction) -> None:
        """A proof is kept: the next word to everyone connected is about it."""
        _log.warning("equivocation proven space=%s log=%s", short(space), short(conviction.log))
        self.space_changed(space)

    def missing(self, space: SpaceId, ids: Sequence[EntryId], sender: bytes) -> None:
        """Ask whoever sent what waits."""
        link = self.peers.links.get(DeviceId(sender))
        if link is not None:
            link.missing(space, ids)

    def space_opened(self, space: SpaceId) -> None:
        """A store opened: announce its frontier."""
        del space
        for link in self.peers.links.values():
            link.spaces_changed()
        self._wake()

    async def heard_of(self, space: SpaceId) -> None:
        """Wait until some device has told all its entries of `space`."""
        while not any(
            state.same_frontier and state.remote_pending is not None
            for link in self.peers.links.values()
            if (state := link.state(space)) is not None
        ):
            await self.changed()

    async def changed(self) -> None:
        """Wait for the next change of anything that `status` shows."""
        await self._changed.wait()

    # Inside.

    def start(self, nursery: trio.Nursery, options: NodeOptions) -> None:
        """Begin: dial what is known, open the spaces."""
        self._nursery = nursery
        for address in options.peers:
            self.peers.dialler.keep(address, "static")
        for device in self.account.devices:
            self._keep(device, "known")
        nursery.start_soon(self.gossip.run)
        nursery.start_soon(self._announcer.run)
        self.holdings.start(nursery)

    def use_certificate(self) -> None:
        """Speak with the certificate that the roster has for us."""
        around = self._around
        certificate = self.roster.members[self.device].signed
        channel = around.channel(
            self.keys, certificate, self._transport, around.rng, around.kem, around.signatures, self._authorize
        )
        self.peers.use_channel(channel)

    async def keep_prekeys_fresh(self) -> None:
        """Replace the prekey when it is due, for as long as the node runs: others refuse a bundle that is too old."""
        around = self._around
        while True:
            await trio.sleep(PREKEY_CHECK_S)
            renew = partial(renew_prekeys, self._secrets, around.vault, around.rng, around.clock)
            try:
                renewed = await around.threads.run(renew)
            except StoreError as error:
                _log.warning("prekey not renewed error=%s", error)
                continue
            if renewed is not None:
                self._secrets = renewed
                self.keys = load_keys(renewed.device_seeds, around.kem, around.signatures)
                self.use_certificate()

    def _authorize(self, signed: bytes) -> Member | str:
        return self.account.authorize(signed, self.later)

    def _roster_changed(self) -> None:
        self.use_certificate()
        for link in self.peers.links.values():
            link.roster_changed()
        for space in self.spaces.values():
            space.roster_changed()
        self.peers.dialler.redial()
        self._wake()

    def later(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` as a task of the node."""
        if self._nursery is not None:
            self._nursery.start_soon(_supervised, work)

    def _wake(self) -> None:
        event, self._changed = self._changed, trio.Event()
        event.set()


async def _supervised(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001  # the supervisor of what peers set off: a bug in it must not end the node
        _log.exception("a task of the node failed")


@asynccontextmanager
async def open_node(
    secrets: NodeSecrets,
    around: Surroundings,
    options: NodeOptions,
    discoveries: Sequence[Discovery],
    transport_seed: bytes,
) -> AsyncGenerator[Node]:
    """A running node for as long as the block runs.

    `transport_seed` (32 bytes) is the Ed25519 transport key behind the PeerId, fresh at each start (decision 14).

    Raises:
        LocalError: an address cannot be bound.
        StoreError: the state file is damaged.
    """
    state = await around.threads.run(around.state.load)
    if state is None:
        state = found_state(secrets, around.clock, around.kem, around.signatures)
        fresh = state
        await around.threads.run(lambda: around.state.save(fresh))
    node = Node(secrets, around, state, transport_seed)
    node.use_certificate()
    listeners = [await around.network.listen(address) for address in options.listen]
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(node.peers.run, listeners, list(discoveries))
            node.start(nursery, options)
            nursery.start_soon(node.keep_prekeys_fresh)
            yield node
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            for listener in listeners:
                await listener.aclose()
