"""What waits for the router: RPCs, of which only so many may wait, and the node's own events, which never do.

The latter are bounded by what they speak of: peers, callers, and messages under validation.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

import trio

from .gossip_events import Action, Event, RpcReceived

INBOX_RPCS: Final = 256
"""Chosen here: a few milliseconds of work; a peer beyond them is not read, so its window holds it back."""


@dataclass(slots=True, eq=False)
class Question:
    """An event whose actions somebody waits for."""

    event: Event
    actions: list[Action] = field(default_factory=list[Action])
    answered: trio.Event = field(default_factory=trio.Event)


@final
class Inbox:
    """Events in the order in which they came."""

    def __init__(self) -> None:
        self._events: deque[Event | Question] = deque()
        self._room = trio.Semaphore(INBOX_RPCS)
        self._arrived = trio.Event()

    @property
    def rpc_count(self) -> int:
        """RPCs that wait."""
        return sum(isinstance(event, RpcReceived) for event in self._events)

    def post(self, event: Event | Question) -> None:
        """Add an event of the node's own."""
        self._events.append(event)
        self._arrived.set()

    def post_rpc(self, event: RpcReceived) -> bool:
        """Add an RPC if there is room for it."""
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            return False
        self.post(event)
        return True

    async def room(self) -> None:
        """Wait until there is room for an RPC; others may take it first."""
        await self._room.acquire()
        self._room.release()

    async def ask(self, event: Event) -> list[Action]:
        """Add an event and wait for its actions; cancelled, it happens all the same."""
        question = Question(event)
        self.post(question)
        await question.answered.wait()
        return question.actions

    def pop(self) -> Event | Question | None:
        """The oldest event, if there is one."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, RpcReceived):
            self._room.release()
        return event

    def wake(self) -> None:
        """End a `wait` without an event: a timer may be due."""
        self._arrived.set()

    async def wait(self) -> None:
        """Wait until an event is there, or `wake` is called."""
        if self._events:
            await trio.lowlevel.checkpoint()
            return
        self._arrived = trio.Event()
        await self._arrived.wait()
