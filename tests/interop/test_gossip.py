"""Signed gossipsub 1.1 and 1.2 with js-libp2p and py-libp2p: dialled, dialling, through them and through us."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast, final

import pytest
import trio

from latticework.transport import Connection, PeerId, Stream
from latticework.transport.gossip_driver import Gossip
from latticework.transport.gossip_events import Deliver
from latticework.transport.gossip_params import MESHSUB_11, MESHSUB_12, MESHSUB_PROTOCOLS, GossipParams
from latticework.transport.gossip_router import GossipRouter
from latticework.wire.signing import Ed25519Signer

from .ours import Node, SystemRng, WallClock, our_node, pause, until
from .peers import PeerProcess, kind, running

pytestmark = pytest.mark.wire

TEST_S: Final = 60
TOPIC: Final = "/interop/topic"
SIZES: Final = (1, 300, 20_000)
"""The last is beyond the 1 KiB from which IDONTWANT is sent."""


@final
class Pubsub:
    """Our gossip on Noise connections."""

    protocols: tuple[str, ...] = MESHSUB_PROTOCOLS

    def __init__(self, signer: Ed25519Signer) -> None:
        params = GossipParams(heartbeat_us=300_000)
        clock, rng = WallClock(), SystemRng()
        own = PeerId.of_key(signer.public)
        self.router = GossipRouter(own, params, rng, signer, first_seqno=clock.now_us())
        self.gossip = Gossip(self.router, clock, params.bounds)
        self.spoken: dict[PeerId, str] = {}
        """What each peer's own stream speaks."""

    async def attend(self, connection: Connection, *, outbound: bool) -> None:
        await self.gossip.attend(connection, outbound=outbound)

    async def receive(self, connection: Connection, stream: Stream) -> None:
        self.spoken[PeerId.from_bytes(connection.remote)] = stream.protocol
        await self.gossip.receive(connection, stream)


@dataclass(frozen=True, slots=True)
class End:
    """A node of ours that is subscribed to the topic."""

    node: Node
    pubsub: Pubsub
    messages: trio.MemoryReceiveChannel[Deliver]

    async def heard(self, count: int) -> list[tuple[bytes, PeerId | None, PeerId]]:
        """Data, author and sender of the next `count` messages, the shortest first."""
        found = [await self.messages.receive() for _ in range(count)]
        return sorted(((found.data, found.author, found.sender) for found in found), key=lambda item: len(item[0]))


@asynccontextmanager
async def gossiping() -> AsyncGenerator[End]:
    signer = Ed25519Signer(secrets.token_bytes(32))
    pubsub = Pubsub(signer)
    async with trio.open_nursery() as nursery:
        await nursery.start(pubsub.gossip.run)
        async with our_node(signer, pubsub) as node, pubsub.gossip.subscribe(TOPIC) as messages:
            yield End(node, pubsub, messages)
        nursery.cancel_scope.cancel()


async def in_mesh(end: End, peer: PeerProcess) -> None:
    """Wait until each forwards to the other."""
    await until(lambda: peer.peer in end.pubsub.router.mesh(TOPIC))
    while str(end.node.peer) not in cast("list[str]", (await peer.ask("mesh", topic=TOPIC))["mesh"]):
        await pause()


async def hears(peer: PeerProcess, count: int) -> list[dict[str, str]]:
    """The messages of others that reached the peer, once there are `count`; the shortest first."""
    while True:
        messages = cast("list[dict[str, str]]", (await peer.ask("messages"))["messages"])
        others = [message for message in messages if message["from"] != str(peer.peer)]
        if len(others) >= count:
            return sorted(others, key=lambda message: len(message["data"]))
        await pause()


@pytest.mark.parametrize("version", [MESHSUB_11, MESHSUB_12])
@pytest.mark.parametrize("name", ["js", "py"])
async def test_signed_messages_go_both_ways_and_on_to_a_third(name: str, version: str) -> None:
    """One of our nodes dials them, they dial the other; signatures are checked by whoever receives."""
    with trio.fail_after(TEST_S):
        async with running(kind(name), version) as peer, gossiping() as near, gossiping() as far:
            await peer.ask("subscribe", topic=TOPIC)
            await near.node.dial(peer.address, peer.peer)
            await peer.ask("dial", address=far.node.address)
            for end in (near, far):
                await in_mesh(end, peer)
                assert end.pubsub.spoken[peer.peer] == version
            ours = [secrets.token_bytes(size) for size in SIZES]
            for data in ours:
                assert (await near.pubsub.gossip.publish(TOPIC, data)).peers == 1
            arrived = await hears(peer, len(ours))
            assert [bytes.fromhex(message["data"]) for message in arrived] == ours
            assert {(message["topic"], message["from"], message["type"]) for message in arrived} == {
                (TOPIC, str(near.node.peer), "signed")
            }
            assert await far.heard(len(ours)) == [(data, near.node.peer, peer.peer) for data in ours]
            theirs = [secrets.token_bytes(size) for size in SIZES]
            for data in theirs:
                await peer.ask("publish", topic=TOPIC, data=data.hex())
            for end in (near, far):
                assert await end.heard(len(theirs)) == [(data, peer.peer, peer.peer) for data in theirs]
                score = end.pubsub.router.score(peer.peer)
                assert score is not None
                assert score >= 0


async def test_a_message_of_one_reaches_the_other_through_us() -> None:
    js, py = kind("js"), kind("py")
    with trio.fail_after(TEST_S):
        async with running(js) as one, running(py, MESHSUB_12) as two, gossiping() as middle:
            for peer in (one, two):
                await peer.ask("subscribe", topic=TOPIC)
                await middle.node.dial(peer.address, peer.peer)
                await in_mesh(middle, peer)
            for author, reader in ((one, two), (two, one)):
                data = secrets.token_bytes(500)
                await author.ask("publish", topic=TOPIC, data=data.hex())
                (message,) = await hears(reader, 1)
                assert (message["data"], message["from"]) == (data.hex(), str(author.peer))
