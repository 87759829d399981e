"""Who is connected: accepting, and one link per device of the account.

A device may be reached over several addresses and from both sides at once. Of two connections with one device the one
that the smaller device id dialled stays; a dialler never opens a second one itself. The dialling side opens the sync
stream, and only that makes a connection a link.
"""

import logging
from collections import Counter
from functools import partial
from typing import Final, Protocol, final

import trio

from latticework.discovery import Discovery
from latticework.handshake import ANONYMOUS_PROTOCOL
from latticework.transport import (
    IDENTIFY_PROTOCOL,
    MESHSUB_PROTOCOLS,
    NOISE_PROTOCOL,
    PING_PROTOCOL,
    BufferPool,
    ByteStream,
    Connection,
    Gossip,
    Identity,
    Limits,
    Listener,
    Multiaddr,
    Network,
    PeerId,
    SecureChannel,
    Stream,
    Upgrader,
    answer_identify,
    answer_pings,
    request_identify,
)
from latticework.wire import Clock, DeviceId, LatticeError, PeerError, Rng, SpaceId, Threads, fault_point, short

from .chunks import serve_chunks
from .dialler import Dialler, Target
from .folders.serve import ChunkSource
from .groups import first_error
from .link import Hub, Link
from .messages import CHUNKS_PROTOCOL, PAIR_PROTOCOL, SYNC_PROTOCOL
from .params import (
    DIAL_FIRST_S,
    DIAL_TIMEOUT_S,
    MAX_CONNECTIONS,
    MAX_DEVICE_CONNECTIONS,
    MAX_STRANGER_CONNECTIONS,
)
from .plain import PlainPeers
from .rate import HandshakeRate

_log = logging.getLogger(__name__)

PQX_PROTOCOLS = (SYNC_PROTOCOL, CHUNKS_PROTOCOL, *MESHSUB_PROTOCOLS, IDENTIFY_PROTOCOL, PING_PROTOCOL)
ANONYMOUS_PROTOCOLS = (PAIR_PROTOCOL,)


class PeersHub(Hub, Protocol):
    """What the peers need of their node, beyond what their links need."""

    @property
    def device(self) -> DeviceId: ...
    @property
    def transport_key(self) -> bytes: ...
    def signed_record(self, addresses: tuple[Multiaddr, ...]) -> bytes:
        """Where we listen, in a record signed by the transport key."""
        ...

    def chunk_source(self, space: SpaceId) -> ChunkSource | None:
        """Where the chunks of a space are served from."""
        ...

    def learned_addresses(self, device: DeviceId, addresses: tuple[Multiaddr, ...]) -> None:
        """A device says that it listens there."""
        ...

    def sighted(self) -> None:
        """Discovery told of a peer."""
        ...

    async def pair_inbound(self, connection: Connection, stream: Stream) -> None:
        """Somebody wants to pair with us."""
        ...


@final
class Peers:
    """All connections of one node; `run` owns them."""

    def __init__(
        self,
        hub: PeersHub,
        gossip: Gossip,
        network: Network,
        clock: Clock,
        rng: Rng,
        threads: Threads,
        *,
        anonymous: SecureChannel,
        plain: PlainPeers,
        limits: Limits,
        buffers: BufferPool,
        agent: str,
    ) -> None:
        self._hub = hub
        self._gossip = gossip
        self._network = network
        self._clock = clock
        self._rng = rng
        self._threads = threads
        self._anonymous = anonymous
        self._plain = plain
        self._limits = limits
        self._agent = agent
        self._pool = buffers
        self._rate = HandshakeRate()
        self._channel: SecureChannel | None = None
        self._upgrader = Upgrader((anonymous, *plain.channels), clock, self._pool, limits)
        self._connections = 0
        self._inbound: Counter[DeviceId | None] = Counter()
        self.links: dict[DeviceId, Link] = {}
        self.dialler: Final = Dialler(self._dial_once, self.links, clock, rng)
        self.listening: tuple[Multiaddr, ...] = ()
        self._nursery: trio.Nursery | None = None

    @property
    def inbound_count(self) -> int:
        """Connections that others opened, or are opening."""
        return self._connections

    def use_channel(self, channel: SecureChannel) -> None:
        """Speak with these keys from now on; connections that stand keep theirs."""
        self._channel = channel
        channels = (channel, self._anonymous, *self._plain.channels)
        self._upgrader = Upgrader(channels, self._clock, self._pool, self._limits)

    async def run(
        self,
        listeners: list[Listener],
        discoveries: list[Discovery],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept, dial and keep links until cancelled; addresses can be kept once it has started."""
        self.listening = tuple(address for listener in listeners for address in listener.addresses)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.dialler.start(nursery, self.listening)
            for listener in listeners:
                nursery.start_soon(self._accept, listener, nursery)
            for discovery in discoveries:
                discovery.announce(self.listening)
                nursery.start_soon(self._discover, discovery)
            task_status.started()
            await trio.sleep_forever()

    async def dial_anonymous(self, address: Multiaddr) -> Connection:
        """An anonymous connection for pairing; the caller runs and closes it; raises PeerError."""
        with trio.fail_after(DIAL_TIMEOUT_S):
            stream = await self._network.dial(address)
        return await self._upgrader.outbound(stream, self._anonymous)

    def device_of(self, peer: PeerId) -> DeviceId | None:
        """The device of ours behind a connected peer."""
        return next((d for d, link in self.links.items() if PeerId.of_key(link.connection.transport_key) == peer), None)

    async def _accept(self, listener: Listener, nursery: trio.Nursery) -> None:
        while True:
            try:
                stream = await listener.accept()
            except LatticeError as error:
                _log.warning("accept failed error=%s", error)
                await trio.sleep(DIAL_FIRST_S)
                continue
            allowed = self._rate.allow(stream.remote.host, self._clock.monotonic_us())
            if self._connections >= MAX_CONNECTIONS or not allowed:
                await stream.aclose()
                continue
            nursery.start_soon(self._serve_inbound, stream)

    async def _serve_inbound(self, stream: ByteStream) -> None:
        self._connections += 1
        try:
            connection = await self._upgrader.inbound(stream)
            stranger = connection.protocol in {ANONYMOUS_PROTOCOL, NOISE_PROTOCOL}
            device = None if stranger else DeviceId(connection.remote)
            if self._inbound[device] >= (MAX_STRANGER_CONNECTIONS if stranger else MAX_DEVICE_CONNECTIONS):
                _log.info("inbound refused: too many already peer=%s", "stranger" if stranger else short(device or b""))
                await connection.aclose()
                return
            self._inbound[device] += 1
            try:
                await self._serve(connection)
            finally:
                self._inbound[device] -= 1
        except PeerError as error:
            _log.info("inbound refused code=%s: %s", error.code, error)
        except Exception:  # noqa: BLE001  # the supervisor of one inbound peer: a bug ends its connection, not the node
            _log.exception("inbound failed")
        finally:
            self._connections -= 1

    async def _serve(self, connection: Connection) -> None:
        if connection.protocol == ANONYMOUS_PROTOCOL:
            await connection.run(partial(self._on_anonymous_stream, connection), ANONYMOUS_PROTOCOLS)
        elif connection.protocol == NOISE_PROTOCOL:
            ours = {link.connection.transport_key for link in self.links.values()}
            await self._plain.serve(connection, self.listening, ours)
        else:
            await connection.run(partial(self._on_stream, connection), PQX_PROTOCOLS)

    async def _discover(self, discovery: Discovery) -> None:
        async for sighting in discovery.sightings():
            self.dialler.heard(sighting)
            self._hub.sighted()

    async def _dial_once(self, target: Target) -> None:
        if self._channel is None:
            return
        if fault_point("peers.dial"):
            raise PeerError("unreachable", "a fault point of the simulation")
        with trio.fail_after(DIAL_TIMEOUT_S):
            stream = await self._network.dial(target.address)
        connection = await self._upgrader.outbound(stream, self._channel)
        device = DeviceId(connection.remote)
        target.device = device
        if self._gives_way(connection, outbound=True):
            await connection.aclose()
            return
        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._open_link, connection)
                await connection.run(partial(self._on_stream, connection), PQX_PROTOCOLS)
                nursery.cancel_scope.cancel()

    async def _open_link(self, connection: Connection) -> None:
        try:
            with trio.fail_after(DIAL_TIMEOUT_S):
                stream = await connection.open_stream([SYNC_PROTOCOL])
            async with stream:
                # The other side may have dialled us while this stream was being opened.
                if not self._gives_way(connection, outbound=True):
                    await self._run_link(connection, stream, outbound=True)
        except (PeerError, trio.TooSlowError) as error:
            _log.info("link failed peer=%s: %s", short(connection.remote), error)
        await connection.aclose()

    async def _on_stream(self, connection: Connection, protocol: str, stream: Stream) -> None:
        match protocol:
            case _ if protocol == SYNC_PROTOCOL:
                if self._gives_way(connection, outbound=False):
                    await connection.aclose()
                    return
                try:
                    await self._run_link(connection, stream, outbound=False)
                finally:
                    self._close_soon(connection)
            case _ if protocol == CHUNKS_PROTOCOL:
                await serve_chunks(stream, self._hub.chunk_source, self._threads)
            case _ if protocol in MESHSUB_PROTOCOLS:
                await self._gossip.receive(connection, stream)
            case _ if protocol == IDENTIFY_PROTOCOL:
                await answer_identify(stream, self._identity(connection))
            case _:
                await answer_pings(stream)

    async def _on_anonymous_stream(self, connection: Connection, protocol: str, stream: Stream) -> None:
        del protocol
        await self._hub.pair_inbound(connection, stream)

    def _identity(self, connection: Connection) -> Identity:
        signed = self._hub.signed_record(self.listening)
        return Identity(self._hub.transport_key, self._agent, PQX_PROTOCOLS, self.listening, connection.address, signed)

    def _gives_way(self, connection: Connection, *, outbound: bool) -> bool:
        """Whether the link that stands is kept, and not a new one over this connection."""
        device = DeviceId(connection.remote)
        link = self.links.get(device)
        if link is None or link.connection.ended is not None:
            return False
        if link.connection.transport_key != connection.transport_key:
            # The device was started again, or a copy of its home runs as well: then the two take turns.
            return False
        if link.outbound == outbound:
            # The same side dialled again: as dialler we keep what works, as listener we believe that it knows better.
            return outbound
        we_are_smaller = self._hub.device < device
        return outbound != we_are_smaller

    async def _run_link(self, connection: Connection, stream: Stream, *, outbound: bool) -> None:
        device = DeviceId(connection.remote)
        old = self.links.get(device)
        link = Link(device, connection, self._hub, self._threads, self._rng, outbound=outbound)
        self.links[device] = link
        if old is not None:
            self._close_soon(old.connection)
        _log.info("link up peer=%s address=%s", short(device), connection.address)
        self._hub.link_changed(device)
        try:
            with first_error():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._learn_addresses, connection, device)
                    nursery.start_soon(partial(self._gossip.attend, connection, outbound=outbound, trusted=True))
                    await link.run(stream, nursery)
                    nursery.cancel_scope.cancel()
        finally:
            if self.links.get(device) is link:
                del self.links[device]
                for space in self._hub.spaces.values():
                    space.forget_sender(device)
            _log.info("link down peer=%s", short(device))
            self.dialler.link_ended()
            self._hub.link_changed(device)

    async def _learn_addresses(self, connection: Connection, device: DeviceId) -> None:
        try:
            with trio.fail_after(DIAL_TIMEOUT_S):
                async with await connection.open_stream([IDENTIFY_PROTOCOL]) as stream:
                    identity = await request_identify(stream, connection.transport_key)
            self._hub.learned_addresses(device, identity.addresses)
            if identity.signed_record:
                self._gossip.learn_record(PeerId.of_key(connection.transport_key), identity.signed_record)
        except (PeerError, trio.TooSlowError) as error:
            _log.debug("identify failed peer=%s: %s", short(device), error)

    def _close_soon(self, connection: Connection) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(connection.aclose)
