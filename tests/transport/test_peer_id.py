import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport import PeerId
from latticework.transport.peer_id import decode_base58, decode_public_key, encode_base58, encode_public_key
from latticework.wire import MalformedError

# libp2p/specs peer-ids, test vectors: the Ed25519 public key in its protobuf.
SPEC_KEY = bytes.fromhex("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    ["", "1", "0OIl", "é", "12D3KooW", "Qm", "1" * 65, "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5", "/ip4/"],
)
def test_text_that_names_no_peer_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        PeerId.parse(text)


@pytest.mark.unit
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes.fromhex("0024080112"),
        bytes.fromhex("002408021220") + bytes(32),
        bytes.fromhex("002408011220") + bytes(33),
        bytes.fromhex("1220") + bytes(31),
        bytes.fromhex("1320") + bytes(32),
    ],
)
def test_bytes_that_name_no_peer_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        PeerId.from_bytes(raw)


@pytest.mark.unit
def test_a_key_of_another_kind_or_length_is_refused() -> None:
    with pytest.raises(MalformedError):
        decode_public_key(b"\x08\x02\x12\x20" + bytes(32))
    with pytest.raises(ValueError):
        encode_public_key(bytes(31))


@pytest.mark.unit
def test_ed25519_ids_start_with_12d3koow_and_hold_the_key() -> None:
    peer = PeerId.of_key(SPEC_KEY)
    assert str(peer).startswith("12D3KooW")
    assert PeerId.parse(str(peer)) == peer
    assert peer.transport_key == SPEC_KEY


@pytest.mark.unit
def test_the_id_of_the_rust_and_go_documentation_is_read() -> None:
    text = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
    peer = PeerId.parse(text)
    assert peer.transport_key is not None
    assert str(PeerId.of_key(peer.transport_key)) == text


@pytest.mark.unit
def test_a_hashed_id_is_accepted_but_holds_no_key() -> None:
    peer = PeerId.from_bytes(b"\x12\x20" + hashlib.sha256(b"rsa").digest())
    assert str(peer).startswith("Qm")
    assert PeerId.parse(str(peer)) == peer
    assert peer.transport_key is None


@pytest.mark.property
@given(st.binary(max_size=40))
def test_base58_keeps_every_byte_also_leading_zeros(data: bytes) -> None:
    assert decode_base58(encode_base58(data)) == data
