"""AES-256-GCM records: what an established channel seals and opens, and the one file with a nonce counter.

Each direction has a secret of its own. A key schedule step turns it into an AES key and the next secret; the old secret
is dropped at once, so a rekey is one way: whoever steals today's keys cannot read yesterday's records. Nonces are the
count of records ever sealed in that direction; the count goes on across rekeys, so that no pair of key and nonce could
return even if a rekey went wrong. The header is the associated data (decision 17).

Python cannot wipe memory: "dropped" means that no reference remains.
"""

from collections.abc import Buffer
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NoReturn, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latticework.wire import Label, LocalError, PeerError, derive

from .params import (
    MAX_RECORD_PLAINTEXT_BYTES,
    RECORD_HEADER_BYTES,
    RECORD_OVERHEAD_BYTES,
    REKEY_BYTES,
    REKEY_US,
    SECRET_BYTES,
    TAG_BYTES,
)

_HEADER = Struct(">I")
_TYPE_SHIFT = 28
_LENGTH_MASK = (1 << _TYPE_SHIFT) - 1
_EMPTY = b""


class RecordType(IntEnum):
    """The top 4 bits of a record's header."""

    DATA = 0
    CLOSE = 1
    REKEY = 2


_CLOSE_HEADER = _HEADER.pack(RecordType.CLOSE << _TYPE_SHIFT | TAG_BYTES)
_REKEY_HEADER = _HEADER.pack(RecordType.REKEY << _TYPE_SHIFT | TAG_BYTES)


@dataclass(frozen=True, slots=True)
class RekeyLimits:
    """When the sealing side rekeys; both ends must hold the same `max_bytes` (counted with headers and tags)."""

    max_bytes: int = REKEY_BYTES
    max_us: int = REKEY_US


DEFAULT_LIMITS = RekeyLimits()


@dataclass(frozen=True, slots=True, repr=False)
class RecordKeys:
    """Three independent 32-byte secrets: for what we seal, what we open, and the exporter."""

    seal: bytes
    open: bytes
    export: bytes

    def __repr__(self) -> str:
        return "RecordKeys(...)"


@final
class _Direction:
    """One direction's key, nonce counter and budget; `alive` is False after the close or the first failure."""

    __slots__ = ("_secret", "aead", "alive", "budget", "counter", "limits")

    def __init__(self, secret: bytes, limits: RekeyLimits) -> None:
        self._secret = secret
        self.limits = limits
        self.counter = 0
        self.alive = True
        self.step()

    def step(self) -> None:
        """Take the next key and drop the old one."""
        material = derive(self._secret, b"", Label.RECORD_REKEY, b"", 2 * SECRET_BYTES)
        self.aead = AESGCM(material[:SECRET_BYTES])
        self._secret = material[SECRET_BYTES:]
        # A rekey record must always fit under the key that it ends.
        self.budget = self.limits.max_bytes - RECORD_OVERHEAD_BYTES

    def nonce(self) -> bytes:
        """The next nonce; counted before use, so that no failure can bring it back."""
        counter = self.counter
        self.counter = counter + 1
        return counter.to_bytes(12, "big")


@final
class AesGcmRecords:
    """The default `RecordSession`. Not for several tasks per direction; the two directions are independent.

    `seal_into` and `open_into` may work in place when the two buffers start so that plaintext and ciphertext lie at
    exactly the same address; any other overlap corrupts data.
    """

    __slots__ = ("_export", "_open", "_rekey_at_us", "_seal", "_since_us")

    overhead_bytes = RECORD_OVERHEAD_BYTES

    def __init__(self, keys: RecordKeys, now_us: int, limits: RekeyLimits = DEFAULT_LIMITS) -> None:
        self._seal = _Direction(keys.seal, limits)
        self._open = _Direction(keys.open, limits)
        self._export = keys.export
        self._since_us = now_us
        self._rekey_at_us = now_us + limits.max_us

    def __repr__(self) -> str:
        return f"AesGcmRecords({self._seal.counter} sealed, {self._open.counter} opened)"

    def seal_into(self, plaintext: Buffer, out: memoryview, now_us: int) -> int:
        """Write one data record, after a rekey record if one is due; the bytes written.

        `plaintext` is 1 to 256 KiB; `out` needs 64 bytes more.

        Raises:
            LocalError: sealed after the close, or sizes out of bounds. Nothing was sealed then.
        """
        source = memoryview(plaintext)
        size = source.nbytes
        if not self._seal.alive:
            raise LocalError("sealed after the close")
        if not 0 < size <= MAX_RECORD_PLAINTEXT_BYTES:
            raise LocalError(f"a record of {size} bytes")
        if out.nbytes < size + 2 * RECORD_OVERHEAD_BYTES:
            raise LocalError(f"{out.nbytes} bytes of room for a record of {size}")
        seal = self._seal
        wire_size = size + RECORD_OVERHEAD_BYTES
        start = 0
        # A clock that was stepped back would put the hour off; it brings the rekey forward instead.
        if seal.budget < wire_size or not self._since_us <= now_us < self._rekey_at_us:
            start = self._rekey_into(out, now_us)
        seal.budget -= wire_size
        body = start + RECORD_HEADER_BYTES
        end = start + wire_size
        _HEADER.pack_into(out, start, size + TAG_BYTES)
        seal.aead.encrypt_into(seal.nonce(), source, out[start:body], out[body:end])
        return end

    def seal_close(self) -> bytes:
        """The 20-byte authenticated end of our direction.

        Raises:
            LocalError: it was closed before.
        """
        if not self._seal.alive:
            raise LocalError("closed twice")
        self._seal.alive = False
        return _CLOSE_HEADER + self._seal.aead.encrypt(self._seal.nonce(), _EMPTY, _CLOSE_HEADER)

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """Open one whole record into `out`; the plaintext's length, 0 for a rekey, -1 for the sealed close.

        The first failure ends the direction: nothing opens after it, or after the close.

        Raises:
            PeerError: forged, cut, reordered, replayed, oversized, of an unknown type, or past the rekey limit.
            LocalError: `out` is too small; nothing was opened.
        """
        direction = self._open
        if not direction.alive:
            self._fail("a record after the end")
        size = record.nbytes - RECORD_OVERHEAD_BYTES
        if not 0 <= size <= MAX_RECORD_PLAINTEXT_BYTES:
            self._fail(f"a record of {record.nbytes} bytes")
        (header,) = _HEADER.unpack_from(record)
        if header & _LENGTH_MASK != size + TAG_BYTES:
            self._fail("a record whose header tells another length")
        if header >> _TYPE_SHIFT != RecordType.DATA:
            return self._open_control(record, header)
        if size == 0:
            self._fail("an empty record")
        if out.nbytes < size:
            raise LocalError(f"{out.nbytes} bytes of room for a record of {size}")
        direction.budget -= record.nbytes
        if direction.budget < 0:
            self._fail("more bytes than allowed under one key")
        plaintext = out[:size]
        try:
            direction.aead.decrypt_into(
                direction.nonce(), record[RECORD_HEADER_BYTES:], record[:RECORD_HEADER_BYTES], plaintext
            )
        except InvalidTag:
            plaintext[:] = bytes(size)  # the library leaves unauthenticated plaintext behind
            self._fail("a record that does not open")
        return size

    def export(self, label: bytes, length: int) -> bytes:
        """`length` bytes (at most 8160) that only the two ends know; of another length, unrelated ones."""
        return derive(self._export, b"", Label.RECORD_EXPORT, length.to_bytes(2, "big") + label, length)

    def _rekey_into(self, out: memoryview, now_us: int) -> int:
        seal = self._seal
        out[:RECORD_HEADER_BYTES] = _REKEY_HEADER
        sealed = out[RECORD_HEADER_BYTES:RECORD_OVERHEAD_BYTES]
        seal.aead.encrypt_into(seal.nonce(), _EMPTY, _REKEY_HEADER, sealed)
        seal.step()
        self._since_us = now_us
        self._rekey_at_us = now_us + seal.limits.max_us
        return RECORD_OVERHEAD_BYTES

    def _open_control(self, record: memoryview, header: int) -> int:
        kind = header >> _TYPE_SHIFT
        if kind not in {RecordType.CLOSE, RecordType.REKEY} or header & _LENGTH_MASK != TAG_BYTES:
            self._fail(f"a record of type {kind}")
        direction = self._open
        try:
            direction.aead.decrypt(direction.nonce(), record[RECORD_HEADER_BYTES:], record[:RECORD_HEADER_BYTES])
        except InvalidTag:
            self._fail("a record that does not open")
        if kind == RecordType.CLOSE:
            direction.alive = False
            return -1
        direction.step()
        return 0

    def _fail(self, reason: str) -> NoReturn:
        self._open.alive = False
        raise PeerError("record", reason)
