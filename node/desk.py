"""The pairing desk: makes codes, serves whoever uses one, and enters the codes of others."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, final

import trio

from latticework.handshake import (
    DeviceKeys,
    JoinerPairing,
    JoiningDevice,
    Offers,
    Paired,
    PairingCode,
    PairingFailed,
    QrCode,
    SponsorPairing,
    TypedCode,
    channel_binding,
)
from latticework.transport import Connection, Multiaddr, Stream
from latticework.wire import Clock, LatticeError, LocalError, PeerError, Rng, SignatureProvider

from .account import Account
from .groups import first_error
from .messages import PAIR_PROTOCOL
from .pairing import Outcome, PairingDrive, Person
from .params import DIAL_TIMEOUT_S


class DeskNode(Protocol):
    """What the desk asks of its node."""

    @property
    def name(self) -> str: ...
    @property
    def keys(self) -> DeviceKeys: ...
    @property
    def account(self) -> Account: ...
    def own_addresses(self) -> tuple[str, ...]:
        """Where we listen."""
        ...

    def later(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` as a task of the node."""
        ...

    async def paired(self, paired: Paired) -> None:
        """A pairing succeeded: keep the other device connected."""
        ...


@final
class PairingDesk:
    """The pairing of one node. One person waits at a time; a later one takes over."""

    def __init__(
        self,
        node: DeskNode,
        signatures: SignatureProvider,
        clock: Clock,
        rng: Rng,
        dial: Callable[[Multiaddr], Awaitable[Connection]],
    ) -> None:
        self._node = node
        self._signatures = signatures
        self._clock = clock
        self._rng = rng
        self._dial = dial
        self._offers = Offers()
        self._person: Person | None = None
        self._done: Callable[[Outcome], None] = _ignore

    def offer(self, person: Person, done: Callable[[Outcome], None]) -> tuple[TypedCode, QrCode]:
        """Make a code; `person` is asked when someone uses it, `done` hears how each attempt ended.

        Raises:
            LocalError: too many codes are live.
        """
        now_us = self._clock.now_us()
        typed = self._offers.offer_typed(self._rng, now_us)
        certificate_hash = self._node.account.roster.members[self._node.keys.device].hash
        scanned = self._offers.offer_qr(self._rng, certificate_hash, self._node.own_addresses(), now_us)
        self._person, self._done = person, done
        return typed, scanned

    def withdraw(self, codes: Sequence[PairingCode]) -> None:
        """Burn codes that nobody waits for any more."""
        for code in codes:
            self._offers.burn(code.nameplate)
        self._person, self._done = None, _ignore

    async def serve(self, connection: Connection, stream: Stream) -> None:
        """Somebody connected to pair; without a live code the machine refuses.

        The attempt belongs to the node, not to the connection: the joiner hangs up as soon as it has our last word, and
        what was agreed must be saved and told to the person all the same.
        """
        over = trio.Event()
        self._node.later(partial(self._serve, connection, stream, over))
        await over.wait()

    async def _serve(self, connection: Connection, stream: Stream, over: trio.Event) -> None:
        machine = SponsorPairing(
            self._node.keys,
            self._node.account.roster,
            self._offers,
            self._signatures,
            self._rng,
            channel_binding(connection),
            self._node.own_addresses(),
        )
        try:
            self._done(await self._drive(machine, stream, self._person or _Nobody()))
            await stream.close_write()
        except LatticeError as error:
            self._done(PairingFailed("error", str(error)))
        finally:
            over.set()

    async def join(self, code: PairingCode, addresses: Sequence[Multiaddr], person: Person) -> Outcome:
        """Enter a code at the devices behind `addresses`, one after the other; the first success or the last failure.

        Raises:
            LocalError: this device has devices or folders of its own, so no account can take it in.
        """
        account = self._node.account
        if len(account.roster.members) > 1:
            raise LocalError("this device already belongs to an account with other devices")
        if account.spaces:
            raise LocalError("this device already has folders of its own; it cannot join another account")
        outcome = PairingFailed("unreachable", "no device that could have made this code was found")
        for address in addresses:
            try:
                attempt = await self._join_at(code, address, person)
            except (PeerError, trio.TooSlowError) as error:
                if outcome.code == "unreachable":
                    outcome = PairingFailed("unreachable", f"{address} does not answer: {error}")
                continue
            if isinstance(attempt, Paired):
                return attempt
            outcome = attempt
            if attempt.code != "wrong-code":
                break
        return outcome

    async def _join_at(self, code: PairingCode, address: Multiaddr, person: Person) -> Outcome:
        connection = await self._dial(address)
        outcome: Outcome | None = None

        async def attempt() -> None:
            nonlocal outcome
            with trio.fail_after(DIAL_TIMEOUT_S):
                stream = await connection.open_stream([PAIR_PROTOCOL])
            async with stream:
                outcome = await self._join_over(connection, stream, code, person)
            await connection.aclose()

        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(attempt)
                await connection.run(_refuse_stream, ())
        if outcome is None:
            raise PeerError("pairing", "the connection ended before pairing was over")
        return outcome

    async def _join_over(self, connection: Connection, stream: Stream, code: PairingCode, person: Person) -> Outcome:
        account = self._node.account
        joining = JoiningDevice(
            self._node.keys,
            self._node.name,
            has_devices=len(account.roster.members) > 1,
            has_spaces=bool(account.spaces),
            addresses=self._node.own_addresses(),
        )
        machine = JoinerPairing(joining, code, self._signatures, self._rng, channel_binding(connection))
        return await self._drive(machine, stream, person)

    async def _drive(self, machine: SponsorPairing | JoinerPairing, stream: Stream, person: Person) -> Outcome:
        account = self._node.account
        outcome = await PairingDrive(machine, stream, person, self._clock, account.add_certificate).run()
        if isinstance(outcome, Paired):
            if isinstance(machine, JoinerPairing):
                await account.adopt(outcome)
            await self._node.paired(outcome)
        return outcome


@final
class _Nobody:
    async def confirm(self, question: object) -> bool:
        del question
        return False


def _ignore(outcome: Outcome) -> None:
    del outcome


async def _refuse_stream(protocol: str, stream: Stream) -> None:
    del protocol
    stream.reset()
