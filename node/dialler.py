"""The addresses that are kept connected: given by a person, remembered, learned from a device, or sighted."""

import logging
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import final

import trio

from latticework.discovery import Sighting
from latticework.transport import Multiaddr
from latticework.wire import Clock, DeviceId, PeerError, Rng

from .params import DIAL_FIRST_S, DIAL_LAST_S, MAX_CONNECTIONS, STRANGER_BACKOFF_S

_log = logging.getLogger(__name__)

_STRANGER_CODES = frozenset({"protocol-refused", "certificate", "self"})
"""Errors of a dial that say: not a device of ours."""


@dataclass(slots=True)
class Target:
    """An address that is kept connected, and the device that answered there."""

    address: Multiaddr
    source: str
    device: DeviceId | None = None
    running: trio.CancelScope | None = None
    """Of its task; it has none while its device is connected from the other side."""
    last_error: str = ""
    peer_id: str = ""
    retired: bool = False
    dialling: bool = False


@final
class Dialler:
    """One task per address that is to be dialled, in the nursery given to `start`.

    `connect` dials one target and returns or raises PeerError or trio.TooSlowError when the connection has ended;
    `linked` holds the devices that are connected, over whatever address.
    """

    def __init__(
        self, connect: Callable[[Target], Awaitable[None]], linked: Container[DeviceId | None], clock: Clock, rng: Rng
    ) -> None:
        self._connect = connect
        self._linked = linked
        self._clock = clock
        self._rng = rng
        self._targets: dict[str, Target] = {}
        self._redial = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._listening: tuple[Multiaddr, ...] = ()

    def start(self, nursery: trio.Nursery, listening: tuple[Multiaddr, ...]) -> None:
        """Dial from now on, but never `listening`, where we are ourselves."""
        self._nursery = nursery
        self._listening = listening

    def keep(self, address: Multiaddr, source: str, device: DeviceId | None = None, peer_id: str = "") -> None:
        """Keep trying `address` from now on."""
        key = str(address)
        if (known := self._targets.get(key)) is not None:
            known.retired = False
        if known is not None or address in self._listening or self._nursery is None:
            return
        target = self._targets[key] = Target(address, source, device, peer_id=peer_id)
        self._begin(target)

    def retire(self, device: DeviceId, current: tuple[Multiaddr, ...]) -> None:
        """Stop dialling where `device` used to listen; addresses that a person gave stay."""
        for target in self._targets.values():
            if target.device == device and target.source != "static" and target.address not in current:
                target.retired = True

    def targets(self) -> list[tuple[str, str, str]]:
        """Address, source and last error of everything that is dialled; no error while its device is connected."""
        return [
            (key, target.source, "" if target.device in self._linked else target.last_error)
            for key, target in sorted(self._targets.items())
        ]

    def redial(self) -> None:
        """Try every address again now: who is ours may have changed."""
        event, self._redial = self._redial, trio.Event()
        event.set()

    def link_ended(self) -> None:
        """A device is connected no more."""
        for target in self._targets.values():
            if target.running is None and target.device not in self._linked:
                self._begin(target)

    def heard(self, sighting: Sighting) -> None:
        """A sighting replaces what was said of the peer before, so that strangers who left make room for others.

        Addresses of devices of ours stay: nothing in a sighting is authenticated.
        """
        for target in self._targets.values():
            same_peer = target.peer_id != "" and target.peer_id == sighting.peer_id
            if same_peer and target.device is None and target.address not in sighting.addresses:
                target.retired = True
        self._drop_retired()
        for address in sighting.addresses:
            if len(self._targets) < MAX_CONNECTIONS or str(address) in self._targets:
                self.keep(address, sighting.source, peer_id=sighting.peer_id if sighting.source == "mdns" else "")

    def _drop_retired(self) -> None:
        for key in [key for key, target in self._targets.items() if target.retired and not target.dialling]:
            if (running := self._targets.pop(key).running) is not None:
                running.cancel()

    def _begin(self, target: Target) -> None:
        if self._nursery is not None:
            target.running = trio.CancelScope()
            self._nursery.start_soon(self._run, target, target.running)

    async def _run(self, target: Target, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._keep_dialling(target)
        finally:
            target.running = None

    async def _keep_dialling(self, target: Target) -> None:
        """Dial until the device is connected from the other side; `link_ended` begins anew."""
        delay = DIAL_FIRST_S
        while target.device is None or target.device not in self._linked:
            if target.retired:
                if self._targets.get(str(target.address)) is target:
                    del self._targets[str(target.address)]
                return
            started = self._clock.monotonic_us()
            if await self._dial(target):
                delay = STRANGER_BACKOFF_S
            if self._clock.monotonic_us() - started > DIAL_LAST_S * 1_000_000:
                delay = DIAL_FIRST_S
            with trio.move_on_after(self._jittered(delay)) as waited:
                await self._redial.wait()
            delay = min(delay * 2, max(DIAL_LAST_S, delay)) if waited.cancelled_caught else DIAL_FIRST_S

    async def _dial(self, target: Target) -> bool:
        """Dial once; True if a sighted peer turned out not to be ours."""
        try:
            target.last_error, target.dialling = "", True
            await self._connect(target)
        except PeerError as error:
            target.last_error = str(error)
            _log.debug("dial failed address=%s: %s", target.address, error)
            return target.source == "mdns" and error.code in _STRANGER_CODES
        except trio.TooSlowError:
            target.last_error = "it did not answer in time"
        except Exception:  # noqa: BLE001  # the supervisor of one dialled peer: a bug ends its connection, not the node
            target.last_error = "a bug in this node; see its log"
            _log.exception("dial failed address=%s", target.address)
        finally:
            target.dialling = False
        return False

    def _jittered(self, delay_s: float) -> float:
        """Between half of `delay_s` and all of it: two nodes that failed together are not to try together for ever."""
        return delay_s * (0.5 + int.from_bytes(self._rng.random_bytes(2)) / 0x20000)
