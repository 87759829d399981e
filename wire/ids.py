"""The ids of Latticework; each is 32 bytes and distinct to the type checker."""

from typing import NewType

DeviceId = NewType("DeviceId", bytes)
"""SHA-256 over a device's public keys."""
AccountId = NewType("AccountId", bytes)
"""SHA-256 of the first certificate of the account's roster."""
SpaceId = NewType("SpaceId", bytes)
"""SHA-256 of the space's genesis record."""
LogId = NewType("LogId", bytes)
"""Ed25519 public key of one author's log in one space: a pseudonym, never the device id."""
EntryId = NewType("EntryId", bytes)
"""SHA-256 of an entry's space and signed body."""
ChunkId = NewType("ChunkId", bytes)
"""BLAKE3-256 of a chunk's ciphertext."""


def short(identifier: bytes) -> str:
    """The first 8 hexadecimal digits, for people and logs only."""
    return identifier[:4].hex()
