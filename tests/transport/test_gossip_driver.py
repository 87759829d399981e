"""Gossip over whole connections (TCP streams of the simulator, Noise, yamux, multistream) under virtual time."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from latticework.simnet import KeyedRng, SimHost, SimNetwork, Transcript, VirtualClock
from latticework.simnet import play as play_trio
from latticework.transport import BufferPool, Connection, Limits, Multiaddr, NoiseChannel, Stream, Upgrader
from latticework.transport.gossip_driver import Gossip
from latticework.transport.gossip_events import GossipReason, PeerDisconnected, RpcReceived, Validate, Verdict
from latticework.transport.gossip_inbox import INBOX_RPCS, Inbox
from latticework.transport.gossip_params import (
    MESHSUB_10,
    MESHSUB_11,
    MESHSUB_12,
    MESHSUB_PROTOCOLS,
    GossipBounds,
    GossipParams,
)
from latticework.transport.gossip_router import GossipRouter
from latticework.transport.gossip_rpc import Rpc
from latticework.transport.varint import encode_varint
from latticework.wire import LocalError, MalformedError

from .fakes import connected
from .gossip_kit import TOPIC, message_of, peer_of, signer_of

pytestmark = pytest.mark.sim

ANY = Multiaddr.parse("/ip4/0.0.0.0/tcp/4001")


@dataclass
class Member:
    """A host that gossips."""

    name: str
    host: SimHost
    clock: VirtualClock
    rng: KeyedRng
    bounds: GossipBounds = field(default_factory=GossipBounds)
    protocols: tuple[str, ...] = MESHSUB_PROTOCOLS
    connections: list[Connection] = field(default_factory=list[Connection])
    ended: list[GossipReason | None] = field(default_factory=list[GossipReason | None])

    def __post_init__(self) -> None:
        params = GossipParams(bounds=self.bounds)
        router = GossipRouter(peer_of(self.name), params, self.rng, signer_of(self.name), first_seqno=0)
        self.gossip = Gossip(router, self.clock, self.bounds)
        self.channel = NoiseChannel(signer_of(self.name), self.rng.child("noise"), MESHSUB_PROTOCOLS)
        self.upgrader = Upgrader([self.channel], self.clock, BufferPool(), Limits())

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        listener = await self.host.listen(ANY)
        async with trio.open_nursery() as nursery:
            await nursery.start(self.gossip.run)
            task_status.started()
            while True:
                stream = await listener.accept()
                nursery.start_soon(self._serve, await self.upgrader.inbound(stream), False)

    async def dial(self, other: "Member") -> None:
        """Connect and gossip until the connection ends."""
        stream = await self.host.dial(Multiaddr.tcp(other.host.ip, 4001))
        await self._serve(await self.upgrader.outbound(stream, self.channel), True)

    async def _serve(self, connection: Connection, outbound: bool) -> None:  # noqa: FBT001
        self.connections.append(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._attend, connection, outbound)
            await connection.run(partial(self._handle, connection), self.protocols)
            nursery.cancel_scope.cancel()

    async def _attend(self, connection: Connection, outbound: bool) -> None:  # noqa: FBT001
        self.ended.append(await self.gossip.attend(connection, outbound=outbound))

    async def _handle(self, connection: Connection, _protocol: str, stream: Stream) -> None:
        await self.gossip.receive(connection, stream)


@dataclass
class World:
    members: dict[str, Member]
    nursery: trio.Nursery

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def dial(self, near: str, far: str) -> None:
        self.nursery.start_soon(self[near].dial, self[far])


type Story = Callable[[World], Awaitable[None]]


def play(story: Story, *names: str, seed: bytes = b"seed", **changes: object) -> Transcript:
    """Run `story` among members called `names`."""
    clock, transcript = VirtualClock(), Transcript(keep=False)
    rng = KeyedRng(seed)
    network = SimNetwork(clock, rng.child("network"), hook=transcript)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            members = {
                name: Member(name, network.host(name), clock, rng.child(name), **changes)  # type: ignore[arg-type]
                for name in names
            }
            for member in members.values():
                await nursery.start(member.run)
            await story(World(members, nursery))
            nursery.cancel_scope.cancel()

    play_trio(main, seed, clock)
    return transcript


@asynccontextmanager
async def listening(world: World, *names: str) -> AsyncGenerator[dict[str, list[bytes]]]:
    """What each of `names` hears in TOPIC."""
    heard: dict[str, list[bytes]] = {name: [] for name in names}

    async def listen(name: str, task_status: trio.TaskStatus[None]) -> None:
        async with world[name].gossip.subscribe(TOPIC) as messages:
            task_status.started()
            async for message in messages:
                heard[name].append(message.data)

    async with trio.open_nursery() as nursery:
        for name in names:
            await nursery.start(listen, name)
        yield heard
        nursery.cancel_scope.cancel()


NINE = tuple(f"node-{number}" for number in range(9))


async def ring_of_nine(world: World) -> None:
    for number, name in enumerate(NINE):
        world.dial(name, NINE[(number + 1) % 9])
        world.dial(name, NINE[(number + 4) % 9])
    async with listening(world, *NINE) as heard:
        await trio.sleep(3)
        for number in range(20):
            await world[NINE[number % 9]].gossip.publish(TOPIC, b"%d" % number)
        await world[NINE[0]].gossip.publish(TOPIC, bytes(200_000))
        await trio.sleep(3)
        for number, name in enumerate(NINE):
            expected = [b"%d" % n for n in range(20) if n % 9 != number] + [bytes(200_000)] * (number > 0)
            assert sorted(heard[name]) == sorted(expected)


def test_messages_of_all_reach_all_once_in_a_sparse_network() -> None:
    play(ring_of_nine, *NINE)


def test_equal_seeds_send_equal_bytes() -> None:
    assert play(ring_of_nine, *NINE).digest == play(ring_of_nine, *NINE).digest


@pytest.mark.parametrize("protocol", [MESHSUB_12, MESHSUB_11, MESHSUB_10])
def test_the_ends_agree_on_the_newest_protocol_that_both_speak(protocol: str) -> None:
    async def story(world: World) -> None:
        world["b"].protocols = tuple(name for name in MESHSUB_PROTOCOLS if name <= protocol)
        world.dial("a", "b")
        async with listening(world, "a", "b") as heard:
            await trio.sleep(2)
            await world["a"].gossip.publish(TOPIC, b"one")
            await world["b"].gossip.publish(TOPIC, b"two")
            await trio.sleep(1)
            assert heard == {"a": [b"two"], "b": [b"one"]}

    play(story, "a", "b")


def test_a_validator_decides_and_its_errors_hurt_its_own_message_only() -> None:
    asked: list[bytes] = []

    async def validator(question: Validate) -> Verdict:
        asked.append(question.data)
        await trio.sleep(0.1)
        match question.data:
            case b"reject":
                return Verdict.REJECT
            case b"malformed":
                raise MalformedError("as parsers do")
            case b"bug":
                raise ZeroDivisionError
            case b"slow":
                await trio.sleep(1000)
                return Verdict.ACCEPT
            case _:
                return Verdict.ACCEPT

    async def story(world: World) -> None:
        world["b"].gossip.set_validator(TOPIC, validator)
        world.dial("a", "b")
        async with listening(world, "b") as heard:
            await trio.sleep(2)
            for data in (b"reject", b"malformed", b"bug", b"slow", b"good"):
                await world["a"].gossip.publish(TOPIC, data)
            await trio.sleep(60)
            assert heard == {"b": [b"good"]}
            assert asked == [b"reject", b"malformed", b"bug", b"slow", b"good"]
            score = world["b"].gossip.router.score(peer_of("a"))
            assert score is not None
            assert -400 < score < -300, "two of them are the sender's fault"
            world["b"].gossip.set_validator(TOPIC, None)
            await world["a"].gossip.publish(TOPIC, b"reject")
            await trio.sleep(1)
            assert heard["b"][-1] == b"reject"

    play(story, "a", "b")


def test_leaving_and_rejoining_a_topic() -> None:
    async def story(world: World) -> None:
        world.dial("a", "b")
        async with listening(world, "b"):
            await trio.sleep(2)
            assert (await world["a"].gossip.publish(TOPIC, b"one")).peers == 1
        await trio.sleep(1)
        assert (await world["a"].gossip.publish(TOPIC, b"two")).peers == 0
        async with listening(world, "b") as heard:
            await trio.sleep(1)
            assert (await world["a"].gossip.publish(TOPIC, b"three")).peers == 1
            await trio.sleep(1)
            assert heard == {"b": [b"three"]}

    play(story, "a", "b")


def test_a_subscriber_that_does_not_read_loses_messages_and_that_is_counted() -> None:
    async def story(world: World) -> None:
        world.dial("a", "b")
        async with world["b"].gossip.subscribe(TOPIC, 3) as messages, listening(world, "b") as heard:
            await trio.sleep(2)
            for number in range(10):
                await world["a"].gossip.publish(TOPIC, b"%d" % number)
            await trio.sleep(1)
            assert world["b"].gossip.undelivered == 7
            assert [messages.receive_nowait().data for _ in range(3)] == [b"0", b"1", b"2"]
            assert len(heard["b"]) == 10, "others are not affected"

    play(story, "a", "b")


def test_what_cannot_be_published_is_an_error_of_the_caller() -> None:
    async def story(world: World) -> None:
        for topic, data in (("", b""), (TOPIC, bytes(1 << 20))):
            with pytest.raises(LocalError):
                await world["a"].gossip.publish(topic, data)
        with pytest.raises(LocalError):
            async with world["a"].gossip.subscribe("x" * 300):
                pass

    play(story, "a")


def test_a_lost_connection_is_forgotten_and_a_new_one_takes_over() -> None:
    async def story(world: World) -> None:
        world.dial("a", "b")
        world.dial("a", "b")
        async with listening(world, "a", "b") as heard:
            await trio.sleep(2)
            assert len(world["a"].connections) == 2
            first = world["a"].connections[0]
            await first.aclose()
            await trio.sleep(3)
            await world["b"].gossip.publish(TOPIC, b"over the other one")
            await trio.sleep(1)
            assert heard["a"] == [b"over the other one"]
            await world["a"].connections[1].aclose()
            await trio.sleep(1)
            assert world["b"].gossip.router.subscribers(TOPIC) == ()
            assert world["b"].ended == [None, None]

    play(story, "a", "b")


async def raw_stream(world: World, far: str) -> Stream:
    """A stream of a peer called `raw` that speaks for itself."""
    channel = NoiseChannel(signer_of("raw"), KeyedRng(b"raw"), MESHSUB_PROTOCOLS)
    member = world["raw"]
    upgrader = Upgrader([], member.clock, BufferPool(), Limits())
    stream = await member.host.dial(Multiaddr.tcp(world[far].host.ip, 4001))
    connection = await upgrader.outbound(stream, channel)

    async def swallow(_protocol: str, stream: Stream) -> None:
        while await stream.receive(1 << 16):
            pass

    world.nursery.start_soon(connection.run, swallow, MESHSUB_PROTOCOLS)
    return await connection.open_stream(MESHSUB_PROTOCOLS)


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 20, encode_varint(1 << 21), b"\x05junk!", b"\x80\x80\x80\x80\x01"],
    ids=["no varint", "too long", "no RPC", "length of five bytes"],
)
def test_a_garbage_frame_ends_the_connection_of_its_sender_only(garbage: bytes) -> None:
    async def story(world: World) -> None:
        world.dial("a", "b")
        async with listening(world, "a", "b") as heard:
            stream = await raw_stream(world, "a")
            await stream.send_all(garbage)
            await trio.sleep(2)
            assert world["a"].ended == [GossipReason.MALFORMED]
            assert world["a"].connections[-1].ended is not None or world["a"].connections[0].ended is not None
            await world["b"].gossip.publish(TOPIC, b"still here")
            await trio.sleep(1)
            assert heard["a"] == [b"still here"]

    play(story, "a", "b", "raw")


def test_rpcs_cut_anywhere_are_put_together() -> None:
    async def story(world: World) -> None:
        async with listening(world, "a") as heard:
            stream = await raw_stream(world, "a")
            frames = b"".join(Rpc((message_of("raw", number),)).frame for number in range(3))
            for offset in range(0, len(frames), 7):
                await stream.send_all(frames[offset : offset + 7])
                await trio.sleep(0.01)
            await trio.sleep(1)
            assert heard["a"] == [b"data"] * 3

    play(story, "a", "raw")


def test_a_peer_that_does_not_read_is_dropped_from_and_others_are_not() -> None:
    """Its window and queue fill up; messages for it are dropped, control frames end it."""

    async def story(world: World) -> None:
        channel = NoiseChannel(signer_of("raw"), KeyedRng(b"raw"), MESHSUB_PROTOCOLS)
        upgrader = Upgrader([], world["raw"].clock, BufferPool(), Limits())
        dialled = await world["raw"].host.dial(Multiaddr.tcp(world["a"].host.ip, 4001))
        connection = await upgrader.outbound(dialled, channel)

        async def deaf(_protocol: str, stream: Stream) -> None:
            await trio.sleep_forever()

        world.nursery.start_soon(connection.run, deaf, MESHSUB_PROTOCOLS)
        stream = await connection.open_stream(MESHSUB_PROTOCOLS)
        await stream.send_all(Rpc(subscriptions=((TOPIC, True),)).frame)
        world.dial("a", "b")
        async with listening(world, "a", "b") as heard:
            await trio.sleep(2)
            for number in range(60):
                await world["a"].gossip.publish(TOPIC, b"%d" % number + bytes(400_000))
                await trio.sleep(0.05)
            await trio.sleep(2)
            assert len(heard["b"]) == 60
            for number in range(GossipBounds().control_frames):
                async with world["a"].gossip.subscribe(f"topic {number}"):
                    await trio.lowlevel.checkpoint()
            await trio.sleep(1)
            assert GossipReason.QUEUE_FULL in world["a"].ended

    play(story, "a", "b", "raw")


async def test_only_so_many_rpcs_wait_for_the_router_and_its_own_events_never_do(autojump_clock: MockClock) -> None:
    inbox, rpc = Inbox(), RpcReceived(peer_of("peer"), b"")
    for _ in range(INBOX_RPCS):
        assert inbox.post_rpc(rpc)
    assert not inbox.post_rpc(rpc)
    with trio.move_on_after(1) as patience:
        await inbox.room()
    assert patience.cancelled_caught
    inbox.post(PeerDisconnected(peer_of("peer")))
    assert inbox.pop() is rpc
    await inbox.room()
    assert inbox.post_rpc(rpc)
    assert not inbox.post_rpc(rpc)
    events = [inbox.pop() for _ in range(INBOX_RPCS + 2)]
    assert events[-3:] == [PeerDisconnected(peer_of("peer")), rpc, None]


def test_a_channel_without_a_transport_key_cannot_gossip() -> None:
    async def story(world: World) -> None:
        ends = await connected()
        object.__setattr__(ends.dialler, "transport_key", b"")
        with pytest.raises(LocalError):
            await world["a"].gossip.attend(ends.dialler, outbound=True)

    play(story, "a")
