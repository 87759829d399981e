"""Who the two ends of `/lattice/pqx/1` are, and how each proves it over the transcript."""

import hmac
from dataclasses import dataclass
from typing import assert_never

from latticework.crdt.roster import Member, certificate_hash
from latticework.wire import (
    DeviceId,
    KemProvider,
    Label,
    PeerError,
    Rng,
    SignatureProvider,
    short,
    verify_ed25519,
)

from .key_schedule import KeySchedule
from .keys import DeviceKeys
from .ports import Authorize, TransportSigner
from .pqx_messages import Proof
from .prekeys import sign_bundle, suite_name
from .validity import check_validity


@dataclass(frozen=True, slots=True, repr=False)
class LocalDevice:
    """Our side of every handshake: keys, the exact bytes of our signed certificate and of our signed bundle."""

    keys: DeviceKeys
    certificate: bytes
    certificate_hash: bytes
    bundle: bytes
    transport: TransportSigner

    def __repr__(self) -> str:
        return f"LocalDevice({short(self.keys.device)})"


@dataclass(frozen=True, slots=True)
class Terms:
    """What both roles of a handshake need."""

    local: LocalDevice
    rng: Rng
    kem: KemProvider
    signatures: SignatureProvider
    authorize: Authorize

    @property
    def suite(self) -> str:
        """Every algorithm by name."""
        return suite_name(self.kem, self.signatures)


def local_device(
    keys: DeviceKeys, certificate: bytes, transport: TransportSigner, kem: KemProvider, signatures: SignatureProvider
) -> LocalDevice:
    """Sign the bundle of the newest prekey: one composite signature."""
    digest = certificate_hash(certificate)
    bundle = sign_bundle(keys, digest, suite_name(kem, signatures))
    return LocalDevice(keys, certificate, digest, bundle, transport)


def prove(local: LocalDevice, schedule: KeySchedule, label: Label) -> Proof:
    """Sign the transcript, in which our certificate and transport key are already absorbed."""
    signature = local.keys.signer.sign(schedule.transcript, label)
    transport_signature = local.transport.sign_raw(_transport_message(schedule, label))
    return Proof(local.certificate, local.transport.public, signature, transport_signature)


def judge(terms: Terms, certificate: bytes, now_us: int) -> Member:
    """The member whose certificate this is.

    Raises:
        PeerError: not on the roster, outside its times, or ourselves.
    """
    verdict = terms.authorize(certificate)
    match verdict:
        case str() as reason:
            raise PeerError("certificate", reason)
        case Member() as member:
            if hmac.compare_digest(member.device, terms.local.keys.device):
                raise PeerError("self", "the other end is this very device")
            check_validity("certificate", member.certificate.not_before_s, member.certificate.not_after_s, now_us)
            return member
        case _:
            assert_never(verdict)


def check_expected(member: Member, expected: DeviceId | None) -> None:
    """Raise PeerError if another device than the dialled one answered."""
    if expected is not None and member.device != expected:
        raise PeerError("unexpected", f"expected {short(expected)}, but {short(member.device)} answered")


def check_proof(terms: Terms, member: Member, proof: Proof, schedule: KeySchedule, label: Label) -> None:
    """Check both signatures of the transcript, in which the certificate and transport key are already absorbed.

    Raises:
        PeerError: one of them does not verify.
    """
    key = member.certificate.signing_key
    if not terms.signatures.verify(key, schedule.transcript, proof.signature, label):
        raise PeerError("signature", "the transcript's signature does not verify")
    if not verify_ed25519(proof.transport_key, _transport_message(schedule, label), proof.transport_signature):
        raise PeerError("signature", "the transport key's signature does not verify")


def _transport_message(schedule: KeySchedule, label: Label) -> bytes:
    return Label.PQX_TRANSPORT.value + b"\x00" + label.value + schedule.transcript
