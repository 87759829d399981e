"""The pairing desk: drives the pairing machines over an anonymous connection, and asks the person."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, final

import trio

from latticework.handshake import (
    AddCertificate,
    AskConfirmation,
    Confirmed,
    ConnectionLost,
    JoinerPairing,
    Paired,
    PairingAction,
    PairingEvent,
    PairingFailed,
    Received,
    Send,
    SetTimer,
    SponsorPairing,
    TimerFired,
)
from latticework.transport import Stream
from latticework.wire import Clock, DeviceId, PeerError

from .groups import first_error

type Machine = SponsorPairing | JoinerPairing
type Outcome = Paired | PairingFailed


@dataclass(frozen=True, slots=True)
class Question:
    """The other device, as the person is asked about it."""

    name: str
    device: DeviceId


class Person(Protocol):
    """Whoever started pairing here: a terminal, or a script that said yes beforehand."""

    async def confirm(self, question: Question) -> bool:
        """True if this is the device that was meant."""
        ...


@final
class PairingDrive:
    """One attempt over one stream."""

    def __init__(
        self,
        machine: Machine,
        stream: Stream,
        person: Person,
        clock: Clock,
        add_certificate: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._machine = machine
        self._stream = stream
        self._person = person
        self._clock = clock
        self._add_certificate = add_certificate
        self._events, self._inbox = trio.open_memory_channel[PairingEvent](16)
        self._deadline = float("inf")
        self._outcome: Outcome | None = None

    async def run(self) -> Outcome:
        """Until paired or failed; the outcome."""
        with first_error():
            async with trio.open_nursery() as nursery:
                await self._perform(self._machine.start(), nursery)
                nursery.start_soon(self._read)
                while self._outcome is None:
                    await self._step(nursery)
                nursery.cancel_scope.cancel()
        assert self._outcome is not None
        return self._outcome

    async def _step(self, nursery: trio.Nursery) -> None:
        event: PairingEvent = TimerFired()
        with trio.move_on_at(self._deadline) as timeout:
            event = await self._inbox.receive()
        if timeout.cancelled_caught:
            self._deadline = float("inf")
        await self._perform(self._machine.handle(event, self._clock.now_us()), nursery)

    async def _perform(self, actions: list[PairingAction], nursery: trio.Nursery) -> None:
        for action in actions:
            match action:
                case Send(message):
                    try:
                        await self._stream.send_message(message)
                    except PeerError:
                        # The reader sees the same end and reports it; a machine that waits hears it from there.
                        continue
                case SetTimer(after_us):
                    self._deadline = trio.current_time() + after_us / 1_000_000
                case AskConfirmation(name, device):
                    nursery.start_soon(self._ask, Question(name, device))
                case AddCertificate(signed):
                    await self._add_certificate(signed)
                case Paired() | PairingFailed():
                    self._outcome = action

    async def _read(self) -> None:
        try:
            while (message := await self._stream.receive_message(self._machine.max_message_bytes)) is not None:
                await self._events.send(Received(message))
        except PeerError:
            pass
        await self._events.send(ConnectionLost())

    async def _ask(self, question: Question) -> None:
        await self._events.send(Confirmed(await self._person.confirm(question)))
