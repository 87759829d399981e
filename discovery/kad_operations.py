"""What our caller or our own upkeep asks of the network: each is a lookup, and what is done with its outcome.

Locating ends with the lookup. Fetching collects values on the way; at its end those who hold a worse value are given
the best (spec, "Entry correction"). Placing stores a record with the k closest once they are known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never, final

from .kad_contact import Contact, key_of
from .kad_events import Action, Found, Got, KadReason, PeerFault, Placed
from .kad_lookup import Lookup
from .kad_messages import Answer, FindNode, GetValue, Nodes, PutResult, PutValue, Value
from .kad_params import KadParams
from .kad_records import Validators, Verdict
from .kad_requests import InFlight, Requests
from .kad_table import RoutingTable


@dataclass(frozen=True, slots=True)
class Locate:
    """Find the peers closest to `name`."""

    name: bytes


@dataclass(slots=True)
class Fetch:
    """Find the value at `key`; `held` is our own, and counts for the quorum."""

    key: bytes
    quorum: int
    held: bytes | None
    told: list[tuple[Contact, bytes]] = field(default_factory=list[tuple[Contact, bytes]])

    @property
    def has_quorum(self) -> bool:
        """True if nobody more need be asked."""
        return 0 < self.quorum <= len(self.told) + (self.held is not None)


@dataclass(slots=True)
class Place:
    """Store a record: `open` peers have not answered yet, `copies` have taken it."""

    key: bytes
    value: bytes
    open: int = 0
    copies: int = 0


type Goal = Locate | Fetch | Place


@final
class Operation:
    """One running operation; `number` is the caller's, None for our own upkeep."""

    __slots__ = ("goal", "has_ended", "lookup", "message", "number")

    def __init__(self, number: int | None, goal: Goal, lookup: Lookup) -> None:
        self.number = number
        self.goal = goal
        self.lookup = lookup
        self.has_ended = False
        match goal:
            case Locate(name):
                self.message: FindNode | GetValue = FindNode(name)
            case Fetch(key):
                self.message = GetValue(key)
            case Place(key):
                self.message = FindNode(key)


@final
class Operations:
    """The operations of one machine; what is to be done goes to the end of `actions`."""

    __slots__ = ("_actions", "_params", "_requests", "_running", "_table", "_validators", "upkeep")

    def __init__(
        self,
        actions: list[Action],
        params: KadParams,
        requests: Requests,
        table: RoutingTable,
        validators: Validators,
    ) -> None:
        self._actions = actions
        self._params = params
        self._requests = requests
        self._table = table
        self._validators = validators
        self._running: dict[int, Operation] = {}
        self.upkeep: Operation | None = None

    def start(self, number: int | None, goal: Goal, own_key: int, now_us: int, more: Iterable[Contact] = ()) -> None:
        """Begin, from the k closest contacts of the table and from `more`."""
        target = key_of(goal.name if isinstance(goal, Locate) else goal.key)
        self._table.touch(target, now_us)
        seeds = {contact.key: contact for contact in (*more, *self._table.closest(target, self._params.k))}
        in_order = sorted(seeds.values(), key=lambda contact: contact.key ^ target)
        operation = Operation(number, goal, Lookup(target, own_key, in_order, self._params))
        if number is None:
            self.upkeep = operation
        else:
            self._running[number] = operation
        if isinstance(goal, Fetch) and goal.has_quorum:
            self._fetched(operation, goal, now_us)
        else:
            self._advance(operation, now_us)

    def cancel(self, number: int) -> None:
        """Forget the operation; answers that come are for the table only."""
        operation = self._running.get(number)
        if operation is not None:
            self._end(operation)

    def answered(self, request: InFlight, answer: Answer, now_us: int) -> None:
        """An answer of the right kind has come."""
        operation = request.operation
        if operation is None or operation.has_ended:
            return
        match answer:
            case Nodes(contacts):
                operation.lookup.answered(request.contact.key, self._known(contacts))
            case Value(value, contacts):
                operation.lookup.answered(request.contact.key, self._known(contacts))
                if value is not None and isinstance(operation.goal, Fetch):
                    self._take_value(operation.goal, request.contact, value)
            case PutResult(accepted):
                self._put_over(operation, accepted=accepted)
                return
            case _:
                return
        self._advance(operation, now_us)

    def failed(self, request: InFlight, now_us: int) -> None:
        """No answer has come, or one that breaks the rules."""
        operation = request.operation
        if operation is None or operation.has_ended:
            return
        if isinstance(request.message, PutValue):
            self._put_over(operation, accepted=False)
            return
        operation.lookup.failed(request.contact.key)
        self._advance(operation, now_us)

    def is_running(self, number: int) -> bool:
        """True if the number is taken."""
        return number in self._running

    def __len__(self) -> int:
        """Operations of our caller's."""
        return len(self._running)

    def _known(self, contacts: tuple[Contact, ...]) -> list[Contact]:
        """The same peers without those that have no address; one in our table first as we know it, which is from it."""
        known: list[Contact] = []
        for contact in contacts:
            ours = self._table.find(contact.key)
            if ours is not None:
                known.append(ours)
            if contact.addresses and (ours is None or ours.addresses != contact.addresses):
                known.append(contact)
        return known

    def _advance(self, operation: Operation, now_us: int) -> None:
        goal = operation.goal
        if isinstance(goal, Fetch) and goal.has_quorum:
            self._fetched(operation, goal, now_us)
            return
        for contact in operation.lookup.ask():
            self._requests.send(contact, operation.message, operation, now_us)
        if not operation.lookup.is_finished:
            return
        match goal:
            case Locate():
                self._end(operation)
                if operation.number is not None:
                    lookup = operation.lookup
                    self._actions.append(Found(operation.number, lookup.closest, lookup.hops, lookup.asked))
            case Fetch():
                self._fetched(operation, goal, now_us)
            case Place():
                self._place(operation, goal, now_us)
            case _:
                assert_never(goal)

    def _take_value(self, goal: Fetch, contact: Contact, value: bytes) -> None:
        verdict = self._validators.judge(goal.key, value)
        if verdict is Verdict.KEPT:
            goal.told.append((contact, value))
        else:
            too_large = verdict is Verdict.TOO_LARGE
            reason = KadReason.TOO_LARGE if too_large else KadReason.INVALID_VALUE
            self._actions.append(PeerFault(contact.peer, reason))

    def _fetched(self, operation: Operation, goal: Fetch, now_us: int) -> None:
        self._end(operation)
        values = [value for _, value in goal.told]
        if goal.held is not None:
            values.append(goal.held)
        best = self._validators.best(goal.key, values) if values else None
        if best is not None:
            for contact, value in goal.told:
                if value != best:
                    self._requests.send(contact, PutValue(goal.key, best), None, now_us)
        if operation.number is not None:
            self._actions.append(Got(operation.number, goal.key, best, values.count(best) if best else 0))

    def _place(self, operation: Operation, goal: Place, now_us: int) -> None:
        # Answers that the lookup no longer waits for may still come; this is done once.
        if goal.open:
            return
        closest = operation.lookup.closest
        goal.open = len(closest)
        for contact in closest:
            self._requests.send(contact, PutValue(goal.key, goal.value), operation, now_us)
        if not closest:
            self._placed(operation, goal)

    def _put_over(self, operation: Operation, *, accepted: bool) -> None:
        goal = operation.goal
        if isinstance(goal, Place):
            goal.open -= 1
            goal.copies += accepted
            if not goal.open:
                self._placed(operation, goal)

    def _placed(self, operation: Operation, goal: Place) -> None:
        self._end(operation)
        if operation.number is not None:
            self._actions.append(Placed(operation.number, goal.key, goal.copies))

    def _end(self, operation: Operation) -> None:
        operation.has_ended = True
        if operation.number is None:
            self.upkeep = None
        else:
            del self._running[operation.number]
