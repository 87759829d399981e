"""Slow-loris: a host that opens connections and hardly says a word, to use up what others keep for strangers."""

from typing import Final

import trio

from latticework.transport import Multiaddr
from latticework.wire import PeerError

from .fleet import Member
from .simulation import Simulation

_CONNECTIONS: Final = 32
_EVERY_S: Final = 5.0


async def creep(simulation: Simulation, member: Member) -> None:
    """Hold `connections` (32) open to each node that it dials, a byte every five seconds on each, for the whole run."""
    wanted = int(dict(member.group.options).get("connections", _CONNECTIONS))
    await trio.sleep_until((simulation.scenario.warmup_us + member.group.joins_at_us) / 1e6)
    async with trio.open_nursery() as nursery:
        for address in member.peers:
            for _ in range(wanted):
                nursery.start_soon(_hold, member, address)


async def _hold(member: Member, address: Multiaddr) -> None:
    while True:
        try:
            stream = await member.device.host.dial(address)
            while True:
                await stream.send_all(b"\x00")
                await trio.sleep(_EVERY_S)
        except PeerError:
            await trio.sleep(_EVERY_S)
