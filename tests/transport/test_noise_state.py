"""Pattern XX against the published vectors, and everything that must not open."""

import json
from pathlib import Path
from typing import Final, TypedDict

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from latticework.transport import ConnectionLostError
from latticework.transport.noise_cipher import CipherState, NoiseRecords
from latticework.transport.noise_state import PatternXX, SymmetricState
from latticework.transport.params import NOISE_BATCH_MESSAGES, NOISE_MAX_NONCE, NOISE_MAX_PLAINTEXT_BYTES
from latticework.wire import LocalError, PeerError

pytestmark = pytest.mark.unit


class Message(TypedDict):
    payload: str
    ciphertext: str


class Vector(TypedDict):
    source: str
    prologue: str
    init_static: str
    init_ephemeral: str
    resp_static: str
    resp_ephemeral: str
    handshake_hash: str | None
    messages: list[Message]


VECTORS: Final[list[Vector]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "transport-noise.json").read_text(encoding="utf-8")
)["vectors"]


def secret(text: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def sides(vector: Vector = VECTORS[0]) -> tuple[PatternXX, PatternXX]:
    prologue = bytes.fromhex(vector["prologue"])
    return (
        PatternXX(secret(vector["init_static"]), secret(vector["init_ephemeral"]), initiator=True, prologue=prologue),
        PatternXX(secret(vector["resp_static"]), secret(vector["resp_ephemeral"]), initiator=False, prologue=prologue),
    )


def seal(records: NoiseRecords, plaintext: bytes) -> bytes:
    out = memoryview(bytearray(len(plaintext) + 96))
    return bytes(out[: records.seal_into(plaintext, out, 0)])


def open_one(records: NoiseRecords, record: bytes) -> bytes:
    out = memoryview(bytearray(NOISE_MAX_PLAINTEXT_BYTES))
    return bytes(out[: records.open_into(memoryview(record), out)])


def records() -> tuple[NoiseRecords, NoiseRecords]:
    one, two = sides()
    two.read(one.write(b""))
    one.read(two.write(b""))
    two.read(one.write(b""))
    return one.records(), two.records()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["source"] for vector in VECTORS])
def test_the_published_vectors_hold_byte_for_byte(vector: Vector) -> None:
    one, two = sides(vector)
    messages = vector["messages"]
    for turn, message in enumerate(messages[:3]):
        writer, reader = (one, two) if turn % 2 == 0 else (two, one)
        written = writer.write(bytes.fromhex(message["payload"]))
        assert written.hex() == message["ciphertext"]
        assert reader.read(written).hex() == message["payload"]
    assert one.handshake_hash == two.handshake_hash
    assert vector["handshake_hash"] in {None, one.handshake_hash.hex()}
    assert one.remote_static == secret(vector["resp_static"]).public_key().public_bytes_raw()
    assert two.remote_static == secret(vector["init_static"]).public_key().public_bytes_raw()
    forth, back = one.records(), two.records()
    for turn, message in enumerate(messages[3:], start=3):
        sealer, opener = (forth, back) if turn % 2 == 0 else (back, forth)
        sealed = seal(sealer, bytes.fromhex(message["payload"]))
        assert sealed[2:].hex() == message["ciphertext"]
        assert int.from_bytes(sealed[:2], "big") == len(sealed) - 2
        assert open_one(opener, sealed).hex() == message["payload"]


def test_another_prologue_opens_nothing() -> None:
    one, _ = sides()
    other = PatternXX(secret(VECTORS[0]["resp_static"]), secret(VECTORS[0]["resp_ephemeral"]), initiator=False)
    other.read(one.write(b""))
    with pytest.raises(PeerError, match="does not open"):
        one.read(other.write(b""))


def flipped(message: bytes, index: int) -> bytes:
    return message[:index] + bytes([message[index] ^ 1]) + message[index + 1 :]


@pytest.mark.parametrize("index", range(0, 96 + 7, 3))
def test_every_flipped_bit_of_the_second_message_is_found(index: int) -> None:
    one, two = sides()
    two.read(one.write(b""))
    with pytest.raises(PeerError):
        one.read(flipped(two.write(b"payload"), index))


@pytest.mark.parametrize("index", range(0, 64 + 7, 3))
def test_every_flipped_bit_of_the_third_message_is_found(index: int) -> None:
    one, two = sides()
    two.read(one.write(b""))
    one.read(two.write(b""))
    with pytest.raises(PeerError):
        two.read(flipped(one.write(b"payload"), index))


@pytest.mark.parametrize("index", [0, 31, 32])
def test_a_first_message_that_was_changed_fails_at_the_second(index: int) -> None:
    one, two = sides()
    two.read(flipped(one.write(b"payload"), index))
    with pytest.raises(PeerError):
        one.read(two.write(b""))


@pytest.mark.parametrize("turn", range(3))
def test_every_shorter_message_is_refused(turn: int) -> None:
    lengths = (32, 32 + 48 + 16, 48 + 16)[turn]
    for length in range(lengths):
        one, two = sides()
        written = one.write(b"")
        reader = two
        if turn > 0:
            two.read(written)
            written, reader = two.write(b""), one
        if turn > 1:
            one.read(written)
            written, reader = one.write(b""), two
        with pytest.raises(PeerError):
            reader.read(written[:length])


LOW_ORDER: Final = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
"""RFC 7748, section 6.1, and the values that reduce to them (Bernstein, cr.yp.to/ecdh.html)."""


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_ephemeral_key_of_low_order_is_refused_by_the_responder(point: str) -> None:
    _, two = sides()
    two.read(bytes.fromhex(point))
    with pytest.raises(PeerError) as caught:
        two.write(b"")
    assert caught.value.code == "low-order"


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_ephemeral_key_of_low_order_is_refused_by_the_initiator(point: str) -> None:
    one, _ = sides()
    one.write(b"")
    with pytest.raises(PeerError) as caught:
        one.read(bytes.fromhex(point) + bytes(64))
    assert caught.value.code == "low-order"


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_static_key_of_low_order_is_refused_by_the_initiator(point: str) -> None:
    vector = VECTORS[0]
    one = PatternXX(secret(vector["init_static"]), secret(vector["init_ephemeral"]), initiator=True)
    first = one.write(b"")
    ephemeral = secret(vector["resp_ephemeral"])
    public = ephemeral.public_key().public_bytes_raw()
    state = SymmetricState(b"")
    state.mix_hash(first)
    state.mix_hash(b"")
    state.mix_hash(public)
    state.mix_key(ephemeral.exchange(X25519PublicKey.from_public_bytes(first)))
    with pytest.raises(PeerError) as caught:
        one.read(public + state.seal(bytes.fromhex(point)) + bytes(16))
    assert caught.value.code == "low-order"


def test_our_own_calls_out_of_turn_are_bugs() -> None:
    one, two = sides()
    with pytest.raises(LocalError):
        two.write(b"")
    with pytest.raises(LocalError):
        one.read(bytes(32))
    with pytest.raises(LocalError):
        one.records()
    one.write(b"")
    with pytest.raises(LocalError):
        one.write(b"")


# Records


@pytest.mark.parametrize("size", [1, NOISE_MAX_PLAINTEXT_BYTES - 1, NOISE_MAX_PLAINTEXT_BYTES])
def test_a_record_opens_to_what_was_sealed(size: int) -> None:
    one, two = records()
    record = seal(one, bytes(size))
    assert len(record) == size + one.overhead_bytes
    assert open_one(two, record) == bytes(size)


def test_what_is_longer_than_a_message_becomes_several() -> None:
    one, two = records()
    plaintext = bytes(range(256)) * 1000
    sealed = seal(one, plaintext)
    opened = b""
    while sealed:
        end = 2 + int.from_bytes(sealed[:2], "big")
        opened += open_one(two, sealed[:end])
        sealed = sealed[end:]
    assert opened == plaintext


@pytest.mark.parametrize("size", [0, NOISE_BATCH_MESSAGES * NOISE_MAX_PLAINTEXT_BYTES + 1])
def test_sealing_nothing_or_too_much_is_a_bug(size: int) -> None:
    with pytest.raises(LocalError):
        seal(records()[0], bytes(size))


def test_too_little_room_seals_nothing() -> None:
    one, two = records()
    with pytest.raises(LocalError):
        one.seal_into(b"abc", memoryview(bytearray(20)), 0)
    with pytest.raises(LocalError):
        two.open_into(memoryview(seal(one, b"abc")), memoryview(bytearray(2)))
    assert open_one(two, seal(records()[0], b"abc")) == b"abc"


def test_an_empty_message_is_allowed_and_says_nothing() -> None:
    key = bytes(32)
    sender = CipherState(key)
    receiver = NoiseRecords(CipherState(bytes(32)), CipherState(key), b"", b"")
    assert open_one(receiver, b"\x00\x10" + sender.encrypt(b"", b"")) == b""


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5, 20])
def test_a_flipped_bit_ends_the_direction(index: int) -> None:
    one, two = records()
    record = seal(one, b"abc")
    with pytest.raises(PeerError):
        open_one(two, flipped(record, index))
    with pytest.raises(PeerError, match="after the end"):
        open_one(two, record)


def test_a_replayed_record_does_not_open() -> None:
    one, two = records()
    record = seal(one, b"abc")
    open_one(two, record)
    with pytest.raises(PeerError):
        open_one(two, record)


def test_reordered_records_do_not_open() -> None:
    one, two = records()
    seal(one, b"first")
    with pytest.raises(PeerError):
        open_one(two, seal(one, b"second"))


def test_a_record_of_ours_does_not_open_here() -> None:
    one, _ = records()
    with pytest.raises(PeerError):
        open_one(one, seal(one, b"abc"))


@pytest.mark.parametrize("length", range(21))
def test_a_cut_record_does_not_open(length: int) -> None:
    one, two = records()
    record = seal(one, b"abc")[:length]
    with pytest.raises(PeerError):
        open_one(two, record)
    one, two = records()
    with pytest.raises(PeerError):
        open_one(two, max(0, length - 2).to_bytes(2, "big") + seal(one, b"abc")[2:length])


def test_plaintext_that_is_not_authentic_is_not_left_in_the_buffer() -> None:
    one, two = records()
    record = seal(one, b"secret")
    out = memoryview(bytearray(6))
    with pytest.raises(PeerError):
        two.open_into(memoryview(flipped(record, len(record) - 1)), out)
    assert bytes(out) == bytes(6)


def test_the_last_nonce_is_used_and_the_reserved_one_is_not() -> None:
    last = CipherState(bytes(32), NOISE_MAX_NONCE - 1)
    assert last.nonce() == bytes(4) + b"\xfe" + b"\xff" * 7
    for _ in range(2):
        with pytest.raises(ConnectionLostError):
            last.nonce()


def test_used_up_nonces_end_both_directions() -> None:
    worn = NoiseRecords(CipherState(bytes(32), NOISE_MAX_NONCE), CipherState(bytes(32), NOISE_MAX_NONCE), b"", b"")
    with pytest.raises(ConnectionLostError):
        seal(worn, b"abc")
    with pytest.raises(ConnectionLostError):
        open_one(worn, b"\x00\x11" + bytes(17))


def test_both_ends_export_the_same_and_other_labels_and_handshakes_something_else() -> None:
    one, two = records()
    assert one.export(b"a", 32) == two.export(b"a", 32)
    three, four = sides(VECTORS[1])
    four.read(three.write(b""))
    three.read(four.write(b""))
    exports = {one.export(b"a", 32), one.export(b"b", 32), one.export(b"a", 64)[:32]}
    three.write(b"")
    assert len(exports | {three.records().export(b"a", 32)}) == 4
    assert "Noise" in repr(one)
