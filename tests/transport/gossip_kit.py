"""One router and its made-up peers, for tests that speak for the peers themselves."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from latticework.simnet import KeyedRng
from latticework.transport import PeerId
from latticework.transport.gossip_events import (
    Action,
    Deliver,
    Disconnect,
    Event,
    GossipReason,
    PeerConnected,
    Publish,
    Report,
    RpcReceived,
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
from latticework.transport.gossip_message import Message
from latticework.transport.gossip_params import MESHSUB_12, GossipParams, ScoreParams, TopicScoreParams
from latticework.transport.gossip_router import GossipRouter
from latticework.transport.gossip_rpc import Prune, Rpc
from latticework.wire.signing import Ed25519Signer

TOPIC = "topic"
SECOND = 1_000_000


@cache
def signer_of(name: str) -> Ed25519Signer:
    return Ed25519Signer(KeyedRng(b"gossip tests", name).random_bytes(32))


@cache
def peer_of(name: str) -> PeerId:
    return PeerId.of_key(signer_of(name).public)


def message_of(name: str, number: int, data: bytes = b"data", topic: str = TOPIC) -> Message:
    """A message that the peer called `name` signed."""
    return Message.signed(signer_of(name), number, topic, data)


def id_of(message: Message) -> bytes:
    return message.author + message.seqno


def scored(**changes: float) -> ScoreParams:
    """Every topic scored with weight 1 and the given weights; nothing else counts."""
    return ScoreParams(other_topics=TopicScoreParams(topic_weight=1, **changes))  # type: ignore[arg-type]  # counts too


@dataclass
class Solo:
    """A router whose peers are the test."""

    params: GossipParams = field(default_factory=GossipParams)
    signed: bool = True
    direct: tuple[str, ...] = ()
    now_us: int = 100 * SECOND
    timers: dict[TimerKey, int] = field(default_factory=dict[TimerKey, int])

    def __post_init__(self) -> None:
        self.router = GossipRouter(
            peer_of("us"),
            self.params,
            KeyedRng(b"solo"),
            signer_of("us") if self.signed else None,
            first_seqno=0,
            direct=[peer_of(name) for name in self.direct],
        )
        self._note(self.router.start(self.now_us))

    def _note(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            if isinstance(action, SetTimer):
                self.timers[action.key] = action.at_us
        return [action for action in actions if not isinstance(action, SetTimer)]

    def handle(self, event: Event) -> list[Action]:
        return self._note(self.router.handle(event, self.now_us))

    def connect(
        self,
        *names: str,
        topic: str = TOPIC,
        outbound: bool = False,
        protocol: str = MESHSUB_12,
        ip: str = "",
    ) -> None:
        """Peers that are subscribed to `topic` ("" for none)."""
        for name in names:
            self.handle(PeerConnected(peer_of(name), protocol, outbound, ip))
            if topic:
                self.hear(name, Rpc(subscriptions=((topic, True),)))

    def subscribe(self, topic: str = TOPIC) -> list[Action]:
        return self.handle(Subscribe(topic))

    def unsubscribe(self, topic: str = TOPIC) -> list[Action]:
        return self.handle(Unsubscribe(topic))

    def publish(self, data: bytes = b"data", topic: str = TOPIC) -> list[Action]:
        return self.handle(Publish(topic, data))

    def hear(self, name: str, rpc: Rpc) -> list[Action]:
        """An RPC from a peer, through the wire format."""
        return self.handle(RpcReceived(peer_of(name), rpc.encode()))

    def graft(self, *names: str, topic: str = TOPIC) -> list[Action]:
        return [action for name in names for action in self.hear(name, Rpc(graft=(topic,)))]

    def deliver(self, name: str, message: Message, verdict: Verdict = Verdict.ACCEPT) -> list[Action]:
        """A message from a peer, and the caller's verdict on it."""
        actions = self.hear(name, Rpc((message,)))
        for action in list(actions):
            if isinstance(action, Validate):
                actions += self.handle(ValidationResult(action.message_id, verdict))
        return actions

    def beat(self, count: int = 1) -> list[Action]:
        """Let so many heartbeats come."""
        actions: list[Action] = []
        for _ in range(count):
            self.now_us = self.timers.pop(TimerKey.HEARTBEAT)
            actions += self.handle(TimerFired(TimerKey.HEARTBEAT))
        return actions

    def mesh(self, topic: str = TOPIC) -> set[PeerId]:
        return set(self.router.mesh(topic))

    def score(self, name: str) -> float:
        score = self.router.score(peer_of(name))
        assert score is not None
        return score


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def ids(members: Iterable[str]) -> set[PeerId]:
    return {peer_of(name) for name in members}


def sent(actions: Iterable[Action]) -> list[tuple[PeerId, Rpc]]:
    """Each RPC and whom it went to."""
    return [(peer, action.rpc) for action in actions if isinstance(action, SendRpc) for peer in action.peers]


def grafts(actions: Iterable[Action]) -> set[PeerId]:
    return {peer for peer, rpc in sent(actions) if rpc.graft}


def prunes(actions: Iterable[Action]) -> dict[PeerId, Prune]:
    return {peer: rpc.prune[0] for peer, rpc in sent(actions) if rpc.prune}


def receivers(actions: Iterable[Action], message_id: bytes) -> set[PeerId]:
    """Who was sent a message."""
    return {peer for peer, rpc in sent(actions) for message in rpc.messages if id_of(message) == message_id}


def reasons(actions: Iterable[Action]) -> list[GossipReason]:
    return [action.reason for action in actions if isinstance(action, Report | Disconnect)]


def delivered(actions: Iterable[Action]) -> list[bytes]:
    return [action.data for action in actions if isinstance(action, Deliver)]
