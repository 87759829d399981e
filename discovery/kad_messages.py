"""What Kademlia nodes say to each other: four requests, and the answer to each.

Typed only; the wire form (spec, "RPC messages") is made and bounded at the edge. Names and keys of records travel
unhashed.
"""

from dataclasses import dataclass

from .kad_contact import Contact


@dataclass(frozen=True, slots=True)
class FindNode:
    """Asks for the k contacts closest to the key of `name`; answered by Nodes."""

    name: bytes


@dataclass(frozen=True, slots=True)
class GetValue:
    """Asks for the record at `key`, and for the k contacts closest to it; answered by Value."""

    key: bytes


@dataclass(frozen=True, slots=True)
class PutValue:
    """Asks to keep a record; answered by PutResult."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a sign of life; answered by Pong."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """The closest contacts that the sender knows, at most k, without the asker and the sender."""

    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """The record that the sender holds, if any, and contacts as in Nodes."""

    value: bytes | None
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class PutResult:
    """Whether the record is kept."""

    accepted: bool


@dataclass(frozen=True, slots=True)
class Pong:
    """The sender is alive."""


type Request = FindNode | GetValue | PutValue | Ping
type Answer = Nodes | Value | PutResult | Pong
type Message = Request | Answer


def fits(request: Request, answer: Answer) -> bool:
    """True if `answer` is of the kind that `request` asks for."""
    match request:
        case FindNode():
            return isinstance(answer, Nodes)
        case GetValue():
            return isinstance(answer, Value)
        case PutValue():
            return isinstance(answer, PutResult)
        case Ping():
            return isinstance(answer, Pong)
