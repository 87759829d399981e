"""The records of pairing: three in the clear of the anonymous channel, then sealed under the pairing key."""

from dataclasses import dataclass
from typing import Annotated

from latticework.crdt.params import MAX_CERTIFICATE_BYTES, MAX_NAME_BYTES, MAX_ROSTER_RECORDS
from latticework.wire import AccountId, Array, Bool, Bytes, Const, DeviceId, Text, UInt, record

from .params import (
    MAC_BYTES,
    MAX_ADDRESS_BYTES,
    MAX_ADDRESSES,
    NAMEPLATE_DIGITS,
    ROSTER_PART_RECORDS,
    SIGNATURE_BYTES,
    SPAKE_BYTES,
)


@record("pair-hello", tag=1)
@dataclass(frozen=True, slots=True)
class PairHello:
    """The joiner's SPAKE2 message for an offer."""

    version: Annotated[int, Const(1)]
    kind: Annotated[int, UInt(0xFF)]
    nameplate: Annotated[str, Text(NAMEPLATE_DIGITS)]
    share: Annotated[bytes, Bytes(SPAKE_BYTES)]


@record("pair-answer", tag=2)
@dataclass(frozen=True, slots=True)
class PairAnswer:
    """The sponsor's SPAKE2 message; sending it burns the offer."""

    share: Annotated[bytes, Bytes(SPAKE_BYTES)]


@record("pair-confirm", tag=3)
@dataclass(frozen=True, slots=True)
class PairConfirm:
    """Proof of the same key; the joiner's first, then the sponsor's."""

    mac: Annotated[bytes, Bytes(MAC_BYTES)]


@record("pair-refusal", tag=4)
@dataclass(frozen=True, slots=True)
class PairRefusal:
    """The end; sealed as soon as there is a key."""

    failure: Annotated[int, UInt(0xFF)]


@record("joiner-card", tag=5)
@dataclass(frozen=True, slots=True)
class JoinerCard:
    """Who wants to join."""

    signing_key: Annotated[bytes, Bytes(1984)]
    exchange_key: Annotated[bytes, Bytes(32)]
    name: Annotated[str, Text(MAX_NAME_BYTES)]
    has_devices: Annotated[bool, Bool()]
    has_spaces: Annotated[bool, Bool()]
    addresses: Annotated[tuple[str, ...], Array(Text(MAX_ADDRESS_BYTES), MAX_ADDRESSES)]


@record("sponsor-card", tag=6)
@dataclass(frozen=True, slots=True)
class SponsorCard:
    """Whose account it is; `records` certificates follow in roster parts, the account's first one first."""

    device: Annotated[DeviceId, Bytes(32)]
    name: Annotated[str, Text(MAX_NAME_BYTES)]
    account: Annotated[AccountId, Bytes(32)]
    records: Annotated[int, UInt(MAX_ROSTER_RECORDS)]
    addresses: Annotated[tuple[str, ...], Array(Text(MAX_ADDRESS_BYTES), MAX_ADDRESSES)]


@record("roster-part", tag=7)
@dataclass(frozen=True, slots=True)
class RosterPart:
    """Exact bytes of signed certificates."""

    records: Annotated[tuple[bytes, ...], Array(Bytes(maximum=MAX_CERTIFICATE_BYTES), ROSTER_PART_RECORDS)]


@record("joiner-consent", tag=8)
@dataclass(frozen=True, slots=True)
class JoinerConsent:
    """The person at the joiner said yes."""


@record("certificate-offer", tag=9)
@dataclass(frozen=True, slots=True)
class CertificateOffer:
    """Both people said yes: the introduction, signed by the sponsor."""

    body: Annotated[bytes, Bytes(maximum=3072)]
    issuer_signature: Annotated[bytes, Bytes(SIGNATURE_BYTES)]


@record("certificate-accepted", tag=10)
@dataclass(frozen=True, slots=True)
class CertificateAccepted:
    """The whole signed certificate."""

    signed: Annotated[bytes, Bytes(maximum=MAX_CERTIFICATE_BYTES)]


@record("pair-done", tag=11)
@dataclass(frozen=True, slots=True)
class PairDone:
    """The sponsor has it on its roster."""


type ClearMessage = PairHello | PairAnswer | PairConfirm | PairRefusal
type SealedMessage = (
    PairRefusal
    | JoinerCard
    | SponsorCard
    | RosterPart
    | JoinerConsent
    | CertificateOffer
    | CertificateAccepted
    | PairDone
)

CLEAR: tuple[type[ClearMessage], ...] = (PairHello, PairAnswer, PairConfirm, PairRefusal)
SEALED: tuple[type[SealedMessage], ...] = (
    PairRefusal,
    JoinerCard,
    SponsorCard,
    RosterPart,
    JoinerConsent,
    CertificateOffer,
    CertificateAccepted,
    PairDone,
)
MAX_CLEAR_BYTES = 64


def fit_for_display(name: str) -> bool:
    """Whether a terminal may show `name`: not empty, and no control, format or bidirectional characters."""
    return bool(name.strip()) and name.isprintable()
