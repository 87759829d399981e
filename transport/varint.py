"""Unsigned LEB128 as multiformats defines it: minimal form only, at most 9 bytes (63 bits).

Source: multiformats/unsigned-varint, "practical maximum of 9 bytes"; a second encoding of one number is refused, so
that bytes can be compared.
"""

from collections.abc import Buffer

from latticework.wire import MalformedError

MAX_VARINT_BYTES = 9
_MAX_VALUE = (1 << 63) - 1


def encode_varint(value: int) -> bytes:
    """The encoding of `value`, which is at most 2**63 - 1."""
    if not 0 <= value <= _MAX_VALUE:
        raise ValueError(f"{value} is no 63-bit unsigned integer")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: Buffer, offset: int = 0, max_bytes: int = MAX_VARINT_BYTES) -> tuple[int, int] | None:
    """(value, offset behind it), or None when `data` ends inside the number.

    Raises:
        MalformedError: longer than `max_bytes`, or not the shortest form.
    """
    view = memoryview(data)
    value = 0
    for index in range(max_bytes):
        if offset + index >= len(view):
            return None
        byte = view[offset + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise MalformedError("varint is not in its shortest form")
            return value, offset + index + 1
    raise MalformedError(f"varint of more than {max_bytes} bytes")
