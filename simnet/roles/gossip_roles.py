"""Nodes that do not do what gossipsub asks of them: hooks around an unchanged router.

A role sees every event before its node's router does, and every action before it is performed; it may drop, change or
add. What it knows of the world it asks for through `Surroundings`, so that a role runs on every tier that provides
them. The attacks are those of Vyzovitis et al., "GossipSub: Attack-Resilient Message Propagation" (arXiv 2007.02754),
and of the simnet report, part 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, final

from latticework.transport import PeerId
from latticework.transport.gossip_events import Action, Event, Priority, RpcReceived, SendRpc
from latticework.transport.gossip_message import Message
from latticework.transport.gossip_rpc import Prune, PxPeer, Rpc
from latticework.wire import LocalError, Rng

from ..amounts import read_duration_us
from ..scenario import HONEST, Tier

type Options = Mapping[str, str | int | float]
"""What a group's `options` say, by name. A duration `x` is text such as "20s"; `x_us` is the same in microseconds."""


class Surroundings(Protocol):
    """What a role's node can see and do."""

    topic: str
    rng: Rng

    def connected(self) -> tuple[PeerId, ...]:
        """Everybody the node has a connection to."""
        ...

    def mesh(self) -> tuple[PeerId, ...]:
        """Whom its router forwards to."""
        ...

    def members(self, group: str) -> tuple[PeerId, ...]:
        """The nodes of a group of the scenario; raises LocalError if there is none."""
        ...

    def dial(self, peer: PeerId) -> None:
        """Open a connection, if there is none."""
        ...

    def message_id(self, message: Message) -> bytes:
        """The id under which routers know a message."""
        ...

    def source_of(self, message_id: bytes) -> PeerId | None:
        """Who published a message; None if nobody did as the protocol says."""
        ...

    def perform_later(self, actions: list[Action], at_us: int) -> None:
        """Perform actions at a later time, past the role's own hooks."""
        ...


class GossipRole(Protocol):
    """Hooks around one node's router; times are microseconds of the run."""

    def start(self, now_us: int) -> None:
        """The node came up."""
        ...

    def incoming(self, event: Event, now_us: int) -> Event | None:
        """What the router gets to see of an event; None for nothing."""
        ...

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:
        """What is performed of what the router wants done."""
        ...

    def tick(self, now_us: int) -> list[Action]:
        """Once a second: what the role does of itself."""
        ...


class Honest:
    """Does nothing of its own; the others change what they must."""

    def __init__(self, around: Surroundings, options: Options) -> None:
        self._around = around
        self._options = options

    def start(self, now_us: int) -> None:
        """Nothing."""

    def incoming(self, event: Event, now_us: int) -> Event | None:  # noqa: ARG002 - the hook's signature
        """Everything."""
        return event

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """Everything."""
        return actions

    def tick(self, now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """Nothing."""
        return []


def _duration_us(options: Options, name: str, usual_us: int) -> int:
    value = options.get(name, options.get(f"{name}_us", usual_us))
    return read_duration_us(value) if isinstance(value, str) else int(value)


def _passes_nothing_on(actions: list[Action]) -> list[Action]:
    """Without messages of others, answers to IWANT, and IHAVE; what keeps the mesh stays."""
    return [a for a in actions if not (isinstance(a, SendRpc) and a.priority is Priority.FORWARDED)]


@final
class Silent(Honest):
    """Accepts everything, forwards nothing, never gossips."""

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """What keeps the node in the mesh."""
        return _passes_nothing_on(actions)


@final
class Censor(Honest):
    """Does not pass on what the nodes of group `victims` publish, and does not mention it; the rest it forwards."""

    def start(self, now_us: int) -> None:  # noqa: ARG002 - the hook's signature
        """Learn who the victims are."""
        self._victims = frozenset(self._around.members(str(self._options.get("victims", ""))))

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """Everything but the victims' messages."""
        return [kept for action in actions if (kept := self._censored(action)) is not None]

    def _is_victims(self, message_id: bytes) -> bool:
        return self._around.source_of(message_id) in self._victims

    def _censored(self, action: Action) -> Action | None:
        if not isinstance(action, SendRpc) or not (action.rpc.messages or action.rpc.ihave):
            return action
        rpc, around = action.rpc, self._around
        messages = tuple(m for m in rpc.messages if not self._is_victims(around.message_id(m)))
        offers = ((topic, tuple(i for i in ids if not self._is_victims(i))) for topic, ids in rpc.ihave)
        ihave = tuple((topic, ids) for topic, ids in offers if ids)
        if messages == rpc.messages and ihave == rpc.ihave:
            return action
        left = replace(rpc, messages=messages, ihave=ihave)
        return replace(action, rpc=left) if messages or ihave or left.has_control or left.subscriptions else None


@final
class Delayer(Honest):
    """Passes everything on, `delay` later (1 s)."""

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:
        """What is not forwarded at once; the rest when its time comes."""
        prompt = _passes_nothing_on(actions)
        late = [action for action in actions if action not in prompt]
        if late:
            self._around.perform_later(late, now_us + _duration_us(self._options, "delay", 1_000_000))
        return prompt


@final
class Spammer(Honest):
    """Sends everybody `rate` invalid messages (10) of `size` bytes (300) a second."""

    def tick(self, now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """A second's worth of invalid messages."""
        peers, size = self._around.connected(), int(self._options.get("size", 300))
        if not peers:
            return []
        junk = (self._around.rng.random_bytes(size) for _ in range(int(self._options.get("rate", 10))))
        rpcs = (Rpc((Message.anonymous(self._around.topic, data),)) for data in junk)
        return [SendRpc(peers, rpc, Priority.FORWARDED) for rpc in rpcs]


@final
class Replayer(Honest):
    """Sends everybody, each second, what it heard `after` ago (130 s: when routers have forgotten it)."""

    def start(self, now_us: int) -> None:  # noqa: ARG002 - the hook's signature
        """Nothing heard yet."""
        self._heard: list[tuple[int, Message]] = []
        self._known: dict[bytes, None] = {}

    def incoming(self, event: Event, now_us: int) -> Event | None:
        """Everything, and each message is kept."""
        if isinstance(event, RpcReceived) and isinstance(event.rpc, Rpc):
            for message in event.rpc.messages:
                if message.data not in self._known:
                    self._known[message.data] = None
                    self._heard.append((now_us, message))
        return event

    def tick(self, now_us: int) -> list[Action]:
        """What is old enough by now."""
        due_us = now_us - _duration_us(self._options, "after", 130_000_000)
        due = [message for heard_us, message in self._heard if heard_us <= due_us]
        self._heard = self._heard[len(due) :]
        peers = self._around.connected()
        return [SendRpc(peers, Rpc((message,)), Priority.FORWARDED) for message in due] if peers else []


@final
class Sybil(Honest):
    """One of many that dial a lot, GRAFT to everybody again and again, and pass nothing on."""

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """What keeps the node in meshes."""
        return _passes_nothing_on(actions)

    def tick(self, now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """GRAFT to everybody that it has no mesh link to."""
        inside = dict.fromkeys(self._around.mesh())
        peers = tuple(peer for peer in self._around.connected() if peer not in inside)
        return [SendRpc(peers, Rpc(graft=(self._around.topic,)), Priority.CONTROL)] if peers else []


@final
class Eclipse(Honest):
    """One of many that dial every node of group `target`, GRAFT to it, and pass nothing on."""

    def start(self, now_us: int) -> None:  # noqa: ARG002 - the hook's signature
        """Dial the target."""
        self._target = self._around.members(str(self._options.get("target", "")))
        for peer in self._target:
            self._around.dial(peer)

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """What keeps the node in the target's mesh."""
        return _passes_nothing_on(actions)

    def tick(self, now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """GRAFT to the target until it is in."""
        here, inside = dict.fromkeys(self._around.connected()), dict.fromkeys(self._around.mesh())
        peers = tuple(peer for peer in self._target if peer in here and peer not in inside)
        return [SendRpc(peers, Rpc(graft=(self._around.topic,)), Priority.CONTROL)] if peers else []


@final
class CovertFlash(Honest):
    """Behaves for `honest_for` (60 s) after it came up, and then passes nothing on."""

    def start(self, now_us: int) -> None:
        """From here on it behaves."""
        self._until_us = now_us + _duration_us(self._options, "honest_for", 60_000_000)

    def outgoing(self, actions: list[Action], now_us: int) -> list[Action]:
        """Everything, for a while."""
        return actions if now_us < self._until_us else _passes_nothing_on(actions)


@final
class PxPoisoner(Honest):
    """Sends its mesh PRUNEs, each second, that recommend 16 peers that nobody has ever seen, with forged records."""

    def tick(self, now_us: int) -> list[Action]:  # noqa: ARG002 - the hook's signature
        """One RPC for the whole mesh."""
        peers, rng = self._around.connected(), self._around.rng
        offered = tuple(PxPeer(PeerId.of_key(rng.random_bytes(32)).multihash, rng.random_bytes(150)) for _ in range(16))
        poison = Rpc(prune=(Prune(self._around.topic, 1_000_000, offered),))
        return [SendRpc(peers, poison, Priority.CONTROL)] if peers else []


@dataclass(frozen=True, slots=True)
class RoleKind:
    """How a role is made, on which tiers it runs, and which options it reads."""

    make: Callable[[Surroundings, Options], GossipRole]
    tiers: tuple[Tier, ...]
    options: tuple[str, ...] = ()


GOSSIP_ROLES: Final[Mapping[str, RoleKind]] = {
    "silent": RoleKind(Silent, ("F", "C")),
    "censor": RoleKind(Censor, ("F", "C"), ("victims",)),
    "delayer": RoleKind(Delayer, ("F", "C"), ("delay", "delay_us")),
    "spammer": RoleKind(Spammer, ("F", "C"), ("rate", "size")),
    "replayer": RoleKind(Replayer, ("F", "C"), ("after", "after_us")),
    "sybil": RoleKind(Sybil, ("F", "C")),
    "eclipse": RoleKind(Eclipse, ("F", "C"), ("target",)),
    "covert-flash": RoleKind(CovertFlash, ("F", "C"), ("honest_for", "honest_for_us")),
    "px-poisoner": RoleKind(PxPoisoner, ("F", "C")),
}
"""Roles by the name that a scenario's group gives."""


def gossip_role(name: str, options: Options, tier: Tier) -> RoleKind | None:
    """What a group's role is; None for honest nodes.

    Raises:
        LocalError: there is no such role on the tier, or it has no such option.
    """
    if name == HONEST:
        return None
    known = sorted(role for role, kind in GOSSIP_ROLES.items() if tier in kind.tiers)
    if name not in known:
        raise LocalError(f"there is no role {name!r} on tier {tier}; there is: {', '.join([HONEST, *known])}")
    kind = GOSSIP_ROLES[name]
    for option in options:
        if option not in kind.options:
            raise LocalError(f"role {name!r} has no option {option!r}; it has: {', '.join(kind.options) or 'none'}")
    return kind
