"""The roster: which devices an account has, as a signed, append-only graph of certificates.

A certificate binds a device's public keys and name to an account. It is signed twice with composite signatures: by the
device that introduces it, and by the device itself, which proves that it holds the keys and accepts the account. The
first certificate is signed by its own device and names no account: its hash *is* the account id. Every later one names
the certificates that its issuer had seen (`parents`), so two devices may introduce others at once and all replicas end
with the same set. The shape is that of Keybase sigchains and Matrix cross-signing (crypto report 2.1).

Rules only: keys and signing live in `handshake`. Validity depends on the records alone, never on a local clock;
validity times gate handshakes (decision 7).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, final

from latticework.wire import (
    AccountId,
    Array,
    Bytes,
    Const,
    DeviceId,
    Label,
    MalformedError,
    Nullable,
    SignatureProvider,
    Text,
    UInt,
    decode,
    encode,
    encode_plain,
    record,
)

from .params import MAX_CERTIFICATE_BYTES, MAX_NAME_BYTES, MAX_ROSTER_PARENTS, MAX_ROSTER_RECORDS

ROLE_INTRODUCE = 1
"""Bit: this device may introduce others."""


@record("device-certificate")
@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    """What a certificate says; `account`, `issuer` are None in the first certificate of an account."""

    version: Annotated[int, Const(1)]
    account: Annotated[AccountId | None, Nullable(Bytes(32))]
    issuer: Annotated[DeviceId | None, Nullable(Bytes(32))]
    signing_key: Annotated[bytes, Bytes(1984)]
    exchange_key: Annotated[bytes, Bytes(32)]
    name: Annotated[str, Text(MAX_NAME_BYTES)]
    roles: Annotated[int, UInt(0xFF)]
    not_before_s: Annotated[int, UInt()]
    not_after_s: Annotated[int, UInt()]
    parents: Annotated[tuple[bytes, ...], Array(Bytes(32), MAX_ROSTER_PARENTS)]

    @property
    def device(self) -> DeviceId:
        """The id that these keys have."""
        return device_id(self.signing_key, self.exchange_key)


@record("signed-certificate")
@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """A certificate's exact bytes with the signatures of its issuer and of its subject."""

    body: Annotated[bytes, Bytes(maximum=3072)]
    issuer_signature: Annotated[bytes, Bytes(3373)]
    subject_signature: Annotated[bytes, Bytes(3373)]


def device_id(signing_key: bytes, exchange_key: bytes) -> DeviceId:
    """SHA-256 over the label and both public keys."""
    return DeviceId(hashlib.sha256(Label.DEVICE_ID.value + encode_plain([signing_key, exchange_key])).digest())


def certificate_hash(signed: bytes) -> bytes:
    """SHA-256 over the exact bytes of a signed certificate, signatures included (decision 2)."""
    return hashlib.sha256(Label.CERTIFICATE.value + signed).digest()


def account_id(first_certificate: bytes) -> AccountId:
    """The account that the first certificate founds."""
    return AccountId(hashlib.sha256(Label.ACCOUNT_ID.value + first_certificate).digest())


def roster_root(hashes: Iterable[bytes]) -> bytes:
    """SHA-256 over the sorted hashes of a roster's certificates."""
    return hashlib.sha256(Label.CERTIFICATE.value + b"".join(sorted(hashes))).digest()


@dataclass(frozen=True, slots=True)
class Member:
    """One device of the roster."""

    device: DeviceId
    certificate: DeviceCertificate
    signed: bytes
    hash: bytes


@lru_cache(MAX_ROSTER_RECORDS)
def read_certificate(signed: bytes) -> tuple[SignedCertificate, DeviceCertificate]:
    """Parse without judging; raises MalformedError. Every handshake shows the same few: they are remembered."""
    outer = decode(SignedCertificate, signed, MAX_CERTIFICATE_BYTES)
    return outer, decode(DeviceCertificate, outer.body, MAX_CERTIFICATE_BYTES)


@final
@dataclass(slots=True)
class Roster:
    """The devices of one account. `records` keeps exact bytes by hash, in the order they were accepted."""

    signatures: SignatureProvider
    account: AccountId
    members: dict[DeviceId, Member] = field(default_factory=dict[DeviceId, Member])
    records: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    _introducers: set[DeviceId] = field(default_factory=set[DeviceId])
    _root: tuple[int, bytes] | None = None
    _is_shared: bool = False

    @classmethod
    def found(cls, signatures: SignatureProvider, first_certificate: bytes) -> "Roster":
        """The roster of the account that `first_certificate` founds; raises MalformedError."""
        outer, certificate = read_certificate(first_certificate)
        if certificate.account is not None or certificate.issuer is not None or certificate.parents:
            raise MalformedError("not a first certificate")
        roster = cls(signatures, account_id(first_certificate))
        if refusal := roster._refusal_of_signatures(outer, certificate, certificate.signing_key):
            raise MalformedError(refusal)
        roster._accept(first_certificate, certificate)
        return roster

    def refusal(self, signed: bytes) -> str | None:
        """Why `signed` may not join this roster, or None; changes nothing."""
        try:
            outer, certificate = read_certificate(signed)
        except MalformedError as error:
            return str(error)
        if certificate_hash(signed) in self.records:
            return None
        if certificate.account != self.account:
            return "the certificate is for another account"
        if len(self.records) >= MAX_ROSTER_RECORDS:
            return "the roster is full"
        if any(parent not in self.records for parent in certificate.parents) or not certificate.parents:
            return "the certificate builds on one that is not known here"
        issuer = None if certificate.issuer is None else self.members.get(certificate.issuer)
        if issuer is None or issuer.device not in self._introducers:
            return "the issuer may not introduce devices"
        return self._refusal_of_signatures(outer, certificate, issuer.certificate.signing_key)

    def add(self, signed: bytes) -> str | None:
        """Accept `signed`, or say why not. Accepting twice is accepting once."""
        if refusal := self.refusal(signed):
            return refusal
        if certificate_hash(signed) not in self.records:
            self._accept(signed, read_certificate(signed)[1])
        return None

    def add_all(self, records: list[bytes]) -> list[str]:
        """Accept records in any order, as far as they build on each other; the refusals that remain."""
        waiting = list(records)
        while waiting:
            refused = [(signed, refusal) for signed in waiting if (refusal := self.add(signed))]
            if len(refused) == len(waiting):
                return [refusal for _, refusal in refused]
            waiting = [signed for signed, _ in refused]
        return []

    def heads(self) -> tuple[bytes, ...]:
        """Hashes of the records that no other record builds on, sorted; at most `MAX_ROSTER_PARENTS`."""
        covered: set[bytes] = set()
        for signed in self.records.values():
            covered.update(read_certificate(signed)[1].parents)
        return tuple(sorted(h for h in self.records if h not in covered))[:MAX_ROSTER_PARENTS]

    def root(self) -> bytes:
        """SHA-256 over the sorted record hashes: equal on replicas that hold the same roster."""
        if self._root is None or self._root[0] != len(self.records):
            self._root = (len(self.records), roster_root(self.records))
        return self._root[1]

    def copy(self) -> "Roster":
        """A roster that holds the same and grows by itself; they share what they hold until one of them does."""
        self._is_shared = True
        return Roster(
            self.signatures, self.account, self.members, self.records, self._introducers, self._root, _is_shared=True
        )

    def _refusal_of_signatures(
        self, outer: SignedCertificate, certificate: DeviceCertificate, issuer_key: bytes
    ) -> str | None:
        if encode(certificate) != outer.body:
            return "the certificate is not canonical"
        if not self.signatures.verify(issuer_key, outer.body, outer.issuer_signature, Label.CERTIFICATE):
            return "the issuer's signature does not verify"
        accepts = self.signatures.verify(
            certificate.signing_key, outer.body, outer.subject_signature, Label.CERTIFICATE_ACCEPT
        )
        return None if accepts else "the device's own signature does not verify"

    def _accept(self, signed: bytes, certificate: DeviceCertificate) -> None:
        if self._is_shared:
            self.members, self.records = dict(self.members), dict(self.records)
            self._introducers, self._is_shared = set(self._introducers), False
        digest = certificate_hash(signed)
        self.records[digest] = signed
        member = Member(certificate.device, certificate, signed, digest)
        if certificate.roles & ROLE_INTRODUCE:
            # Once given, the role stays, or the verdict on what the device signs would depend on the order of arrival.
            self._introducers.add(member.device)
        known = self.members.get(member.device)
        # Two certificates for one device: the smaller hash wins, so that replicas agree whatever came first.
        if known is None or member.hash < known.hash:
            self.members[member.device] = member
