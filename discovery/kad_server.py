"""What a node does for those who ask it: contacts out of its table, and records that it holds or publishes."""

from typing import final

from .kad_contact import Contact, key_of
from .kad_events import Action, KadReason, PeerFault, Received, Send, SetTimer, TimerKey
from .kad_messages import Answer, FindNode, GetValue, Nodes, Ping, Pong, PutResult, PutValue, Request, Value
from .kad_params import KadParams
from .kad_records import RecordStore, Validators, Verdict
from .kad_table import RoutingTable

_FAULTS = {
    Verdict.TOO_LARGE: KadReason.TOO_LARGE,
    Verdict.INVALID: KadReason.INVALID_VALUE,
    Verdict.PEER_FULL: KadReason.STORE_FLOOD,
}
"""A worse value, a full store and an unknown namespace are nobody's fault."""


@final
class Server:
    """Answers requests; `published` are our own records, which no flood of others' touches."""

    __slots__ = ("_actions", "_params", "_table", "published", "store")

    def __init__(
        self, actions: list[Action], params: KadParams, own_key: int, table: RoutingTable, validators: Validators
    ) -> None:
        self._actions = actions
        self._params = params
        self._table = table
        self.store = RecordStore(own_key, validators, params)
        self.published: dict[bytes, bytes] = {}

    def serve(self, event: Received, message: Request, now_us: int) -> bool:
        """Answer a request; False if it breaks the rules and got no answer."""
        sender = event.sender
        if isinstance(message, FindNode | GetValue):
            name = message.name if isinstance(message, FindNode) else message.key
            if not 0 < len(name) <= self._params.max_name_bytes:
                self._actions.append(PeerFault(sender.peer, KadReason.TOO_LARGE))
                return False
        self._actions.append(Send(sender, event.request, self._answer(sender, message, now_us)))
        return True

    def value(self, key: bytes, now_us: int) -> bytes | None:
        """The value that we publish or hold at `key`."""
        return self.published.get(key) or self.store.get(key, now_us)

    def expire(self, now_us: int) -> None:
        """Forget what has expired, and come back for the rest."""
        self.store.expire(now_us)
        self._set_timer()

    def _answer(self, sender: Contact, message: Request, now_us: int) -> Answer:
        match message:
            case FindNode(name):
                return Nodes(self._closest(name, sender))
            case GetValue(key):
                return Value(self.value(key, now_us), self._closest(key, sender))
            case PutValue(key, value):
                return PutResult(self._keep(sender, key, value, now_us))
            case Ping():
                return Pong()

    def _closest(self, name: bytes, asker: Contact) -> tuple[Contact, ...]:
        found = self._table.closest(key_of(name), self._params.k + 1, answering=True)
        return tuple(contact for contact in found if contact.key != asker.key)[: self._params.k]

    def _keep(self, sender: Contact, key: bytes, value: bytes, now_us: int) -> bool:
        was_empty = self.store.next_expiry_us is None
        verdict = self.store.put(key, value, sender.peer, now_us)
        if verdict in _FAULTS:
            self._actions.append(PeerFault(sender.peer, _FAULTS[verdict]))
        if was_empty:
            self._set_timer()
        return verdict is Verdict.KEPT

    def _set_timer(self) -> None:
        expiry_us = self.store.next_expiry_us
        if expiry_us is not None:
            self._actions.append(SetTimer(TimerKey.EXPIRY, expiry_us))
