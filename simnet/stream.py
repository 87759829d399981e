"""Both ends of a simulated connection, as `transport.ports.ByteStream`."""

from collections.abc import Buffer
from dataclasses import dataclass
from typing import final

import trio

from latticework.transport import ConnectionLostError, Multiaddr

from .pipe import Pipe, Route


@final
class SimStream:
    """One end. A second reader or writer task at a time is a bug of the caller: `trio.BusyResourceError`.

    An end that was closed here answers as one that was lost: `ConnectionLostError`.
    """

    __slots__ = ("_closed", "_incoming", "_outgoing", "_remote")

    def __init__(self, remote: Multiaddr, incoming: Pipe, outgoing: Pipe) -> None:
        self._remote = remote
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False

    @property
    def remote(self) -> Multiaddr:
        return self._remote

    async def send_all(self, data: Buffer) -> None:
        """Returns when everything is on its way or in the other end's buffer."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        await self._outgoing.send_all(data)

    async def receive_into(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        return await self._incoming.receive_into(buffer)

    async def aclose(self) -> None:
        """Closed before the first checkpoint, so cancellation leaves nothing open."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """As `aclose`, without the checkpoint."""
        if self._closed:
            return
        self._closed = True
        self._incoming.close_reader()
        # News of this travels with the end of the stream: only then does the other end's writer fail.
        self._outgoing.close_writer(self._incoming.lose)

    @property
    def closed(self) -> bool:
        return self._closed

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLostError("this end was closed")


@dataclass(frozen=True, slots=True)
class End:
    """Where one end of a connection is, and how its frames travel to the other."""

    address: Multiaddr
    route: Route


@dataclass(frozen=True, slots=True)
class Connection:
    """A pair of ends: `near` belongs to the dialler."""

    near: SimStream
    far: SimStream
    pipes: tuple[Pipe, Pipe]

    @property
    def closed(self) -> bool:
        return self.near.closed and self.far.closed

    def release(self) -> None:
        """What was held back goes on, if it may."""
        for pipe in self.pipes:
            pipe.release()

    def lose(self) -> None:
        """Both ends fail now."""
        for pipe in self.pipes:
            pipe.lose()


def connect(near: End, far: End) -> Connection:
    """A fresh connection, open at both ends."""
    there = Pipe(near.route)
    back = Pipe(far.route)
    return Connection(
        near=SimStream(far.address, back, there),
        far=SimStream(near.address, there, back),
        pipes=(there, back),
    )
