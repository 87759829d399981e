from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from latticework.transport import (
    IDENTIFY_PROTOCOL,
    PING_PROTOCOL,
    Connection,
    Identity,
    Multiaddr,
    Stream,
    answer_identify,
    answer_pings,
    ping,
    request_identify,
)
from latticework.transport.identify import decode_identity, encode_identity
from latticework.transport.pb.identify_pb2 import Identify
from latticework.transport.varint import decode_varint, encode_varint
from latticework.wire import MalformedError, PeerError

from .fakes import TrioClock, connected

US = Identity(
    transport_key=b"k" * 32,
    agent="latticework/0.1",
    protocols=("/a/1", "/b/1"),
    addresses=(Multiaddr.tcp("10.0.0.1", 4001), Multiaddr.memory(4)),
    observed=Multiaddr.tcp("::1", 5),
)
LIAR = b"liar"


class Zeros:
    def random_bytes(self, count: int) -> bytes:
        return bytes(count)


def body(identity: Identity) -> bytes:
    encoded = encode_identity(identity)
    prefix = decode_varint(encoded)
    assert prefix is not None
    return encoded[prefix[1] :]


@pytest.mark.unit
def test_an_identity_survives_the_wire() -> None:
    assert decode_identity(body(US)) == US


@pytest.mark.unit
@pytest.mark.parametrize(
    "message",
    [
        Identify(public_key=b""),
        Identify(public_key=b"\x08\x00\x12\x20" + bytes(32)),
        Identify(public_key=b"\x08\x01\x12\x20" + bytes(32), protocols=["/x"] * 129),
        Identify(public_key=b"\x08\x01\x12\x20" + bytes(32), protocols=["x" * 257]),
        Identify(public_key=b"\x08\x01\x12\x20" + bytes(32), agent_version="\x1b[31mred"),
        Identify(public_key=b"\x08\x01\x12\x20" + bytes(32), listen_addrs=[b"\x04"] * 33),
        Identify(public_key=b"\x08\x01\x12\x20" + bytes(32), signed_peer_record=bytes(9000)),
    ],
    ids=["no key", "RSA key", "129 protocols", "long protocol", "control characters", "33 addresses", "9000 bytes"],
)
def test_messages_out_of_bounds_are_refused(message: Identify) -> None:
    with pytest.raises(MalformedError):
        decode_identity(message.SerializeToString())


@pytest.mark.unit
def test_addresses_of_unknown_kinds_are_left_out() -> None:
    quic = Multiaddr.parse("/ip4/1.2.3.4/udp/1").to_bytes() + encode_varint(461)
    message = Identify(
        public_key=b"\x08\x01\x12\x20" + b"k" * 32,
        listen_addrs=[quic, Multiaddr.memory(4).to_bytes(), b"junk"],
        observed_addr=b"junk",
    )
    identity = decode_identity(message.SerializeToString())
    assert identity.addresses == (Multiaddr.memory(4),)
    assert identity.observed is None


@pytest.mark.property
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    for message in (data, b"\x0a\x24\x08\x01\x12\x20" + bytes(32) + data):
        try:
            decode_identity(message)
        except MalformedError:
            continue


@asynccontextmanager
async def dialled() -> AsyncGenerator[Connection]:
    ends = await connected()

    async def handle(protocol: str, stream: Stream) -> None:
        match protocol:
            case "/ipfs/id/1.0.0":
                await answer_identify(stream, US)
            case "/ipfs/ping/1.0.0":
                await answer_pings(stream)
            case "/endless":
                await stream.send_all(b"\xff" * 100)
            case "/huge":
                await stream.send_all(encode_varint(1 << 40))
            case "/short":
                await stream.send_all(b"\x50\x0a")
            case _:
                await stream.send_all(b"?" * 32)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.dialler.run, handle, ())
        protocols = [IDENTIFY_PROTOCOL, PING_PROTOCOL, "/endless", "/huge", "/short", "/liar"]
        nursery.start_soon(ends.listener.run, handle, protocols)
        yield ends.dialler
        nursery.cancel_scope.cancel()


@pytest.mark.unit
async def test_a_peer_tells_who_it_is(autojump_clock: MockClock) -> None:
    async with dialled() as connection:
        stream = await connection.open_stream([IDENTIFY_PROTOCOL])
        assert await request_identify(stream, b"k" * 32) == US


@pytest.mark.unit
async def test_a_key_that_the_handshake_did_not_prove_is_refused(autojump_clock: MockClock) -> None:
    async with dialled() as connection:
        stream = await connection.open_stream([IDENTIFY_PROTOCOL])
        with pytest.raises(MalformedError):
            await request_identify(stream, b"x" * 32)


@pytest.mark.unit
@pytest.mark.parametrize("protocol", ["/endless", "/huge", "/short"])
async def test_answers_without_bounds_are_refused(protocol: str, autojump_clock: MockClock) -> None:
    async with dialled() as connection:
        stream = await connection.open_stream([protocol])
        with pytest.raises(PeerError):
            await request_identify(stream, b"")


@pytest.mark.unit
async def test_a_ping_tells_the_round_trip_time_and_can_be_repeated(autojump_clock: MockClock) -> None:
    async with dialled() as connection:
        stream = await connection.open_stream([PING_PROTOCOL])
        for _ in range(3):
            assert await ping(stream, Zeros(), TrioClock()) == 0


@pytest.mark.unit
async def test_a_ping_that_comes_back_changed_is_an_error(autojump_clock: MockClock) -> None:
    async with dialled() as connection:
        stream = await connection.open_stream(["/liar"])
        with pytest.raises(PeerError):
            await ping(stream, Zeros(), TrioClock())


def test_a_signed_record_is_carried_as_it_is() -> None:
    assert decode_identity(body(replace(US, signed_record=b"an envelope"))).signed_record == b"an envelope"
    assert decode_identity(body(US)).signed_record == b""
