"""A box between an inside and an outside: address translation and filtering in the terms of RFC 4787.

One idea: a *mapping* lends an outside port to an inside endpoint, and the *sessions* of a mapping, one per remote
endpoint that the inside sent to, are at once its filter rules and its timers. A mapping lives as long as any of its
sessions. Pure: time comes with each call, chance through `wire.Rng`.

Where RFC 4787 leaves a choice: filter rules belong to the mapping they were opened through (section 5 speaks of "the
mapping between X:x and Y:y"), not to the inside endpoint as a whole; outbound traffic refreshes its own session only
("per session" scope, section 4.3); inbound UDP refreshes nothing (optional in REQ-6, and section 13 warns of it).
Ports are never overloaded (REQ-3): a port-preserving box whose second mapping of a port falls back to another port is
*not* what a Linux masquerade does, which shares the port between remotes; to peers that box is EI mapping with APD
filtering. Not modelled: TCP flags (a session that was seen in both directions is established, and none is ever closed
early), ICMP, fragments, address pools, port parity, boxes that turn hostile on unsolicited packets.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, final

from latticework.wire import LocalError, Rng

_SECOND_US: Final = 1_000_000
_MAX_PORT: Final = (1 << 16) - 1

type IpProtocol = Literal["udp", "tcp"]
"""What a packet is; each protocol has a port space of its own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of a host or box, as text, and a port of 0 to 65,535."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


type _Scope = Endpoint | str | None


class Dependence(Enum):
    """On what of the remote end a mapping (RFC 4787 section 4.1) or a filter (section 5) depends."""

    EI = "endpoint-independent"
    AD = "address-dependent"
    APD = "address-and-port-dependent"

    def scope(self, remote: Endpoint) -> _Scope:
        """The part of `remote` that counts: equal scopes share a mapping, or a hole in the filter."""
        if self is Dependence.APD:
            return remote
        return remote.ip if self is Dependence.AD else None


class Ports(Enum):
    """How an outside port is chosen (RFC 4787 section 4.2.1)."""

    PRESERVE = "preserve"
    """The inside port; if that is taken or out of range, as RANDOM."""
    CONTIGUOUS = "contiguous"
    """The next free one after the last that was given out, round and round."""
    RANDOM = "random"
    """The first free one from a uniform draw on (RFC 6056, section 3.3.1)."""


@dataclass(frozen=True, slots=True)
class NatType:
    """How a box behaves; times are microseconds of idleness, at or after which a session is gone.

    `timeout_us` is UDP's: RFC 4787 REQ-5 asks for 120 s at least and recommends 300 s; the floor is what traffic must
    survive. `tcp_transitory_us` and `tcp_established_us` are the floors of RFC 5382 REQ-5. Ports `first_port` to
    `last_port` are lent, each protocol's apart; `max_sessions` bounds the whole table (65,536 chosen here: a small
    router's). `passes_udp` False makes a firewall that drops every datagram.

    Raises:
        LocalError: a time that is not positive, an empty or impossible port range, no session at all.
    """

    mapping: Dependence = Dependence.EI
    filtering: Dependence = Dependence.APD
    ports: Ports = Ports.PRESERVE
    hairpin: bool = True
    timeout_us: int = 120 * _SECOND_US
    tcp_transitory_us: int = 240 * _SECOND_US
    tcp_established_us: int = 7_440 * _SECOND_US
    first_port: int = 1_024
    last_port: int = _MAX_PORT
    max_sessions: int = 1 << 16
    passes_udp: bool = True

    def __post_init__(self) -> None:
        times_ok = min(self.timeout_us, self.tcp_transitory_us, self.tcp_established_us) > 0
        if not times_ok or not 0 < self.first_port <= self.last_port <= _MAX_PORT or self.max_sessions < 1:
            raise LocalError(f"impossible {self}")


class _Timer(Enum):
    UDP = "udp"
    TCP_TRANSITORY = "tcp transitory"
    TCP_ESTABLISHED = "tcp established"


type _Key = tuple[IpProtocol, Endpoint, _Scope]


@dataclass(slots=True)
class _Mapping:
    key: _Key
    port: int
    sessions: dict[Endpoint, _Timer] = field(default_factory=dict[Endpoint, _Timer])
    opened: dict[_Scope, int] = field(default_factory=dict[_Scope, int])
    """How many sessions hold each hole of the filter open."""


@final
class NatBox:
    """One box with one outside address. `rng` draws ports; calls come in order of time.

    The state is bounded by `NatType.max_sessions` and the port range: when either is used up, new outbound traffic is
    dropped and counted in `refused_count`, live sessions stay, and what expires makes room, oldest first.
    """

    def __init__(self, kind: NatType, outside_ip: str, rng: Rng) -> None:
        self.kind = kind
        self.outside_ip = outside_ip
        self.refused_count = 0
        self._rng = rng
        self._now_us = 0
        self._mappings: dict[_Key, _Mapping] = {}
        self._lent: dict[IpProtocol, dict[int, _Mapping]] = {"udp": {}, "tcp": {}}
        self._last_port = kind.first_port - 1
        self._lifetimes_us = {
            _Timer.UDP: kind.timeout_us,
            _Timer.TCP_TRANSITORY: kind.tcp_transitory_us,
            _Timer.TCP_ESTABLISHED: kind.tcp_established_us,
        }
        # One queue per timer: within one, the order of refreshes is the order of expiry.
        self._idle = {timer: OrderedDict[tuple[int, Endpoint], tuple[int, _Mapping]]() for timer in _Timer}

    @property
    def mapping_count(self) -> int:
        """Mappings that were alive at the last call."""
        return len(self._mappings)

    @property
    def session_count(self) -> int:
        """Sessions of all mappings that were alive at the last call."""
        return sum(map(len, self._idle.values()))

    def outbound(self, now_us: int, inside: Endpoint, remote: Endpoint, protocol: IpProtocol) -> Endpoint | None:
        """Let a packet of `inside` out to `remote`: the source it bears outside, or None if it is dropped.

        A packet to the box's own outside address is to be hairpinned (RFC 4787 section 6): it is dropped here if the
        box does not do so, otherwise hand `remote.port` and the source, as REQ-9a asks, to `inbound` of the same box.

        Raises:
            LocalError: `now_us` is before that of an earlier call.
        """
        self._advance(now_us)
        if (protocol == "udp" and not self.kind.passes_udp) or (remote.ip == self.outside_ip and not self.kind.hairpin):
            return None
        key = (protocol, inside, self.kind.mapping.scope(remote))
        mapping = self._mappings.get(key)
        timer = None if mapping is None else mapping.sessions.get(remote)
        if timer is None:
            timer = _Timer.UDP if protocol == "udp" else _Timer.TCP_TRANSITORY
            full = self.session_count >= self.kind.max_sessions
            mapping = None if full else mapping or self._map(key)
        if mapping is None:
            self.refused_count += 1
            return None
        self._refresh(mapping, remote, timer)
        return Endpoint(self.outside_ip, mapping.port)

    def inbound(self, now_us: int, outside_port: int, remote: Endpoint, protocol: IpProtocol) -> Endpoint | None:
        """Let a packet of `remote` in at `outside_port`: the inside endpoint it is for, or None if it is dropped.

        Silently, as RFC 5382 REQ-4 asks for the first seconds of a simultaneous open.

        Raises:
            LocalError: `now_us` is before that of an earlier call.
        """
        self._advance(now_us)
        mapping = self._lent[protocol].get(outside_port)
        if mapping is None or self.kind.filtering.scope(remote) not in mapping.opened:
            return None
        if protocol == "tcp" and remote in mapping.sessions:
            self._refresh(mapping, remote, _Timer.TCP_ESTABLISHED)
        return mapping.key[1]

    def _advance(self, now_us: int) -> None:
        if now_us < self._now_us:
            raise LocalError(f"time steps back from {self._now_us} to {now_us} us")
        self._now_us = now_us
        for timer, idle in self._idle.items():
            while idle:
                (_, remote), (expires_us, mapping) = next(iter(idle.items()))
                if expires_us > now_us:
                    break
                self._end(mapping, remote, timer)

    def _end(self, mapping: _Mapping, remote: Endpoint, timer: _Timer) -> None:
        del self._idle[timer][mapping.port, remote]
        del mapping.sessions[remote]
        scope = self.kind.filtering.scope(remote)
        mapping.opened[scope] -= 1
        if not mapping.opened[scope]:
            del mapping.opened[scope]
        if not mapping.sessions:
            del self._mappings[mapping.key]
            del self._lent[mapping.key[0]][mapping.port]

    def _refresh(self, mapping: _Mapping, remote: Endpoint, timer: _Timer) -> None:
        before = mapping.sessions.get(remote)
        if before is None:
            scope = self.kind.filtering.scope(remote)
            mapping.opened[scope] = mapping.opened.get(scope, 0) + 1
        else:
            del self._idle[before][mapping.port, remote]
        mapping.sessions[remote] = timer
        self._idle[timer][mapping.port, remote] = (self._now_us + self._lifetimes_us[timer], mapping)

    def _map(self, key: _Key) -> _Mapping | None:
        lent = self._lent[key[0]]
        port = self._free_port(lent, key[1].port)
        if port is None:
            return None
        mapping = _Mapping(key, port)
        self._mappings[key] = mapping
        lent[port] = mapping
        self._last_port = port
        return mapping

    def _free_port(self, lent: dict[int, _Mapping], wanted: int) -> int | None:
        first, count = self.kind.first_port, self.kind.last_port - self.kind.first_port + 1
        if len(lent) >= count:
            return None
        if self.kind.ports is Ports.CONTIGUOUS:
            start = self._last_port + 1 - first
        elif self.kind.ports is Ports.PRESERVE and first <= wanted <= self.kind.last_port and wanted not in lent:
            return wanted
        else:
            start = int.from_bytes(self._rng.random_bytes(8))
        return next(port for offset in range(count) if (port := first + (start + offset) % count) not in lent)
