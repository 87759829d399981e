"""Epoch secrets of a space and the payload keys derived from them (crypto report 2.6, 2.7).

One epoch exists until rotation does; its number is already the first field of every payload, so adding rotation changes
no format (decision 6).
"""

from dataclasses import dataclass
from typing import Annotated, final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from latticework.wire import (
    Bytes,
    EntryId,
    Label,
    LogId,
    MalformedError,
    Rng,
    SpaceId,
    UInt,
    decode,
    derive,
    encode,
    encode_plain,
    record,
    step_then_padme,
)
from latticework.wire.padding import pad, unpad

MAX_SEALED_PAYLOAD_BYTES = 1 << 20
TAG_BYTES = 16
NONCE_BYTES = 24
"""XChaCha20-Poly1305 nonces are long enough to be drawn at random (draft-irtf-cfrg-xchacha, section 2.1)."""


@record("sealed-payload")
@dataclass(frozen=True, slots=True)
class SealedPayload:
    """The payload of an entry: epoch, random nonce, padded ciphertext with its 16-byte tag."""

    epoch: Annotated[int, UInt()]
    nonce: Annotated[bytes, Bytes(NONCE_BYTES)]
    ciphertext: Annotated[bytes, Bytes(maximum=MAX_SEALED_PAYLOAD_BYTES, minimum=TAG_BYTES)]


@final
class SpaceKeys:
    """The keys of one space; implements the replication core's `PayloadCipher`."""

    def __init__(self, space: SpaceId, epoch_secret: bytes, rng: Rng) -> None:
        self._space = space
        self.epoch_secret = epoch_secret
        self._rng = rng
        self._log_keys: dict[LogId, bytes] = {}

    def seal(self, log: LogId, seq: int, prev: EntryId | None, plaintext: bytes) -> bytes:
        """Pad to 128-byte steps, then Padme, and seal for this place in the log."""
        padded = pad(plaintext, step_then_padme(len(plaintext) + 1))
        nonce = self._rng.random_bytes(NONCE_BYTES)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
            padded, self._context(log, seq, prev, 0), nonce, self._log_key(log)
        )
        return encode(SealedPayload(0, nonce, sealed))

    def open(self, log: LogId, seq: int, prev: EntryId | None, payload: bytes) -> bytes:
        """The plaintext; raises MalformedError when the payload was not sealed for this place."""
        sealed = decode(SealedPayload, payload, MAX_SEALED_PAYLOAD_BYTES)
        if sealed.epoch != 0:
            raise MalformedError(f"the payload is sealed under epoch {sealed.epoch}, which is unknown here")
        try:
            padded = crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed.ciphertext, self._context(log, seq, prev, sealed.epoch), sealed.nonce, self._log_key(log)
            )
        except CryptoError:
            raise MalformedError("the payload does not open") from None
        plaintext = unpad(padded)
        if plaintext is None:
            raise MalformedError("the payload has no padding")
        return plaintext

    def _log_key(self, log: LogId) -> bytes:
        key = self._log_keys.get(log)
        if key is None:
            key = derive(self.epoch_secret, self._space, Label.LOG_KEY, encode_plain([0, log]), 32)
            self._log_keys[log] = key
        return key

    def _context(self, log: LogId, seq: int, prev: EntryId | None, epoch: int) -> bytes:
        return Label.ENTRY_PAYLOAD.value + encode_plain([self._space, log, seq, prev, epoch])

    def __repr__(self) -> str:
        return f"SpaceKeys({self._space[:4].hex()})"
