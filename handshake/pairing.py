"""Pairing: what happens to the two machines (events), and what they ask for (actions).

The joiner enters the code that the sponsor shows; both run over one anonymous channel, message by message:

    joiner                                  sponsor
    PairHello (SPAKE2 A)        ->
                                <-          PairAnswer (SPAKE2 B)           the code is burned
    PairConfirm                 ->          checks: one guess
    checks                      <-          PairConfirm
    from here on everything is sealed under KDF(SPAKE2 key, channel binding, transcript)
    JoinerCard                  ->          refuses one that has devices or spaces
                                <-          SponsorCard, RosterPart...
    the person says yes                     the person says yes
    JoinerConsent               ->
                                <-          CertificateOffer                issuer's signature
    CertificateAccepted         ->          verifies, adds to the roster    subject's signature
                                <-          PairDone

A middleman with two channels fails at the first PairConfirm, because the channel binding is in the key (decision 18).
`PairRefusal` may take the place of any message. SPAKE2 is classical, but a recording adversary with a quantum computer
finds it inside a channel that is not.
"""

from dataclasses import dataclass, field

from latticework.wire import AccountId, DeviceId


@dataclass(frozen=True, slots=True)
class Received:
    """Event: one message of the other device."""

    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Event: the person answered `AskConfirmation`. Counts only while it is asked."""

    yes: bool


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Event: the time of the last `SetTimer` is up."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """Event: the channel ended."""


type PairingEvent = Received | Confirmed | TimerFired | ConnectionLost


@dataclass(frozen=True, slots=True)
class Send:
    """Action: send one message."""

    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Action: there is one timer; this replaces it."""

    after_us: int


@dataclass(frozen=True, slots=True)
class AskConfirmation:
    """Action: show the other device to the person, and come back with `Confirmed`."""

    name: str
    device: DeviceId


@dataclass(frozen=True, slots=True)
class AddCertificate:
    """Action of the sponsor: add the new device to the roster, durably, before the next action."""

    signed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Paired:
    """Last action: the new device's signed certificate, and every other of the account (exact bytes, first one first).

    `remote`, `name` and `addresses` are of the other device.
    """

    account: AccountId
    certificate: bytes = field(repr=False)
    roster: tuple[bytes, ...] = field(repr=False)
    remote: DeviceId
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairingFailed:
    """Last action: a short code and a sentence for the person."""

    code: str
    message: str


type PairingAction = Send | SetTimer | AskConfirmation | AddCertificate | Paired | PairingFailed


@dataclass(frozen=True, slots=True)
class Closed:
    """State after `Paired` or `PairingFailed`: every event gives nothing."""
