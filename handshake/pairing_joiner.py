"""The side of pairing that enters the code and joins the other device's account."""

from dataclasses import dataclass
from typing import assert_never, final

from latticework.crdt.roster import ROLE_INTRODUCE, Member, Roster, read_certificate
from latticework.wire import LocalError, MalformedError, PeerError, Rng, SignatureProvider, encode

from .certificates import Introduction, Subject, accept_introduction, check_introduction
from .keys import DeviceKeys
from .pairing import (
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
from .pairing_code import PairingCode, QrCode, kind_of, password_of
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
    SponsorCard,
    fit_for_display,
)
from .params import PAIRING_PERSON_US, PAIRING_STEP_US
from .spake import Role, Spake
from .validity import check_validity

_MAYBE_LISTED = "the other device may list this one already; pairing again is safe"


@dataclass(frozen=True, slots=True)
class JoiningDevice:
    """What the joiner tells about itself; `name` is at most 64 bytes of printable text, `addresses` are ours."""

    keys: DeviceKeys
    name: str
    has_devices: bool
    has_spaces: bool
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing is sent yet."""


@dataclass(frozen=True, slots=True)
class AwaitingAnswer:
    """Our SPAKE2 message is sent."""

    spake: Spake
    hello: bytes


@dataclass(frozen=True, slots=True)
class AwaitingProof:
    """Our confirmation is sent: this was our one guess."""

    keys: PairingKeys


@dataclass(frozen=True, slots=True)
class AwaitingSponsor:
    """The code was right, and our card is sent."""

    seal: SealedMessages


@dataclass(frozen=True, slots=True)
class AwaitingRoster:
    """The sponsor's card is here, its roster is arriving."""

    seal: SealedMessages
    card: SponsorCard
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AwaitingPerson:
    """The roster holds together; the person is asked."""

    seal: SealedMessages
    card: SponsorCard
    roster: Roster


@dataclass(frozen=True, slots=True)
class AwaitingCertificate:
    """The person said yes."""

    seal: SealedMessages
    card: SponsorCard
    roster: Roster


@dataclass(frozen=True, slots=True)
class AwaitingDone:
    """Our acceptance is sent."""

    seal: SealedMessages
    card: SponsorCard
    roster: Roster
    signed: bytes


type State = (
    Ready
    | AwaitingAnswer
    | AwaitingProof
    | AwaitingSponsor
    | AwaitingRoster
    | AwaitingPerson
    | AwaitingCertificate
    | AwaitingDone
    | Closed
)


@final
class JoinerPairing:
    """A pure machine for one anonymous channel; `binding` is `channel_binding` of it."""

    max_message_bytes = MAX_SEALED_BYTES
    """The longest message in any state; a constant, because a driver reads ahead of the state."""

    def __init__(
        self, device: JoiningDevice, code: PairingCode, signatures: SignatureProvider, rng: Rng, binding: bytes
    ) -> None:
        if not fit_for_display(device.name):
            raise LocalError(f"{device.name!r} is no name for a device: it must be printable")
        self._device = device
        self._code = code
        self._signatures = signatures
        self._rng = rng
        self._binding = binding
        self._state: State = Ready()

    def start(self) -> list[PairingAction]:
        """The first message; raises LocalError when started twice."""
        if not isinstance(self._state, Ready):
            raise LocalError("a pairing is started once")
        spake = Spake(Role.JOINER, password_of(self._code), self._rng)
        hello = encode(PairHello(1, kind_of(self._code), self._code.nameplate, spake.share))
        self._state = AwaitingAnswer(spake, hello)
        return [Send(hello), SetTimer(PAIRING_STEP_US)]

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
            case AwaitingAnswer():
                return self._on_answer(state, message)
            case AwaitingProof():
                return self._on_proof(state, message, now_us)
            case AwaitingSponsor(seal):
                card = expect(SponsorCard, seal.open(message))
                if not fit_for_display(card.name) or not card.records:
                    raise MalformedError("a sponsor with an unprintable name or an empty roster")
                self._state = AwaitingRoster(seal, card, ())
                return [SetTimer(PAIRING_STEP_US)]
            case AwaitingRoster():
                return self._on_roster(state, expect(RosterPart, state.seal.open(message)), now_us)
            case AwaitingCertificate():
                return self._on_certificate(state, expect(CertificateOffer, state.seal.open(message)), now_us)
            case AwaitingDone():
                expect(PairDone, state.seal.open(message))
                return self._on_done(state)
            case AwaitingPerson():
                state.seal.open(message)
                raise MalformedError("a message before we consented")
            case Ready():
                raise MalformedError("a message before we spoke")
            case Closed():
                return []
            case _:
                assert_never(state)

    def _on_answer(self, state: AwaitingAnswer, message: bytes) -> list[PairingAction]:
        answer = expect(PairAnswer, open_clear(message))
        key = state.spake.finish(answer.share)
        keys = pairing_keys(Role.JOINER, key, self._binding, state.hello, message)
        self._state = AwaitingProof(keys)
        return [Send(encode(PairConfirm(keys.joiner_mac))), SetTimer(PAIRING_STEP_US)]

    def _on_proof(self, state: AwaitingProof, message: bytes, now_us: int) -> list[PairingAction]:
        confirm = expect(PairConfirm, open_clear(message))
        state.keys.check(confirm.mac, state.keys.sponsor_mac)
        seal = SealedMessages(state.keys, now_us)
        self._state = AwaitingSponsor(seal)
        device = self._device
        card = JoinerCard(
            signing_key=device.keys.signer.public,
            exchange_key=device.keys.exchange.public,
            name=device.name,
            has_devices=device.has_devices,
            has_spaces=device.has_spaces,
            addresses=device.addresses,
        )
        return [Send(seal.seal(card, now_us)), SetTimer(PAIRING_STEP_US)]

    def _on_roster(self, state: AwaitingRoster, part: RosterPart, now_us: int) -> list[PairingAction]:
        records = (*state.records, *part.records)
        if not part.records or len(records) > state.card.records:
            raise MalformedError("more certificates than announced, or an empty part")
        if len(records) < state.card.records:
            self._state = AwaitingRoster(state.seal, state.card, records)
            return [SetTimer(PAIRING_STEP_US)]
        roster = self._check_roster(state.card, records)
        sponsor = self._sponsor_of(state.card, roster)
        if isinstance(self._code, QrCode):
            _check_qr(self._code, sponsor, roster)
        certificate = sponsor.certificate
        check_validity("sponsor's certificate", certificate.not_before_s, certificate.not_after_s, now_us)
        self._state = AwaitingPerson(state.seal, state.card, roster)
        return [AskConfirmation(state.card.name, state.card.device), SetTimer(PAIRING_PERSON_US)]

    def _check_roster(self, card: SponsorCard, records: tuple[bytes, ...]) -> Roster:
        try:
            roster = Roster.found(self._signatures, records[0])
        except MalformedError as error:
            raise PairingError(Failure.ROSTER, detail=str(error)) from error
        if roster.account != card.account:
            raise PairingError(Failure.ROSTER, detail="another account's list")
        if refusals := roster.add_all(list(records[1:])):
            raise PairingError(Failure.ROSTER, detail=refusals[0])
        return roster

    def _sponsor_of(self, card: SponsorCard, roster: Roster) -> Member:
        sponsor = roster.members.get(card.device)
        if sponsor is None or not sponsor.certificate.roles & ROLE_INTRODUCE:
            raise PairingError(Failure.ROSTER, detail="the other device may not introduce devices")
        if sponsor.device == self._device.keys.device:
            raise PairingError(Failure.WRONG_DEVICE, detail="it claims to be this one")
        return sponsor

    def _on_confirmed(self, yes: bool, now_us: int) -> list[PairingAction]:  # noqa: FBT001  # the person's answer
        state = self._state
        if not isinstance(state, AwaitingPerson):
            return []
        if not yes:
            raise PairingError(Failure.PERSON)
        self._state = AwaitingCertificate(state.seal, state.card, state.roster)
        return [Send(state.seal.seal(JoinerConsent(), now_us)), SetTimer(PAIRING_PERSON_US)]

    def _on_certificate(self, state: AwaitingCertificate, offer: CertificateOffer, now_us: int) -> list[PairingAction]:
        keys = self._device.keys
        introduction = Introduction(offer.body, offer.issuer_signature)
        subject = Subject(keys.signer.public, keys.exchange.public, self._device.name)
        issuer = state.roster.members[state.card.device].certificate
        certificate = check_introduction(introduction, subject, state.roster.account, issuer, self._signatures)
        check_validity("certificate", certificate.not_before_s, certificate.not_after_s, now_us)
        signed = accept_introduction(keys, introduction)
        if refusal := state.roster.refusal(signed):
            raise PairingError(Failure.ROSTER, detail=refusal)
        self._state = AwaitingDone(state.seal, state.card, state.roster, signed)
        return [Send(state.seal.seal(CertificateAccepted(signed), now_us)), SetTimer(PAIRING_STEP_US)]

    def _on_done(self, state: AwaitingDone) -> list[PairingAction]:
        self._state = Closed()
        roster = tuple(state.roster.records.values())
        card = state.card
        return [Paired(card.account, state.signed, roster, card.device, card.name, card.addresses)]

    def _end(self, error: PairingError, now_us: int) -> list[PairingAction]:
        state, self._state = self._state, Closed()
        match state:
            case Ready() | AwaitingAnswer() | AwaitingProof() | Closed():
                return end(error, None, now_us)
            case AwaitingSponsor(seal) | AwaitingRoster(seal) | AwaitingPerson(seal) | AwaitingCertificate(seal):
                return end(error, seal, now_us)
            case AwaitingDone(seal):
                listed = PairingError(error.failure, told=error.told, detail=_MAYBE_LISTED)
                return end(listed, seal, now_us)
            case _:
                assert_never(state)


def _check_qr(code: QrCode, sponsor: Member, roster: Roster) -> None:
    scanned = roster.records.get(code.certificate_hash)
    if scanned is None or read_certificate(scanned)[1].device != sponsor.device:
        raise PairingError(Failure.WRONG_DEVICE)
