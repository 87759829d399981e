"""Kademlia nodes that lie: asked for anything, they tell of each other only.

The attack of Baumgart and Mies, "S/Kademlia" (ICPADS 2007), part 5: whoever asks one of them is led among them, and
only lookups over disjoint paths get past many. They join as others do, and answer pings, so they stay in tables.
"""

from collections.abc import Sequence
from heapq import nsmallest
from typing import Final, final

from latticework.discovery import Contact, key_of
from latticework.discovery.kad_messages import (
    Answer,
    FindNode,
    GetValue,
    Nodes,
    Ping,
    Pong,
    PutResult,
    PutValue,
    Request,
    Value,
)

KAD_LIAR: Final = "kad-liar"


@final
class Liars:
    """All liars of a run; each tells the `k` of them that are closest to what it is asked for."""

    def __init__(self, contacts: Sequence[Contact], k: int) -> None:
        self._contacts = contacts
        self._k = k

    def answer(self, request: Request) -> Answer:
        """What any of them says."""
        match request:
            case FindNode(name):
                return Nodes(self._closest(name))
            case GetValue(key):
                return Value(None, self._closest(key))
            case PutValue():
                return PutResult(accepted=True)
            case Ping():
                return Pong()

    def _closest(self, name: bytes) -> tuple[Contact, ...]:
        key = key_of(name)
        return tuple(nsmallest(self._k, self._contacts, key=lambda contact: contact.key ^ key))
