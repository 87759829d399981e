"""Signing the roster's certificates: the first of an account, and introductions.

Rules live in `crdt/roster.py`; here are the two signatures. The issuer signs the body, the subject signs the same body
under another label, which proves that it holds the keys and accepts the account.
"""

from dataclasses import dataclass

from latticework.crdt.params import MAX_CERTIFICATE_BYTES
from latticework.crdt.roster import ROLE_INTRODUCE, DeviceCertificate, SignedCertificate
from latticework.wire import AccountId, DeviceId, Label, PeerError, SignatureProvider, decode, encode

from .keys import DeviceKeys
from .params import CERTIFICATE_VALID_S


@dataclass(frozen=True, slots=True)
class Introduction:
    """A certificate that waits for its subject's acceptance."""

    body: bytes
    issuer_signature: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """The device that is introduced: 1984-byte signing key, 32-byte exchange key, name of at most 64 UTF-8 bytes."""

    signing_key: bytes
    exchange_key: bytes
    name: str


def found_account(keys: DeviceKeys, name: str, now_s: int) -> bytes:
    """The first signed certificate of a new account; its hash is the account id."""
    subject = Subject(keys.signer.public, keys.exchange.public, name)
    body = encode(_certificate(subject, None, None, (), now_s))
    return accept_introduction(keys, Introduction(body, keys.signer.sign(body, Label.CERTIFICATE)))


def introduce(
    keys: DeviceKeys, account: AccountId, subject: Subject, parents: tuple[bytes, ...], now_s: int
) -> Introduction:
    """Introduce `subject` to `account`; `parents` are hashes of certificates that the issuer and the subject know."""
    body = encode(_certificate(subject, account, keys.device, parents, now_s))
    return Introduction(body, keys.signer.sign(body, Label.CERTIFICATE))


def accept_introduction(keys: DeviceKeys, introduction: Introduction) -> bytes:
    """The signed certificate with our acceptance; see `check_introduction` for what to check first."""
    acceptance = keys.signer.sign(introduction.body, Label.CERTIFICATE_ACCEPT)
    return encode(SignedCertificate(introduction.body, introduction.issuer_signature, acceptance))


def check_introduction(
    introduction: Introduction,
    subject: Subject,
    account: AccountId,
    issuer: DeviceCertificate,
    signatures: SignatureProvider,
) -> DeviceCertificate:
    """The certificate, if it introduces exactly `subject` to `account` and `issuer` signed it.

    Raises:
        MalformedError: not a certificate.
        PeerError: for other keys, another name, account or issuer, or mis-signed.
    """
    certificate = decode(DeviceCertificate, introduction.body, MAX_CERTIFICATE_BYTES)
    named = Subject(certificate.signing_key, certificate.exchange_key, certificate.name)
    if named != subject:
        raise PeerError("certificate", "the certificate names another device")
    if certificate.account != account or certificate.issuer != issuer.device:
        raise PeerError("certificate", "the certificate names another account or issuer")
    if not signatures.verify(issuer.signing_key, introduction.body, introduction.issuer_signature, Label.CERTIFICATE):
        raise PeerError("certificate", "the issuer's signature does not verify")
    return certificate


def _certificate(
    subject: Subject, account: AccountId | None, issuer: DeviceId | None, parents: tuple[bytes, ...], now_s: int
) -> DeviceCertificate:
    return DeviceCertificate(
        version=1,
        account=account,
        issuer=issuer,
        signing_key=subject.signing_key,
        exchange_key=subject.exchange_key,
        name=subject.name,
        roles=ROLE_INTRODUCE,
        not_before_s=now_s,
        not_after_s=now_s + CERTIFICATE_VALID_S,
        parents=parents,
    )
