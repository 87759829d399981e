"""libp2p's name of a transport key: a multihash of the protobuf-wrapped public key, written in base58btc.

Source: libp2p/specs peer-ids. Only Ed25519 keys are made here (decision 14: fresh at each start); an Ed25519 key is
short enough to stand in the id itself (identity multihash), so the key can be read back. Names of other peers may also
be SHA-256 multihashes.
"""

from dataclasses import dataclass
from typing import Self, final

from latticework.wire import ED25519_PUBLIC_BYTES, MalformedError

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: digit for digit, letter in enumerate(_ALPHABET)}
_KEY_PREFIX = bytes.fromhex("08011220")
"""Protobuf PublicKey{Type: Ed25519, Data: 32 bytes}, without the data."""
_IDENTITY_PREFIX = bytes.fromhex("0024")
_SHA256_PREFIX = bytes.fromhex("1220")
MAX_TEXT_CHARS = 64
"""A 38-byte multihash has 52 digits; longer text is not converted, since the conversion is quadratic."""


@final
@dataclass(frozen=True, slots=True)
class PeerId:
    """A peer's name; `multihash` is 34 bytes (SHA-256) or 38 bytes (identity of an Ed25519 key)."""

    multihash: bytes

    @classmethod
    def of_key(cls, transport_key: bytes) -> Self:
        """The id of a 32-byte Ed25519 public key."""
        return cls(_IDENTITY_PREFIX + encode_public_key(transport_key))

    @classmethod
    def from_bytes(cls, multihash: bytes) -> Self:
        """Raises MalformedError for any multihash that names no Ed25519 key and is no SHA-256."""
        wrapped = _IDENTITY_PREFIX + _KEY_PREFIX
        if multihash.startswith(wrapped) and len(multihash) == len(wrapped) + ED25519_PUBLIC_BYTES:
            return cls(multihash)
        if multihash.startswith(_SHA256_PREFIX) and len(multihash) == len(_SHA256_PREFIX) + 32:
            return cls(multihash)
        raise MalformedError("not a peer id")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that `text` prints; raises MalformedError."""
        return cls.from_bytes(decode_base58(text))

    @property
    def transport_key(self) -> bytes | None:
        """The Ed25519 public key inside, or None for a hashed id."""
        return self.multihash[-ED25519_PUBLIC_BYTES:] if self.multihash.startswith(_IDENTITY_PREFIX) else None

    def __str__(self) -> str:
        return encode_base58(self.multihash)


def encode_public_key(transport_key: bytes) -> bytes:
    """The 36-byte protobuf `PublicKey` of a 32-byte Ed25519 key (its one canonical form)."""
    if len(transport_key) != ED25519_PUBLIC_BYTES:
        raise ValueError(f"an Ed25519 public key has 32 bytes, not {len(transport_key)}")
    return _KEY_PREFIX + transport_key


def decode_public_key(wrapped: bytes) -> bytes:
    """The 32-byte Ed25519 key in a protobuf `PublicKey`; raises MalformedError for other kinds."""
    if not wrapped.startswith(_KEY_PREFIX) or len(wrapped) != len(_KEY_PREFIX) + ED25519_PUBLIC_BYTES:
        raise MalformedError("not an Ed25519 public key")
    return wrapped[len(_KEY_PREFIX) :]


def encode_base58(data: bytes) -> str:
    """`data` in base58btc."""
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return "1" * zeros + "".join(reversed(digits))


def decode_base58(text: str) -> bytes:
    """The bytes of base58btc `text` of at most `MAX_TEXT_CHARS`; raises MalformedError."""
    if len(text) > MAX_TEXT_CHARS:
        raise MalformedError(f"base58 text of {len(text)} characters")
    number = 0
    for letter in text:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise MalformedError(f"{letter!r} is no base58 digit")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
