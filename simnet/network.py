"""The simulated network: hosts with IPv4 addresses, links between them, streams through the virtual clock.

`SimNetwork` is the world; `SimHost`, one per node, is that node's `transport.ports.Network`. Hosts speak
`/ip4/.../tcp/...`, so that a node binds `/ip4/0.0.0.0/tcp/0` and dials what others announced exactly as it does on real
networks; `/memory/<n>` is an address that any one host may bind. A loopback address leads to the host itself.

A host behind NAT boxes dials out through them and is seen at the address of the outermost one. Its own address means
nothing outside: dials to it find nobody.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

import trio

from latticework.transport import BufferPool, Multiaddr, UnreachableError
from latticework.wire import LocalError

from .clock import VirtualClock
from .cpu import Cpu
from .link import Link
from .listener import SimListener
from .nat import Endpoint, NatBox
from .pipe import Route, carried_bytes
from .rng import KeyedRng
from .stream import Connection, End, SimStream, connect
from .topology import Topology
from .transcript import FrameHook

_FIRST_HOST = int(ipaddress.IPv4Address("10.0.0.1"))
_LOOPBACK_IP = "127.0.0.1"
_WILDCARD_IP = str(ipaddress.IPv4Address(0))
_FIRST_EPHEMERAL_PORT = 32_768

type _Place = tuple[str, Multiaddr]
"""Where a listener is found: an address, inside one host for loopback, in the world ("") for the rest."""


@dataclass(frozen=True, slots=True)
class _World:
    clock: VirtualClock
    topology: Topology
    hook: FrameHook | None
    listeners: dict[_Place, SimListener] = field(default_factory=dict[_Place, SimListener])
    cpus: dict[str, Cpu] = field(default_factory=dict[str, Cpu])
    names: dict[str, str] = field(default_factory=dict[str, str])
    hidden: dict[str, None] = field(default_factory=dict[str, None])


@dataclass(slots=True)
class _Dial:
    source: Multiaddr
    target: Multiaddr
    seen_as: Multiaddr
    answered: trio.Event = field(default_factory=trio.Event)
    connection: Connection | None = None
    abandoned: bool = False


@final
class SimNetwork:
    """All hosts of one run. `rng` feeds jitter only; `hook` sees every frame, for example a `Transcript`."""

    def __init__(
        self, clock: VirtualClock, rng: KeyedRng, link: Link | None = None, hook: FrameHook | None = None
    ) -> None:
        self._world = _World(clock, Topology(link or Link(), rng), hook)
        self._hosts: dict[str, SimHost] = {}
        self.buffers: Final = BufferPool()
        """For all nodes of the run: they live in one thread, and a pool of their own would be 0.4 MB for each."""

    @property
    def topology(self) -> Topology:
        """Links of their own latency and bandwidth, by host names."""
        return self._world.topology

    def host(self, name: str, boxes: Sequence[NatBox] = ()) -> "SimHost":
        """The host called `name`, made at first use; addresses are 10.0.0.1 and up, in order of making.

        `boxes` are the NAT boxes between it and the others, innermost first; they count when the host is made.
        """
        if name not in self._hosts:
            address = ipaddress.IPv4Address(_FIRST_HOST + len(self._hosts))
            self._hosts[name] = SimHost(self._world, name, str(address), tuple(boxes))
        return self._hosts[name]

    def unaccounted_bytes(self) -> int:
        """Bytes sent that are neither heard, nor dropped, nor waiting, nor on their way: 0, or the network is wrong."""
        sent, heard, dropped, waiting = self.topology.traffic()
        on_the_way = sum(map(carried_bytes, self._world.clock.pending))
        return sent - heard - dropped - waiting - on_the_way

    def left_by(self, name: str) -> tuple[int, int]:
        """(listeners, ends of streams) that a host has open."""
        listeners = {id(listener) for listener in self._world.listeners.values() if listener.host_name == name}
        return len(listeners), self.topology.open_streams(name)

    def cut(self, a: str, b: str) -> None:
        """Lose every stream between hosts `a` and `b`; dials end in UnreachableError until `heal`."""
        self.topology.cut(a, b)

    def heal(self, a: str, b: str) -> None:
        """Let hosts `a` and `b` dial each other again."""
        self.topology.heal(a, b)


@final
class SimHost:
    """One host's `transport.ports.Network`; made by `SimNetwork.host`."""

    def __init__(self, world: _World, name: str, ip: str, boxes: tuple[NatBox, ...]) -> None:
        self._world = world
        self._boxes = boxes
        self.name = name
        self.ip = ip
        self.cpu: Final = world.cpus.setdefault(name, Cpu(world.clock))
        world.names[ip] = name
        if boxes:
            world.hidden[ip] = None
        self._last_port = _FIRST_EPHEMERAL_PORT - 1

    @property
    def is_dialable(self) -> bool:
        """Whether others can open connections to it: no NAT box stands before it."""
        return not self._boxes

    async def listen(self, address: Multiaddr) -> SimListener:
        """Bind `address`: this host's own, the wildcard, loopback or a memory address; port 0 picks one."""
        await trio.lowlevel.checkpoint()
        bound = self._resolve(address)
        places = tuple(self._place(item) for item in bound)
        for place in places:
            if place in self._world.listeners:
                raise LocalError(f"{place[1]} is in use on {self.name}")

        def release() -> None:
            for place in places:
                if self._world.listeners.get(place) is listener:
                    del self._world.listeners[place]

        listener = SimListener(self.name, bound, release)
        self._world.listeners.update(dict.fromkeys(places, listener))
        return listener

    async def dial(self, address: Multiaddr) -> SimStream:
        """Connect in one round trip, also when refused; a cancelled dial leaves nothing open."""
        target = address.with_peer(None)
        if target.transport not in {"tcp", "memory"}:
            raise LocalError(f"cannot dial {address}: neither TCP nor memory")
        near = Multiaddr.tcp(_LOOPBACK_IP if target.host == _LOOPBACK_IP else self.ip, self._next_port())
        dial = _Dial(near, target, self._outside(near, target))
        listener = self._listener(target)
        self._after(self.name, self._host_of(target, listener), lambda: self._arrive(dial))
        try:
            await dial.answered.wait()
        except trio.Cancelled:
            dial.abandoned = True
            if dial.connection is not None:
                dial.connection.near.close()
            raise
        if dial.connection is None:
            raise UnreachableError(f"nobody answers at {address}")
        return dial.connection.near

    def _arrive(self, dial: _Dial) -> None:
        listener = self._listener(dial.target)
        far = self._host_of(dial.target, listener)
        refused = dial.abandoned or self._world.topology.is_cut(self.name, far)
        if listener is not None and not listener.full and not refused:
            dial.connection = self._connect(dial, far)
            listener.offer(dial.connection.far)
        self._after(far, self.name, dial.answered.set)

    def _connect(self, dial: _Dial, far: str) -> Connection:
        def route(source: str, destination: str, near: Multiaddr, there: Multiaddr) -> Route:
            world = self._world
            lane = world.topology.lane(source, destination)
            passes = partial(world.topology.passes, source, destination)
            cpus = world.cpus[source], world.cpus[destination]
            return Route(world.clock, lane, str(near), str(there), world.hook, passes, *cpus)

        connection = connect(
            End(dial.seen_as, route(self.name, far, dial.seen_as, dial.target)),
            End(dial.target, route(far, self.name, dial.target, dial.seen_as)),
        )
        self._world.topology.add(self.name, far, connection)
        return connection

    def _after(self, source: str, destination: str, callback: Callable[[], None]) -> None:
        """Whoever dials through a partition hears nothing: giving up is up to it."""
        topology, clock = self._world.topology, self._world.clock
        if topology.passes(source, destination):
            clock.schedule(topology.lane(source, destination).arrival_us(clock.monotonic_us(), 0), callback)

    def _host_of(self, target: Multiaddr, listener: SimListener | None) -> str:
        """The host that a dial goes to; where nobody has the address, a name that no host has."""
        return self._world.names.get(target.host, target.host) if listener is None else listener.host_name

    def _listener(self, target: Multiaddr) -> SimListener | None:
        if target.host in self._world.hidden and target.host != self.ip:
            return None
        return self._world.listeners.get(self._place(target))

    def _outside(self, near: Multiaddr, target: Multiaddr) -> Multiaddr:
        """What the target sees as our address; raises UnreachableError if a box has no port left."""
        if not self._boxes or target.transport == "memory" or target.host in {_LOOPBACK_IP, self.ip}:
            return near
        now_us = self._world.clock.monotonic_us()
        source = Endpoint(near.host, near.port)
        remote = Endpoint(target.host, target.port)
        for box in self._boxes:
            outside = box.outbound(now_us, source, remote, "tcp")
            if outside is None:
                raise UnreachableError(f"{target}: the NAT box of {self.name} has no port left")
            source = outside
        return Multiaddr.tcp(source.ip, source.port)

    def _resolve(self, address: Multiaddr) -> tuple[Multiaddr, ...]:
        """The addresses that listening on `address` binds; the announced one first."""
        place = address.with_peer(None)
        if place.transport == "memory":
            return (place,)
        hosts = (self.ip, _LOOPBACK_IP) if place.host == _WILDCARD_IP else (place.host,)
        if place.transport != "tcp" or not {self.ip, _LOOPBACK_IP}.issuperset(hosts):
            raise LocalError(f"{address} is no address of {self.name}")
        port = place.port or self._next_port()
        return tuple(Multiaddr.tcp(host, port) for host in hosts)

    def _place(self, address: Multiaddr) -> _Place:
        return (self.name if address.host == _LOOPBACK_IP else "", address)

    def _next_port(self) -> int:
        self._last_port += 1
        return self._last_port
