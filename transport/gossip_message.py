"""A published message: what travels, how it is named, and whether its author signed it.

Source: libp2p/specs pubsub README ("The Message", "Message Signing", "Message Identification"). A message is parsed
only as far as its name needs; the signature is checked once, at the first copy. What is forwarded is the canonical
encoding, so that fields which no signature covers do not travel on.
"""

import hashlib
from collections.abc import Callable
from enum import Enum
from typing import Final, Self, final

from google.protobuf.message import DecodeError

from latticework.wire import MalformedError, verify_ed25519
from latticework.wire.signing import Ed25519Signer

from .gossip_params import SEQNO_BYTES, SIGNING_PREFIX
from .pb import rpc_pb2 as pb
from .peer_id import PeerId, decode_public_key, encode_public_key
from .varint import encode_varint


class Proof(Enum):
    """What a message's signature fields say under a policy."""

    GOOD = "good"
    FORGED = "not signed as the policy says"
    UNSUPPORTED = "signed with a kind of key that is not Ed25519"


class SignaturePolicy(Enum):
    """pubsub README, "Signature Policy Options"; the lax ones are deprecated there and absent here."""

    STRICT_SIGN = "every message names its author and is signed"
    STRICT_NO_SIGN = "no message names an author or is signed"


@final
class Message:
    """One message; immutable. `author` is a peer id's multihash, absent fields are empty."""

    __slots__ = ("_proof", "_wire", "author", "data", "key", "seqno", "signature", "topic")

    def __init__(
        self, author: bytes, data: bytes, seqno: bytes, topic: str, signature: bytes, key: bytes, wire: bytes
    ) -> None:
        self.author: Final = author
        self.data: Final = data
        self.seqno: Final = seqno
        self.topic: Final = topic
        self.signature: Final = signature
        self.key: Final = key
        self._wire = wire
        self._proof: Proof | None = None

    @classmethod
    def decode(cls, wire: bytes, max_topic_bytes: int) -> Self | None:
        """The message that `wire` encodes; None if its topic is no text or too long for us.

        Raises:
            MalformedError: not a protobuf message.
        """
        try:
            parsed = pb.Message.FromString(wire)
        except DecodeError as error:
            raise MalformedError(f"not a pubsub message: {error}") from error
        topic = decode_topic(parsed.topic, max_topic_bytes)
        if topic is None:
            return None
        return cls(parsed.author, parsed.data, parsed.seqno, topic, parsed.signature, parsed.key, wire)

    @classmethod
    def signed(cls, signer: Ed25519Signer, seqno: int, topic: str, data: bytes) -> Self:
        """A message of the signer's; `seqno` has 64 bits."""
        author = PeerId.of_key(signer.public).multihash
        number = seqno.to_bytes(SEQNO_BYTES, "big")
        body = pb.Message(author=author, data=data, seqno=number, topic=topic.encode()).SerializeToString()
        signature = signer.sign_raw(SIGNING_PREFIX + body)
        message = cls(author, data, number, topic, signature, b"", _with_signature(body, signature, b""))
        message._proof = Proof.GOOD
        return message

    @classmethod
    def anonymous(cls, topic: str, data: bytes) -> Self:
        """A message of nobody's."""
        wire = pb.Message(data=data, topic=topic.encode()).SerializeToString()
        return cls(b"", data, b"", topic, b"", b"", wire)

    @property
    def wire(self) -> bytes:
        """The encoding: as received until `proof` found it good, then canonical."""
        return self._wire

    def proof(self, policy: SignaturePolicy) -> Proof:
        """Whether the message is what `policy` asks for; a signature is verified at the first call only."""
        if policy is SignaturePolicy.STRICT_NO_SIGN:
            named = self.author or self.seqno or self.signature or self.key
            return Proof.FORGED if named else Proof.GOOD
        if self._proof is None:
            self._proof = self._verify()
        return self._proof

    def _verify(self) -> Proof:
        if len(self.seqno) != SEQNO_BYTES or not self.signature:
            return Proof.FORGED
        try:
            author = PeerId.from_bytes(self.author)
        except MalformedError:
            return Proof.UNSUPPORTED
        key = author.transport_key
        if self.key:
            try:
                attached = decode_public_key(self.key)
            except MalformedError:
                return Proof.UNSUPPORTED if key is None else Proof.FORGED
            if attached != key and _hashed_id(attached) != self.author:
                return Proof.FORGED
            key = attached
        if key is None:
            return Proof.FORGED
        parsed = pb.Message.FromString(self._wire)
        parsed.ClearField("signature")
        parsed.ClearField("key")
        parsed.DiscardUnknownFields()
        body = parsed.SerializeToString()
        if not verify_ed25519(key, SIGNING_PREFIX + body, self.signature):
            return Proof.FORGED
        self._wire = _with_signature(body, self.signature, self.key)
        return Proof.GOOD


type MessageIdOf = Callable[[Message], bytes]


def author_and_seqno(message: Message) -> bytes:
    """The id that the specification gives signed messages."""
    return message.author + message.seqno


def content_hash(message: Message) -> bytes:
    """The id of js-libp2p for unsigned messages: SHA-256 of the data."""
    return hashlib.sha256(message.data).digest()


def decode_topic(raw: bytes, max_bytes: int) -> str | None:
    """The topic that `raw` writes, None if it is empty, too long or no UTF-8."""
    if not 0 < len(raw) <= max_bytes:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def is_topic(topic: str, max_bytes: int) -> bool:
    """True if peers would take `topic` for one."""
    return decode_topic(topic.encode(errors="surrogatepass"), max_bytes) is not None


def _hashed_id(transport_key: bytes) -> bytes:
    return b"\x12\x20" + hashlib.sha256(encode_public_key(transport_key)).digest()


def _with_signature(body: bytes, signature: bytes, key: bytes) -> bytes:
    """Fields 5 and 6 behind the signed ones, as every protobuf encoder puts them."""
    tail = b"\x2a" + encode_varint(len(signature)) + signature
    if key:
        tail += b"\x32" + encode_varint(len(key)) + key
    return body + tail
