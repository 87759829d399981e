"""Frames of the control socket: a 4-byte big-endian length, then a msgpack map with text keys."""

from collections.abc import Mapping
from typing import Protocol, cast

import msgpack

from latticework.wire import LocalError, MalformedError

from .params import CONTROL_FRAME_BYTES

PREFIX_BYTES = 4

type Data = str | int | float | bool | list[Data] | dict[str, Data] | None


class _Pack(Protocol):
    def __call__(self, value: object, *, unicode_errors: str) -> bytes: ...


def encode_frame(data: Mapping[str, Data]) -> bytes:
    """Prefix and body; raises LocalError for what a frame cannot hold."""
    # Paths are whatever the file system allows: bytes that are no UTF-8 travel as surrogates, as in Python's own paths.
    pack = cast("_Pack", msgpack.packb)  # pyright: ignore[reportUnknownMemberType]  # msgpack is untyped
    try:
        body = pack(dict(data), unicode_errors="surrogateescape")
    except (OverflowError, ValueError) as error:
        raise LocalError(f"the answer cannot be sent: {error}") from error
    if len(body) > CONTROL_FRAME_BYTES:
        raise LocalError(f"the answer is longer than {CONTROL_FRAME_BYTES >> 20} MiB; ask for less")
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def frame_length(prefix: bytes) -> int:
    """The body's length; raises MalformedError when the prefix is cut off or the body too long."""
    length = int.from_bytes(prefix, "big")
    if len(prefix) < PREFIX_BYTES or length > CONTROL_FRAME_BYTES:
        raise MalformedError("a control frame is cut off or too long")
    return length


def decode_frame(body: bytes) -> dict[str, Data]:
    """The map in a body; raises MalformedError."""
    try:
        value = cast(
            "object",
            msgpack.unpackb(  # pyright: ignore[reportUnknownMemberType]  # msgpack is untyped
                body,
                unicode_errors="surrogateescape",
                strict_map_key=True,
                max_str_len=CONTROL_FRAME_BYTES,
                max_bin_len=0,
                max_ext_len=0,
            ),
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MalformedError(f"a control frame is not msgpack: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in cast("dict[object, object]", value)):
        raise MalformedError("a control frame is no map with text keys")
    return cast("dict[str, Data]", value)
