"""HKDF-SHA-512 with a label from the registry at the head of every `info` (RFC 5869)."""

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .labels import Label


def derive(secret: bytes, salt: bytes, label: Label, context: bytes, length: int) -> bytes:
    """Derive `length` bytes from `secret`; `info` is label, one zero byte, context."""
    return HKDF(SHA512(), length, salt, label.value + b"\x00" + context).derive(secret)
