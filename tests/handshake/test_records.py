"""Records: what opens, what does not, and when keys change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.handshake import AesGcmRecords, RecordKeys, RekeyLimits
from latticework.handshake.params import MAX_RECORD_PLAINTEXT_BYTES, REKEY_BYTES, REKEY_US
from latticework.transport.ports import RecordSession
from latticework.wire import LocalError, PeerError

pytestmark = pytest.mark.unit

HOUR_US = 3_600_000_000


def pair(limits: RekeyLimits | None = None) -> tuple[AesGcmRecords, AesGcmRecords]:
    forth, back, export = b"f" * 32, b"b" * 32, b"e" * 32
    limits = limits or RekeyLimits()
    one = AesGcmRecords(RecordKeys(forth, back, export), 0, limits)
    return one, AesGcmRecords(RecordKeys(back, forth, export), 0, limits)


def seal(records: RecordSession, plaintext: bytes, now_us: int = 0) -> bytes:
    out = memoryview(bytearray(len(plaintext) + 64))
    return bytes(out[: records.seal_into(plaintext, out, now_us)])


def open_one(records: RecordSession, record: bytes) -> bytes | int:
    out = memoryview(bytearray(MAX_RECORD_PLAINTEXT_BYTES))
    size = records.open_into(memoryview(record), out)
    return bytes(out[:size]) if size > 0 else size


def refused(records: RecordSession, record: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        open_one(records, record)
    assert caught.value.code == "record"
    return str(caught.value)


@pytest.mark.parametrize("size", [1, 2, 1000, 16 << 10, 256 << 10])
def test_what_is_sealed_opens_at_the_other_end(size: int) -> None:
    one, other = pair()
    plaintext = bytes(range(256)) * (size // 256 + 1)
    record = seal(one, plaintext[:size])
    assert len(record) == size + one.overhead_bytes
    assert int.from_bytes(record[:4]) == size + 16
    assert open_one(other, record) == plaintext[:size]


def test_the_two_directions_have_different_keys() -> None:
    one, other = pair()
    assert seal(one, b"same") != seal(other, b"same")
    assert "open" in refused(pair()[0], seal(pair()[0], b"reflected"))


def test_equal_plaintexts_give_different_records() -> None:
    one, _ = pair()
    assert len({seal(one, b"same") for _ in range(10)}) == 10


def test_every_flipped_byte_is_refused() -> None:
    record = seal(pair()[0], b"plaintext")
    for position in range(len(record)):
        forged = record[:position] + bytes([record[position] ^ 1]) + record[position + 1 :]
        refused(pair()[1], forged)


def test_every_truncation_is_refused() -> None:
    record = seal(pair()[0], b"plaintext")
    for size in range(len(record)):
        refused(pair()[1], record[:size])


def test_unauthenticated_plaintext_is_wiped() -> None:
    one, other = pair()
    record = bytearray(seal(one, b"plaintext"))
    record[-1] ^= 1
    out = memoryview(bytearray(100))
    with pytest.raises(PeerError):
        other.open_into(memoryview(record), out)
    assert bytes(out) == bytes(100)


def test_a_reordered_record_is_refused() -> None:
    one, other = pair()
    seal(one, b"first")
    assert "open" in refused(other, seal(one, b"second"))


def test_a_replayed_record_is_refused() -> None:
    one, other = pair()
    record = seal(one, b"first")
    assert open_one(other, record) == b"first"
    assert "open" in refused(other, record)


def test_after_a_failure_nothing_opens() -> None:
    one, other = pair()
    good = seal(one, b"good")
    refused(other, b"\x00" * 40)
    assert refused(other, good) == "a record after the end"


def test_sizes_out_of_bounds_are_not_sealed() -> None:
    one, other = pair()
    out = memoryview(bytearray(MAX_RECORD_PLAINTEXT_BYTES + 100))
    for plaintext in (b"", bytes(MAX_RECORD_PLAINTEXT_BYTES + 1)):
        with pytest.raises(LocalError, match="record of"):
            one.seal_into(plaintext, out, 0)
    with pytest.raises(LocalError, match="room"):
        one.seal_into(b"xx", out[:41], 0)
    assert open_one(other, seal(one, b"still in step")) == b"still in step"


def test_too_little_room_opens_nothing_and_can_be_repeated() -> None:
    one, other = pair()
    record = seal(one, b"four")
    with pytest.raises(LocalError, match="room"):
        other.open_into(memoryview(record), memoryview(bytearray(3)))
    assert open_one(other, record) == b"four"


def test_oversized_and_empty_records_are_refused() -> None:
    huge = (MAX_RECORD_PLAINTEXT_BYTES + 17).to_bytes(4) + bytes(MAX_RECORD_PLAINTEXT_BYTES + 17)
    assert "bytes" in refused(pair()[1], huge)
    assert refused(pair()[1], (16).to_bytes(4) + bytes(16)) == "an empty record"


@pytest.mark.parametrize("kind", range(3, 16))
def test_unknown_types_are_refused(kind: int) -> None:
    record = (kind << 28 | 16).to_bytes(4) + bytes(16)
    assert refused(pair()[1], record) == f"a record of type {kind}"


def test_a_data_record_does_not_open_as_a_control_record() -> None:
    one, other = pair()
    record = bytearray(seal(one, b"x"))
    record[0] |= 0x10
    refused(other, bytes(record))


def test_the_close_is_sealed_and_final() -> None:
    one, other = pair()
    close = one.seal_close()
    assert len(close) == 20
    assert open_one(other, close) == -1
    assert refused(other, close) == "a record after the end"
    with pytest.raises(LocalError, match="after the close"):
        seal(one, b"more")
    with pytest.raises(LocalError, match="twice"):
        one.seal_close()


def test_closing_one_direction_leaves_the_other_open() -> None:
    one, other = pair()
    assert open_one(other, one.seal_close()) == -1
    assert open_one(one, seal(other, b"last words")) == b"last words"


def test_a_forged_close_is_refused() -> None:
    refused(pair()[1], (1 << 28 | 16).to_bytes(4) + bytes(16))


def test_limits_are_64_gib_and_an_hour() -> None:
    assert (REKEY_BYTES, REKEY_US) == (64 << 30, HOUR_US)


def split(wire: bytes) -> list[bytes]:
    records: list[bytes] = []
    while wire:
        size = 4 + (int.from_bytes(wire[:4]) & 0x0FFFFFFF)
        records.append(wire[:size])
        wire = wire[size:]
    return records


def test_an_hour_brings_a_new_key() -> None:
    one, other = pair()
    assert open_one(other, seal(one, b"early", HOUR_US - 1)) == b"early"
    rekey, data = split(seal(one, b"late", HOUR_US))
    assert rekey[0] >> 4 == 2
    assert open_one(other, rekey) == 0
    assert open_one(other, data) == b"late"
    assert len(split(seal(one, b"soon after", 2 * HOUR_US - 1))) == 1
    assert len(split(seal(one, b"next hour", 2 * HOUR_US))) == 2


def test_a_clock_that_was_stepped_back_brings_a_new_key_once() -> None:
    keys = RecordKeys(b"f" * 32, b"b" * 32, b"e" * 32)
    records = AesGcmRecords(keys, 10 * HOUR_US)
    assert [len(split(seal(records, b"x", now))) for now in (10 * HOUR_US, HOUR_US, HOUR_US + 1, 2 * HOUR_US)] == [
        1,
        2,
        1,
        2,
    ]


def test_bytes_under_one_key_are_limited_exactly() -> None:
    one, other = pair(RekeyLimits(max_bytes=20 + 2 * 30))
    plaintext = b"0123456789"
    counts: list[int] = []
    for _ in range(6):
        records = split(seal(one, plaintext))
        counts.append(len(records))
        assert [open_one(other, record) for record in records][-1] == plaintext
    assert counts == [1, 1, 2, 1, 2, 1]


def test_a_peer_that_does_not_rekey_is_refused() -> None:
    keys = RecordKeys(b"f" * 32, b"b" * 32, b"e" * 32)
    lazy = AesGcmRecords(keys, 0, RekeyLimits(max_bytes=1000))
    strict = pair(RekeyLimits(max_bytes=80))[1]
    assert open_one(strict, seal(lazy, b"0123456789")) == b"0123456789"
    assert open_one(strict, seal(lazy, b"0123456789")) == b"0123456789"
    assert "under one key" in refused(strict, seal(lazy, b"0123456789"))


def test_a_replayed_or_skipped_rekey_is_refused() -> None:
    one, other = pair()
    rekey, data = split(seal(one, b"late", HOUR_US))
    assert open_one(other, rekey) == 0
    refused(other, rekey)
    refused(pair()[1], data)


def test_both_directions_rekey_independently() -> None:
    one, other = pair()
    for record in split(seal(one, b"late", HOUR_US)):
        open_one(other, record)
    assert open_one(one, seal(other, b"still the first key", 5)) == b"still the first key"


def test_the_exporter_is_equal_at_both_ends_and_different_otherwise() -> None:
    one, other = pair()
    values = {one.export(b"a", 32), one.export(b"b", 32), one.export(b"a", 33)[:32]}
    assert len(values) == 3
    assert one.export(b"a", 32) == other.export(b"a", 32)
    stranger = AesGcmRecords(RecordKeys(b"f" * 32, b"b" * 32, b"E" * 32), 0)
    assert stranger.export(b"a", 32) not in values


def test_sealing_and_opening_in_place_work() -> None:
    one, other = pair()
    buffer = memoryview(bytearray(4 + 1000 + 60))
    buffer[4:1004] = b"p" * 1000
    size = one.seal_into(buffer[4:1004], buffer, 0)
    assert buffer[4:1004] != b"p" * 1000
    assert other.open_into(buffer[:size], buffer[4:]) == 1000
    assert buffer[4:1004] == b"p" * 1000


def test_representations_hide_keys() -> None:
    keys = RecordKeys(b"f" * 32, b"b" * 32, b"e" * 32)
    shown = repr(keys) + repr(pair()[0])
    assert "f" * 4 not in shown
    assert "6666" not in shown


@pytest.mark.property
@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_records_never_open(data: bytes) -> None:
    refused(pair()[1], data)


@pytest.mark.property
@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=300), st.integers(0, HOUR_US)), max_size=20))
def test_any_conversation_arrives_whole(turns: list[tuple[bool, bytes, int]]) -> None:
    one, other = pair(RekeyLimits(max_bytes=700, max_us=HOUR_US))
    now_us = 0
    for forth, plaintext, later_us in turns:
        now_us += later_us
        sender, receiver = (one, other) if forth else (other, one)
        opened = [open_one(receiver, record) for record in split(seal(sender, plaintext, now_us))]
        assert opened[-1] == plaintext
        assert opened[:-1] in ([], [0])
