"""The dialling side of `/lattice/pqx/1`."""

from dataclasses import dataclass
from typing import assert_never, final

from latticework.crdt.roster import Member, certificate_hash
from latticework.transport.ports import HandshakeAction, Refuse, SendMessage
from latticework.wire import DeviceId, Label, LocalError, PeerError, decode, encode

from .key_schedule import KeySchedule
from .key_shares import OfferedShares, join_shares, offer_shares
from .outcomes import Finished, established
from .params import PQX_PROTOCOL, PREKEY_CHOICE_BYTES, PROOF_BYTES, RESPONDER_PROOF_BYTES
from .pqx_messages import (
    CONFIRMATION_BYTES,
    MAX_ANSWER_BYTES,
    Answer,
    Confirmation,
    Finish,
    PrekeyChoice,
    Proof,
    ResponderProof,
    decode_padded,
    encode_padded,
)
from .prekeys import PrekeyBundle, bundle_hash, open_bundle
from .proofs import Terms, check_expected, check_proof, judge, prove


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing is sent yet."""


@dataclass(frozen=True, slots=True)
class AwaitingAnswer:
    """f1 is sent."""

    shares: OfferedShares


@dataclass(frozen=True, slots=True)
class AwaitingConfirmation:
    """f3 is sent; the responder has proven who it is, but not that it has our f3."""

    schedule: KeySchedule
    member: Member
    transport_key: bytes
    muxer: str


type State = Ready | AwaitingAnswer | AwaitingConfirmation | Finished


@final
class PqxInitiator:
    """A `HandshakeMachine`. Our certificate is sent only after the responder's was accepted."""

    def __init__(self, terms: Terms, expected: DeviceId | None) -> None:
        self._terms = terms
        self._expected = expected
        self._state: State = Ready()

    @property
    def max_message_bytes(self) -> int:
        """The longest message that the state accepts."""
        match self._state:
            case AwaitingAnswer():
                return MAX_ANSWER_BYTES
            case AwaitingConfirmation():
                return CONFIRMATION_BYTES
            case Ready() | Finished():
                return 0
            case _:
                assert_never(self._state)

    def start(self) -> list[HandshakeAction]:
        """f1.

        Raises:
            LocalError: started twice.
        """
        if not isinstance(self._state, Ready):
            raise LocalError("a handshake is started once")
        begin = KeySchedule.begin(Label.PQX, PQX_PROTOCOL, self._terms.suite)
        shares, message = offer_shares(begin, self._terms.rng, self._terms.kem)
        self._state = AwaitingAnswer(shares)
        return [SendMessage(message)]

    def handle(self, message: bytes, now_us: int) -> list[HandshakeAction]:
        """f2 gives f3, f4 gives the channel; anything else is refused."""
        state, self._state = self._state, Finished()
        try:
            match state:
                case AwaitingAnswer():
                    return self._on_answer(state, message, now_us)
                case AwaitingConfirmation():
                    return self._on_confirmation(state, message, now_us)
                case Ready() | Finished():
                    return [Refuse("order", "a message out of turn")]
                case _:
                    assert_never(state)
        except PeerError as error:
            return [Refuse(error.code, str(error))]

    def _on_answer(self, state: AwaitingAnswer, message: bytes, now_us: int) -> list[HandshakeAction]:
        answer = decode(Answer, message, MAX_ANSWER_BYTES)
        schedule = join_shares(state.shares, answer.head)
        opened, plaintext = schedule.open("f2-proof", answer.sealed)
        theirs = decode_padded(ResponderProof, plaintext, RESPONDER_PROOF_BYTES)
        member, bundle, named = self._check(theirs, schedule, opened, now_us)
        finish, schedule = self._finish(state.shares, member, bundle, named)
        self._state = AwaitingConfirmation(schedule, member, theirs.proof.transport_key, answer.head.muxer)
        return [SendMessage(encode(finish))]

    def _check(
        self, theirs: ResponderProof, schedule: KeySchedule, opened: KeySchedule, now_us: int
    ) -> tuple[Member, PrekeyBundle, KeySchedule]:
        """Judge the responder; the last value is the transcript with its identity absorbed after the seal."""
        digest = certificate_hash(theirs.proof.certificate)
        identity = (digest, bundle_hash(theirs.bundle), theirs.proof.transport_key)
        member = judge(self._terms, theirs.proof.certificate, now_us)
        check_expected(member, self._expected)
        signed = schedule.absorb("responder", *identity)
        check_proof(self._terms, member, theirs.proof, signed, Label.PQX_RESPONDER)
        bundle = open_bundle(theirs.bundle, member, digest, self._terms.suite, now_us, self._terms.signatures)
        return member, bundle, opened.absorb("responder", *identity)

    def _finish(
        self, shares: OfferedShares, member: Member, bundle: PrekeyBundle, schedule: KeySchedule
    ) -> tuple[Finish, KeySchedule]:
        local = self._terms.local
        kem_secret, ciphertext = self._terms.kem.encapsulate(bundle.kem_key, self._terms.rng)
        choice = encode_padded(PrekeyChoice(bundle.prekey, ciphertext), PREKEY_CHOICE_BYTES)
        schedule, sealed_choice = schedule.seal("f3-choice", choice)
        schedule = schedule.absorb("choice", choice).advance(
            shares.exchange.agree(member.certificate.exchange_key),
            shares.exchange.agree(bundle.exchange_key),
            kem_secret,
        )
        identity = (local.certificate_hash, local.transport.public)
        proof: Proof = prove(local, schedule.absorb("initiator", *identity), Label.PQX_INITIATOR)
        schedule, sealed_proof = schedule.seal("f3-proof", encode_padded(proof, PROOF_BYTES))
        schedule = schedule.absorb("initiator", *identity).advance(local.keys.exchange.agree(bundle.exchange_key))
        return Finish(sealed_choice, sealed_proof), schedule

    def _on_confirmation(self, state: AwaitingConfirmation, message: bytes, now_us: int) -> list[HandshakeAction]:
        confirmation = decode(Confirmation, message, CONFIRMATION_BYTES)
        schedule, _ = state.schedule.open("f4", confirmation.sealed, Label.PQX_CONFIRM)
        records = schedule.records(initiator=True, now_us=now_us)
        return [established(self._terms, records, state.member, state.transport_key, state.muxer)]
