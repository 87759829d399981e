# pyright: reportPrivateUsage=false
"""`/noise` as a secure channel: who is believed, what is refused, and what its connections never carry."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Final

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from latticework.transport import (
    IDENTIFY_PROTOCOL,
    NOISE_PROTOCOL,
    PING_PROTOCOL,
    YAMUX_PROTOCOL,
    BufferPool,
    Connection,
    ConnectionEnded,
    EndKind,
    Established,
    HandshakeAction,
    HandshakeError,
    HandshakeMachine,
    Identity,
    Limits,
    NoiseChannel,
    PeerId,
    ProtocolRefusedError,
    Refuse,
    SecureChannel,
    SendMessage,
    Stream,
    Upgrader,
    answer_identify,
    answer_pings,
    ping,
    request_identify,
)
from latticework.transport import yamux_frames as frames
from latticework.transport.multistream import HEADER, frame
from latticework.transport.noise_cipher import NOISE_FRAMING
from latticework.transport.noise_payload import choose_muxer, encode_payload, verify_payload
from latticework.transport.noise_state import PatternXX
from latticework.transport.params import NOISE_MAX_HANDSHAKE_BYTES, RECORD_MAX_BYTES, SEAL_SLACK_BYTES
from latticework.transport.pb.noise_pb2 import NoiseExtensions, NoiseHandshakePayload
from latticework.transport.peer_id import encode_public_key
from latticework.transport.record_io import RecordReader
from latticework.wire import LocalError, MalformedError, PeerError
from latticework.wire.signing import Ed25519Signer

from .fakes import MemoryByteStream, PlainChannel, TrioClock, stream_pair

ECHO: Final = "/test/echo/1"
PROTOCOLS: Final = (IDENTIFY_PROTOCOL, PING_PROTOCOL, ECHO)
PRIVATE: Final = ("/lattice/sync/1", "/lattice/chunks/1", "/lattice/pair/1")
ALICE: Final = Ed25519Signer(b"a" * 32)
BOB: Final = Ed25519Signer(b"b" * 32)
STATIC: Final = X25519PrivateKey.from_private_bytes(b"s" * 32)
STATIC_PUBLIC: Final = STATIC.public_key().public_bytes_raw()


@dataclass
class CountingRng:
    """Different bytes at each call."""

    start: int
    calls: list[int] = field(default_factory=list[int])

    def random_bytes(self, count: int) -> bytes:
        self.calls.append(count)
        return hashlib.sha256(bytes([self.start, len(self.calls)])).digest()[:count]


def channel(signer: Ed25519Signer, start: int = 1) -> NoiseChannel:
    return NoiseChannel(signer, CountingRng(start), PROTOCOLS)


def sent(actions: list[HandshakeAction]) -> bytes:
    match actions[0]:
        case SendMessage(message):
            return message
        case other:
            raise AssertionError(other)


def refusal(actions: list[HandshakeAction]) -> str:
    match actions:
        case [Refuse(code, _)]:
            return code
        case other:
            raise AssertionError(other)


def established(actions: list[HandshakeAction]) -> Established:
    match actions[-1]:
        case Established() as result:
            return result
        case other:
            raise AssertionError(other)


def machines(
    initiator: NoiseChannel | None = None, responder: NoiseChannel | None = None
) -> tuple[HandshakeMachine, HandshakeMachine]:
    return (initiator or channel(ALICE)).initiate(), (responder or channel(BOB, 2)).respond()


# The handshake


@pytest.mark.unit
def test_each_end_learns_the_others_peer_id_and_both_agree_on_yamux() -> None:
    one, two = machines()
    second = sent(two.handle(sent(one.start()), 0))
    third = one.handle(second, 0)
    near, far = established(third), established(two.handle(sent(third), 0))
    assert near.remote == PeerId.of_key(BOB.public).multihash
    assert far.remote == PeerId.of_key(ALICE.public).multihash
    assert (near.transport_key, far.transport_key) == (BOB.public, ALICE.public)
    assert near.muxer == far.muxer == YAMUX_PROTOCOL
    assert near.algorithms.protocol == NOISE_PROTOCOL
    assert near.records.export(b"x", 16) == far.records.export(b"x", 16)


@pytest.mark.unit
def test_the_static_key_lives_as_long_as_the_channel_and_ephemeral_ones_for_one_handshake() -> None:
    rng = CountingRng(1)
    noise = NoiseChannel(ALICE, rng, PROTOCOLS)
    firsts = {sent(noise.initiate().start()) for _ in range(3)}
    assert len(firsts) == 3
    assert rng.calls == [32] * 4


@pytest.mark.unit
@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_first_message_that_is_cut_is_refused(length: int) -> None:
    one, two = machines()
    assert refusal(two.handle(sent(one.start())[:length], 0)) == "malformed"


@pytest.mark.unit
def test_a_payload_in_the_first_message_is_skipped() -> None:
    one, two = machines()
    pattern = PatternXX(STATIC, X25519PrivateKey.from_private_bytes(b"e" * 32), initiator=True)
    second = sent(two.handle(pattern.write(b"early data"), 0))
    assert verify_payload(pattern.read(second), pattern.remote_static).transport_key == BOB.public
    del one


@pytest.mark.unit
@pytest.mark.parametrize("cut", [1, 16, 64, 200])
def test_a_second_message_that_is_cut_is_refused(cut: int) -> None:
    one, two = machines()
    second = sent(two.handle(sent(one.start()), 0))
    assert refusal(one.handle(second[:-cut], 0)) in {"malformed", "noise"}


@pytest.mark.unit
def test_a_second_message_of_another_handshake_is_refused() -> None:
    one, two = machines()
    replayed = sent(two.handle(sent(one.start()), 0))
    other = channel(ALICE, 7).initiate()
    other.start()
    assert refusal(other.handle(replayed, 0)) == "noise"


@pytest.mark.unit
def test_a_third_message_of_another_handshake_is_refused() -> None:
    alice, bob = channel(ALICE), channel(BOB, 2)
    one, two = alice.initiate(), bob.respond()
    three, four = alice.initiate(), bob.respond()
    replayed = sent(one.handle(sent(two.handle(sent(one.start()), 0)), 0))
    four.handle(sent(three.start()), 0)
    assert refusal(four.handle(replayed, 0)) == "noise"
    established(two.handle(replayed, 0))


@pytest.mark.unit
def test_messages_out_of_turn_are_refused_and_starting_twice_is_a_bug() -> None:
    one, two = machines()
    assert refusal(channel(ALICE).initiate().handle(bytes(32), 0)) == "order"
    first = sent(one.start())
    with pytest.raises(LocalError):
        one.start()
    third = one.handle(sent(two.handle(first, 0)), 0)
    established(two.handle(sent(third), 0))
    assert refusal(one.handle(b"more", 0)) == refusal(two.handle(b"more", 0)) == "order"
    assert one.max_message_bytes == two.max_message_bytes == 0


@pytest.mark.unit
def test_a_handshake_that_failed_stays_failed() -> None:
    one, two = machines()
    second = sent(two.handle(sent(one.start()), 0))
    assert refusal(one.handle(bytes(len(second)), 0)) == "low-order"
    assert refusal(one.handle(second, 0)) == "order"


@pytest.mark.unit
def test_another_peer_than_the_dialled_one_is_refused_before_it_learns_who_we_are() -> None:
    alice, bob = channel(ALICE), channel(BOB, 2)
    expected = alice.expecting(PeerId.of_key(ALICE.public))
    one, two = expected.initiate(), bob.respond()
    assert refusal(one.handle(sent(two.handle(sent(one.start()), 0)), 0)) == "other-peer"
    right = alice.expecting(PeerId.of_key(BOB.public))
    one, two = right.initiate(), bob.respond()
    established(one.handle(sent(two.handle(sent(one.start()), 0)), 0))
    assert str(PeerId.of_key(BOB.public)) in repr(right)
    assert right.respond().max_message_bytes == NOISE_MAX_HANDSHAKE_BYTES


# Payloads


def reply(body: bytes) -> list[HandshakeAction]:
    """What the initiator does with a responder whose payload is `body`."""
    one = channel(ALICE).initiate()
    pattern = PatternXX(STATIC, X25519PrivateKey.from_private_bytes(b"e" * 32), initiator=False)
    pattern.read(sent(one.start()))
    return one.handle(pattern.write(body), 0)


def payload(key: bytes, signature: bytes, muxers: list[str] | None = None) -> bytes:
    extensions = None if muxers is None else NoiseExtensions(stream_muxers=muxers)
    return NoiseHandshakePayload(identity_key=key, identity_sig=signature, extensions=extensions).SerializeToString()


GOOD_SIGNATURE: Final = BOB.sign_raw(b"noise-libp2p-static-key:" + STATIC_PUBLIC)
BOB_KEY: Final = encode_public_key(BOB.public)


@pytest.mark.unit
def test_the_payload_of_the_specification_is_accepted_with_and_without_extensions() -> None:
    assert established(reply(payload(BOB_KEY, GOOD_SIGNATURE))).muxer == ""
    assert established(reply(payload(BOB_KEY, GOOD_SIGNATURE, []))).muxer == ""
    assert (
        established(reply(payload(BOB_KEY, GOOD_SIGNATURE, ["/mplex/6.7.0", YAMUX_PROTOCOL]))).muxer == YAMUX_PROTOCOL
    )
    unknown = payload(BOB_KEY, GOOD_SIGNATURE) + b"\x7a\x03abc"
    assert established(reply(unknown)).transport_key == BOB.public


@pytest.mark.unit
@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "malformed", id="no payload"),
        pytest.param(b"\xff" * 40, "malformed", id="no protobuf"),
        pytest.param(payload(BOB_KEY, GOOD_SIGNATURE)[:-1], "malformed", id="cut"),
        pytest.param(payload(b"", GOOD_SIGNATURE), "malformed", id="no key"),
        pytest.param(payload(BOB_KEY[:-1], GOOD_SIGNATURE), "malformed", id="short key"),
        pytest.param(payload(b"\x08\x01\x12\x21" + BOB.public + b"\x00", GOOD_SIGNATURE), "malformed", id="long key"),
        pytest.param(payload(BOB_KEY, b""), "identity", id="no signature"),
        pytest.param(payload(BOB_KEY, GOOD_SIGNATURE[:-1]), "identity", id="short signature"),
        pytest.param(payload(BOB_KEY, BOB.sign_raw(STATIC_PUBLIC)), "identity", id="signature without the prefix"),
        pytest.param(
            payload(BOB_KEY, BOB.sign_raw(b"noise-libp2p-static-key:" + bytes(32))), "identity", id="another static key"
        ),
        pytest.param(payload(encode_public_key(ALICE.public), GOOD_SIGNATURE), "identity", id="another identity"),
        pytest.param(payload(encode_public_key(bytes(32)), bytes(64)), "identity", id="identity key of small order"),
        pytest.param(payload(b"\x08\x00\x12\x20" + bytes(32), GOOD_SIGNATURE), "identity-key", id="RSA"),
        pytest.param(payload(b"\x08\x02\x12\x21" + bytes(33), GOOD_SIGNATURE), "identity-key", id="Secp256k1"),
        pytest.param(payload(b"\x08\x03\x12\x20" + bytes(32), GOOD_SIGNATURE), "identity-key", id="ECDSA"),
        pytest.param(payload(BOB_KEY, GOOD_SIGNATURE, ["/mplex/6.7.0"]), "muxer", id="no muxer in common"),
        pytest.param(payload(BOB_KEY, GOOD_SIGNATURE, ["/m"] * 17), "malformed", id="many muxers"),
        pytest.param(payload(BOB_KEY, GOOD_SIGNATURE, ["/" * 257]), "malformed", id="a long muxer"),
        pytest.param(
            payload(BOB_KEY, GOOD_SIGNATURE) + b"\x22\x04\x12\x02\xff\xfe", "muxer", id="a muxer that is no text"
        ),
    ],
)
def test_a_payload_that_proves_nothing_is_refused(body: bytes, code: str) -> None:
    assert refusal(reply(body)) == code


@pytest.mark.unit
def test_a_refusal_names_the_type_of_key_that_is_not_spoken() -> None:
    with pytest.raises(PeerError, match="RSA; only Ed25519"):
        verify_payload(payload(b"\x08\x00\x12\x20" + bytes(32), b""), STATIC_PUBLIC)


@pytest.mark.unit
def test_the_initiators_order_decides_the_muxer() -> None:
    assert choose_muxer(["/a", "/b"], ["/b", "/a"]) == "/a"
    assert not choose_muxer([], ["/a"])
    assert not choose_muxer(["/a"], [])
    with pytest.raises(PeerError):
        choose_muxer(["/a"], ["/b"])


@pytest.mark.property
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(min_value=0, max_value=150), st.binary(max_size=8))
def test_no_payload_raises_anything_but_a_peer_error(noise: bytes, at: int, patch: bytes) -> None:
    good = encode_payload(BOB, STATIC_PUBLIC, [YAMUX_PROTOCOL])
    for body in (noise, good[:at] + patch + good[at + len(patch) :]):
        try:
            proof = verify_payload(body, STATIC_PUBLIC)
        except PeerError:
            continue
        assert proof.transport_key == BOB.public


@pytest.mark.property
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_message_raises_out_of_the_machine(message: bytes) -> None:
    one, two = machines()
    one.start()
    assert refusal(one.handle(message, 0))
    if len(message) < 32:
        assert refusal(two.handle(message, 0)) == "malformed"


# Records on a stream


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.integers(1, 600), st.integers(60_000, 262_076)), min_size=1, max_size=4),
    st.lists(st.integers(1, 70_000), min_size=1, max_size=8),
    st.integers(0, 40),
)
def test_records_cut_anywhere_arrive_whole_and_in_order(sizes: list[int], cuts: list[int], early: int) -> None:
    """`early` bytes came behind the handshake; the rest arrives in pieces of `cuts` and long ones, over and over."""
    one, two = machines()
    third = one.handle(sent(two.handle(sent(one.start()), 0)), 0)
    near, far = established(third).records, established(two.handle(sent(third), 0)).records
    plaintext = b"".join(bytes([number + 1]) * size for number, size in enumerate(sizes))
    out = memoryview(bytearray(RECORD_MAX_BYTES + SEAL_SLACK_BYTES))
    sealed = b""
    for number, size in enumerate(sizes):
        sealed += bytes(out[: near.seal_into(bytes([number + 1]) * size, out, 0)])

    async def work() -> None:
        reading, writing = stream_pair()
        pool = BufferPool()
        reader = RecordReader(reading, far, NOISE_FRAMING, pool, sealed[:early])

        async def send() -> None:
            offset = early
            for cut in cycle([*cuts, 50_000]):
                if offset >= len(sealed):
                    break
                await writing.send_all(sealed[offset : offset + cut])
                offset += cut
            writing.outbox.close()

        opened = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while (record := await reader.next()) is not None:
                opened += record
        assert opened == plaintext
        reader.close()
        assert pool.leased_bytes == 0

    trio.run(work, clock=MockClock(autojump_threshold=0))


# Connections


@dataclass
class Run:
    """Two connections that run until the test is done."""

    dialler: Connection
    listener: Connection
    dialler_stream: MemoryByteStream
    listener_stream: MemoryByteStream
    ended: list[ConnectionEnded] = field(default_factory=list[ConnectionEnded])


async def serve(protocol: str, stream: Stream) -> None:
    if protocol == PING_PROTOCOL:
        await answer_pings(stream)
    elif protocol == IDENTIFY_PROTOCOL:
        await answer_identify(stream, Identity(BOB.public, "test", PROTOCOLS, (), None))
    else:
        while piece := await stream.receive(1 << 20):
            await stream.send_all(piece)


async def connected(
    work: Callable[[Run], Awaitable[None]],
    dialling: SecureChannel | None = None,
    *,
    offered: tuple[str, ...] = PROTOCOLS,
) -> Run:
    near, far = stream_pair()
    upgraders = [Upgrader([channel(BOB, 2)], TrioClock(), BufferPool(), Limits()) for _ in range(2)]
    found: list[Connection] = []

    async def dial() -> None:
        found.append(await upgraders[0].outbound(near, dialling or channel(ALICE)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        accepted = await upgraders[1].inbound(far)
    run = Run(found[0], accepted, near, far)

    async def keep(connection: Connection) -> None:
        run.ended.append(await connection.run(serve, offered))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep, run.dialler)
        nursery.start_soon(keep, run.listener)
        await work(run)
        nursery.cancel_scope.cancel()
    return run


@pytest.mark.unit
async def test_identify_ping_and_a_megabyte_go_through(autojump_clock: MockClock) -> None:
    async def work(run: Run) -> None:
        async with await run.dialler.open_stream([IDENTIFY_PROTOCOL]) as stream:
            assert (await request_identify(stream, run.dialler.transport_key)).agent == "test"
        async with await run.dialler.open_stream([PING_PROTOCOL]) as stream:
            assert await ping(stream, CountingRng(3), TrioClock()) >= 0
        data = bytes(range(256)) * 4096
        async with await run.dialler.open_stream([ECHO]) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            assert await stream.receive_exactly(len(data)) == data
        assert run.dialler.protocol == NOISE_PROTOCOL

    await connected(work)


@pytest.mark.unit
@pytest.mark.parametrize("protocol", PRIVATE)
async def test_a_noise_connection_that_asks_for_our_own_protocols_gets_na(
    protocol: str, autojump_clock: MockClock
) -> None:
    """Even where the node's own table lists them; and asking for them is refused here already."""

    async def work(run: Run) -> None:
        run.dialler._allowed = None
        with pytest.raises(ProtocolRefusedError, match="does not speak"):
            await run.dialler.open_stream([protocol])
        with pytest.raises(LocalError, match="never carry"):
            await run.listener.open_stream([protocol])
        with pytest.raises(LocalError, match="never carry"):
            await run.listener.open_stream([PING_PROTOCOL, protocol])
        async with await run.dialler.open_stream([protocol, PING_PROTOCOL]) as stream:
            assert stream.protocol == PING_PROTOCOL

    await connected(work, offered=(*PRIVATE, *PROTOCOLS))


@pytest.mark.unit
@pytest.mark.parametrize("protocol", PRIVATE)
def test_a_noise_channel_cannot_even_be_made_for_our_own_protocols(protocol: str) -> None:
    with pytest.raises(LocalError, match="never carries"):
        NoiseChannel(ALICE, CountingRng(1), (PING_PROTOCOL, protocol))


@pytest.mark.unit
async def test_closing_says_goodbye_and_the_other_end_knows(autojump_clock: MockClock) -> None:
    async def work(run: Run) -> None:
        await wait_all_tasks_blocked()
        await run.dialler.aclose()
        await trio.sleep(2)

    run = await connected(work)
    assert {ended.kind for ended in run.ended} == {EndKind.CLOSED_HERE, EndKind.CLOSED_BY_PEER}


@pytest.mark.unit
@pytest.mark.parametrize("last", [b"", b"\x00", b"\x00\x20", b"\x00\x20" + bytes(31)])
async def test_an_end_without_a_goodbye_is_told_from_a_close(last: bytes, autojump_clock: MockClock) -> None:
    async def work(run: Run) -> None:
        await run.dialler_stream.send_all(last)
        run.dialler_stream.outbox.close()
        await trio.sleep(2)
        assert run.listener.ended is not None
        assert run.listener.ended.kind is EndKind.TRUNCATED

    await connected(work)


@pytest.mark.unit
@pytest.mark.parametrize(
    "noise", [b"\x00\x0f" + bytes(15), b"\x00\x00", b"\x00\x10" + bytes(16), b"\xff\xff" + bytes(65535)]
)
async def test_forged_records_end_the_connection_only(noise: bytes, autojump_clock: MockClock) -> None:
    async def work(run: Run) -> None:
        with trio.move_on_after(5):
            await run.dialler_stream.send_all(noise)
        await trio.sleep(2)
        assert run.listener.ended is not None
        assert run.listener.ended.kind is EndKind.VIOLATION

    await connected(work)


@pytest.mark.unit
async def test_what_comes_after_the_close_is_not_delivered(autojump_clock: MockClock) -> None:
    """A go-away is no end of reading: streams finish, and new ones are refused by a reset."""

    async def work(run: Run) -> None:
        run.dialler._submit(frames.ShutDown(frames.GoAwayCode.NORMAL))
        await trio.sleep(1)
        proposal = frame(HEADER) + frame(ECHO)
        plaintext = frames.HEADER.pack(0, frames.DATA, frames.SYN, 101, len(proposal)) + proposal
        sealed = memoryview(bytearray(len(plaintext) + 96))
        await run.dialler_stream.send_all(sealed[: run.dialler._records.seal_into(plaintext, sealed, 0)])
        await trio.sleep(1)
        assert run.listener._machine.stream_count == 0

    await connected(work)


@pytest.mark.unit
async def test_the_wrong_peer_behind_an_address_is_refused(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    expecting = channel(ALICE).expecting(PeerId.of_key(ALICE.public))
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            with pytest.raises(PeerError):
                await Upgrader([channel(BOB, 2)], TrioClock(), BufferPool(), Limits()).inbound(far)

        nursery.start_soon(accept)
        with pytest.raises(HandshakeError) as caught:
            await Upgrader([], TrioClock(), BufferPool(), Limits()).outbound(near, expecting)
    assert caught.value.code == "other-peer"
    assert near.closed


@pytest.mark.unit
async def test_a_handshake_message_that_is_too_long_is_refused_before_it_is_read(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    hello = frame(HEADER) + frame(NOISE_PROTOCOL)
    await far.send_all(hello + (NOISE_MAX_HANDSHAKE_BYTES + 1).to_bytes(2, "big"))
    with pytest.raises(MalformedError, match="at most 4096"):
        await Upgrader([channel(BOB, 2)], TrioClock(), BufferPool(), Limits()).inbound(near)


def old(signer: Ed25519Signer, start: int) -> NoiseChannel:
    """The channel of a peer that knows no early muxer negotiation."""
    noise = channel(signer, start)
    static = noise._terms.static.public_key().public_bytes_raw()
    noise._terms = replace(noise._terms, payload=encode_payload(signer, static, ()), muxers=())
    return noise


@pytest.mark.unit
@pytest.mark.parametrize(("old_dials", "old_listens"), [(True, False), (False, True), (True, True)])
async def test_with_a_peer_that_names_no_muxer_yamux_is_agreed_inside_the_records(
    autojump_clock: MockClock, *, old_dials: bool, old_listens: bool
) -> None:
    near, far = stream_pair()
    dialling = old(ALICE, 1) if old_dials else channel(ALICE)
    listening = old(BOB, 2) if old_listens else channel(BOB, 2)
    heard: list[str] = []

    async def handle(protocol: str, stream: Stream) -> None:
        heard.append(protocol)
        await serve(protocol, stream)

    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            connection = await Upgrader([listening], TrioClock(), BufferPool(), Limits()).inbound(far)
            await connection.run(handle, PROTOCOLS)

        nursery.start_soon(accept)
        connection = await Upgrader([], TrioClock(), BufferPool(), Limits()).outbound(near, dialling)
        nursery.start_soon(connection.run, serve, ())
        async with await connection.open_stream([PING_PROTOCOL]) as stream:
            await ping(stream, CountingRng(3), TrioClock())
        await connection.aclose()
    assert heard == [PING_PROTOCOL]


@pytest.mark.unit
async def test_a_connection_that_is_never_run_gives_its_buffer_back(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    pools = BufferPool(), BufferPool()
    found: list[Connection] = []

    async def accept() -> None:
        found.append(await Upgrader([channel(BOB, 2)], TrioClock(), pools[1], Limits()).inbound(far))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        found.append(await Upgrader([], TrioClock(), pools[0], Limits()).outbound(near, old(ALICE, 1)))
    for connection in found:
        await connection.aclose()
    assert [pool.leased_bytes for pool in pools] == [0, 0]


@pytest.mark.unit
async def test_a_peer_that_speaks_no_yamux_is_refused_inside_the_records(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    one = old(ALICE, 1).initiate()
    caught: list[PeerError] = []
    pool = BufferPool()

    async def accept() -> None:
        try:
            await Upgrader([channel(BOB, 2)], TrioClock(), pool, Limits()).inbound(near)
        except PeerError as error:
            caught.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await far.send_all(frame(HEADER) + frame(NOISE_PROTOCOL) + framed(sent(one.start())))
        answer = bytearray(1024)
        got = 0
        while got < 200:
            got += await far.receive_into(memoryview(answer)[got:])
        hello = frame(HEADER) + frame(NOISE_PROTOCOL)
        actions = one.handle(bytes(answer[len(hello) + 2 : got]), 0)
        records = established(actions).records
        sealed = memoryview(bytearray(2000))
        count = records.seal_into(frame(HEADER) + frame("/mplex/6.7.0") * 16, sealed, 0)
        await far.send_all(framed(sent(actions)) + bytes(sealed[:count]))
    assert isinstance(caught[0], ProtocolRefusedError)
    assert near.closed
    assert pool.leased_bytes == 0


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


@pytest.mark.unit
async def test_a_node_that_offers_pqx_only_answers_noise_with_na(autojump_clock: MockClock) -> None:
    near, far = stream_pair()
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            with pytest.raises(PeerError):
                await Upgrader([PlainChannel(b"device")], TrioClock(), BufferPool(), Limits()).inbound(far)

        nursery.start_soon(accept)
        with pytest.raises(ProtocolRefusedError):
            await Upgrader([], TrioClock(), BufferPool(), Limits()).outbound(near, channel(ALICE))
