"""Deterministic sealing of chunks inside one space (decision 20).

`K = HKDF(space chunk key, keyed BLAKE3 of the plaintext)`; AES-256-GCM under `K` with an all-zero nonce, which is safe
because `K` belongs to one plaintext only. Two devices seal the same bytes to the same chunk, so a shifted file re-seals
one or two chunks, and nobody outside the space can confirm a guess. After opening, the fingerprint is computed again
and must give the same `K`: a key commitment.
"""

from dataclasses import dataclass
from typing import final

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latticework.wire import ChunkId, Label, MalformedError, SpaceId, derive, padme

from .params import TAG_BYTES

_ZERO_NONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed chunk: its id, the key that opens it, its ciphertext."""

    id: ChunkId
    key: bytes
    ciphertext: bytes | bytearray


@final
class ChunkSealer:
    """Seals and opens the chunks of one space. Stateless after construction; safe in several threads at once."""

    def __init__(self, space: SpaceId, epoch_secret: bytes) -> None:
        self._space = space
        self._chunk_key = derive(epoch_secret, space, Label.SPACE_CHUNK_KEY, b"", 32)
        self._fingerprint_key = derive(epoch_secret, space, Label.SPACE_FINGERPRINT_KEY, b"", 32)
        seed = derive(epoch_secret, space, Label.SPACE_CHUNKER_SEED, b"", 8)
        self.chunker_seed = int.from_bytes(seed, "big") >> 1
        """63 bits: what the chunker takes; no secret boundary (decision 22)."""

    def key_of(self, plaintext: bytes | bytearray | memoryview) -> bytes:
        """The 32-byte key that `plaintext` has in this space: equal keys mean equal plaintexts."""
        fingerprint = blake3(plaintext, key=self._fingerprint_key).digest()
        return derive(self._chunk_key, fingerprint, Label.CHUNK_KEY, self._space, 32)

    def seal(self, plaintext: bytes | bytearray | memoryview) -> Sealed:
        """Pad to the Padme size with zeros and seal."""
        key = self.key_of(plaintext)
        length = len(plaintext)
        padded = padme(length)
        if padded != length:
            buffer = bytearray(padded)
            buffer[:length] = plaintext
            plaintext = buffer
        ciphertext = bytearray(padded + TAG_BYTES)
        AESGCM(key).encrypt_into(_ZERO_NONCE, plaintext, self._space, ciphertext)
        return Sealed(ChunkId(blake3(ciphertext).digest()), key, ciphertext)

    def open(self, chunk: ChunkId, key: bytes, length: int, ciphertext: bytes | bytearray | memoryview) -> memoryview:
        """The `length` bytes of plaintext.

        Raises:
            MalformedError: the ciphertext is not this chunk, or was not sealed as the manifest says.
        """
        if len(ciphertext) != padme(length) + TAG_BYTES or blake3(ciphertext).digest() != chunk:
            raise MalformedError("these bytes are not the chunk that was asked for")
        padded = bytearray(len(ciphertext) - TAG_BYTES)
        try:
            AESGCM(key).decrypt_into(_ZERO_NONCE, ciphertext, self._space, padded)
        except InvalidTag:
            raise MalformedError("the chunk does not open under its key") from None
        plaintext = memoryview(padded)[:length]
        if self.key_of(plaintext) != key:
            raise MalformedError("the chunk's key does not belong to its content")
        if padded.count(0, length) != len(padded) - length:
            raise MalformedError("the chunk's padding is not zero")
        return plaintext
