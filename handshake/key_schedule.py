"""The key schedule of the handshakes: a transcript hash and a chaining key, after Noise (revision 34, section 5.2).

`absorb` mixes a public value into the transcript, `advance` mixes a secret into the chaining key with the transcript as
HKDF info. A seal uses a key derived for it alone from both, so its nonce may be constant; the sealed bytes are absorbed
in turn. So every later key depends on everything that was sent before it, and two ends that saw different bytes cannot
open each other's seals. Departures from Noise: HKDF-SHA-512 with labels, CBOR framing of every absorbed value, and the
transcript enters every derivation (crypto report 2.3).
"""

import hashlib
from dataclasses import dataclass
from typing import final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latticework.wire import Label, PeerError, derive, encode_plain

from .params import HASH_BYTES, SECRET_BYTES
from .records import AesGcmRecords, RecordKeys

_SINGLE_USE_NONCE = bytes(12)


@final
@dataclass(frozen=True, slots=True, repr=False)
class KeySchedule:
    """64 bytes of transcript hash, 64 bytes of chaining key. Immutable: every step gives a new schedule."""

    transcript: bytes
    _chain: bytes

    def __repr__(self) -> str:
        return f"KeySchedule({self.transcript[:4].hex()})"

    @classmethod
    def begin(cls, label: Label, protocol: str, suite: str) -> "KeySchedule":
        """The schedule of a protocol before anything was sent."""
        start = hashlib.sha512(label.value + encode_plain([protocol, suite])).digest()
        return cls(start, start)

    def absorb(self, step: str, *values: bytes) -> "KeySchedule":
        """Mix public values, which both ends hold, into the transcript."""
        framed = encode_plain([self.transcript, step, list(values)])
        return KeySchedule(hashlib.sha512(Label.PQX_ABSORB.value + framed).digest(), self._chain)

    def advance(self, *secrets: bytes) -> "KeySchedule":
        """Mix secrets, each of a fixed length, into the chaining key."""
        chain = derive(b"".join(secrets), self._chain, Label.PQX_STEP, self.transcript, HASH_BYTES)
        return KeySchedule(self.transcript, chain)

    def seal(self, step: str, plaintext: bytes, label: Label = Label.PQX_SEAL) -> tuple["KeySchedule", bytes]:
        """Seal once under a key for this very state; the schedule with the sealed bytes absorbed, and those."""
        sealed = self._cipher(step, label).encrypt(_SINGLE_USE_NONCE, plaintext, self.transcript)
        return self.absorb(step, sealed), sealed

    def open(self, step: str, sealed: bytes, label: Label = Label.PQX_SEAL) -> tuple["KeySchedule", bytes]:
        """Undo `seal`.

        Raises:
            PeerError: the other end saw other bytes, holds other secrets, or did not seal this.
        """
        try:
            plaintext = self._cipher(step, label).decrypt(_SINGLE_USE_NONCE, sealed, self.transcript)
        except InvalidTag as error:
            raise PeerError("seal", f"the seal of {step} does not open") from error
        return self.absorb(step, sealed), plaintext

    def records(self, *, initiator: bool, now_us: int) -> AesGcmRecords:
        """The record session at the end of the handshake."""
        material = derive(self._chain, self.transcript, Label.RECORD_KEYS, b"", 3 * SECRET_BYTES)
        forth, back, export = (material[i : i + SECRET_BYTES] for i in range(0, len(material), SECRET_BYTES))
        keys = RecordKeys(forth, back, export) if initiator else RecordKeys(back, forth, export)
        return AesGcmRecords(keys, now_us)

    def _cipher(self, step: str, label: Label) -> AESGCM:
        return AESGCM(derive(self._chain, self.transcript, label, step.encode(), SECRET_BYTES))
