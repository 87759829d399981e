"""Gossipsub on connections: one task owns the router, one writes and one reads for each peer.

Each side opens a stream of its own and writes to it only (pubsub README). What a peer sends waits in a bounded inbox,
so a busy node holds its peers back through their windows; what peers do not read is dropped by priority; what
subscribers do not read is dropped and counted. Any `Connection` with a transport key will do, whatever secured it.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Never, Protocol, assert_never, final

import trio

from latticework.wire import Clock, LocalError, MalformedError, PeerError

from .connection import Connection
from .gossip_events import (
    Action,
    AppScore,
    ConnectTo,
    Deliver,
    Disconnect,
    Event,
    GossipReason,
    PeerConnected,
    PeerDisconnected,
    PeerRecordLearned,
    Publish,
    Published,
    Refused,
    Report,
    RpcReceived,
    SendQueueFull,
    SendRpc,
    SetTimer,
    Subscribe,
    TimerFired,
    TimerKey,
    Unsubscribe,
    Validate,
    ValidationResult,
    Verdict,
)
from .gossip_inbox import INBOX_RPCS, Inbox, Question
from .gossip_link import FrameReader, PeerLink
from .gossip_params import MESHSUB_PROTOCOLS, GossipBounds, Table
from .peer_id import PeerId
from .signed_envelope import PeerRecord
from .stream import Stream

_log = logging.getLogger(__name__)

_EVENTS_PER_TURN: Final = 32
"""Events handled before other tasks get a turn; chosen here: about a millisecond."""
_OPEN_S: Final = 10
"""One round trip to open our stream; as `Limits.negotiation_us`."""
_VALIDATION_S: Final = 30
"""A validator that takes longer has ignored the message; chosen here."""
_SUBSCRIBER_MESSAGES: Final = 1024
_ENDS_CONNECTION: Final = frozenset({GossipReason.MALFORMED, GossipReason.GRAYLISTED})


class Router(Protocol):
    """The machine that the driver runs: a `GossipRouter`, or in simulation one with a role around it."""

    def start(self, now_us: int) -> list[Action]: ...
    def handle(self, event: Event, now_us: int) -> list[Action]: ...
    @property
    def subscriptions(self) -> tuple[str, ...]: ...
    def mesh(self, topic: str) -> tuple[PeerId, ...]: ...
    def subscribers(self, topic: str) -> tuple[PeerId, ...]: ...
    def score(self, peer_id: PeerId) -> float | None: ...
    @property
    def duplicates(self) -> int: ...


type Validator = Callable[[Validate], Awaitable[Verdict]]
"""Says what becomes of a message; a PeerError it raises is REJECT. The router bounds how many run at once."""


@final
class Gossip:
    """The pubsub of one node; nothing moves until `run` runs."""

    def __init__(
        self,
        router: Router,
        clock: Clock,
        bounds: GossipBounds,
        *,
        protocols: Sequence[str] = MESHSUB_PROTOCOLS,
        connect_to: Callable[[PeerRecord], None] = lambda _record: None,
    ) -> None:
        self.protocols: Final = tuple(protocols)
        """What is proposed to peers, the best first; streams of theirs may speak any of them."""
        self.router: Final[Router] = router
        """For questions only: `run` owns it."""
        self.undelivered = 0
        """Messages dropped because a subscriber did not read."""
        self._clock = clock
        self._bounds = bounds
        self._connect_to = connect_to
        self._inbox = Inbox()
        self._timers: dict[TimerKey, int] = {}
        self._links: dict[PeerId, PeerLink] = {}
        self._links_changed = trio.Event()
        self._validators: dict[str, Validator] = {}
        self._subscribers: dict[str, list[trio.MemorySendChannel[Deliver]]] = {}

    @property
    def tables(self) -> tuple[Table, ...]:
        """How full the queues are; what the router keeps is its own to tell."""
        bounds = self._bounds
        frames = bounds.control_frames + bounds.request_frames + bounds.own_frames + bounds.forwarded_frames
        longest = max((link.queued for link in self._links.values()), default=0)
        return (
            Table("frames waiting for one peer", longest, frames),
            Table("RPCs waiting for the router", self._inbox.rpc_count, INBOX_RPCS),
        )

    # What the node calls

    def set_validator(self, topic: str, validator: Validator | None) -> None:
        """Ask `validator` about each message of `topic`; without one every message is accepted."""
        if validator is None:
            self._validators.pop(topic, None)
        else:
            self._validators[topic] = validator

    @asynccontextmanager
    async def subscribe(
        self, topic: str, most_waiting: int = _SUBSCRIBER_MESSAGES
    ) -> AsyncGenerator[trio.MemoryReceiveChannel[Deliver]]:
        """Messages of others in `topic`; while `most_waiting` wait, further ones are dropped and counted.

        Raises:
            LocalError: not a topic.
        """
        entering, messages = trio.open_memory_channel[Deliver](most_waiting)
        self._subscribers.setdefault(topic, []).append(entering)
        try:
            await self._ask(Subscribe(topic))
            yield messages
        finally:
            entering.close()
            messages.close()
            self._subscribers[topic].remove(entering)
            if not self._subscribers[topic]:
                del self._subscribers[topic]
                self._inbox.post(Unsubscribe(topic))

    async def publish(self, topic: str, data: bytes) -> Published:
        """Send `data` to the subscribers of `topic`; done when it is queued for our peers.

        Raises:
            LocalError: too long, or not a topic.
        """
        for action in await self._ask(Publish(topic, data)):
            if isinstance(action, Published):
                return action
        raise AssertionError("neither published nor refused")

    def set_app_score(self, peer: PeerId, value: float) -> None:
        """Our own opinion of a peer (P5)."""
        self._inbox.post(AppScore(peer, value))

    def learn_record(self, peer: PeerId, envelope: bytes) -> None:
        """A connected peer's signed record, from identify; handed on by peer exchange."""
        self._inbox.post(PeerRecordLearned(peer, envelope))

    async def attend(self, connection: Connection, *, outbound: bool, trusted: bool = False) -> GossipReason | None:
        """Write to the peer until the connection ends or the router has enough of it; then the reason.

        A peer with several connections is written to over one of them: further calls wait, and the first takes over
        when that one ends. For a peer that broke the protocol or is graylisted the connection is closed. The caller
        cancels it when `connection.run` returns.
        """
        peer = peer_of(connection)
        link = self._links.setdefault(peer, PeerLink(self._bounds))
        link.attendants += 1
        try:
            async with link.turn:
                if connection.ended is None and link.reason is None:
                    await self._write(connection, peer, link, outbound=outbound, trusted=trusted)
        except* (PeerError, LocalError, trio.TooSlowError) as group:
            _log.debug("gossip ended peer=%s: %s", peer, group.exceptions[0])
        finally:
            link.attendants -= 1
            if not link.attendants:
                link.end(None)
                del self._links[peer]
                self._signal()
                self._inbox.post(PeerDisconnected(peer))
        if link.reason in _ENDS_CONNECTION:
            await connection.aclose()
        return link.reason

    async def _write(
        self, connection: Connection, peer: PeerId, link: PeerLink, *, outbound: bool, trusted: bool
    ) -> None:
        with trio.fail_after(_OPEN_S):
            stream = await connection.open_stream(self.protocols)
        try:
            ip = "" if trusted or connection.address.transport == "memory" else connection.address.host
            self._inbox.post(PeerConnected(peer, stream.protocol, outbound, ip))
            link.opened = True
            self._signal()
            await link.write(stream)
        finally:
            stream.reset()

    async def receive(self, connection: Connection, stream: Stream) -> None:
        """Read a stream that the peer opened for one of `protocols`; a newer one ends an older one.

        Nothing is read before the peer is attended, because the router knows nothing of it till then.
        """
        peer = peer_of(connection)
        while (link := self._links.get(peer)) is None or not link.opened:
            await self._links_changed.wait()
        reader = FrameReader(
            stream, self._bounds.max_rpc_bytes, lambda body: self._inbox.post_rpc(RpcReceived(peer, body))
        )
        with link.begin_reading():
            try:
                await reader.run(self._inbox.room)
            except MalformedError as error:
                _log.debug("gossip malformed peer=%s: %s", peer, error)
                link.end(GossipReason.MALFORMED)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> Never:
        """Own the router until cancelled."""
        async with trio.open_nursery() as nursery:
            self._apply(self.router.start(self._clock.monotonic_us()), nursery)
            nursery.start_soon(self._keep_time)
            task_status.started()
            while True:
                for _ in range(_EVENTS_PER_TURN):
                    if not self._turn(nursery):
                        break
                await self._inbox.wait()

    async def _keep_time(self) -> Never:
        """Wake the router's task when its timer is due; a scope around each wait of that task would cost more."""
        while True:
            wait_us = min(self._timers.values()) - self._clock.monotonic_us()
            if wait_us <= 0:
                self._inbox.wake()
            await trio.sleep(max(0, wait_us) / 1_000_000)

    # The router's task

    def _turn(self, nursery: trio.Nursery) -> bool:
        """Handle what is due, or the oldest event; False if there is neither."""
        now_us = self._clock.monotonic_us()
        key, due_us = min(self._timers.items(), key=lambda timer: timer[1])
        if now_us >= due_us:
            del self._timers[key]
            self._apply(self.router.handle(TimerFired(key), now_us), nursery)
            return True
        event = self._inbox.pop()
        if event is None:
            return False
        if isinstance(event, Question):
            event.actions = self.router.handle(event.event, now_us)
            event.answered.set()
            self._apply(event.actions, nursery)
        else:
            self._apply(self.router.handle(event, now_us), nursery)
        return True

    async def _ask(self, event: Event) -> list[Action]:
        actions = await self._inbox.ask(event)
        for action in actions:
            if isinstance(action, Refused):
                raise LocalError(action.reason)
        return actions

    def _signal(self) -> None:
        event, self._links_changed = self._links_changed, trio.Event()
        event.set()

    def _apply(self, actions: list[Action], nursery: trio.Nursery) -> None:
        for action in actions:
            match action:
                case SendRpc():
                    self._send(action)
                case Validate(message_id, topic):
                    validator = self._validators.get(topic)
                    if validator is None:
                        self._inbox.post(ValidationResult(message_id, Verdict.ACCEPT))
                    else:
                        nursery.start_soon(self._validate, validator, action)
                case Deliver():
                    self._deliver(action)
                case SetTimer(key, at_us):
                    self._timers[key] = at_us
                case Disconnect(peer, reason):
                    _log.info("gossip ends peer=%s reason=%s", peer, reason.value)
                    if (link := self._links.get(peer)) is not None:
                        link.end(reason)
                case Report(peer, reason):
                    _log.debug("gossip report peer=%s reason=%s", peer, reason.value)
                case ConnectTo(record):
                    self._connect_to(record)
                case Published() | Refused():
                    pass
                case _:
                    assert_never(action)

    def _send(self, action: SendRpc) -> None:
        frame = action.rpc.frame
        for peer in action.peers:
            link = self._links.get(peer)
            if link is not None and not link.push(frame, action.priority):
                self._inbox.post(SendQueueFull(peer, action.priority))

    def _deliver(self, message: Deliver) -> None:
        for channel in self._subscribers.get(message.topic, ()):
            try:
                channel.send_nowait(message)
            except trio.WouldBlock:
                self.undelivered += 1
            except trio.BrokenResourceError:
                continue

    async def _validate(self, validator: Validator, question: Validate) -> None:
        """The one supervisor of a validator: what it throws is its own message's misfortune."""
        verdict = Verdict.IGNORE
        try:
            with trio.move_on_after(_VALIDATION_S):
                verdict = await validator(question)
        except PeerError as error:
            _log.debug("rejected topic=%s sender=%s: %s", question.topic, question.sender, error)
            verdict = Verdict.REJECT
        except Exception:  # noqa: BLE001  # one bug must not end the gossip of all topics (style 23)
            _log.exception("validator failed topic=%s", question.topic)
        self._inbox.post(ValidationResult(question.message_id, verdict))


def peer_of(connection: Connection) -> PeerId:
    """Who is at the other end.

    Raises:
        LocalError: the channel proved no transport key.
    """
    if not connection.transport_key:
        raise LocalError("gossip needs a peer with a transport key")
    return PeerId.of_key(connection.transport_key)
