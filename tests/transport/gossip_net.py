"""Many routers in memory: links with delay and loss, and members that misbehave."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from latticework.simnet import KeyedRng
from latticework.transport import PeerId
from latticework.transport.gossip_chance import Chance
from latticework.transport.gossip_events import (
    Action,
    ConnectTo,
    Deliver,
    Disconnect,
    Event,
    GossipReason,
    PeerConnected,
    PeerDisconnected,
    Publish,
    Published,
    Report,
    RpcReceived,
    SendRpc,
    SetTimer,
    Subscribe,
    TimerFired,
    Validate,
    ValidationResult,
    Verdict,
)
from latticework.transport.gossip_params import MESHSUB_12, GossipParams
from latticework.transport.gossip_router import GossipRouter
from latticework.transport.gossip_rpc import Rpc
from latticework.wire.signing import Ed25519Signer

from .gossip_kit import SECOND, TOPIC

type Verdicts = Callable[[Validate], Verdict]
type Outlaw = Callable[["Net", int, Action], bool]
"""True if the member performed the action itself, in its own way."""


@dataclass
class Net:
    """`count` routers on a graph where each dialled `dials` others; delays are 10 to 150 ms per pair."""

    seed: bytes
    count: int
    dials: int = 10
    loss: float = 0
    params: GossipParams = field(default_factory=GossipParams)
    verdicts: Verdicts = lambda _question: Verdict.ACCEPT
    validation_us: int = 0
    as_bytes: bool = False

    def __post_init__(self) -> None:
        rng = KeyedRng(self.seed)
        self.chance = Chance(rng.child("network"))
        self.now_us = 0
        self.queue: list[tuple[int, int, int, Event]] = []
        self.number = 0
        self.messages = 0
        self.outlaws: dict[int, Outlaw] = {}
        self.delays: dict[tuple[int, int], int] = {}
        self.links: set[frozenset[int]] = set()
        self.deliveries: dict[bytes, list[tuple[int, int]]] = {}
        self.reports: dict[GossipReason, int] = {}
        self.connects: list[ConnectTo] = []
        self.ended: set[tuple[int, PeerId]] = set()
        signers = [Ed25519Signer(rng.child(f"key {n}").random_bytes(32)) for n in range(self.count)]
        self.ids = [PeerId.of_key(signer.public) for signer in signers]
        self.index = {peer: n for n, peer in enumerate(self.ids)}
        self.routers = [
            GossipRouter(self.ids[n], self.params, rng.child(f"router {n}"), signers[n], first_seqno=0)
            for n in range(self.count)
        ]
        for n in range(self.count):
            self.perform(n, self.routers[n].start(0))

    def wire_up(self) -> None:
        for near in range(self.count):
            for far in self.chance.sample([n for n in range(self.count) if n != near], self.dials):
                self.connect(near, far)

    def connect(self, near: int, far: int, ip: str = "") -> None:
        if frozenset((near, far)) not in self.links:
            self.links.add(frozenset((near, far)))
            self.tell(near, PeerConnected(self.ids[far], MESHSUB_12, outbound=True, ip=ip))
            self.tell(far, PeerConnected(self.ids[near], MESHSUB_12, outbound=False, ip=ip))

    def subscribe_all(self) -> None:
        for n in range(self.count):
            self.tell(n, Subscribe(TOPIC))

    def tell(self, n: int, event: Event) -> list[Action]:
        actions = self.routers[n].handle(event, self.now_us)
        self.perform(n, actions)
        return actions

    def publish(self, n: int, data: bytes) -> bytes:
        (published,) = [action for action in self.tell(n, Publish(TOPIC, data)) if isinstance(action, Published)]
        self.deliveries[published.message_id] = []
        return published.message_id

    def send(self, near: int, far: int, rpc: Rpc) -> None:
        """Put an RPC on the link, whoever made it."""
        self.messages += len(rpc.messages)
        if self.loss and self.chance.below(1_000_000) < self.loss * 1_000_000:
            return
        pair = (near, far)
        if pair not in self.delays:
            self.delays[pair] = 10_000 + self.chance.below(140_000)
        event = RpcReceived(self.ids[near], rpc.encode() if self.as_bytes else rpc)
        self._at(self.now_us + self.delays[pair], far, event)

    def _at(self, at_us: int, n: int, event: Event) -> None:
        self.number += 1
        heappush(self.queue, (at_us, self.number, n, event))

    def perform(self, n: int, actions: list[Action]) -> None:
        outlaw = self.outlaws.get(n)
        for action in actions:
            if outlaw is not None and outlaw(self, n, action):
                continue
            match action:
                case SendRpc(peers, rpc, _):
                    for peer in peers:
                        self.send(n, self.index[peer], rpc)
                case Validate(message_id):
                    result = ValidationResult(message_id, self.verdicts(action))
                    if self.validation_us:
                        self._at(self.now_us + self.validation_us, n, result)
                    else:
                        self.tell(n, result)
                case Deliver(message_id):
                    self.deliveries.setdefault(message_id, []).append((n, self.now_us))
                case SetTimer(key, at_us):
                    self._at(at_us, n, TimerFired(key))
                case Report(_, reason):
                    self.reports[reason] = self.reports.get(reason, 0) + 1
                case ConnectTo():
                    self.connects.append(action)
                case Disconnect(peer, reason):
                    self.reports[reason] = self.reports.get(reason, 0) + 1
                    self.ended.add((n, peer))
                    self.tell(n, PeerDisconnected(peer))
                case _:
                    pass

    def run(self, seconds: float) -> None:
        end_us = self.now_us + int(seconds * SECOND)
        while self.queue and self.queue[0][0] <= end_us:
            self.now_us, _, n, event = heappop(self.queue)
            self.tell(n, event)
        self.now_us = end_us

    def mesh(self, n: int) -> list[int]:
        return [self.index[peer] for peer in self.routers[n].mesh(TOPIC)]

    def score(self, n: int, of: int) -> float | None:
        return self.routers[n].score(self.ids[of])

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(sorted(self.deliveries.items())).encode()).hexdigest()
