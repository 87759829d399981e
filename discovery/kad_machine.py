"""Kademlia as a pure machine: who is close to a key, and the records that these peers hold.

Sources: Maymounkov and Mazieres 2002, S/Kademlia 2007, libp2p/specs kad-dht. The parts are `kad_table` (whom we know),
`kad_lookup` (how we find others), `kad_operations` (what lookups are for), `kad_requests` (what is in flight),
`kad_server` and `kad_records` (what we hold and do for others), and this one: wishes of our caller's, time and upkeep.

Departures. Only the publisher comes again with a record (as in libp2p): holders do not replicate it hourly, nor hand it
to closer newcomers (paper section 2.5), so a record outlives the loss of fewer than k holders in `republish_us`. No
provider records yet. Nothing that a peer sends raises: it is answered, dropped, or a PeerFault.
"""

from collections.abc import Mapping
from typing import assert_never, final

from latticework.transport import PeerId
from latticework.wire import Rng

from .kad_contact import Contact, below, key_of, refresh_name
from .kad_events import (
    Action,
    Cancel,
    Event,
    FindClosest,
    GetRecord,
    Join,
    KadReason,
    PeerFault,
    PutRecord,
    Received,
    Refused,
    SendFailed,
    SetTimer,
    TimerFired,
    TimerKey,
    Unpublish,
)
from .kad_messages import (
    Answer,
    Nodes,
    Ping,
    Pong,
    PutResult,
    Value,
    fits,
)
from .kad_operations import Fetch, Goal, Locate, Operations, Place
from .kad_params import REFRESH_BITS, KadParams
from .kad_records import Validator, Validators, Verdict
from .kad_requests import Requests
from .kad_server import Server
from .kad_table import RoutingTable


@final
class KadMachine:
    """One node. `table` may be filled beforehand, by `RoutingTable.seen`, from what a former life knew to be alive.

    `validators` say for each namespace what a record may be; records of others are refused.
    """

    __slots__ = (
        "_actions",
        "_joining",
        "_operations",
        "_own",
        "_params",
        "_requests",
        "_rng",
        "_server",
        "_upkeep",
        "_validators",
        "own_key",
        "table",
    )

    def __init__(
        self,
        own: PeerId,
        params: KadParams,
        rng: Rng,
        validators: Mapping[str, Validator],
        table: RoutingTable | None = None,
    ) -> None:
        self.own_key = key_of(own.multihash)
        self.table = RoutingTable(self.own_key, params) if table is None else table
        self._own = own
        self._params = params
        self._rng = rng
        self._actions: list[Action] = []
        self._validators = Validators(validators, params)
        self._server = Server(self._actions, params, self.own_key, self.table, self._validators)
        self._requests = Requests(self._actions, params.request_timeout_us)
        self._operations = Operations(self._actions, params, self._requests, self.table, self._validators)
        self._upkeep: dict[bytes, None] = {}
        self._joining: int | None = None

    def start(self, now_us: int) -> list[Action]:
        """The first refresh comes after a random part of `refresh_us`, lest a whole network does it at once."""
        return [SetTimer(TimerKey.REFRESH, now_us + 1 + below(self._rng, self._params.refresh_us))]

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """What `event` leads to; never raises for anything a peer sent."""
        match event:
            case Received(sender, _, message, _):
                if sender.key == self.own_key:
                    pass
                elif isinstance(message, Nodes | Value | PutResult | Pong):
                    self._answer_received(event, message, now_us)
                elif self._server.serve(event, message, now_us):
                    self._heard(event, sender, now_us)
            case SendFailed(number):
                request = self._requests.give_up(number)
                if request is not None:
                    self.table.failed(request.contact.key)
                    self._operations.failed(request, now_us)
            case TimerFired(key):
                self._timer_fired(key, now_us)
            case Join() | FindClosest() | GetRecord() | PutRecord():
                self._start(event, now_us)
            case Unpublish(key):
                self._server.published.pop(key, None)
                self._upkeep.pop(key, None)
            case Cancel(number):
                self._operations.cancel(number)
            case _:
                assert_never(event)
        self._continue_upkeep(now_us)
        actions = self._actions.copy()
        self._actions.clear()
        return actions

    @property
    def records(self) -> int:
        """Records held for others."""
        return len(self._server.store)

    @property
    def in_flight(self) -> int:
        """Requests of ours that await an answer."""
        return len(self._requests)

    # Messages

    def _answer_received(self, event: Received, answer: Answer, now_us: int) -> None:
        sender = event.sender
        request = self._requests.take(event.request, sender.key)
        if isinstance(request, KadReason):
            self._fault(sender, request)
            return
        reason: KadReason | None = None
        if not fits(request.message, answer):
            reason = KadReason.WRONG_ANSWER
        elif isinstance(answer, Nodes | Value) and len(answer.contacts) > self._params.k:
            reason = KadReason.TOO_MANY_CONTACTS
        if reason is not None:
            self._fault(sender, reason)
            self.table.remove(sender.key)
            self._operations.failed(request, now_us)
            return
        # Addresses that have just led to the peer will do, where it has not told its own.
        self._heard(event, sender if sender.addresses else request.contact, now_us)
        self._operations.answered(request, answer, now_us)

    def _heard(self, event: Received, contact: Contact, now_us: int) -> None:
        if event.serves:
            silent = self.table.seen(contact, now_us)
            if silent is not None:
                self._requests.send(silent, Ping(), None, now_us)

    def _fault(self, contact: Contact, reason: KadReason) -> None:
        self._actions.append(PeerFault(contact.peer, reason))

    # Our caller's wishes

    def _start(self, event: Join | FindClosest | GetRecord | PutRecord, now_us: int) -> None:
        refusal = self._refusal(event)
        if refusal:
            self._actions.append(Refused(event.operation, refusal))
            return
        more: tuple[Contact, ...] = ()
        match event:
            case Join(_, contacts):
                goal: Goal = Locate(self._own.multihash)
                more = contacts
                self._joining = event.operation
            case FindClosest(_, name):
                goal = Locate(name)
            case GetRecord(_, key, quorum):
                goal = Fetch(key, quorum, self._server.value(key, now_us))
            case PutRecord(_, key, value, once):
                goal = Place(key, value)
                if not once:
                    self._publish(key, value, now_us)
        self._operations.start(event.operation, goal, self.own_key, now_us, more)

    def _refusal(self, event: Join | FindClosest | GetRecord | PutRecord) -> str:
        if self._operations.is_running(event.operation):
            return f"operation {event.operation} is running"
        if len(self._operations) >= self._params.max_operations:
            return f"{self._params.max_operations} operations are running"
        match event:
            case Join():
                return ""
            case FindClosest(_, name) | GetRecord(_, name):
                most = self._params.max_name_bytes
                if not 0 < len(name) <= most:
                    return f"a name or key has 1 to {most} bytes"
                is_unknown = isinstance(event, GetRecord) and not self._validators.knows(name)
                return str(Verdict.NO_VALIDATOR.value) if is_unknown else ""
            case PutRecord(_, key, value, once):
                verdict = self._validators.judge(key, value)
                if verdict is not Verdict.KEPT:
                    return str(verdict.value)
                published = self._server.published
                is_full = key not in published and len(published) >= self._params.max_published
                return "as many records as may be are published" if is_full and not once else ""

    def _publish(self, key: bytes, value: bytes, now_us: int) -> None:
        if not self._server.published:
            self._actions.append(SetTimer(TimerKey.REPUBLISH, now_us + self._params.republish_us))
        self._server.published[key] = value

    # Time and upkeep

    def _timer_fired(self, key: TimerKey, now_us: int) -> None:
        match key:
            case TimerKey.REQUESTS:
                for request in self._requests.overdue(now_us):
                    self.table.failed(request.contact.key)
                    self._operations.failed(request, now_us)
            case TimerKey.REFRESH:
                self._upkeep[self._own.multihash] = None
                self._refresh(self.table.stale(now_us, self._params.refresh_us))
                self._actions.append(SetTimer(key, now_us + self._params.refresh_us))
            case TimerKey.REPUBLISH:
                self._upkeep.update(dict.fromkeys(self._server.published))
                if self._server.published:
                    self._actions.append(SetTimer(key, now_us + self._params.republish_us))
            case TimerKey.EXPIRY:
                self._server.expire(now_us)
            case _:
                assert_never(key)

    def _refresh(self, buckets: list[int]) -> None:
        for bucket in buckets:
            if bucket < REFRESH_BITS:
                self._upkeep[refresh_name(self.own_key, bucket, self._rng)] = None

    def _continue_upkeep(self, now_us: int) -> None:
        """One lookup of our own at a time, so that upkeep never crowds out what is asked of us."""
        if self._joining is not None and not self._operations.is_running(self._joining):
            # All buckets farther than our closest neighbour (paper section 2.3), and our records after an absence.
            self._joining = None
            self._refresh(self.table.stale(now_us, 0))
            self._upkeep.update(dict.fromkeys(self._server.published))
        while self._upkeep and self._operations.upkeep is None:
            name = next(iter(self._upkeep))
            del self._upkeep[name]
            value = self._server.published.get(name)
            goal: Goal = Locate(name) if value is None else Place(name, value)
            self._operations.start(None, goal, self.own_key, now_us)
