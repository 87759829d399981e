"""The side of pairing that shows the code and certifies the other device."""

from dataclasses import dataclass, replace
from typing import assert_never, final

from latticework.crdt.roster import Roster, device_id, read_certificate
from latticework.wire import MalformedError, PeerError, Rng, SignatureProvider, encode

from .certificates import Introduction, Subject, introduce
from .keys import DeviceKeys
from .pairing import (
    AddCertificate,
    AskConfirmation,
    Closed,
    Confirmed,
    ConnectionLost,
    Paired,
    PairingAction,
    PairingEvent,
    Received,
    Send,
    SetTimer,
    TimerFired,
)
from .pairing_code import password_of
from .pairing_failures import Failure, PairingError
from .pairing_keys import MAX_SEALED_BYTES, PairingKeys, SealedMessages, end, expect, open_clear, pairing_keys
from .pairing_messages import (
    CertificateAccepted,
    CertificateOffer,
    JoinerCard,
    JoinerConsent,
    PairAnswer,
    PairConfirm,
    PairDone,
    PairHello,
    RosterPart,
    SealedMessage,
    SponsorCard,
    fit_for_display,
)
from .pairing_offers import Offers
from .params import PAIRING_PERSON_US, PAIRING_STEP_US, ROSTER_PART_RECORDS
from .spake import Role, Spake
from .validity import US_PER_S


@dataclass(frozen=True, slots=True)
class AwaitingHello:
    """The channel is open."""


@dataclass(frozen=True, slots=True)
class AwaitingConfirm:
    """The offer is burned; the joiner has to prove the code."""

    keys: PairingKeys


@dataclass(frozen=True, slots=True)
class AwaitingCard:
    """The code was right."""

    seal: SealedMessages


@dataclass(frozen=True, slots=True)
class AwaitingConsent:
    """Two people are asked. `parents` are the roster's heads as the joiner saw them."""

    seal: SealedMessages
    card: JoinerCard
    parents: tuple[bytes, ...]
    here: bool
    there: bool


@dataclass(frozen=True, slots=True)
class AwaitingAcceptance:
    """The certificate waits for the joiner's signature."""

    seal: SealedMessages
    card: JoinerCard
    introduction: Introduction


type State = AwaitingHello | AwaitingConfirm | AwaitingCard | AwaitingConsent | AwaitingAcceptance | Closed


@final
class SponsorPairing:
    """A pure machine for one anonymous channel. Reads the roster; changes it only through `AddCertificate`.

    `binding` is `channel_binding` of the channel; `addresses` are ours.
    """

    max_message_bytes = MAX_SEALED_BYTES
    """The longest message in any state; a constant, because a driver reads ahead of the state."""

    def __init__(
        self,
        keys: DeviceKeys,
        roster: Roster,
        offers: Offers,
        signatures: SignatureProvider,
        rng: Rng,
        binding: bytes,
        addresses: tuple[str, ...],
    ) -> None:
        self._keys = keys
        self._roster = roster
        self._offers = offers
        self._signatures = signatures
        self._rng = rng
        self._binding = binding
        self._addresses = addresses
        self._state: State = AwaitingHello()

    def start(self) -> list[PairingAction]:
        """Wait for the joiner."""
        return [SetTimer(PAIRING_STEP_US)]

    def handle(self, event: PairingEvent, now_us: int) -> list[PairingAction]:
        """What an event leads to; nothing after the end."""
        if isinstance(self._state, Closed):
            return []
        try:
            match event:
                case Received(message):
                    return self._on_message(message, now_us)
                case Confirmed(yes):
                    return self._on_confirmed(yes, now_us)
                case TimerFired():
                    return self._end(PairingError(Failure.TIMEOUT), now_us)
                case ConnectionLost():
                    return self._end(PairingError(Failure.LOST), now_us)
                case _:
                    assert_never(event)
        except PairingError as error:
            return self._end(error, now_us)
        except PeerError as error:
            return self._end(PairingError(Failure.PROTOCOL, detail=str(error)), now_us)

    def _on_message(self, message: bytes, now_us: int) -> list[PairingAction]:
        state = self._state
        match state:
            case AwaitingHello():
                return self._on_hello(message, now_us)
            case AwaitingConfirm():
                return self._on_confirm(state, message, now_us)
            case AwaitingCard():
                return self._on_card(state, expect(JoinerCard, state.seal.open(message)), now_us)
            case AwaitingConsent():
                expect(JoinerConsent, state.seal.open(message))
                if state.there:
                    raise MalformedError("consent given twice")
                return self._on_consent(replace(state, there=True), now_us)
            case AwaitingAcceptance():
                return self._on_accepted(state, expect(CertificateAccepted, state.seal.open(message)), now_us)
            case Closed():
                return []
            case _:
                assert_never(state)

    def _on_hello(self, message: bytes, now_us: int) -> list[PairingAction]:
        hello = expect(PairHello, open_clear(message))
        code = self._offers.find(hello.kind, hello.nameplate, now_us)
        if isinstance(code, Failure):
            raise PairingError(code)
        spake = Spake(Role.SPONSOR, password_of(code), self._rng)
        key = spake.finish(hello.share)
        answer = encode(PairAnswer(spake.share))
        self._offers.burn(hello.nameplate)
        self._state = AwaitingConfirm(pairing_keys(Role.SPONSOR, key, self._binding, message, answer))
        return [Send(answer), SetTimer(PAIRING_STEP_US)]

    def _on_confirm(self, state: AwaitingConfirm, message: bytes, now_us: int) -> list[PairingAction]:
        confirm = expect(PairConfirm, open_clear(message))
        state.keys.check(confirm.mac, state.keys.joiner_mac)
        self._state = AwaitingCard(SealedMessages(state.keys, now_us))
        return [Send(encode(PairConfirm(state.keys.sponsor_mac))), SetTimer(PAIRING_STEP_US)]

    def _on_card(self, state: AwaitingCard, card: JoinerCard, now_us: int) -> list[PairingAction]:
        if card.has_devices:
            raise PairingError(Failure.HAS_DEVICES)
        if card.has_spaces:
            raise PairingError(Failure.HAS_SPACES)
        device = device_id(card.signing_key, card.exchange_key)
        if device == self._keys.device or not fit_for_display(card.name):
            raise MalformedError("a joiner with our keys or an unprintable name")
        self._state = AwaitingConsent(state.seal, card, self._roster.heads(), here=False, there=False)
        ours = [Send(state.seal.seal(message, now_us)) for message in self._introduction_of_us()]
        return [*ours, AskConfirmation(card.name, device), SetTimer(PAIRING_PERSON_US)]

    def _introduction_of_us(self) -> list[SealedMessage]:
        records = tuple(self._roster.records.values())
        name = self._roster.members[self._keys.device].certificate.name
        card = SponsorCard(self._keys.device, name, self._roster.account, len(records), self._addresses)
        starts = range(0, len(records), ROSTER_PART_RECORDS)
        return [card, *(RosterPart(records[start : start + ROSTER_PART_RECORDS]) for start in starts)]

    def _on_confirmed(self, yes: bool, now_us: int) -> list[PairingAction]:  # noqa: FBT001  # the person's answer
        if not isinstance(self._state, AwaitingConsent) or self._state.here:
            return []
        if not yes:
            raise PairingError(Failure.PERSON)
        return self._on_consent(replace(self._state, here=True), now_us)

    def _on_consent(self, state: AwaitingConsent, now_us: int) -> list[PairingAction]:
        self._state = state
        if not (state.here and state.there):
            return []
        card = state.card
        subject = Subject(card.signing_key, card.exchange_key, card.name)
        introduction = introduce(self._keys, self._roster.account, subject, state.parents, now_us // US_PER_S)
        self._state = AwaitingAcceptance(state.seal, card, introduction)
        offer = CertificateOffer(introduction.body, introduction.issuer_signature)
        return [Send(state.seal.seal(offer, now_us)), SetTimer(PAIRING_STEP_US)]

    def _on_accepted(
        self, state: AwaitingAcceptance, accepted: CertificateAccepted, now_us: int
    ) -> list[PairingAction]:
        outer, certificate = read_certificate(accepted.signed)
        if Introduction(outer.body, outer.issuer_signature) != state.introduction:
            raise MalformedError("another certificate than the one offered")
        if refusal := self._roster.refusal(accepted.signed):
            raise PairingError(Failure.ROSTER, detail=refusal)
        roster = tuple(self._roster.records.values())
        done = state.seal.seal(PairDone(), now_us)
        self._state = Closed()
        remote = certificate.device
        return [
            AddCertificate(accepted.signed),
            Send(done),
            Paired(self._roster.account, accepted.signed, roster, remote, state.card.name, state.card.addresses),
        ]

    def _end(self, error: PairingError, now_us: int) -> list[PairingAction]:
        state, self._state = self._state, Closed()
        match state:
            case AwaitingHello() | AwaitingConfirm() | Closed():
                return end(error, None, now_us)
            case AwaitingCard(seal) | AwaitingConsent(seal) | AwaitingAcceptance(seal):
                return end(error, seal, now_us)
            case _:
                assert_never(state)
