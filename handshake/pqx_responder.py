"""The listening side of `/lattice/pqx/1`."""

from dataclasses import dataclass
from typing import assert_never, final

from latticework.crdt.roster import certificate_hash
from latticework.transport.ports import HandshakeAction, Refuse, SendMessage
from latticework.wire import Label, PeerError, decode, encode

from .key_schedule import KeySchedule
from .key_shares import answer_shares
from .keys import Prekey
from .outcomes import Finished, established
from .params import MAX_HELLO_BYTES, PQX_PROTOCOL, PREKEY_CHOICE_BYTES, PROOF_BYTES, RESPONDER_PROOF_BYTES
from .pqx_messages import (
    FINISH_BYTES,
    Answer,
    Confirmation,
    Finish,
    PrekeyChoice,
    Proof,
    ResponderProof,
    decode_padded,
    encode_padded,
)
from .prekeys import bundle_hash
from .proofs import Terms, check_proof, judge, prove


@dataclass(frozen=True, slots=True)
class AwaitingHello:
    """Nothing has come yet."""


@dataclass(frozen=True, slots=True)
class AwaitingFinish:
    """f2 is sent; `prekey` is the one that its bundle offered."""

    schedule: KeySchedule
    initiator_share: bytes
    prekey: Prekey
    muxer: str


type State = AwaitingHello | AwaitingFinish | Finished


@final
class PqxResponder:
    """A `HandshakeMachine`. Whoever sends f1 learns who we are; we learn who it is from f3."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._state: State = AwaitingHello()

    @property
    def max_message_bytes(self) -> int:
        """The longest message that the state accepts."""
        match self._state:
            case AwaitingHello():
                return MAX_HELLO_BYTES
            case AwaitingFinish():
                return FINISH_BYTES
            case Finished():
                return 0
            case _:
                assert_never(self._state)

    def start(self) -> list[HandshakeAction]:
        """Nothing: the initiator begins."""
        return []

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        """f1 gives f2, f3 gives f4 and the channel; anything else is refused."""
        state, self._state = self._state, Finished()
        try:
            match state:
                case AwaitingHello():
                    return self._on_hello(message)
                case AwaitingFinish():
                    return self._on_finish(state, message, now_us)
                case Finished():
                    return [Refuse("order", "a message out of turn")]
                case _:
                    assert_never(state)
        except PeerError as error:
            return [Refuse(error.code, str(error))]

    def _on_hello(self, message: bytes) -> list[HandshakeAction]:
        terms, local = self._terms, self._terms.local
        begin = KeySchedule.begin(Label.PQX, PQX_PROTOCOL, terms.suite)
        shares = answer_shares(begin, message, terms.rng, terms.kem)
        identity = (local.certificate_hash, bundle_hash(local.bundle), local.transport.public)
        proof = prove(local, shares.schedule.absorb("responder", *identity), Label.PQX_RESPONDER)
        plaintext = encode_padded(ResponderProof(proof, local.bundle), RESPONDER_PROOF_BYTES)
        schedule, sealed = shares.schedule.seal("f2-proof", plaintext)
        schedule = schedule.absorb("responder", *identity)
        self._state = AwaitingFinish(schedule, shares.initiator_share, local.keys.prekey, shares.head.muxer)
        return [SendMessage(encode(Answer(shares.head, sealed)))]

    def _on_finish(self, state: AwaitingFinish, message: bytes, now_us: int) -> list[HandshakeAction]:
        finish = decode(Finish, message, FINISH_BYTES)
        schedule = self._open_choice(state, finish.choice)
        opened, plaintext = schedule.open("f3-proof", finish.proof)
        proof = decode_padded(Proof, plaintext, PROOF_BYTES)
        identity = (certificate_hash(proof.certificate), proof.transport_key)
        member = judge(self._terms, proof.certificate, now_us)
        check_proof(self._terms, member, proof, schedule.absorb("initiator", *identity), Label.PQX_INITIATOR)
        product = state.prekey.exchange.agree(member.certificate.exchange_key)
        schedule, sealed = opened.absorb("initiator", *identity).advance(product).seal("f4", b"", Label.PQX_CONFIRM)
        records = schedule.records(initiator=False, now_us=now_us)
        return [
            SendMessage(encode(Confirmation(sealed))),
            established(self._terms, records, member, proof.transport_key, state.muxer),
        ]

    def _open_choice(self, state: AwaitingFinish, sealed: bytes) -> KeySchedule:
        schedule, plaintext = state.schedule.open("f3-choice", sealed)
        choice = decode_padded(PrekeyChoice, plaintext, PREKEY_CHOICE_BYTES)
        if choice.prekey != state.prekey.id:
            raise PeerError("prekey", f"prekey {choice.prekey} is not the one we offered")
        return schedule.absorb("choice", plaintext).advance(
            self._terms.local.keys.exchange.agree(state.initiator_share),
            state.prekey.exchange.agree(state.initiator_share),
            state.prekey.kem.decapsulate(choice.ciphertext),
        )
