"""The keys of one pairing: SPAKE2's, bound to the channel and to both messages, then split by purpose and direction."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol, final

from latticework.wire import Label, MalformedError, decode_one_of, derive, encode, encode_plain

from .pairing import PairingAction, PairingFailed, Send
from .pairing_failures import Failure, PairingError
from .pairing_messages import CLEAR, MAX_CLEAR_BYTES, SEALED, ClearMessage, PairRefusal, SealedMessage
from .params import MAC_BYTES, MAX_RECORD_PLAINTEXT_BYTES, RECORD_OVERHEAD_BYTES, SECRET_BYTES
from .records import AesGcmRecords, RecordKeys
from .spake import Role

MAX_SEALED_BYTES = MAX_RECORD_PLAINTEXT_BYTES + RECORD_OVERHEAD_BYTES


class Exporter(Protocol):
    """A channel, or its record session."""

    def export(self, label: bytes, length: int) -> bytes:
        """Bytes that only the two ends know."""
        ...


def channel_binding(channel: Exporter) -> bytes:
    """32 bytes that differ between the two channels of a middleman."""
    return channel.export(Label.PAIRING.value, SECRET_BYTES)


@final
@dataclass(frozen=True, slots=True, repr=False)
class PairingKeys:
    """Both confirmations, and the secrets of the sealed messages."""

    joiner_mac: bytes
    sponsor_mac: bytes
    records: RecordKeys

    def __repr__(self) -> str:
        return "PairingKeys(...)"

    def check(self, mac: bytes, expected: bytes) -> None:
        """Raise PairingError if the other side holds another key."""
        if not hmac.compare_digest(mac, expected):
            raise PairingError(Failure.WRONG_CODE)


def pairing_keys(role: Role, spake_key: bytes, binding: bytes, *transcript: bytes) -> PairingKeys:
    """Keys from SPAKE2's 32 bytes, the channel binding and the exact clear messages, hello first."""
    digest = hashlib.sha512(Label.PAIRING.value + encode_plain(list(transcript))).digest()
    secret = derive(spake_key, binding, Label.PAIRING, digest, 2 * SECRET_BYTES)
    confirm, sealing = secret[:SECRET_BYTES], secret[SECRET_BYTES:]
    forth, back, export = (
        derive(sealing, b"", Label.PAIRING_RECORDS, name, SECRET_BYTES) for name in (b"joiner", b"sponsor", b"export")
    )
    keys = RecordKeys(forth, back, export) if role is Role.JOINER else RecordKeys(back, forth, export)
    return PairingKeys(_mac(confirm, Role.JOINER, digest), _mac(confirm, Role.SPONSOR, digest), keys)


def _mac(key: bytes, role: Role, digest: bytes) -> bytes:
    message = Label.PAIRING_CONFIRM.value + encode_plain([role.value, digest])
    return hmac.digest(key, message, "sha512")[:MAC_BYTES]


@final
class SealedMessages:
    """Messages under the pairing key: in order, each once, refusals included."""

    __slots__ = ("_records",)

    def __init__(self, keys: PairingKeys, now_us: int) -> None:
        self._records = AesGcmRecords(keys.records, now_us)

    def seal(self, message: SealedMessage, now_us: int) -> bytes:
        """One sealed message. A rekey within one pairing (an hour) is never due."""
        plaintext = encode(message)
        out = bytearray(len(plaintext) + 2 * RECORD_OVERHEAD_BYTES)
        size = self._records.seal_into(plaintext, memoryview(out), now_us)
        return bytes(out[:size])

    def open(self, sealed: bytes) -> SealedMessage:
        """Undo `seal`.

        Raises:
            PeerError: forged, replayed, out of order, or not a message.
            PairingError: the other side refused.
        """
        out = memoryview(bytearray(max(0, len(sealed) - RECORD_OVERHEAD_BYTES)))
        size = self._records.open_into(memoryview(sealed), out)
        if size <= 0:
            raise MalformedError("a record without a message")
        return _or_refused(decode_one_of(SEALED, bytes(out[:size]), MAX_RECORD_PLAINTEXT_BYTES))


def open_clear(message: bytes) -> ClearMessage:
    """A message before there is a key.

    Raises:
        MalformedError: not one.
        PairingError: the other side refused.
    """
    return _or_refused(decode_one_of(CLEAR, message, MAX_CLEAR_BYTES))


def _or_refused[T](message: T) -> T:
    if isinstance(message, PairRefusal):
        known = message.failure in Failure and message.failure != Failure.LOST
        raise PairingError(Failure(message.failure) if known else Failure.PROTOCOL, told=True)
    return message


def expect[T](cls: type[T], message: object) -> T:
    """`message`, if it is the one whose turn it is; raises MalformedError."""
    if not isinstance(message, cls):
        raise MalformedError(f"{type(message).__name__} instead of {cls.__name__}")
    return message


def end(error: PairingError, seal: SealedMessages | None, now_us: int) -> list[PairingAction]:
    """Tell the other side, unless it told us or is gone; sealed as soon as there is a key."""
    failed = PairingFailed(error.code, str(error))
    if error.told or error.failure is Failure.LOST:
        return [failed]
    refusal = PairRefusal(error.failure)
    return [Send(encode(refusal) if seal is None else seal.seal(refusal, now_us)), failed]
