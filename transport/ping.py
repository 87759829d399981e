"""ping: 32 random bytes there and back (`/ipfs/ping/1.0.0`, libp2p/specs ping)."""

from typing import Final

from latticework.wire import Clock, PeerError, Rng

from .params import PING_BYTES
from .stream import Stream

PING_PROTOCOL: Final = "/ipfs/ping/1.0.0"


async def answer_pings(stream: Stream) -> None:
    """Echo until the peer ends the stream; the stream's window bounds what waits."""
    while piece := await stream.receive(PING_BYTES):
        await stream.send_all(piece)


async def ping(stream: Stream, rng: Rng, clock: Clock) -> int:
    """The round-trip time in microseconds; the stream can be used again.

    Raises:
        PeerError: other bytes came back.
    """
    payload = rng.random_bytes(PING_BYTES)
    sent_us = clock.monotonic_us()
    await stream.send_all(payload)
    if await stream.receive_exactly(PING_BYTES) != payload:
        raise PeerError("ping", "other bytes came back than were sent")
    return clock.monotonic_us() - sent_us
