"""Noise's CipherState and the records that follow the handshake: the one file of Noise with a nonce counter.

Source: Noise revision 34, 5.1 (CipherState), 12.3 (ChaChaPoly); libp2p/specs noise r5, "Wire Format". A record is a
2-byte big-endian length, then ciphertext and tag; there is no associated data, no rekey and no sealed close: the end of
a stream is a yamux frame, and so authenticated, the end of the connection is not.
"""

from collections.abc import Buffer
from struct import Struct
from typing import NoReturn, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from latticework.wire import Label, LocalError, PeerError, derive

from .errors import ConnectionLostError
from .params import (
    NOISE_BATCH_MESSAGES,
    NOISE_LENGTH_BYTES,
    NOISE_MAX_MESSAGE_BYTES,
    NOISE_MAX_NONCE,
    NOISE_MAX_PLAINTEXT_BYTES,
    NOISE_READ_AHEAD_BYTES,
    NOISE_TAG_BYTES,
)
from .ports import Framing

_LENGTH = Struct(">H")
_NONCE = Struct("<4xQ")

NOISE_FRAMING = Framing(
    message_length_bytes=NOISE_LENGTH_BYTES,
    header_bytes=NOISE_LENGTH_BYTES,
    length_mask=NOISE_MAX_MESSAGE_BYTES,
    max_sealed_bytes=NOISE_MAX_MESSAGE_BYTES,
    max_plaintext_bytes=NOISE_BATCH_MESSAGES * NOISE_MAX_PLAINTEXT_BYTES,
    read_ahead_bytes=NOISE_READ_AHEAD_BYTES,
    sealed_close=False,
)


@final
class CipherState:
    """A 32-byte key and its counter of messages; one direction, or one stretch of a handshake."""

    __slots__ = ("_counter", "aead")

    def __init__(self, key: bytes, counter: int = 0) -> None:
        self.aead = ChaCha20Poly1305(key)
        self._counter = counter

    def nonce(self) -> bytes:
        """The next nonce; counted before use, so that no failure can bring it back.

        Raises:
            ConnectionLostError: the counter is used up; dial again.
        """
        counter = self._counter
        if counter == NOISE_MAX_NONCE:
            raise ConnectionLostError("the nonces of this connection are used up")
        self._counter = counter + 1
        return _NONCE.pack(counter)

    def encrypt(self, associated: bytes, plaintext: bytes) -> bytes:
        """EncryptWithAd: ciphertext and tag."""
        return self.aead.encrypt(self.nonce(), plaintext, associated)

    def decrypt(self, associated: bytes, ciphertext: bytes) -> bytes:
        """DecryptWithAd; raises PeerError."""
        try:
            return self.aead.decrypt(self.nonce(), ciphertext, associated)
        except InvalidTag:
            raise PeerError("noise", "a handshake message that does not open") from None


@final
class NoiseRecords:
    """The `RecordSession` of a finished handshake. Not for several tasks per direction.

    `exporter` is a secret of the handshake that no other key is derived from, `binding` its hash.
    """

    __slots__ = ("_alive", "_binding", "_exporter", "_open", "_seal")

    overhead_bytes = NOISE_LENGTH_BYTES + NOISE_TAG_BYTES

    def __init__(self, seal: CipherState, open_: CipherState, exporter: bytes, binding: bytes) -> None:
        self._seal = seal
        self._open = open_
        self._exporter = exporter
        self._binding = binding
        self._alive = True

    def __repr__(self) -> str:
        return "NoiseRecords(...)"

    def seal_into(self, plaintext: Buffer, out: memoryview, now_us: int) -> int:
        """Write `plaintext` (1 byte to 256 KiB less 68) as up to four messages; the bytes written.

        Raises:
            LocalError: sizes out of bounds; nothing was sealed.
            ConnectionLostError: the counter is used up.
        """
        del now_us
        source = memoryview(plaintext)
        size = source.nbytes
        messages = -(-size // NOISE_MAX_PLAINTEXT_BYTES)
        if not 1 <= messages <= NOISE_BATCH_MESSAGES:
            raise LocalError(f"records of {size} bytes")
        if out.nbytes < size + messages * self.overhead_bytes:
            raise LocalError(f"{out.nbytes} bytes of room for records of {size}")
        seal = self._seal
        end = 0
        for offset in range(0, size, NOISE_MAX_PLAINTEXT_BYTES):
            piece = source[offset : offset + NOISE_MAX_PLAINTEXT_BYTES]
            sealed = piece.nbytes + NOISE_TAG_BYTES
            _LENGTH.pack_into(out, end, sealed)
            end += NOISE_LENGTH_BYTES
            seal.aead.encrypt_into(seal.nonce(), piece, None, out[end : end + sealed])
            end += sealed
        return end

    def seal_close(self) -> bytes:
        """Noise has none."""
        return b""

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """Open one whole record into `out`; the plaintext's length, which may be 0.

        The first failure ends the direction: nothing opens after it.

        Raises:
            PeerError: forged, cut, reordered or replayed.
            LocalError: `out` is too small; nothing was opened.
        """
        if not self._alive:
            self._fail("a record after the end")
        size = record.nbytes - self.overhead_bytes
        if size < 0 or _LENGTH.unpack_from(record)[0] != size + NOISE_TAG_BYTES:
            self._fail(f"a record of {record.nbytes} bytes")
        if out.nbytes < size:
            raise LocalError(f"{out.nbytes} bytes of room for a record of {size}")
        plaintext = out[:size]
        try:
            self._open.aead.decrypt_into(self._open.nonce(), record[NOISE_LENGTH_BYTES:], None, plaintext)
        except InvalidTag:
            plaintext[:] = bytes(size)  # the library leaves unauthenticated plaintext behind
            self._fail("a record that does not open")
        return size

    def export(self, label: bytes, length: int) -> bytes:
        """`length` bytes (at most 8160) that only the two ends know; of another length, unrelated ones."""
        context = length.to_bytes(2, "big") + label
        return derive(self._exporter, self._binding, Label.RECORD_EXPORT, context, length)

    def _fail(self, reason: str) -> NoReturn:
        self._alive = False
        raise PeerError("record", reason)
