"""ML-KEM-1024 (FIPS 203) behind the KEM port; OpenSSL does the work.

Encapsulation draws from the library's own generator, so it differs from call to call and `rng` is not used; simulations
plug in a deterministic provider instead (decision 25).
"""

from typing import final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey, MLKEM1024PublicKey

from latticework.wire import KemSecret, MalformedError, Rng

from .params import KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES


@final
class MlKem1024Secret:
    """An ML-KEM-1024 decapsulation key."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = MLKEM1024PrivateKey.from_seed_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret of a 1568-byte ciphertext; a forged one gives an unrelated secret.

        Raises:
            MalformedError: not 1568 bytes.
        """
        try:
            return self._key.decapsulate(ciphertext)
        except ValueError as error:
            raise MalformedError("not an ML-KEM-1024 ciphertext") from error

    def __repr__(self) -> str:
        return f"MlKem1024Secret({self.public[:4].hex()})"


@final
class MlKem1024:
    """The default `KemProvider`."""

    name = "ML-KEM-1024"
    public_bytes = KEM_PUBLIC_BYTES
    ciphertext_bytes = KEM_CIPHERTEXT_BYTES

    def secret(self, seed: bytes) -> KemSecret:
        """The key pair of a 64-byte seed (FIPS 203, `d` then `z`)."""
        return MlKem1024Secret(seed)

    def encapsulate(self, public: bytes, rng: Rng) -> tuple[bytes, bytes]:  # noqa: ARG002  # the library draws itself
        """(32-byte secret, 1568-byte ciphertext); raises MalformedError for a wrong length or unreduced key."""
        try:
            return MLKEM1024PublicKey.from_public_bytes(public).encapsulate()
        except ValueError as error:
            raise MalformedError("not an ML-KEM-1024 key") from error
