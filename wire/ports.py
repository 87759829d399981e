"""The ports through which a node meets chance, time, threads and post-quantum cryptography.

Nothing above this file reads a clock, draws a random byte or hops to a thread in any other way, so a node whose ports
are seeded replays byte for byte. They stand at the bottom because every layer consumes them.
"""

from collections.abc import Callable
from typing import Protocol

from .labels import Label


class Clock(Protocol):
    """Where time comes from; both readings are integer microseconds."""

    def now_us(self) -> int:
        """Wall-clock time since 1970-01-01 UTC; may step."""
        ...

    def monotonic_us(self) -> int:
        """Time for deadlines and durations; never steps back."""
        ...


class Rng(Protocol):
    """Where secrets and nonces come from."""

    def random_bytes(self, count: int) -> bytes:
        """`count` bytes fit for keys."""
        ...


class Threads(Protocol):
    """Where blocking and CPU-heavy calls go (architecture, part 7)."""

    async def run[T](self, work: Callable[[], T]) -> T:
        """Run `work` elsewhere and return its result; cancellation waits for `work` to end."""
        ...


class KemSecret(Protocol):
    """A KEM decapsulation key."""

    @property
    def public(self) -> bytes:
        """The encapsulation key, `KemProvider.public_bytes` long."""
        ...

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret; a forged ciphertext gives an unrelated one (implicit rejection)."""
        ...


class KemProvider(Protocol):
    """One KEM: ML-KEM-1024 by default (FIPS 203)."""

    @property
    def name(self) -> str: ...
    @property
    def public_bytes(self) -> int: ...
    @property
    def ciphertext_bytes(self) -> int: ...

    def secret(self, seed: bytes) -> KemSecret:
        """The key pair of a 64-byte seed."""
        ...

    def encapsulate(self, public: bytes, rng: Rng) -> tuple[bytes, bytes]:
        """(shared secret of 32 bytes, ciphertext).

        Raises:
            MalformedError: `public` is not a valid encapsulation key.
        """
        ...


class Signer(Protocol):
    """A composite signing key."""

    @property
    def public(self) -> bytes:
        """The verification key, `SignatureProvider.public_bytes` long."""
        ...

    def sign(self, message: bytes, label: Label) -> bytes:
        """Sign `message` for the object kind `label`; the result is `signature_bytes` long."""
        ...


class SignatureProvider(Protocol):
    """Signatures of slow, long-lived objects: composite ML-DSA-65 with Ed25519 by default."""

    @property
    def name(self) -> str: ...
    @property
    def public_bytes(self) -> int: ...
    @property
    def signature_bytes(self) -> int: ...

    def signer(self, seed: bytes) -> Signer:
        """The key pair of a 64-byte seed (first half ML-DSA, second half Ed25519)."""
        ...

    def verify(self, public: bytes, message: bytes, signature: bytes, label: Label) -> bool:
        """True only if every part of the composite verifies."""
        ...
