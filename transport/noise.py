"""`/noise`: the secure channel of plain libp2p peers, Noise XX with signed static keys.

Source: libp2p/specs noise r5; the cryptography is in `noise_state.py`. It is spoken towards plain libp2p peers only,
for what is no data of ours: a connection carries the protocols that its channel was made with and no other, in either
direction, and none of `/lattice/` can be among them (decision 16). The X25519 static key is made with the channel, so
it lives as long as the process.

What it does not give: post-quantum secrecy, a name for the responder before it speaks (whoever connects learns its
peer id, which is fresh at each start), an authenticated end of the connection.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never, final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from latticework.wire import LocalError, PeerError, Rng

from .noise_cipher import NOISE_FRAMING
from .noise_payload import IdentitySigner, Proof, choose_muxer, encode_payload, verify_payload
from .noise_state import PatternXX
from .params import (
    NOISE_KEY_BYTES,
    NOISE_MAX_HANDSHAKE_BYTES,
    NOISE_PROTOCOL,
    PRIVATE_PROTOCOL_PREFIX,
    YAMUX_PROTOCOL,
)
from .peer_id import PeerId
from .ports import Algorithms, Established, HandshakeAction, HandshakeMachine, Refuse, SendMessage

_MUXERS = (YAMUX_PROTOCOL,)


@dataclass(frozen=True, slots=True, repr=False)
class _Terms:
    """What all handshakes of a channel share."""

    static: X25519PrivateKey
    payload: bytes
    rng: Rng
    muxers: tuple[str, ...]
    protocols: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ready:
    """The initiator has sent nothing yet."""


@dataclass(frozen=True, slots=True)
class AwaitingFirst:
    """The responder has received nothing yet."""


@dataclass(frozen=True, slots=True)
class AwaitingSecond:
    """The initiator has sent its ephemeral key."""

    pattern: PatternXX


@dataclass(frozen=True, slots=True)
class AwaitingThird:
    """The responder has sent its payload."""

    pattern: PatternXX


@dataclass(frozen=True, slots=True)
class Finished:
    """Established or refused."""


type State = Ready | AwaitingFirst | AwaitingSecond | AwaitingThird | Finished


@final
class NoiseHandshake:
    """A `HandshakeMachine` for either side; the first state says which."""

    def __init__(self, terms: _Terms, first: Ready | AwaitingFirst, expected: PeerId | None) -> None:
        self._terms = terms
        self._expected = expected
        self._state: State = first

    @property
    def max_message_bytes(self) -> int:
        """The longest message that the state accepts."""
        match self._state:
            case AwaitingFirst() | AwaitingSecond() | AwaitingThird():
                return NOISE_MAX_HANDSHAKE_BYTES
            case Ready() | Finished():
                return 0
            case _:
                assert_never(self._state)

    def start(self) -> list[HandshakeAction]:
        """The first message for the initiator, nothing for the responder; raises LocalError when started twice."""
        match self._state:
            case Ready():
                pattern = self._pattern(initiator=True)
                self._state = AwaitingSecond(pattern)
                return [SendMessage(pattern.write(b""))]
            case AwaitingFirst():
                return []
            case _:
                raise LocalError("a handshake is started once")

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        """The next message, the channel, or a refusal."""
        del now_us
        state, self._state = self._state, Finished()
        try:
            match state:
                case AwaitingFirst():
                    return self._on_first(message)
                case AwaitingSecond(pattern):
                    return self._on_second(pattern, message)
                case AwaitingThird(pattern):
                    return self._on_third(pattern, message)
                case Ready() | Finished():
                    return [Refuse("order", "a message out of turn")]
                case _:
                    assert_never(state)
        except PeerError as error:
            return [Refuse(error.code, str(error))]

    def _pattern(self, *, initiator: bool) -> PatternXX:
        ephemeral = X25519PrivateKey.from_private_bytes(self._terms.rng.random_bytes(NOISE_KEY_BYTES))
        return PatternXX(self._terms.static, ephemeral, initiator=initiator)

    def _on_first(self, message: bytes) -> list[HandshakeAction]:
        pattern = self._pattern(initiator=False)
        pattern.read(message)  # libp2p gives a payload here no meaning: nothing has authenticated it
        self._state = AwaitingThird(pattern)
        return [SendMessage(pattern.write(self._terms.payload))]

    def _on_second(self, pattern: PatternXX, message: bytes) -> list[HandshakeAction]:
        proof = self._verify(pattern, message)
        muxer = choose_muxer(self._terms.muxers, proof.muxers)
        third = pattern.write(self._terms.payload)
        return [SendMessage(third), self._established(pattern, proof, muxer)]

    def _on_third(self, pattern: PatternXX, message: bytes) -> list[HandshakeAction]:
        proof = self._verify(pattern, message)
        return [self._established(pattern, proof, choose_muxer(proof.muxers, self._terms.muxers))]

    def _verify(self, pattern: PatternXX, message: bytes) -> Proof:
        proof = verify_payload(pattern.read(message), pattern.remote_static)
        peer = PeerId.of_key(proof.transport_key)
        if self._expected is not None and peer != self._expected:
            raise PeerError("other-peer", f"{peer} answered where {self._expected} was dialled")
        return proof

    def _established(self, pattern: PatternXX, proof: Proof, muxer: str) -> Established:
        return Established(
            records=pattern.records(),
            remote=PeerId.of_key(proof.transport_key).multihash,
            transport_key=proof.transport_key,
            muxer=muxer,
            algorithms=Algorithms(NOISE_PROTOCOL, "none", "Ed25519", "ChaCha20-Poly1305"),
            protocols=self._terms.protocols,
        )


@final
class NoiseChannel:
    """A `SecureChannel` for plain libp2p peers; its connections carry `protocols` and nothing else.

    Raises:
        LocalError: one of `protocols` is for our own devices.
    """

    protocol = NOISE_PROTOCOL
    framing = NOISE_FRAMING

    def __init__(self, signer: IdentitySigner, rng: Rng, protocols: Collection[str]) -> None:
        private = sorted(name for name in protocols if name.startswith(PRIVATE_PROTOCOL_PREFIX))
        if private:
            raise LocalError(f"a Noise connection never carries {', '.join(private)}")
        static = X25519PrivateKey.from_private_bytes(rng.random_bytes(NOISE_KEY_BYTES))
        payload = encode_payload(signer, static.public_key().public_bytes_raw(), _MUXERS)
        self._terms = _Terms(static, payload, rng, _MUXERS, frozenset(protocols))

    def initiate(self, expected: PeerId | None = None) -> HandshakeMachine:
        """A machine that dials; any other peer than `expected` is refused before it learns who we are."""
        return NoiseHandshake(self._terms, Ready(), expected)

    def respond(self) -> HandshakeMachine:
        """A machine that listens."""
        return NoiseHandshake(self._terms, AwaitingFirst(), None)

    def expecting(self, peer: PeerId) -> "ExpectingNoiseChannel":
        """The same channel for one dial to `peer`, as the `/p2p/` part of a dialled address names it."""
        return ExpectingNoiseChannel(self, peer)


@final
class ExpectingNoiseChannel:
    """A `SecureChannel` whose initiators accept one peer only."""

    protocol = NOISE_PROTOCOL
    framing = NOISE_FRAMING

    def __init__(self, channel: NoiseChannel, peer: PeerId) -> None:
        self._channel = channel
        self._peer = peer

    def __repr__(self) -> str:
        return f"ExpectingNoiseChannel({self._peer})"

    def initiate(self) -> HandshakeMachine:
        """A machine that dials the expected peer."""
        return self._channel.initiate(self._peer)

    def respond(self) -> HandshakeMachine:
        """A machine that listens; it expects nobody in particular."""
        return self._channel.respond()
