"""Requests in flight: what was asked of whom, and until when an answer is awaited.

All wait equally long, so they stand in order of their deadlines, and one timer serves them all.
"""

from typing import TYPE_CHECKING, final

from .kad_contact import Contact
from .kad_events import Action, KadReason, Send, SetTimer, TimerKey
from .kad_messages import Request

if TYPE_CHECKING:
    from .kad_operations import Operation


@final
class InFlight:
    """A request; `operation` is None if nobody waits for the answer: a ping, or a better value for a peer."""

    __slots__ = ("contact", "due_us", "message", "operation")

    def __init__(self, contact: Contact, message: Request, operation: "Operation | None", due_us: int) -> None:
        self.contact = contact
        self.message = message
        self.operation = operation
        self.due_us = due_us


@final
class Requests:
    """Numbers and sends requests; what is to be done goes to the end of `actions`."""

    __slots__ = ("_actions", "_in_flight", "_next", "_timeout_us")

    def __init__(self, actions: list[Action], timeout_us: int) -> None:
        self._actions = actions
        self._timeout_us = timeout_us
        self._in_flight: dict[int, InFlight] = {}
        self._next = 0

    def send(self, contact: Contact, message: Request, operation: "Operation | None", now_us: int) -> None:
        """Send, and await an answer."""
        if not self._in_flight:
            self._actions.append(SetTimer(TimerKey.REQUESTS, now_us + self._timeout_us))
        self._in_flight[self._next] = InFlight(contact, message, operation, now_us + self._timeout_us)
        self._actions.append(Send(contact, self._next, message))
        self._next += 1

    def take(self, number: int, key: int) -> InFlight | KadReason:
        """The request that the peer of `key` answers, which is then over; or what is wrong with the answer."""
        request = self._in_flight.get(number)
        if request is None:
            return KadReason.LATE if 0 <= number < self._next else KadReason.UNASKED
        if request.contact.key != key:
            return KadReason.UNASKED
        del self._in_flight[number]
        return request

    def give_up(self, number: int) -> InFlight | None:
        """The request that cannot be delivered; None if it is over already."""
        return self._in_flight.pop(number, None)

    def overdue(self, now_us: int) -> list[InFlight]:
        """Requests that have waited for too long, which are then over; sets the timer for the others."""
        due: list[InFlight] = []
        for number, request in list(self._in_flight.items()):
            if request.due_us > now_us:
                self._actions.append(SetTimer(TimerKey.REQUESTS, request.due_us))
                break
            due.append(self._in_flight.pop(number))
        return due

    def __len__(self) -> int:
        return len(self._in_flight)
