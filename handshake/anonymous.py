"""`/lattice/pqx-anonymous/1`: the same first flights without identities, to carry pairing (decision 18).

    f1  A -> B   versions, muxers, EK_A, ephemeral ML-KEM key
    f2  B -> A   choice, EK_B, ct
    f3  A -> B   key confirmation
    f4  B -> A   key confirmation

Anyone may stand in between; pairing binds itself to this channel by `export`, so that a middleman with two channels
fails there.
"""

from dataclasses import dataclass
from typing import assert_never, final

from latticework.transport.ports import (
    LATTICE_FRAMING,
    Algorithms,
    Established,
    HandshakeAction,
    HandshakeMachine,
    Refuse,
    SendMessage,
)
from latticework.wire import KemProvider, Label, LocalError, PeerError, Rng, decode, encode

from .key_schedule import KeySchedule
from .key_shares import OfferedShares, answer_shares, join_shares, offer_shares
from .outcomes import Finished, hybrid_name
from .params import ANONYMOUS_PROTOCOL, CIPHER, MAX_HEAD_BYTES, MAX_HELLO_BYTES
from .pqx_messages import CONFIRMATION_BYTES, Confirmation, Head


@dataclass(frozen=True, slots=True)
class Ready:
    """The initiator has sent nothing yet."""


@dataclass(frozen=True, slots=True)
class AwaitingHello:
    """The responder has received nothing yet."""


@dataclass(frozen=True, slots=True)
class AwaitingHead:
    """The initiator has sent f1."""

    shares: OfferedShares


@dataclass(frozen=True, slots=True)
class AwaitingInitiator:
    """The responder has sent f2."""

    schedule: KeySchedule
    muxer: str


@dataclass(frozen=True, slots=True)
class AwaitingResponder:
    """The initiator has sent f3."""

    schedule: KeySchedule
    muxer: str


type State = Ready | AwaitingHello | AwaitingHead | AwaitingInitiator | AwaitingResponder | Finished


@final
class AnonymousHandshake:
    """A `HandshakeMachine` for either side; the first state says which."""

    def __init__(self, rng: Rng, kem: KemProvider, first: Ready | AwaitingHello) -> None:
        self._rng = rng
        self._kem = kem
        self._state: State = first

    @property
    def max_message_bytes(self) -> int:
        """The longest message that the state accepts."""
        match self._state:
            case AwaitingHello():
                return MAX_HELLO_BYTES
            case AwaitingHead():
                return MAX_HEAD_BYTES
            case AwaitingInitiator() | AwaitingResponder():
                return CONFIRMATION_BYTES
            case Ready() | Finished():
                return 0
            case _:
                assert_never(self._state)

    def start(self) -> list[HandshakeAction]:
        """f1 for the initiator, nothing for the responder; raises LocalError when started twice."""
        match self._state:
            case Ready():
                shares, message = offer_shares(self._begin(), self._rng, self._kem)
                self._state = AwaitingHead(shares)
                return [SendMessage(message)]
            case AwaitingHello():
                return []
            case _:
                raise LocalError("a handshake is started once")

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        """The next flight, the channel, or a refusal."""
        state, self._state = self._state, Finished()
        try:
            match state:
                case AwaitingHello():
                    return self._on_hello(message)
                case AwaitingHead():
                    return self._on_head(state, message)
                case AwaitingInitiator():
                    return self._on_initiator(state, message, now_us)
                case AwaitingResponder():
                    schedule = _open(state.schedule, "f4", message)
                    return [self._established(schedule, state.muxer, now_us, initiator=True)]
                case Ready() | Finished():
                    return [Refuse("order", "a message out of turn")]
                case _:
                    assert_never(state)
        except PeerError as error:
            return [Refuse(error.code, str(error))]

    def _begin(self) -> KeySchedule:
        return KeySchedule.begin(Label.PQX_ANONYMOUS, ANONYMOUS_PROTOCOL, f"{hybrid_name(self._kem)}/{CIPHER}")

    def _on_hello(self, message: bytes) -> list[HandshakeAction]:
        shares = answer_shares(self._begin(), message, self._rng, self._kem)
        self._state = AwaitingInitiator(shares.schedule, shares.head.muxer)
        return [SendMessage(encode(shares.head))]

    def _on_head(self, state: AwaitingHead, message: bytes) -> list[HandshakeAction]:
        head = decode(Head, message, MAX_HEAD_BYTES)
        schedule, sealed = join_shares(state.shares, head).seal("f3", b"", Label.PQX_CONFIRM)
        self._state = AwaitingResponder(schedule, head.muxer)
        return [SendMessage(encode(Confirmation(sealed)))]

    def _on_initiator(self, state: AwaitingInitiator, message: bytes, now_us: int) -> list[HandshakeAction]:
        schedule, sealed = _open(state.schedule, "f3", message).seal("f4", b"", Label.PQX_CONFIRM)
        return [
            SendMessage(encode(Confirmation(sealed))),
            self._established(schedule, state.muxer, now_us, initiator=False),
        ]

    def _established(self, schedule: KeySchedule, muxer: str, now_us: int, *, initiator: bool) -> Established:
        algorithms = Algorithms(ANONYMOUS_PROTOCOL, hybrid_name(self._kem), "none", CIPHER)
        return Established(schedule.records(initiator=initiator, now_us=now_us), b"", b"", muxer, algorithms)


def _open(schedule: KeySchedule, step: str, message: bytes) -> KeySchedule:
    confirmation = decode(Confirmation, message, CONFIRMATION_BYTES)
    return schedule.open(step, confirmation.sealed, Label.PQX_CONFIRM)[0]


@final
class AnonymousChannel:
    """A `SecureChannel` that knows nobody; only pairing is offered on it."""

    protocol = ANONYMOUS_PROTOCOL
    framing = LATTICE_FRAMING

    def __init__(self, rng: Rng, kem: KemProvider) -> None:
        self._rng = rng
        self._kem = kem

    def initiate(self) -> HandshakeMachine:
        """A machine that dials."""
        return AnonymousHandshake(self._rng, self._kem, Ready())

    def respond(self) -> HandshakeMachine:
        """A machine that listens."""
        return AnonymousHandshake(self._rng, self._kem, AwaitingHello())
