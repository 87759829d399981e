from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport import Multiaddr
from latticework.transport.pb import envelope_pb2 as pb
from latticework.transport.peer_id import encode_public_key
from latticework.transport.signed_envelope import (
    MAX_RECORD_ADDRESSES,
    PeerRecord,
    open_envelope,
    open_peer_record,
    seal_envelope,
    seal_peer_record,
)
from latticework.transport.varint import encode_varint
from latticework.wire import MalformedError

from .gossip_kit import peer_of, signer_of

RECORD = PeerRecord(peer_of("peer"), 7, (Multiaddr.tcp("10.0.0.1", 4001), Multiaddr.tcp("::1", 4002)))
SEALED = seal_peer_record(signer_of("peer"), RECORD)


@pytest.mark.unit
def test_a_record_survives_the_envelope() -> None:
    assert open_peer_record(SEALED) == RECORD


@pytest.mark.unit
def test_the_bytes_are_those_of_the_deployed_format() -> None:
    """Field numbers 1, 2, 3, 5; payload type 0x0301; the signed bytes are three length-prefixed parts (RFC 0002)."""
    envelope = pb.Envelope.FromString(SEALED)
    assert envelope.public_key == encode_public_key(signer_of("peer").public)
    assert envelope.payload_type == b"\x03\x01"
    parts = (b"libp2p-peer-record", b"\x03\x01", envelope.payload)
    signed = b"".join(encode_varint(len(part)) + part for part in parts)
    assert envelope.signature == signer_of("peer").sign_raw(signed)
    assert SEALED[-66:] == b"\x2a\x40" + envelope.signature


@pytest.mark.unit
def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    sealed = seal_envelope(signer_of("peer"), b"a", b"b", b"payload")
    assert open_envelope(sealed, b"a", b"b") == (signer_of("peer").public, b"payload")
    for domain, kind in ((b"c", b"b"), (b"a", b"c"), (b"ab", b"")):
        with pytest.raises(MalformedError):
            open_envelope(sealed, domain, kind)


@pytest.mark.unit
def test_a_record_is_about_the_signer() -> None:
    with pytest.raises(ValueError, match="itself"):
        seal_peer_record(signer_of("other"), RECORD)
    payload = pb.PeerRecord(peer_id=peer_of("peer").multihash, seq=1).SerializeToString()
    with pytest.raises(MalformedError):
        open_peer_record(seal_envelope(signer_of("other"), b"libp2p-peer-record", b"\x03\x01", payload))


@pytest.mark.unit
def test_addresses_of_unknown_kinds_and_beyond_the_limit_are_left_out() -> None:
    message = pb.PeerRecord(peer_id=peer_of("peer").multihash, seq=1)
    message.addresses.add(multiaddr=b"junk")
    for _ in range(MAX_RECORD_ADDRESSES + 1):
        message.addresses.add(multiaddr=RECORD.addresses[0].to_bytes())
    sealed = seal_envelope(signer_of("peer"), b"libp2p-peer-record", b"\x03\x01", message.SerializeToString())
    assert len(open_peer_record(sealed).addresses) == MAX_RECORD_ADDRESSES - 1


@pytest.mark.unit
@pytest.mark.parametrize("size", [8 * 1024 + 1, 1 << 20])
def test_a_long_envelope_is_refused_before_it_is_parsed(size: int) -> None:
    with pytest.raises(MalformedError, match=f"{size} bytes"):
        open_peer_record(bytes(size))


@pytest.mark.unit
def test_every_prefix_is_refused() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(MalformedError):
            open_peer_record(SEALED[:length])


@pytest.mark.property
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(position: int, change: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= change
    with suppress(MalformedError):
        assert open_peer_record(bytes(changed)) == RECORD


@pytest.mark.property
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        open_peer_record(data)
