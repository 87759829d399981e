"""The devices of a scenario on tier F: hosts with their links, identities, one account, one shared space."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

import trio

from latticework.handshake import KeyVault
from latticework.node.account import Account
from latticework.node.app import Node
from latticework.node.state import MemoryState
from latticework.node.surroundings import Observer
from latticework.transport import GossipRouter, Multiaddr, Router
from latticework.wire import LocalError

from ..accounts import Founded, found_fleet
from ..clock import VirtualClock
from ..core.links import MessageLinks
from ..core.mesh import gossip_params
from ..crypto import Providers
from ..devices import DeviceSetup, SimDevice
from ..dialling import dials, names
from ..link import Access, Line, Link, Trouble
from ..nat import NatBox
from ..nat_mix import PRESETS, named_mix
from ..network import SimNetwork
from ..rng import KeyedRng
from ..scenario import Group, Scenario
from ..threads import InlineThreads
from ..transcript import FrameHook

SPACE: Final = "mesh"
PORT: Final = 4001
_LISTEN: Final = Multiaddr.tcp("0.0.0.0", PORT)  # noqa: S104  # of a simulated host
CLOCK_LIAR: Final = "clock-liar"
_LIE_S: Final = 365 * 24 * 3600
MOST_DEVICES: Final = 1024
"""Devices in one account (`crdt.params.MAX_ROSTER_RECORDS`): the bound of tier F."""


@dataclass(slots=True, eq=False)
class Member:
    """One device of the run; `node` while it is up, `life` cancels it."""

    number: int
    group: Group
    device: SimDevice
    targets: tuple[int, ...] = ()
    """The numbers of those that it dials, which are at `peers`."""
    peers: tuple[Multiaddr, ...] = ()
    node: Node | None = None
    life: trio.CancelScope | None = None
    changed: trio.Event = field(default_factory=trio.Event)
    wanted: bool = False
    """Whether it is to run, also while it is stopping."""
    barred: bool = False
    """Whether it is not to be started again by churn: it crashed for good, or has not joined yet."""
    slowed_by: list[float] = field(default_factory=list[float])
    """Factors of the faults that slow its processor now."""

    @property
    def name(self) -> str:
        """Also the name of its host."""
        return self.device.name


@final
class Fleet:
    """All devices, none of them up. `wrap(number, router)` is what runs in place of a device's gossip router.

    Raises:
        LocalError: more devices than an account may have, or links or NAT that do not exist.
    """

    def __init__(
        self,
        scenario: Scenario,
        clock: VirtualClock,
        rng: KeyedRng,
        crypto: Providers,
        hook: FrameHook,
        observers: list[Observer],
        wrap: Callable[[int, GossipRouter], Router],
    ) -> None:
        if scenario.node_count > MOST_DEVICES:
            raise LocalError(
                f"tier F runs up to {MOST_DEVICES} devices, which is what an account may have;"
                f" {scenario.name!r} has {scenario.node_count}: use tier C"
            )
        self.scenario: Final = scenario
        self.network: Final = SimNetwork(clock, rng.child("network"), hook=hook)
        self._clock = clock
        self._rng = rng
        self._crypto = crypto
        self._wrap = wrap
        self._names = names(scenario)
        self.members: Final = [self._member(number, observers[number]) for number in range(scenario.node_count)]
        self._number = {member.name: member.number for member in self.members}
        self._lay_links()
        self.account: Final = self._found()
        for member, targets in zip(self.members, dials(scenario, rng.child("dials")), strict=True):
            member.targets = tuple(targets)
            member.peers = tuple(Multiaddr.tcp(self.members[target].device.host.ip, PORT) for target in targets)

    def number_of(self, host: str) -> int:
        """The number of the device on a host."""
        return self._number[host]

    def _member(self, number: int, observer: Observer) -> Member:
        group = self.scenario.group_of(number)
        name = self._names[number]
        rng = self._rng.child(f"device {name}")
        setup = DeviceSetup(
            providers=self._crypto,
            boxes=self._boxes(group, number, rng),
            skew_us=group.skew_us + _lie_us(group),
            drift_ppm=group.drift_ppm,
            cpu=group.cpu,
            gossip=gossip_params(self.scenario.mesh),
            observer=observer,
            listen=_LISTEN,
            wrap_router=partial(self._wrap, number),
        )
        return Member(number, group, SimDevice(name, self.network, self._clock, rng, setup))

    def _boxes(self, group: Group, number: int, rng: KeyedRng) -> tuple[NatBox, ...]:
        layers = PRESETS[named_mix(group.nat).draw(rng.child("nat"))]
        ips = [f"100.64.{level}.2" for level in range(len(layers) - 1)]
        public = f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return tuple(
            NatBox(kind, ip, rng.child(f"box {ip}"))
            for kind, ip in zip(layers, [*ips, public][-len(layers) :] if layers else [], strict=True)
        )

    def _lay_links(self) -> None:
        links, topology = self.scenario.links, self.network.topology
        places = MessageLinks(links, [member.group for member in self.members], self._rng.child("links"))
        shares = (links.loss, links.corrupt, links.burst_enter, links.burst_leave, links.burst_loss)
        trouble = Trouble(*shares) if links.loss or links.corrupt or links.burst_enter else None

        def link_of(source: str, destination: str) -> Link:
            if source not in self._number or destination not in self._number:
                return Link()  # a dial to an address that nobody has
            latency_us = places.latency_us(self._number[source], self._number[destination])
            return Link(latency_us, jitter_share=links.jitter, trouble=trouble)

        topology.use_links(link_of)
        self.regions = [places.region[member.number] for member in self.members]
        for member in self.members:
            up, down = member.group.up, member.group.down
            topology.set_access(
                member.name, Access(None if up is None else Line(up), None if down is None else Line(down))
            )

    def _found(self) -> Founded:
        vaults: list[tuple[str, KeyVault]] = [(member.name, member.device.vault) for member in self.members]
        crypto = self._crypto
        founded = found_fleet(vaults, SPACE, self._rng.child("account"), self._clock, crypto.kem, crypto.signatures)
        for member in self.members:
            member.device.remember(founded.state)
        # The roster is judged here, once for all, and not at the cost of whoever starts first.
        Account(founded.state, MemoryState(), crypto.signatures, InlineThreads(), lambda: None)
        return founded


def _lie_us(group: Group) -> int:
    """How far ahead a clock liar says it is; a year unless its option `ahead_s` says otherwise."""
    if group.role != CLOCK_LIAR:
        return 0
    return int(dict(group.options).get("ahead_s", _LIE_S)) * 1_000_000
