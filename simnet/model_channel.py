"""The secure channel of crypto mode `model`: a certificate each way, then records with a checksum for a tag.

NOT SECRET, FOR SIMULATION ONLY. Sizes of records, the round trip of the handshake and the refusal of strangers and of
damaged records are those of the real channel; nothing proves that a certificate's device is at the other end. Who
forges is therefore refused as a role in this mode. `latticework.node` may not import this package.
"""

import hashlib
from collections.abc import Buffer
from struct import Struct
from typing import Final, final

from latticework.handshake import Authorize, DeviceKeys, TransportSigner
from latticework.transport import YAMUX_PROTOCOL
from latticework.transport.ports import (
    LATTICE_FRAMING,
    Algorithms,
    Established,
    HandshakeAction,
    HandshakeMachine,
    Refuse,
    SendMessage,
)
from latticework.wire import KemProvider, PeerError, Rng, SignatureProvider

MODEL_PROTOCOL: Final = "/simnet/model/1"
_HEADER: Final = Struct(">I")
_TAG_BYTES: Final = 16
_HEADER_BYTES: Final = 4
_TYPE_SHIFT: Final = 28
_CLOSE: Final = 1
_KEY_BYTES: Final = 32
_MAX_HELLO_BYTES: Final = 24_000
"""Above a certificate; the real handshake's flights together have about as many."""


@final
class ModelRecords:
    """A `RecordSession` that seals nothing: header, plaintext, tag."""

    overhead_bytes = _HEADER_BYTES + _TAG_BYTES

    def __init__(self, binding: bytes) -> None:
        self._binding = binding

    def seal_into(self, plaintext: Buffer, out: memoryview, now_us: int) -> int:
        """One record of the plaintext as it is."""
        del now_us
        source = memoryview(plaintext)
        end = _HEADER_BYTES + source.nbytes
        _HEADER.pack_into(out, 0, source.nbytes + _TAG_BYTES)
        out[_HEADER_BYTES:end] = source
        out[end : end + _TAG_BYTES] = _tag(out[:end])
        return end + _TAG_BYTES

    def seal_close(self) -> bytes:
        """A record of the type that ends a direction."""
        header = _HEADER.pack(_CLOSE << _TYPE_SHIFT | _TAG_BYTES)
        return header + _tag(header)

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """The plaintext's length, -1 for the close; raises PeerError for a damaged record."""
        end = record.nbytes - _TAG_BYTES
        if bytes(record[end:]) != _tag(record[:end]):
            raise PeerError("record", "a record that does not open")
        if _HEADER.unpack_from(record)[0] >> _TYPE_SHIFT == _CLOSE:
            return -1
        size = end - _HEADER_BYTES
        out[:size] = record[_HEADER_BYTES:end]
        return size

    def export(self, label: bytes, length: int) -> bytes:
        """Bytes that both ends have, and anybody else could."""
        return hashlib.shake_128(self._binding + label).digest(length)


def _tag(data: Buffer) -> bytes:
    return hashlib.blake2b(data, digest_size=_TAG_BYTES).digest()


@final
class ModelChannel:
    """A `SecureChannel`; made with what `PqxChannel` is made with."""

    protocol = MODEL_PROTOCOL
    framing = LATTICE_FRAMING

    def __init__(
        self,
        keys: DeviceKeys,
        certificate: bytes,
        transport: TransportSigner,
        rng: Rng,
        kem: KemProvider,
        signatures: SignatureProvider,
        authorize: Authorize,
    ) -> None:
        del keys, rng
        self._hello = transport.public + certificate
        self._algorithms = Algorithms(MODEL_PROTOCOL, kem.name, signatures.name, "none")
        self._authorize = authorize

    def initiate(self) -> HandshakeMachine:
        """A machine that dials."""
        return _Hello(self._hello, self._authorize, self._algorithms, first=True)

    def respond(self) -> HandshakeMachine:
        """A machine that listens."""
        return _Hello(self._hello, self._authorize, self._algorithms, first=False)


@final
class _Hello:
    """Says who we are, hears who they are."""

    max_message_bytes = _MAX_HELLO_BYTES

    def __init__(self, hello: bytes, authorize: Authorize, algorithms: Algorithms, *, first: bool) -> None:
        self._own = hello
        self._authorize = authorize
        self._algorithms = algorithms
        self._first = first

    def start(self) -> list[HandshakeAction]:
        """The initiator's hello."""
        return [SendMessage(self._own)] if self._first else []

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        """The other's hello."""
        del now_us
        member = self._authorize(message[_KEY_BYTES:])
        if isinstance(member, str):
            return [Refuse("certificate", member)]
        ours, theirs = hashlib.sha256(self._own).digest(), hashlib.sha256(message).digest()
        records = ModelRecords(min(ours, theirs) + max(ours, theirs))
        established = Established(records, member.device, message[:_KEY_BYTES], YAMUX_PROTOCOL, self._algorithms)
        return [established] if self._first else [SendMessage(self._own), established]
