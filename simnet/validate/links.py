"""V13, first part: of copies sent together over a line of known rate, the i-th leaves at exactly i * size / rate.

Asked of both models of a line: the one whole nodes send through (`link.Line`) and that of tier C (`TokenBucket`), and
of a publication over the simulated network, where the difference between arrivals is what a reader would measure.
"""

from collections.abc import Callable

import trio

from latticework.transport import Multiaddr

from ..clock import VirtualClock
from ..core.links import TokenBucket
from ..link import Access, Line, Link
from ..network import SimNetwork
from ..rng import KeyedRng
from ..scheduler import play
from .check import Check, check

SIZE_BYTES = 128 * 1024
RATE_BYTES_PER_S = 6_250_000
"""50 Mbit/s, as in the large-message study (arXiv 2505.17337)."""
COPIES = 8
_LATENCY_US = 50_000
_SOURCE = "store and forward: the i-th copy leaves at i * size / rate (research report, V13)"


def uplink(seed: bytes) -> list[Check]:
    """How far, at worst, any copy is from its time, in microseconds: 0 up to rounding."""
    models: tuple[tuple[str, Callable[[], list[int]]], ...] = (
        ("the line of whole nodes", _by_line),
        ("the token bucket of tier C", _by_bucket),
        ("arrivals over the simulated network", lambda: _by_network(seed)),
    )
    return [
        check(
            "V13",
            f"worst error in us of {COPIES} copies of 128 KiB at 50 Mbit/s, {name}",
            0,
            _worst(times()),
            1,
            _SOURCE,
        )
        for name, times in models
    ]


def _worst(times_us: list[int]) -> float:
    exact = (number * SIZE_BYTES * 1_000_000 / RATE_BYTES_PER_S for number in range(1, len(times_us) + 1))
    return max(abs(found - wanted) for found, wanted in zip(times_us, exact, strict=True))


def _by_line() -> list[int]:
    line = Line(RATE_BYTES_PER_S)
    return [line.through_us(0, SIZE_BYTES) for _ in range(COPIES)]


def _by_bucket() -> list[int]:
    bucket = TokenBucket(RATE_BYTES_PER_S, COPIES * SIZE_BYTES)
    return [left for _ in range(COPIES) if (left := bucket.pass_us(SIZE_BYTES, 0)) is not None]


def _by_network(seed: bytes) -> list[int]:
    clock, arrived = VirtualClock(), list[int]()
    network = SimNetwork(clock, KeyedRng(seed), Link(_LATENCY_US, window_bytes=8 * SIZE_BYTES))
    network.topology.set_access("source", Access(up=Line(RATE_BYTES_PER_S)))
    source = network.host("source")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(COPIES):
                nursery.start_soon(send, number)

    async def send(number: int) -> None:
        host = network.host(f"sink {number}")
        listener = await host.listen(Multiaddr.parse("/ip4/0.0.0.0/tcp/4001"))
        near = await source.dial(Multiaddr.tcp(host.ip, 4001))
        far = await listener.accept()
        await trio.sleep_until(1)
        await near.send_all(bytes(SIZE_BYTES))
        buffer = memoryview(bytearray(SIZE_BYTES))
        while buffer:
            buffer = buffer[await far.receive_into(buffer) :]
        arrived.append(clock.monotonic_us() - 1_000_000 - _LATENCY_US)
        await listener.aclose()

    play(main, seed, clock)
    return sorted(arrived)
