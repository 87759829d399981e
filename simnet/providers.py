"""Deterministic stand-ins for the composite signature and for ML-KEM-1024, with the real sizes on the wire.

NOT SECRET, FOR SIMULATION ONLY. Real ML-DSA signing and ML-KEM encapsulation draw their own randomness and differ from
call to call, so a run that uses them cannot replay (decision 25). These are functions of their inputs. Anyone who reads
a model KEM ciphertext knows the shared secret. Outside simulation they are refused twice over: `latticework.node` may
not import this package (import-linter), and the real providers verify no signature made here and agree on no secret.

A model signature is a real Ed25519 signature with filler up to the composite's size, so forged, flipped and relabelled
signatures fail as the real ones do. Filler is checked too: no byte may change unnoticed.
"""

import hashlib
from typing import final

from latticework.wire import (
    ED25519_PUBLIC_BYTES,
    ED25519_SIGNATURE_BYTES,
    KemSecret,
    Label,
    MalformedError,
    Rng,
    Signer,
    verify_ed25519,
)
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

_KEM_BYTES = 1568
_KEM_CORE_BYTES = 32
_SHARED_SECRET_BYTES = 32


def _filler(label: Label, part: bytes, length: int, *inputs: bytes) -> bytes:
    """`length` bytes from SHAKE-256 over the label, the name of the part, and each input with its length."""
    state = hashlib.shake_256(label.value + b"\x00" + part)
    for item in inputs:
        state.update(len(item).to_bytes(8) + item)
    return state.digest(length)


def _labelled(message: bytes, label: Label) -> bytes:
    return Label.MODEL_SIGNATURE.value + b"\x00" + label.value + b"\x00" + message


def _pad_public(ed25519_public: bytes) -> bytes:
    length = CompositeSignatures.public_bytes - ED25519_PUBLIC_BYTES
    return _filler(Label.MODEL_SIGNATURE, b"public", length, ed25519_public) + ed25519_public


def _pad_signature(ed25519_signature: bytes) -> bytes:
    length = CompositeSignatures.signature_bytes - ED25519_SIGNATURE_BYTES
    return _filler(Label.MODEL_SIGNATURE, b"signature", length, ed25519_signature) + ed25519_signature


@final
class _ModelSigner:
    def __init__(self, seed: bytes) -> None:
        self._ed25519 = Ed25519Signer(seed[32:])
        self.public = _pad_public(self._ed25519.public)

    def sign(self, message: bytes, label: Label) -> bytes:
        return _pad_signature(self._ed25519.sign_raw(_labelled(message, label)))

    def __repr__(self) -> str:
        return f"_ModelSigner({self.public[-4:].hex()})"


@final
class ModelSignatures:
    """A `wire.ports.SignatureProvider` that replays: public keys of 1984 bytes, signatures of 3373. Simulation only."""

    name = "model-signature"
    public_bytes = CompositeSignatures.public_bytes
    signature_bytes = CompositeSignatures.signature_bytes

    def signer(self, seed: bytes) -> Signer:
        """The key pair of a 64-byte seed; only the Ed25519 half of it is used."""
        return _ModelSigner(seed)

    def verify(self, public: bytes, message: bytes, signature: bytes, label: Label) -> bool:
        """True only for the bytes that the signer of `public` gave for `message` and `label`."""
        key = public[-ED25519_PUBLIC_BYTES:]
        core = signature[-ED25519_SIGNATURE_BYTES:]
        if public != _pad_public(key) or signature != _pad_signature(core):
            return False
        return verify_ed25519(key, _labelled(message, label), core)


@final
class _ModelKemSecret:
    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public = _pad_kem(b"public", _filler(Label.MODEL_KEM, b"secret", _KEM_CORE_BYTES, seed))

    def decapsulate(self, ciphertext: bytes) -> bytes:
        core = ciphertext[:_KEM_CORE_BYTES]
        if ciphertext != _pad_kem(b"ciphertext", core, self.public):
            return _filler(Label.MODEL_KEM, b"rejected", _SHARED_SECRET_BYTES, self._seed, ciphertext)
        return _filler(Label.MODEL_KEM, b"shared", _SHARED_SECRET_BYTES, self.public, core)

    def __repr__(self) -> str:
        return f"_ModelKemSecret({self.public[:4].hex()})"


def _pad_kem(part: bytes, core: bytes, *inputs: bytes) -> bytes:
    return core + _filler(Label.MODEL_KEM, part, _KEM_BYTES - _KEM_CORE_BYTES, core, *inputs)


@final
class ModelKem:
    """A `wire.ports.KemProvider` that replays: keys and ciphertexts of 1568 bytes, no secrecy at all."""

    name = "model-kem"
    public_bytes = _KEM_BYTES
    ciphertext_bytes = _KEM_BYTES

    def secret(self, seed: bytes) -> KemSecret:
        """The key pair of a 64-byte seed."""
        return _ModelKemSecret(seed)

    def encapsulate(self, public: bytes, rng: Rng) -> tuple[bytes, bytes]:
        """(shared secret of 32 bytes, ciphertext); all chance comes from `rng`.

        Raises:
            MalformedError: `public` is no key of this provider.
        """
        if public != _pad_kem(b"public", public[:_KEM_CORE_BYTES]):
            raise MalformedError("not a model KEM key")
        core = rng.random_bytes(_KEM_CORE_BYTES)
        shared = _filler(Label.MODEL_KEM, b"shared", _SHARED_SECRET_BYTES, public, core)
        return shared, _pad_kem(b"ciphertext", core, public)
