"""The wire format: round trips, bounds, what strangers may send, and signatures."""

import dataclasses
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.transport.gossip_events import Disconnect, GossipReason, RpcReceived
from latticework.transport.gossip_message import Message, Proof, SignaturePolicy, author_and_seqno, content_hash
from latticework.transport.gossip_params import GossipBounds
from latticework.transport.gossip_rpc import Prune, PxPeer, Rpc, decode_rpc
from latticework.transport.pb import rpc_pb2 as pb
from latticework.transport.peer_id import encode_public_key
from latticework.transport.varint import decode_varint, encode_varint
from latticework.wire import MalformedError

from .gossip_kit import SECOND, TOPIC, Solo, message_of, peer_of, reasons, signer_of

BOUNDS = GossipBounds()
SMALL = dataclasses.replace(BOUNDS, max_rpc_bytes=2000, max_entries_per_rpc=3, max_messages_per_rpc=2)
SIGN, NO_SIGN = SignaturePolicy.STRICT_SIGN, SignaturePolicy.STRICT_NO_SIGN

FULL = Rpc(
    subscriptions=(("a", True), ("b", False)),
    ihave=(("a", (b"1", b"2")), ("b", (b"3",))),
    iwant=(b"4", b"5"),
    graft=("a", "ü"),
    prune=(Prune("a"), Prune("b", 60 * SECOND, (PxPeer(b"peer", b"record"), PxPeer(b"bare", b"")))),
    idontwant=(b"6",),
)


@pytest.mark.unit
def test_everything_survives_the_wire() -> None:
    assert decode_rpc(FULL.encode(), BOUNDS) == FULL
    message = message_of("author", 1)
    (decoded,) = decode_rpc(Rpc((message,)).encode(), BOUNDS).messages
    fields = ("author", "data", "seqno", "topic", "signature", "key", "wire")
    assert [getattr(decoded, name) for name in fields] == [getattr(message, name) for name in fields]


@pytest.mark.unit
def test_the_bytes_are_those_of_the_specification() -> None:
    """Written out from the .proto files of libp2p/specs, not with our own module."""
    assert Rpc(subscriptions=(("t", True),)).encode().hex() == "0a050801120174"
    assert Rpc(graft=("t",)).encode().hex() == "1a051a030a0174"
    assert Rpc(prune=(Prune("t", 60 * SECOND),)).encode().hex() == "1a0722050a0174183c"
    assert Rpc(ihave=(("t", (b"id",)),)).encode().hex() == "1a090a070a017412026964"
    assert Rpc(iwant=(b"id",)).encode().hex() == "1a0612040a026964"
    assert Rpc(idontwant=(b"id",)).encode().hex() == "1a062a040a026964"
    assert Rpc((Message.anonymous("t", b"d"),)).encode().hex() == "1206" + "120164220174"
    assert Rpc(graft=("t",)).frame.hex() == "07" + "1a051a030a0174"


@pytest.mark.unit
def test_a_signature_covers_the_first_four_fields_behind_the_prefix() -> None:
    message = message_of("author", 5, b"d", "t")
    author = peer_of("author").multihash
    body = b"\x0a\x26" + author + b"\x12\x01d" + b"\x1a\x08" + (5).to_bytes(8, "big") + b"\x22\x01t"
    assert message.wire == body + b"\x2a\x40" + signer_of("author").sign_raw(b"libp2p-pubsub:" + body)
    assert author_and_seqno(message) == author + bytes(7) + b"\x05"
    assert content_hash(message) == hashlib.sha256(b"d").digest()


def decoded(**fields: bytes) -> Message:
    message = Message.decode(pb.Message(**fields).SerializeToString(), 256)
    assert message is not None
    return message


def signed_by(name: str, author: bytes, **extra: bytes) -> Message:
    fields = {"author": author, "data": b"d", "seqno": bytes(8), "topic": b"t"}
    body = pb.Message(**fields).SerializeToString()
    return decoded(**fields, signature=signer_of(name).sign_raw(b"libp2p-pubsub:" + body), **extra)


def hashed_id(name: str) -> bytes:
    return b"\x12\x20" + hashlib.sha256(encode_public_key(signer_of(name).public)).digest()


KEY = encode_public_key(signer_of("a").public)
ID = peer_of("a").multihash
RSA_KEY = bytes.fromhex("08001203") + b"rsa"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("message", "proof"),
    [
        (signed_by("a", ID), Proof.GOOD),
        (signed_by("a", ID, key=KEY), Proof.GOOD),
        (signed_by("a", hashed_id("a"), key=KEY), Proof.GOOD),
        (signed_by("a", hashed_id("a")), Proof.FORGED),
        (signed_by("a", hashed_id("b"), key=KEY), Proof.FORGED),
        (signed_by("b", ID), Proof.FORGED),
        (signed_by("b", ID, key=encode_public_key(signer_of("b").public)), Proof.FORGED),
        (signed_by("a", ID, key=RSA_KEY), Proof.FORGED),
        (signed_by("a", hashed_id("a"), key=RSA_KEY), Proof.UNSUPPORTED),
        (signed_by("a", b"\x00\x25\x08\x02\x12\x21" + bytes(33)), Proof.UNSUPPORTED),
        (decoded(author=ID, data=b"d", seqno=bytes(8), topic=b"t"), Proof.FORGED),
        (decoded(author=ID, data=b"d", seqno=bytes(8), topic=b"t", signature=bytes(64)), Proof.FORGED),
        (decoded(author=ID, data=b"d", seqno=bytes(8), topic=b"t", signature=b"short"), Proof.FORGED),
        (decoded(data=b"d", seqno=bytes(8), topic=b"t", signature=bytes(64)), Proof.UNSUPPORTED),
        (decoded(author=ID, data=b"d", seqno=bytes(7), topic=b"t", signature=bytes(64)), Proof.FORGED),
    ],
    ids=[
        "key in the id",
        "key attached too",
        "hashed id with its key",
        "hashed id without a key",
        "key of another id",
        "signed by another",
        "signed by another with its key",
        "RSA key for an Ed25519 id",
        "RSA key",
        "secp256k1 id",
        "no signature",
        "zero signature",
        "short signature",
        "no author",
        "short number",
    ],
)
def test_a_message_is_good_only_if_its_author_signed_it(message: Message, proof: Proof) -> None:
    assert message.proof(SIGN) is proof
    assert message.proof(SIGN) is proof, "remembered"


@pytest.mark.unit
@pytest.mark.parametrize("field", ["author", "seqno", "signature", "key"])
def test_where_nobody_signs_no_such_field_may_be_there(field: str) -> None:
    assert decoded(data=b"d", topic=b"t").proof(NO_SIGN) is Proof.GOOD
    assert decoded(data=b"d", topic=b"t", **{field: b"x"}).proof(NO_SIGN) is Proof.FORGED


@pytest.mark.unit
def test_fields_that_no_signature_covers_do_not_travel_on() -> None:
    genuine = message_of("a", 1)
    swollen = Message.decode(genuine.wire + b"\x3a\x05extra", 256)
    assert swollen is not None
    assert swollen.proof(SIGN) is Proof.GOOD
    assert swollen.wire == genuine.wire


@pytest.mark.unit
def test_bounds_hold_before_parsing_and_while_reading() -> None:
    with pytest.raises(MalformedError, match="2001 bytes"):
        decode_rpc(bytes(2001), SMALL)
    with pytest.raises(MalformedError, match="3 messages"):
        decode_rpc(Rpc((Message.anonymous("t", b""),) * 3).encode(), SMALL)
    many = Rpc(
        subscriptions=tuple((f"{n}", True) for n in range(9)),
        ihave=tuple((f"{n}", (b"1", b"2")) for n in range(9)),
        iwant=tuple(b"%d" % n for n in range(9)),
        graft=tuple(f"{n}" for n in range(9)),
        prune=tuple(Prune(f"{n}") for n in range(9)),
        idontwant=tuple(b"%d" % n for n in range(9)),
    )
    read = decode_rpc(many.encode(), SMALL)
    assert [len(part) for part in (read.subscriptions, read.iwant, read.graft, read.prune, read.idontwant)] == [3] * 5
    assert sum(len(ids) for _, ids in read.ihave) == 3


@pytest.mark.unit
def test_entries_out_of_bounds_are_left_out() -> None:
    odd = Rpc(
        subscriptions=(("", True), ("x" * 257, True), ("t", True)),
        iwant=(b"", b"x" * 129, b"x" * 128),
        graft=("", "t"),
        prune=(Prune("t", 1 << 50, (PxPeer(b"peer", bytes(5000)),)),),
    )
    read = decode_rpc(odd.encode(), BOUNDS)
    assert read == Rpc(
        subscriptions=(("t", True),),
        iwant=(b"x" * 128,),
        graft=("t",),
        prune=(Prune("t", BOUNDS.max_backoff_us),),
    )
    rpc = pb.RPC()
    rpc.subscriptions.add(subscribe=True, topic=b"\xff")
    rpc.publish.append(pb.Message(data=b"d", topic=b"\xff").SerializeToString())
    assert decode_rpc(rpc.SerializeToString(), BOUNDS) == Rpc()


@pytest.mark.unit
@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05ab", FULL.encode()[:-1], b"\x12\x01\xff"])
def test_what_is_no_rpc_ends_the_peer(body: bytes) -> None:
    solo = Solo()
    solo.connect("peer")
    actions = solo.handle(RpcReceived(peer_of("peer"), body))
    assert actions == [Disconnect(peer_of("peer"), GossipReason.MALFORMED)]


@pytest.mark.unit
def test_unknown_fields_are_ignored() -> None:
    extended = FULL.encode() + b"\x52\x03new" + b"\x1a\x05\x32\x03new"
    assert decode_rpc(extended, BOUNDS) == FULL


@pytest.mark.unit
def test_a_frame_is_encoded_once_for_all_peers() -> None:
    assert FULL.frame is FULL.frame
    prefix = decode_varint(FULL.frame)
    assert prefix == (len(FULL.encode()), len(encode_varint(len(FULL.encode()))))


topics = st.text(min_size=1, max_size=8)
names = st.binary(min_size=1, max_size=16)
rpcs = st.builds(
    Rpc,
    messages=st.just(()),
    subscriptions=st.lists(st.tuples(topics, st.booleans()), max_size=3).map(tuple),
    ihave=st.lists(st.tuples(topics, st.lists(names, min_size=1, max_size=3).map(tuple)), max_size=3).map(tuple),
    iwant=st.lists(names, max_size=3).map(tuple),
    graft=st.lists(topics, max_size=3).map(tuple),
    prune=st.lists(
        st.builds(Prune, topics, st.integers(0, 3600).map(lambda s: s * SECOND), st.just(())), max_size=3
    ).map(tuple),
    idontwant=st.lists(names, max_size=3).map(tuple),
)


@pytest.mark.property
@given(rpcs)
@settings(max_examples=60)
def test_any_rpc_survives_the_wire(rpc: Rpc) -> None:
    assert decode_rpc(rpc.encode(), BOUNDS) == rpc


@pytest.mark.property
@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_random_bytes_never_raise_out_of_the_router(data: bytes) -> None:
    solo = Solo()
    solo.connect("peer")
    solo.subscribe()
    solo.handle(RpcReceived(peer_of("peer"), data))
    solo.handle(RpcReceived(peer_of("peer"), b"\x12" + encode_varint(len(data)) + data))
    solo.handle(RpcReceived(peer_of("peer"), b"\x1a" + encode_varint(len(data)) + data))
    solo.beat(2)


@pytest.mark.property
@given(st.data())
@settings(max_examples=100)
def test_a_damaged_rpc_never_raises_out_of_the_router(data: st.DataObject) -> None:
    solo = Solo()
    solo.connect("peer", "other")
    solo.subscribe()
    solo.subscribe("a")
    body = bytearray(Rpc((message_of("author", 1),), *dataclasses.astuple(FULL)[1:5]).encode() + FULL.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    solo.handle(RpcReceived(peer_of("peer"), bytes(body[: data.draw(st.integers(0, len(body)))])))
    solo.beat(4)


@pytest.mark.unit
def test_a_peer_is_remembered_with_so_many_topics() -> None:
    solo = Solo()
    solo.connect("peer", topic="")
    many = Rpc(subscriptions=tuple((f"{n}", True) for n in range(1025)))
    assert reasons(solo.hear("peer", many)) == [GossipReason.TOO_MANY_TOPICS]
    assert solo.router.subscribers("1023") == (peer_of("peer"),)
    assert solo.router.subscribers("1024") == ()
    solo.hear("peer", Rpc(subscriptions=(("0", False), ("1024", True))))
    assert solo.router.subscribers("1024") == (peer_of("peer"),)
    assert solo.router.subscribers(TOPIC) == ()
