"""A simulated listener: a bounded queue of streams that wait to be accepted."""

import math
from collections.abc import Callable
from typing import final

import trio

from latticework.transport import Multiaddr
from latticework.wire import LocalError

from .stream import SimStream

BACKLOG = 128
"""Streams that wait to be accepted; the next dial is refused. Chosen here: Linux's old `somaxconn`."""


@final
class SimListener:
    """Implements `transport.ports.Listener`; `on_close` releases the addresses."""

    def __init__(self, host_name: str, addresses: tuple[Multiaddr, ...], on_close: Callable[[], None]) -> None:
        self.host_name = host_name
        self._addresses = addresses
        self._on_close = on_close
        self._offered, self._accepted = trio.open_memory_channel[SimStream](math.inf)

    @property
    def addresses(self) -> tuple[Multiaddr, ...]:
        return self._addresses

    async def accept(self) -> SimStream:
        """The next incoming stream; raises LocalError when the listener is or gets closed."""
        try:
            return await self._accepted.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError) as error:
            raise LocalError("the listener is closed") from error

    async def aclose(self) -> None:
        """Closed before the first checkpoint; streams nobody accepted are closed, accepted ones live on."""
        self._on_close()
        self._offered.close()
        while True:
            try:
                self._accepted.receive_nowait().close()
            except (trio.EndOfChannel, trio.ClosedResourceError):
                break
        self._accepted.close()
        await trio.lowlevel.checkpoint()

    @property
    def full(self) -> bool:
        return self._accepted.statistics().current_buffer_used >= BACKLOG

    def offer(self, stream: SimStream) -> None:
        """Queue `stream`; the caller has looked at `full`."""
        self._offered.send_nowait(stream)
