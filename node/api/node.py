"""A node that runs inside a program."""

import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import final

import trio

from latticework.handshake import Paired, SealedFileVault, parse_qr
from latticework.transport import Multiaddr
from latticework.wire import DeviceId, PeerError

from .. import app, report
from ..control import ControlServer
from ..daemon import DaemonOptions, home_node
from ..frames import Data
from ..groups import first_error
from ..handles import Space
from ..home import Home, HomeLock
from ..identity import create_identity
from ..system import SystemClock, SystemRng, WorkerThreads

_NAME_BYTES = 64


@final
class Node:
    """A running node; made by `Node.open`."""

    def __init__(self, running: app.Node) -> None:
        self._running = running

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Path | str | None = None,
        *,
        name: str | None = None,
        listen: Sequence[str] = (),
        peers: Sequence[str] = (),
        mdns: bool = True,
        passphrase: str | None = None,
    ) -> AsyncGenerator["Node"]:
        """Run the node of `home` while the block runs; a home without an identity gets one, called `name`.

        `listen` and `peers` are multiaddresses, as for `lattice up`. While the node runs, the `lattice` commands work
        on this home too; `lattice down` ends the block's tasks by cancelling them.

        Raises:
            HomeLockedError: another node runs in this home.
            LocalError, StoreError: it cannot start; the message says why.
        """
        place = Home.find(None if home is None else str(home))
        options = DaemonOptions(tuple(listen), tuple(peers), mdns, passphrase=passphrase)
        failure: Exception | None = None
        place.create()
        with HomeLock(place), trio.CancelScope() as scope, first_error():
            if not place.exists:
                await WorkerThreads().run(partial(_create, place, name or socket.gethostname(), passphrase))
            async with trio.open_nursery() as nursery, home_node(place, options) as running:
                nursery.start_soon(ControlServer(running, place.socket, scope.cancel).run)
                try:
                    yield cls(running)
                except Exception as error:  # noqa: BLE001  # raised again below, as it was and not in a group
                    failure = error
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    @property
    def device(self) -> DeviceId:
        """Our device's id, 32 bytes."""
        return self._running.device

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where we listen."""
        return self._running.own_addresses()

    @contextmanager
    def invite(self) -> Generator[str]:
        """A code that lets one other device join this account while the block runs, for five minutes at most.

        Whoever enters it is trusted: show it to nobody else. `lattice pair CODE` takes it too.
        """
        typed, scanned = self._running.desk.offer(_Trusting(), _ignore)
        try:
            yield scanned.uri
        finally:
            self._running.desk.withdraw([typed, scanned])

    async def join(self, code: str) -> None:
        """Join the account of the device that made `code`; a device that has spaces or devices of its own cannot.

        Raises:
            PeerError: the other device was not reached, or the code is wrong.
            LocalError: this device cannot join another account.
        """
        parsed = parse_qr(code)
        addresses = [Multiaddr.parse(address) for address in parsed.addresses]
        outcome = await self._running.desk.join(parsed, addresses, _Trusting())
        if not isinstance(outcome, Paired):
            raise PeerError(outcome.code, outcome.message)

    def space(self, name: str) -> Space:
        """The space `name`: one we hold, one that a device of ours offers, or a new one when first written to."""
        return Space(self._running, name)

    def spaces(self) -> list[str]:
        """The names of the account's spaces, sorted."""
        return sorted(known.name for known in self._running.account.spaces)

    def status(self) -> dict[str, Data]:
        """What `lattice status --json` prints."""
        return report.status(self._running)


@final
class _Trusting:
    async def confirm(self, question: object) -> bool:
        del question
        return True


def _ignore(outcome: object) -> None:
    del outcome


def _create(home: Home, name: str, passphrase: str | None) -> None:
    rng = SystemRng()
    vault = SealedFileVault(home.keys, rng, passphrase)
    short_name = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    create_identity(vault, short_name, rng, SystemClock())
