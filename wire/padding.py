"""Sizes that tell less: Padme, and 128-byte steps below it.

Padme (Nikitin et al., PURBs, PETS 2019, section 4) keeps only the top `floor(log2 E)+1` bits of a length, so a length
leaks O(log log n) bits and grows by at most 12 %.
"""

PAYLOAD_STEP_BYTES = 128
"""Below 2 KiB an entry payload grows in these steps (decision 6)."""
_STEP_LIMIT_BYTES = 2048


def padme(length: int) -> int:
    """The padded size for `length` bytes."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    if low_bits <= 0:
        return length
    mask = (1 << low_bits) - 1
    return (length + mask) & ~mask


def step_then_padme(length: int) -> int:
    """Steps of 128 bytes up to 2 KiB, Padme above."""
    if length <= _STEP_LIMIT_BYTES:
        return max(PAYLOAD_STEP_BYTES, -(-length // PAYLOAD_STEP_BYTES) * PAYLOAD_STEP_BYTES)
    return padme(length)


def pad(data: bytes, length: int) -> bytes:
    """ISO/IEC 7816-4: a 0x80 byte, then zeros, to exactly `length` bytes; `length` exceeds `len(data)`."""
    return data + b"\x80" + bytes(length - len(data) - 1)


def unpad(padded: bytes) -> bytes | None:
    """Undo `pad`; None when no 0x80 marker is found."""
    stripped = padded.rstrip(b"\x00")
    return stripped[:-1] if stripped.endswith(b"\x80") else None
