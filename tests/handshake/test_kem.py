"""ML-KEM-1024 behind the port, and X25519."""

import pytest

from latticework.handshake import MlKem1024
from latticework.handshake.exchange import ExchangeSecret
from latticework.simnet.rng import KeyedRng
from latticework.wire import MalformedError

from .world import LOW_ORDER

pytestmark = pytest.mark.unit

KEM = MlKem1024()
RNG = KeyedRng(b"kem")


def test_both_ends_share_a_secret() -> None:
    secret = KEM.secret(RNG.random_bytes(64))
    shared, ciphertext = KEM.encapsulate(secret.public, RNG)
    assert (len(secret.public), len(ciphertext), len(shared)) == (KEM.public_bytes, KEM.ciphertext_bytes, 32)
    assert secret.decapsulate(ciphertext) == shared


def test_a_seed_gives_one_key_pair() -> None:
    assert KEM.secret(bytes(64)).public == KEM.secret(bytes(64)).public
    assert KEM.secret(bytes(64)).public != KEM.secret(b"\x01" + bytes(63)).public


def test_a_forged_ciphertext_gives_another_secret() -> None:
    secret = KEM.secret(bytes(64))
    shared, ciphertext = KEM.encapsulate(secret.public, RNG)
    assert secret.decapsulate(bytes([ciphertext[0] ^ 1]) + ciphertext[1:]) != shared


@pytest.mark.parametrize("public", [b"", bytes(1567), bytes(1569), b"\xff" * 1568], ids=len)
def test_keys_of_another_length_or_unreduced_are_malformed(public: bytes) -> None:
    with pytest.raises(MalformedError):
        KEM.encapsulate(public, RNG)


@pytest.mark.parametrize("place", range(0, 1536, 96))
def test_one_unreduced_coefficient_is_enough(place: int) -> None:
    public = bytearray(KEM.secret(bytes(64)).public)
    public[place : place + 3] = b"\xff\xff\xff"
    with pytest.raises(MalformedError):
        KEM.encapsulate(bytes(public), RNG)


def test_a_short_ciphertext_is_malformed() -> None:
    with pytest.raises(MalformedError):
        KEM.secret(bytes(64)).decapsulate(bytes(100))


def test_x25519_agrees_with_rfc_7748() -> None:
    """Section 6.1: Bob's key pair."""
    alice = ExchangeSecret(bytes(range(32)))
    bob = ExchangeSecret(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert alice.agree(bob.public) == bob.agree(alice.public)


@pytest.mark.parametrize("point", LOW_ORDER, ids=range(len(LOW_ORDER)))
def test_x25519_points_of_low_order_are_malformed(point: bytes) -> None:
    with pytest.raises(MalformedError):
        ExchangeSecret(bytes(range(32))).agree(point)


def test_representations_hide_keys() -> None:
    shown = repr(KEM.secret(bytes(64))) + repr(ExchangeSecret(bytes(32)))
    assert len(shown) < 80
