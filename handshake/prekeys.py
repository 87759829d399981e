"""Prekey bundles: a device's medium-lived X25519 and ML-KEM keys under its composite signature (crypto report 2.2).

Departure from the report: no one-time keys, because `/lattice/pqx/1` runs online and its ephemerals give the forward
secrecy; the KEM prekey authenticates the responder against an adversary with a quantum computer.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from latticework.crdt.roster import Member
from latticework.wire import (
    Bytes,
    Const,
    DeviceId,
    KemProvider,
    Label,
    PeerError,
    SignatureProvider,
    Text,
    UInt,
    decode,
    encode,
    record,
)

from .keys import DeviceKeys
from .params import (
    BUNDLE_VALID_S,
    CIPHER,
    EXCHANGE_BYTES,
    KEM_PUBLIC_BYTES,
    MAX_BUNDLE_BODY_BYTES,
    MAX_SIGNED_BUNDLE_BYTES,
    SIGNATURE_BYTES,
)
from .validity import check_validity


@record("prekey-bundle")
@dataclass(frozen=True, slots=True)
class PrekeyBundle:
    """What a bundle says; `certificate` is the hash of the device's signed certificate."""

    version: Annotated[int, Const(1)]
    suite: Annotated[str, Text(80)]
    device: Annotated[DeviceId, Bytes(32)]
    certificate: Annotated[bytes, Bytes(32)]
    prekey: Annotated[int, UInt((1 << 32) - 1)]
    exchange_key: Annotated[bytes, Bytes(EXCHANGE_BYTES)]
    kem_key: Annotated[bytes, Bytes(KEM_PUBLIC_BYTES)]
    not_before_s: Annotated[int, UInt()]
    not_after_s: Annotated[int, UInt()]


@record("signed-prekey-bundle")
@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle's exact bytes with its device's composite signature."""

    body: Annotated[bytes, Bytes(maximum=MAX_BUNDLE_BODY_BYTES)]
    signature: Annotated[bytes, Bytes(SIGNATURE_BYTES)]


def suite_name(kem: KemProvider, signatures: SignatureProvider) -> str:
    """Every algorithm of the handshake by name; part of every transcript."""
    return f"X25519+{kem.name}/{signatures.name}/HKDF-SHA-512/{CIPHER}"


def sign_bundle(keys: DeviceKeys, certificate: bytes, suite: str) -> bytes:
    """The signed bundle of the newest prekey, valid for two rotations; `certificate` is a hash."""
    newest = keys.prekey
    bundle = PrekeyBundle(
        version=1,
        suite=suite,
        device=keys.device,
        certificate=certificate,
        prekey=newest.id,
        exchange_key=newest.exchange.public,
        kem_key=newest.kem.public,
        not_before_s=newest.created_s,
        not_after_s=newest.created_s + BUNDLE_VALID_S,
    )
    body = encode(bundle)
    return encode(SignedBundle(body, keys.signer.sign(body, Label.PREKEY_BUNDLE)))


def open_bundle(
    signed: bytes, member: Member, certificate: bytes, suite: str, now_us: int, signatures: SignatureProvider
) -> PrekeyBundle:
    """The bundle in `signed`, if `member` signed it for the certificate with that hash and it is valid now.

    Raises:
        MalformedError: not a bundle.
        PeerError: of another device, certificate or suite, mis-signed, or outside its times (with `CLOCK_SKEW_S`).
    """
    outer = decode(SignedBundle, signed, MAX_SIGNED_BUNDLE_BYTES)
    bundle = decode(PrekeyBundle, outer.body, MAX_BUNDLE_BODY_BYTES)
    if bundle.device != member.device or bundle.certificate != certificate:
        raise PeerError("bundle", "the prekey bundle is of another device or certificate")
    if bundle.suite != suite:
        raise PeerError("bundle", f"the prekey bundle is for {bundle.suite}")
    if not signatures.verify(member.certificate.signing_key, outer.body, outer.signature, Label.PREKEY_BUNDLE):
        raise PeerError("bundle", "the prekey bundle's signature does not verify")
    check_validity("prekey bundle", bundle.not_before_s, bundle.not_after_s, now_us)
    return bundle


def bundle_hash(signed: bytes) -> bytes:
    """SHA-256 over the exact bytes of a signed bundle."""
    return hashlib.sha256(Label.PREKEY_BUNDLE.value + signed).digest()
