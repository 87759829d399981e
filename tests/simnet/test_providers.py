import pytest

from latticework.simnet import KeyedRng, ModelKem, ModelSignatures
from latticework.wire import KemProvider, Label, MalformedError, SignatureProvider
from latticework.wire.signing import CompositeSignatures

pytestmark = pytest.mark.unit

SEED = bytes(range(64))


def test_a_signature_is_valid_for_its_key_message_and_label_only() -> None:
    provider: SignatureProvider = ModelSignatures()
    signer, other = provider.signer(SEED), provider.signer(bytes(64))
    signature = signer.sign(b"message", Label.CERTIFICATE)
    assert (len(signer.public), len(signature)) == (provider.public_bytes, provider.signature_bytes) == (1984, 3373)
    assert signature == provider.signer(SEED).sign(b"message", Label.CERTIFICATE)
    assert provider.verify(signer.public, b"message", signature, Label.CERTIFICATE)
    assert not provider.verify(signer.public, b"messagf", signature, Label.CERTIFICATE)
    assert not provider.verify(signer.public, b"message", signature, Label.ENTRY)
    assert not provider.verify(other.public, b"message", signature, Label.CERTIFICATE)


@pytest.mark.parametrize("offset", [0, 1_000, 3_308, 3_309, 3_372])
def test_no_byte_of_a_signature_may_change(offset: int) -> None:
    provider = ModelSignatures()
    signer = provider.signer(SEED)
    signature = bytearray(signer.sign(b"m", Label.ENTRY))
    signature[offset] ^= 1
    assert not provider.verify(signer.public, b"m", bytes(signature), Label.ENTRY)


@pytest.mark.parametrize("length", [0, 31, 32, 63, 64, 1_984, 3_372, 3_374])
def test_keys_and_signatures_of_other_lengths_are_refused(length: int) -> None:
    provider = ModelSignatures()
    signer = provider.signer(SEED)
    assert not provider.verify(signer.public, b"m", bytes(length), Label.ENTRY)
    assert not provider.verify(bytes(length), b"m", signer.sign(b"m", Label.ENTRY), Label.ENTRY)


def test_the_real_provider_refuses_a_model_signature() -> None:
    signer = ModelSignatures().signer(SEED)
    assert not CompositeSignatures().verify(signer.public, b"m", signer.sign(b"m", Label.ENTRY), Label.ENTRY)


def test_kem_ends_agree_and_replay() -> None:
    provider: KemProvider = ModelKem()
    secret = provider.secret(SEED)
    shared, ciphertext = provider.encapsulate(secret.public, KeyedRng(b"kem"))
    assert (len(secret.public), len(ciphertext), len(shared)) == (1568, 1568, 32)
    assert (provider.public_bytes, provider.ciphertext_bytes) == (1568, 1568)
    assert secret.decapsulate(ciphertext) == shared
    assert provider.encapsulate(secret.public, KeyedRng(b"kem")) == (shared, ciphertext)
    assert provider.encapsulate(secret.public, KeyedRng(b"mek")) != (shared, ciphertext)


@pytest.mark.parametrize("offset", [0, 31, 32, 1_567])
def test_a_forged_ciphertext_gives_an_unrelated_secret(offset: int) -> None:
    secret = ModelKem().secret(SEED)
    shared, ciphertext = ModelKem().encapsulate(secret.public, KeyedRng(b"kem"))
    forged = bytearray(ciphertext)
    forged[offset] ^= 1
    assert secret.decapsulate(bytes(forged)) != shared
    assert len(secret.decapsulate(bytes(forged))) == 32
    assert ModelKem().secret(bytes(64)).decapsulate(ciphertext) != shared


def test_a_key_that_no_seed_gives_is_malformed() -> None:
    public = ModelKem().secret(SEED).public
    for bad in (b"", public[:-1], public + b"\x00", bytes(1568)):
        with pytest.raises(MalformedError):
            ModelKem().encapsulate(bad, KeyedRng(b"kem"))
