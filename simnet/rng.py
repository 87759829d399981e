"""Keyed randomness: a stream per name, so that removing one consumer never shifts another.

`KeyedRng(seed, "node-7", "nonces")` depends on the seed and the names only, never on who else drew or in which order
streams were made. Keys are BLAKE2b of the parent key and the name; the stream is ChaCha20 (RFC 8439) under that key.
"""

import hashlib
from typing import Self, final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from latticework.wire import Label

_KEY_BYTES = 32


@final
class KeyedRng:
    """A `wire.ports.Rng` that replays. The seed may have any length; at most 256 GiB per stream."""

    def __init__(self, seed: bytes, *names: str) -> None:
        key = _keyed_hash(hashlib.sha256(seed).digest(), Label.RNG_STREAM.value)
        for name in names:
            key = _keyed_hash(key, name.encode())
        self._open(key)

    def random_bytes(self, count: int) -> bytes:
        """The next `count` bytes of the stream."""
        return self._stream.update(bytes(count))

    def child(self, name: str) -> Self:
        """The stream below this one called `name`: always the same, whatever was drawn here."""
        made = object.__new__(type(self))
        made._open(_keyed_hash(self._key, name.encode()))
        return made

    def _open(self, key: bytes) -> None:
        self._key = key
        self._stream: CipherContext = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()

    def __repr__(self) -> str:
        return f"KeyedRng({self._key[:4].hex()})"


@final
class HashRng:
    """A `wire.ports.Rng` in 150 bytes: SHAKE-128 of a key and a count. A node's `KeyedRng` has ten times as many."""

    __slots__ = ("_count", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0

    def random_bytes(self, count: int) -> bytes:
        """The next `count` bytes; they depend on the counts asked for before, too."""
        self._count += 1
        return hashlib.shake_128(self._key + self._count.to_bytes(8, "big")).digest(count)


def _keyed_hash(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_KEY_BYTES, key=key).digest()
