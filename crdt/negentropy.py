"""Negentropy protocol v1 over our range machine (hoytech/negentropy, docs/negentropy-protocol-v1.md).

It stands here to hold the machine against a published implementation, and to reconcile with whoever speaks it. Between
ourselves we use salted fingerprints: those of this protocol are sums of plain ids, which a patient author can forge.
Records are a 64-bit time, in whatever unit, and an id of 32 bytes; the initiator learns which ids it has and needs.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import final

from latticework.wire import MalformedError, PeerError

from .params import FINGERPRINT_BYTES, NEGENTROPY_MIN_FRAME_BYTES, NEGENTROPY_RESERVE_BYTES
from .ranges import (
    Fingerprinted,
    Listed,
    RangeIndex,
    RangeReconciler,
    Rules,
    Skipped,
    Span,
    Told,
    ToldRange,
    shortest_bound,
)

VERSION_1 = 0x61
"""Protocol version byte; 0x60 to 0x6F are versions 0 to 15."""
ID_BYTES = 32
INFINITY = (1 << 64) - 1
"""The reserved time above all others."""

_TIME_BYTES = 8
_SKIP, _FINGERPRINT, _ID_LIST = range(3)


def record_key(time: int, identifier: bytes) -> bytes:
    """The place of a record: 8 bytes of time, big-endian, and the id."""
    return time.to_bytes(_TIME_BYTES) + identifier


def record_index(records: Iterable[tuple[int, bytes]]) -> RangeIndex:
    """An index of (time, id of 32 bytes) records; times are below 2^64 - 1."""
    return RangeIndex((record_key(time, key), int.from_bytes(key, "little")) for time, key in records)


def fingerprint_v1(span: Span) -> bytes:
    """First 16 bytes of SHA-256 over the sum of the ids, little-endian, and the count as a varint."""
    return hashlib.sha256(span.total.to_bytes(32, "little") + varint(span.size)).digest()[:FINGERPRINT_BYTES]


def bound_v1(before: bytes, after: bytes) -> bytes:
    """The time of `after`, and when it is that of `before` too, as much of the id as tells them apart."""
    return after[: max(_TIME_BYTES, len(shortest_bound(before, after)))]


RULES_V1 = Rules(fingerprint_v1, bound_v1, told_from=_TIME_BYTES)


def varint(value: int) -> bytes:
    """Base 128, most significant digit first, the high bit on all bytes but the last."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))


@final
class Negentropy:
    """One side. `have` and `need` are ids, complete at the initiator once `reconcile` has returned None.

    Messages stay within `frame_bytes` (at least 4096; 0: any length). The index must not change meanwhile.
    """

    def __init__(self, index: RangeIndex, *, initiator: bool, frame_bytes: int = 0) -> None:
        self._ranges = RangeReconciler(index, RULES_V1, initiator=initiator)
        self._initiator = initiator
        self._room_bytes = max(frame_bytes, NEGENTROPY_MIN_FRAME_BYTES) - NEGENTROPY_RESERVE_BYTES if frame_bytes else 0

    @property
    def have(self) -> set[bytes]:
        """Ids that the other side lacks."""
        return self._ranges.have

    @property
    def need(self) -> set[bytes]:
        """Ids that we lack."""
        return self._ranges.need

    def initiate(self) -> bytes:
        """The first message."""
        return self._write(iter([(b"", self._ranges.start())]))

    def reconcile(self, message: bytes) -> bytes | None:
        """The answer to a message; None at the initiator when all is known.

        Raises:
            MalformedError: the message is not one of version 1.
            PeerError: `version`: the other side speaks another version only.
        """
        if not message or not 0x60 <= message[0] <= 0x6F:
            raise MalformedError("not a negentropy message")
        if message[0] != VERSION_1:
            if self._initiator:
                raise PeerError("version", f"the other side speaks negentropy version {message[0] - 0x60}")
            return bytes([VERSION_1])
        answer = self._write(self._ranges.answer(_read(message)))
        return None if self._initiator and len(answer) == 1 else answer

    def _write(self, answers: Iterator[tuple[bytes, list[ToldRange]]]) -> bytes:
        out = _Writer(self._room_bytes)
        for lower, ranges in answers:
            out.skip_to(lower)
            for told_range in ranges:
                if not out.tell(told_range):
                    out.close(self._ranges.fingerprint(out.at, None))
                    return bytes(out.data)
        return bytes(out.data)


@final
class _Writer:
    """A message in the making; `at` is where its ranges have come to."""

    def __init__(self, room_bytes: int) -> None:
        self._room_bytes = room_bytes
        self._time = 0
        self._skipped = b""
        self.data = bytearray([VERSION_1])
        self.at = b""

    def skip_to(self, lower: bytes) -> None:
        self._skipped = lower

    def tell(self, told_range: ToldRange) -> bool:
        """False if it did not fit, or only in part."""
        told = told_range.told
        if not self._room_bytes:
            self._put(told_range)
            return True
        room = self._room_bytes - len(self.data)
        if not isinstance(told, Listed):
            fits = room >= FINGERPRINT_BYTES
            if fits:
                self._put(told_range)
            return fits
        count = room // ID_BYTES
        if count >= len(told.keys):
            self._put(told_range)
            return True
        if count > 0:
            self._put(ToldRange(told.keys[count], Listed(told.keys[:count])))
        return False

    def close(self, fingerprint: bytes) -> None:
        """Leave all the rest open."""
        self._put(ToldRange(None, Fingerprinted(fingerprint)))

    def _put(self, told_range: ToldRange) -> None:
        if self._skipped > self.at:
            self._write(ToldRange(self._skipped, Skipped()))
            self.at = self._skipped
        self._write(told_range)
        if told_range.upper is not None:
            self.at = told_range.upper

    def _write(self, told_range: ToldRange) -> None:
        self._bound(told_range.upper)
        match told_range.told:
            case Skipped():
                self.data += varint(_SKIP)
            case Fingerprinted(fingerprint):
                self.data += varint(_FINGERPRINT) + fingerprint
            case Listed(keys):
                self.data += varint(_ID_LIST) + varint(len(keys)) + b"".join(key[_TIME_BYTES:] for key in keys)

    def _bound(self, upper: bytes | None) -> None:
        if upper is None:
            self.data += varint(0) + varint(0)
            return
        time, prefix = int.from_bytes(upper[:_TIME_BYTES]), upper[_TIME_BYTES:]
        self.data += varint(time - self._time + 1) + varint(len(prefix)) + prefix
        self._time = time


def _read(message: bytes) -> list[ToldRange]:
    reader = _Reader(message)
    ranges: list[ToldRange] = []
    lower = b""
    while reader.left:
        upper = reader.bound()
        if upper is not None and upper < lower:
            raise MalformedError("ranges overlap")
        ranges.append(ToldRange(upper, reader.told()))
        if upper is None and reader.left:
            raise MalformedError("a range after infinity")
        lower = upper or lower
    return ranges


@final
class _Reader:
    def __init__(self, message: bytes) -> None:
        self._data = message
        self._at = 1
        self._time = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedError("the message ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        value = 0
        for position in range(10):
            digit = self.take(1)[0]
            if position == 0 and digit == 0x80:
                raise MalformedError("a number with leading zeros")
            value = value << 7 | digit & 0x7F
            if digit < 0x80:
                break
        else:
            raise MalformedError("a number that never ends")
        if value > INFINITY:
            raise MalformedError("a number of more than 64 bits")
        return value

    def bound(self) -> bytes | None:
        offset = self.number()
        length = self.number()
        if length > ID_BYTES:
            raise MalformedError("a bound longer than an id")
        prefix = self.take(length)
        if offset == 0:
            return None
        self._time += offset - 1
        if self._time >= INFINITY:
            raise MalformedError("a time at or after infinity")
        return self._time.to_bytes(_TIME_BYTES) + prefix

    def told(self) -> Told:
        match self.number():
            case 0:
                return Skipped()
            case 1:
                return Fingerprinted(self.take(FINGERPRINT_BYTES))
            case 2:
                count = self.number()
                ids = self.take(count * ID_BYTES)
                return Listed(tuple(ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)))
            case mode:
                raise MalformedError(f"unknown mode {mode}")
