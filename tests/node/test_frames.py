import pytest

from latticework.node.frames import PREFIX_BYTES, Data, decode_frame, encode_frame, frame_length
from latticework.node.params import CONTROL_FRAME_BYTES
from latticework.wire import LocalError, MalformedError

pytestmark = pytest.mark.unit


def test_whatever_can_be_sent_can_be_read() -> None:
    many: list[Data] = [{f"key {number}": number for number in range(100_000)}, list(range(200_000)), "x" * 1_000_000]
    for value in (*many, "\udcff is no UTF-8", None, 1.5, -(1 << 63)):
        frame = encode_frame({"ok": value})
        assert frame_length(frame[:PREFIX_BYTES]) == len(frame) - PREFIX_BYTES
        assert decode_frame(frame[PREFIX_BYTES:]) == {"ok": value}


def test_what_is_too_long_or_no_value_is_refused_before_it_is_sent() -> None:
    for value in ("x" * CONTROL_FRAME_BYTES, 1 << 64):
        with pytest.raises(LocalError):
            encode_frame({"ok": value})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x01",
        b"\x81\x01\x02",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x81\xa1a" + b"\x91" * 100_000,
        b"\x81\xa1a\xc4\x05bytes",
        b"\x81\xa1a",
    ],
)
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_frame(body)
