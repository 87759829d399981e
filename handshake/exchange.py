"""X25519 (RFC 7748): key pairs from 32-byte seeds and products that are never all zero."""

from typing import final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from latticework.wire import MalformedError


@final
class ExchangeSecret:
    """An X25519 private key; the library holds the bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """The 32-byte product with another's 32-byte public key.

        Raises:
            MalformedError: the point has low order, so that the product is all zero.
        """
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise MalformedError("an X25519 key of low order") from error

    def __repr__(self) -> str:
        return f"ExchangeSecret({self.public[:4].hex()})"
