"""`Noise_XX_25519_ChaChaPoly_SHA256` without libp2p: the symmetric state and the three messages of pattern XX.

    -> e
    <- e, ee, s, es
    -> s, se

Source: Noise revision 34, sections 5.2 (SymmetricState), 5.3 (HandshakeState), 7.5 (XX) and 4.3 (HKDF), checked against
the published vectors of cacophony and snow. Only the composition is ours; X25519, ChaCha20-Poly1305, SHA-256 and HMAC
are `cryptography`'s and the standard library's. The Python packages of Noise are not used because nobody tends them:
`noiseprotocol` 0.3.1 is of March 2020, `dissononce` 0.34.3 of April 2019.
"""

import hashlib
import hmac
from typing import final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from latticework.wire import LocalError, MalformedError, PeerError

from .noise_cipher import CipherState, NoiseRecords
from .params import NOISE_KEY_BYTES, NOISE_NAME, NOISE_TAG_BYTES


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes, bytes]:
    """Section 4.3, with three outputs; of which the first two are those of the form with two."""
    temporary = _hmac(chaining_key, material)
    first = _hmac(temporary, b"\x01")
    second = _hmac(temporary, first + b"\x02")
    return first, second, _hmac(temporary, second + b"\x03")


@final
class SymmetricState:
    """Section 5.2: chaining key, handshake hash, and the key that seals from the first DH on."""

    def __init__(self, prologue: bytes) -> None:
        self.hash = NOISE_NAME
        self._chaining_key = NOISE_NAME
        self._cipher: CipherState | None = None
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, product: bytes) -> None:
        self._chaining_key, key, _ = _hkdf(self._chaining_key, product)
        self._cipher = CipherState(key)

    def seal(self, plaintext: bytes) -> bytes:
        """EncryptAndHash."""
        sealed = plaintext if self._cipher is None else self._cipher.encrypt(self.hash, plaintext)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """DecryptAndHash; raises PeerError."""
        plaintext = sealed if self._cipher is None else self._cipher.decrypt(self.hash, sealed)
        self.mix_hash(sealed)
        return plaintext

    def split(self, *, initiator: bool) -> NoiseRecords:
        """The records of both directions; a third output of the same HKDF is the exporter's secret."""
        forth, back, exporter = _hkdf(self._chaining_key, b"")
        seal, open_ = (forth, back) if initiator else (back, forth)
        return NoiseRecords(CipherState(seal), CipherState(open_), exporter, self.hash)


@final
class PatternXX:
    """One side of the pattern: `write` and `read` alternate, the initiator writes first.

    `ephemeral` must be fresh; both secrets are 32 bytes. What `read` raises ends the handshake.
    """

    def __init__(
        self, static: X25519PrivateKey, ephemeral: X25519PrivateKey, *, initiator: bool, prologue: bytes = b""
    ) -> None:
        self._static = static
        self._ephemeral = ephemeral
        self._initiator = initiator
        self._state = SymmetricState(prologue)
        self._turn = 0
        self._remote_ephemeral = b""
        self.remote_static = b""
        """32 bytes once a message carried it; nothing but a signature over it says whose it is."""

    @property
    def handshake_hash(self) -> bytes:
        """Section 11.2: 32 bytes, the same at both ends after the last message; no secret."""
        return self._state.hash

    def write(self, payload: bytes) -> bytes:
        """The next message of ours."""
        turn = self._take_turn(writing=True)
        message = b""
        if turn < 2:
            public = _public(self._ephemeral)
            self._state.mix_hash(public)
            message = public
        if turn == 1:
            self._mix(self._ephemeral, self._remote_ephemeral)
        if turn > 0:
            message += self._state.seal(_public(self._static))
            self._mix(self._static, self._remote_ephemeral)
        return message + self._state.seal(payload)

    def read(self, message: bytes) -> bytes:
        """The payload of the peer's next message.

        Raises:
            MalformedError: too short.
            PeerError: it does not open (`noise`), or its key is of low order (`low-order`).
        """
        turn = self._take_turn(writing=False)
        sealed_key_bytes = NOISE_KEY_BYTES + NOISE_TAG_BYTES
        if (
            len(message)
            < (NOISE_KEY_BYTES, NOISE_KEY_BYTES + sealed_key_bytes + NOISE_TAG_BYTES, sealed_key_bytes)[turn]
        ):
            raise MalformedError(f"Noise message {turn + 1} of {len(message)} bytes")
        if turn < 2:
            self._remote_ephemeral, message = message[:NOISE_KEY_BYTES], message[NOISE_KEY_BYTES:]
            self._state.mix_hash(self._remote_ephemeral)
        if turn == 1:
            self._mix(self._ephemeral, self._remote_ephemeral)
        if turn > 0:
            self.remote_static, message = self._state.open(message[:sealed_key_bytes]), message[sealed_key_bytes:]
            self._mix(self._ephemeral, self.remote_static)
        return self._state.open(message)

    def records(self) -> NoiseRecords:
        """The keys after the last message."""
        if self._turn != 3:
            raise LocalError("the handshake is not finished")
        return self._state.split(initiator=self._initiator)

    def _take_turn(self, *, writing: bool) -> int:
        turn = self._turn
        if turn > 2 or writing != ((turn % 2 == 0) == self._initiator):
            raise LocalError("a Noise message out of turn")
        self._turn = turn + 1
        return turn

    def _mix(self, secret: X25519PrivateKey, public: bytes) -> None:
        try:
            product = secret.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            # The library refuses a product of zeros (RFC 7748, 6.1).
            raise PeerError("low-order", "an X25519 key of low order") from None
        self._state.mix_key(product)


def _public(secret: X25519PrivateKey) -> bytes:
    return secret.public_key().public_bytes_raw()
