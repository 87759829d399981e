"""mDNS as a `Discovery`: the trio side of `responder`.

One task owns the responder and makes its blocking calls on a thread; what is heard comes back through a bounded inbox
(policy there). A node without mDNS does not construct this. Where no interface takes multicast the node still runs:
the failure is logged and tried again.
"""

import ipaddress
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import final

import trio
import zeroconf

from latticework.transport import Multiaddr, PeerId
from latticework.wire import LocalError, Rng, Threads

from .inbox import SightingInbox
from .mdns_records import announceable, build_txt, new_instance
from .neighbours import Neighbours
from .params import MDNS_CLOSE_S, MDNS_MAX_PEERS, MDNS_RETRY_S
from .ports import Sighting
from .responder import Responder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MdnsConfig:
    """Where mDNS speaks: `interfaces` are IPv4 addresses of ours, all if empty.

    `loopback` announces and believes loopback addresses too, for nodes on one machine.
    """

    interfaces: tuple[str, ...] = ()
    loopback: bool = False

    def __post_init__(self) -> None:
        for interface in self.interfaces:
            try:
                ipaddress.IPv4Address(interface)
            except ValueError as error:
                raise LocalError(f"not the IPv4 address of an interface: {interface!r}") from error


@asynccontextmanager
async def open_mdns(peer_id: PeerId, threads: Threads, rng: Rng, config: MdnsConfig) -> AsyncGenerator["MdnsDiscovery"]:
    """MDNS for as long as the block runs; leaving it says goodbye, which takes up to 1 s.

    The first sightings need a moment: sockets open and questions go out in the background.
    """
    instance = new_instance(rng)
    inbox = SightingInbox(MDNS_MAX_PEERS)
    ear = _Ear(Neighbours(instance, peer_id, loopback=config.loopback), inbox)
    discovery = MdnsDiscovery(peer_id, Responder(instance, config.interfaces, ear), inbox, config)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, threads)
        try:
            yield discovery
        finally:
            nursery.cancel_scope.cancel()


@final
class MdnsDiscovery:
    """A `Discovery`; made by `open_mdns`."""

    def __init__(self, peer_id: PeerId, responder: Responder, inbox: SightingInbox, config: MdnsConfig) -> None:
        self._peer_id = peer_id
        self._responder = responder
        self._inbox = inbox
        self._config = config
        self._wanted: tuple[Multiaddr, ...] = ()
        self._changed = trio.Event()

    def sightings(self) -> AsyncIterator[Sighting]:
        return self._inbox

    def announce(self, addresses: tuple[Multiaddr, ...]) -> None:
        """Announce those of `addresses` that others can dial, on the interfaces as they are now; takes 0.5 s."""
        self._wanted = announceable(addresses, loopback=self._config.loopback)
        self._changed.set()

    async def run(self, threads: Threads) -> None:
        """Keep what is announced as it is wanted, until cancelled."""
        try:
            while True:
                self._changed = trio.Event()
                published = await self._publish(threads)
                with trio.move_on_after(math.inf if published else MDNS_RETRY_S):
                    await self._changed.wait()
        finally:
            self._inbox.close()
            with trio.CancelScope(deadline=trio.current_time() + MDNS_CLOSE_S, shield=True):
                await threads.run(self._responder.close)

    async def _publish(self, threads: Threads) -> bool:
        txt = build_txt(self._peer_id, self._wanted)
        port = self._wanted[0].port if self._wanted else 0
        try:
            await threads.run(partial(self._responder.publish, txt, port))
        except (OSError, RuntimeError, zeroconf.Error) as error:
            _log.warning("mdns unavailable error=%s retry_s=%d", error, MDNS_RETRY_S)
            return False
        return True


@final
class _Ear:
    """On zeroconf's thread: from records to sightings in the inbox."""

    def __init__(self, neighbours: Neighbours, inbox: SightingInbox) -> None:
        self._neighbours = neighbours
        self._inbox = inbox

    def heard(self, instance: str, txt: bytes) -> None:
        for sighting in self._neighbours.heard(instance, txt):
            self._inbox.put(sighting)

    def lost(self, instance: str) -> None:
        for sighting in self._neighbours.lost(instance):
            self._inbox.put(sighting)
