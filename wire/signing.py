"""The one Ed25519 verifier, and the composite signature ML-DSA-65 with Ed25519.

Ed25519 libraries disagree on edge cases, and replicas that disagree on a signature diverge for ever; so every Ed25519
signature in Latticework is verified by libsodium, here (crdt-sync report, fact 6).

The composite is `id-MLDSA65-Ed25519-SHA512` of draft-ietf-lamps-pq-composite-sigs:
`M' = Prefix || Label || len(ctx) || ctx || SHA-512(M)`; both halves sign `M'`, both must verify. Our label goes into
`ctx`.
"""

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from .labels import Label
from .ports import Signer

ED25519_PUBLIC_BYTES = 32
ED25519_SIGNATURE_BYTES = 64
_MLDSA65_PUBLIC_BYTES = 1952
_MLDSA65_SIGNATURE_BYTES = 3309
_PREFIX = b"CompositeAlgorithmSignatures2025"
_COMPOSITE_LABEL = b"COMPSIG-MLDSA65-Ed25519-SHA512"


type Verifier = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) to whether it verifies."""


def _by_libsodium(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(public) != ED25519_PUBLIC_BYTES or len(signature) != ED25519_SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


_verifier: Verifier = _by_libsodium


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """True if the 64-byte `signature` of `message` verifies under the 32-byte `public` in libsodium.

    Small-order keys and non-canonical scalars are refused by libsodium itself.
    """
    return _verifier(public, message, signature)


@contextmanager
def verifying_through(wrap: Callable[[Verifier], Verifier]) -> Generator[None]:
    """Inside, every verification of this process goes through `wrap(libsodium)`.

    For a simulation, whose thousand nodes verify the same signature: it may remember answers, never make them up.
    """
    global _verifier  # noqa: PLW0603  # one verifier for the process is what this module promises
    before, _verifier = _verifier, wrap(_by_libsodium)
    try:
        yield
    finally:
        _verifier = before


@final
class Ed25519Signer:
    """An Ed25519 key held by libsodium; deterministic (RFC 8032)."""

    def __init__(self, seed: bytes) -> None:
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    def sign_raw(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`; the caller has put a label into it."""
        return crypto_sign(message, self._secret)[:ED25519_SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.public[:4].hex()})"


def composite_message(message: bytes, context: bytes) -> bytes:
    """`M'` of the draft for the application context `context` (at most 255 bytes)."""
    return _PREFIX + _COMPOSITE_LABEL + bytes([len(context)]) + context + hashlib.sha512(message).digest()


@final
class CompositeSigner:
    """A composite key from a 64-byte seed; ML-DSA signing is hedged, so signatures differ from call to call."""

    def __init__(self, seed: bytes) -> None:
        self._mldsa = mldsa.MLDSA65PrivateKey.from_seed_bytes(seed[:32])
        self._ed25519 = Ed25519Signer(seed[32:])
        self.public = self._mldsa.public_key().public_bytes_raw() + self._ed25519.public

    def sign(self, message: bytes, label: Label) -> bytes:
        """3373 bytes: the ML-DSA-65 half, then the Ed25519 half."""
        composed = composite_message(message, label.value)
        return self._mldsa.sign(composed, context=_COMPOSITE_LABEL) + self._ed25519.sign_raw(composed)

    def __repr__(self) -> str:
        return f"CompositeSigner({self.public[:4].hex()})"


@final
class CompositeSignatures:
    """The default `SignatureProvider`."""

    name = "ML-DSA-65+Ed25519"
    public_bytes = _MLDSA65_PUBLIC_BYTES + ED25519_PUBLIC_BYTES
    signature_bytes = _MLDSA65_SIGNATURE_BYTES + ED25519_SIGNATURE_BYTES

    def signer(self, seed: bytes) -> Signer:
        """The key pair of a 64-byte seed."""
        return CompositeSigner(seed)

    def verify(self, public: bytes, message: bytes, signature: bytes, label: Label) -> bool:
        """True only if both halves verify `message` under `label`."""
        return verify_composite(public, message, signature, label.value)


def verify_composite(public: bytes, message: bytes, signature: bytes, context: bytes) -> bool:
    """True only if both halves of the 3373-byte `signature` verify under the 1984-byte `public`."""
    if len(public) != CompositeSignatures.public_bytes or len(signature) != CompositeSignatures.signature_bytes:
        return False
    composed = composite_message(message, context)
    ed25519_ok = verify_ed25519(public[_MLDSA65_PUBLIC_BYTES:], composed, signature[_MLDSA65_SIGNATURE_BYTES:])
    try:
        key = mldsa.MLDSA65PublicKey.from_public_bytes(public[:_MLDSA65_PUBLIC_BYTES])
        key.verify(signature[:_MLDSA65_SIGNATURE_BYTES], composed, context=_COMPOSITE_LABEL)
    except (InvalidSignature, ValueError):
        return False
    return ed25519_ok
