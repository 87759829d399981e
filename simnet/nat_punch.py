"""Hole punching through boxes, packet by packet, as DCUtR does it.

Both hosts ask a public observer how they look from there, learn the other's answer over a relay, and send to it at the
same time, a few times over. What arrives is answered to where it came from; an answer that arrives proves the path in
both directions. Nobody guesses ports. Source: RFC 5128 section 3.3 and the libp2p DCUtR specification, whose relay,
round-trip measurement and transport handshakes are left out: for TCP a probe stands for a SYN of a simultaneous open
and an answer for whatever acknowledges it.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, final

from latticework.wire import Rng

from .nat import Endpoint, IpProtocol, NatBox, NatType

_RETRY_US: Final = 1_000_000
"""From one attempt to the next; chosen here, above any round trip on Earth and far below any time-out of a box."""


@dataclass(frozen=True, slots=True)
class Transit:
    """A packet between two chains, with its addresses as seen there; `turned` is the box that hairpinned it."""

    source: Endpoint
    target: Endpoint
    turned: NatBox | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """A host's socket and the boxes between it and the public network, innermost first; chains may share outer boxes.

    The outside address of each box lies in the inside of the next one. Traffic between hosts of one inside that use
    inside addresses passes no box and is none of a chain's business.
    """

    host: Endpoint
    boxes: tuple[NatBox, ...] = ()

    @classmethod
    def behind(cls, layers: Sequence[NatType], public_ip: str, rng: Rng, port: int = 4_001) -> Self:
        """A chain of fresh boxes of its own, reachable at `public_ip`; without `layers` that is the host's address."""
        shared = [f"100.64.{level}.2" for level in range(len(layers) - 1)]  # RFC 6598
        ips = ["192.168.1.2", *shared, public_ip] if layers else [public_ip]
        boxes = tuple(NatBox(kind, ip, rng) for kind, ip in zip(layers, ips[1:], strict=True))
        return cls(Endpoint(ips[0], port), boxes)

    def send(self, now_us: int, target: Endpoint, protocol: IpProtocol) -> Transit | None:
        """Send one packet from the host's socket; None if a box drops it."""
        source = self.host
        for box in self.boxes:
            outside = box.outbound(now_us, source, target, protocol)
            if outside is None:
                return None
            if target.ip == box.outside_ip:
                return Transit(outside, target, box)
            source = outside
        return Transit(source, target)

    def receive(self, now_us: int, packet: Transit, protocol: IpProtocol) -> bool:
        """Whether `packet` reaches the host's socket."""
        boxes = self.boxes
        if packet.turned is not None:
            if packet.turned not in boxes:
                return False
            boxes = boxes[: boxes.index(packet.turned) + 1]
        at = packet.target
        for box in reversed(boxes):
            inside = box.inbound(now_us, at.port, packet.source, protocol) if at.ip == box.outside_ip else None
            if inside is None:
                return False
            at = inside
        return at == self.host


def observed(
    chains: Sequence[Chain], observer: Endpoint, now_us: int, rtt_us: int, protocol: IpProtocol
) -> list[Endpoint | None]:
    """How each host that asks the public `observer` at `now_us` looks from there; None if no answer comes back."""
    asked = [chain.send(now_us, observer, protocol) for chain in chains]
    return [
        packet.source if packet and chain.receive(now_us + rtt_us, Transit(observer, packet.source), protocol) else None
        for chain, packet in zip(chains, asked, strict=True)
    ]


def punch(
    a: Chain,
    b: Chain,
    observer: Endpoint,
    *,
    protocol: IpProtocol = "udp",
    attempts: int = 3,
    latency_us: int = 50_000,
    skew_us: int = 0,
    start_us: int = 0,
) -> bool:
    """Whether a direct path between two different hosts opens; the boxes keep what they learned.

    `observer` is a public endpoint of neither. `latency_us` is one way, between all; `b` sends each of its `attempts`
    (DCUtR: 3) `skew_us` after `a`, or before if negative. `start_us` must not be before any earlier call on the boxes.

    Raises:
        LocalError: time steps back for one of the boxes.
    """
    a_outside, b_outside = observed((a, b), observer, start_us, 2 * latency_us, protocol)
    if a_outside is None or b_outside is None:
        return False
    first_us = start_us + 2 * latency_us + max(0, -skew_us)
    exchange = _Exchange((a, b), protocol, latency_us)
    for attempt in range(attempts):
        at_us = first_us + attempt * _RETRY_US
        exchange.plan(at_us, 0, b_outside)
        exchange.plan(at_us + skew_us, 1, a_outside)
    return exchange.run()


@final
class _Exchange:
    """Packets of two chains in order of time; a tie goes to what was planned first."""

    def __init__(self, chains: tuple[Chain, Chain], protocol: IpProtocol, latency_us: int) -> None:
        self._chains = chains
        self._protocol: IpProtocol = protocol
        self._latency_us = latency_us
        self._planned = 0
        self._queue: list[tuple[int, int, int, Endpoint | Transit, bool]] = []

    def plan(self, at_us: int, side: int, event: Endpoint | Transit, *, answer: bool = False) -> None:
        """At `at_us`, `side` sends to an endpoint, or is reached by a packet."""
        self._planned += 1
        heapq.heappush(self._queue, (at_us, self._planned, side, event, answer))

    def run(self) -> bool:
        """True as soon as an answer arrives, False when nothing is left to happen."""
        while self._queue:
            now_us, _, side, event, answer = heapq.heappop(self._queue)
            chain = self._chains[side]
            if isinstance(event, Endpoint):
                packet = chain.send(now_us, event, self._protocol)
                if packet is not None:
                    self.plan(now_us + self._latency_us, 1 - side, packet, answer=answer)
            elif chain.receive(now_us, event, self._protocol):
                if answer:
                    return True
                self.plan(now_us, side, event.source, answer=True)
        return False
