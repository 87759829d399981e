"""Sealing: one ciphertext per plaintext inside a space, none that anybody outside can confirm."""

from typing import Final

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from latticework.chunkstore import TAG_BYTES, ChunkSealer, Sealed
from latticework.wire import ChunkId, Label, MalformedError, SpaceId, derive, padme

SPACE: Final = SpaceId(b"S" * 32)
EPOCH: Final = b"e" * 32
SEALER: Final = ChunkSealer(SPACE, EPOCH)
TEXT: Final = b"some plaintext of a chunk" * 9
SEALED: Final = SEALER.seal(TEXT)


def opened(sealed: Sealed, length: int, sealer: ChunkSealer = SEALER) -> bytes:
    return bytes(sealer.open(sealed.id, sealed.key, length, sealed.ciphertext))


def resealed(key: bytes, padded: bytes, space: SpaceId = SPACE, nonce: bytes = bytes(12)) -> Sealed:
    """What a member with bad intent could make: any plaintext under any key."""
    ciphertext = AESGCM(key).encrypt(nonce, padded, space)
    return Sealed(ChunkId(blake3(ciphertext).digest()), key, ciphertext)


@pytest.mark.property
@given(st.binary(max_size=5000), st.sampled_from([bytes, bytearray, memoryview]))
def test_what_is_sealed_is_opened_and_padded(text: bytes, kind: type) -> None:
    sealed = SEALER.seal(kind(text))
    assert opened(sealed, len(text)) == text
    assert len(sealed.ciphertext) == padme(len(text)) + TAG_BYTES
    assert sealed == SEALER.seal(text)
    assert sealed.id == blake3(sealed.ciphertext).digest()


@pytest.mark.unit
def test_sealing_leaves_the_plaintext_as_it_was() -> None:
    text = bytearray(TEXT)
    SEALER.seal(text)
    assert text == TEXT


@pytest.mark.unit
@pytest.mark.parametrize(
    "other", [ChunkSealer(SpaceId(b"T" * 32), EPOCH), ChunkSealer(SPACE, b"f" * 32)], ids=["space", "secret"]
)
def test_another_space_or_secret_seals_and_cuts_differently(other: ChunkSealer) -> None:
    sealed = other.seal(TEXT)
    assert not {sealed.id, sealed.key} & {SEALED.id, SEALED.key}
    assert other.chunker_seed != SEALER.chunker_seed
    with pytest.raises(MalformedError):
        opened(SEALED, len(TEXT), other)


@pytest.mark.unit
def test_devices_of_one_space_seal_alike() -> None:
    assert ChunkSealer(SPACE, EPOCH).seal(TEXT) == SEALED
    assert 0 <= SEALER.chunker_seed < 1 << 63


@pytest.mark.unit
@pytest.mark.parametrize("length", [0, 1, len(TEXT) - 1, len(TEXT) + 1, padme(len(TEXT)), 1 << 26])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedError):
        opened(SEALED, length)


@pytest.mark.unit
@pytest.mark.parametrize("key", [bytes(32), SEALER.key_of(b"other"), SEALED.key[::-1]])
def test_another_key_is_refused(key: bytes) -> None:
    with pytest.raises(MalformedError):
        SEALER.open(SEALED.id, key, len(TEXT), SEALED.ciphertext)


@pytest.mark.unit
def test_another_id_is_refused() -> None:
    with pytest.raises(MalformedError):
        SEALER.open(ChunkId(bytes(32)), SEALED.key, len(TEXT), SEALED.ciphertext)


@pytest.mark.property
@given(st.integers(0, len(SEALED.ciphertext) * 8 - 1))
def test_a_flipped_bit_is_refused_even_under_its_own_id(bit: int) -> None:
    damaged = bytearray(SEALED.ciphertext)
    damaged[bit // 8] ^= 1 << bit % 8
    for identifier in (SEALED.id, ChunkId(blake3(damaged).digest())):
        with pytest.raises(MalformedError):
            SEALER.open(identifier, SEALED.key, len(TEXT), damaged)


@pytest.mark.unit
def test_a_truncated_or_longer_ciphertext_is_refused() -> None:
    for ciphertext in [bytes(SEALED.ciphertext[:length]) for length in range(len(SEALED.ciphertext))] + [
        bytes(SEALED.ciphertext) + b"\0"
    ]:
        with pytest.raises(MalformedError):
            SEALER.open(ChunkId(blake3(ciphertext).digest()), SEALED.key, len(TEXT), ciphertext)


@pytest.mark.unit
@pytest.mark.parametrize(
    "forged",
    [
        resealed(SEALED.key, b"another text".ljust(padme(len(TEXT)), b"\0")),
        resealed(bytes(32), TEXT.ljust(padme(len(TEXT)), b"\0")),
        resealed(SEALED.key, TEXT.ljust(padme(len(TEXT)), b"\0"), space=SpaceId(b"T" * 32)),
        resealed(SEALED.key, TEXT.ljust(padme(len(TEXT)), b"\0"), nonce=b"\1" * 12),
        resealed(SEALED.key, TEXT.ljust(padme(len(TEXT)) - 1, b"\0") + b"\1"),
    ],
    ids=["key of another text", "key of no text", "other space", "other nonce", "padding with a message in it"],
)
def test_what_this_space_would_not_have_sealed_is_refused(forged: Sealed) -> None:
    """The key commits to the text, and the text to its one ciphertext: a chunk can always be sealed again."""
    assert padme(len(TEXT)) > len(TEXT)
    with pytest.raises(MalformedError):
        opened(forged, len(TEXT))


@pytest.mark.unit
def test_the_format_is_what_the_decision_says() -> None:
    """Decision 20, by hand."""
    chunk_key = derive(EPOCH, SPACE, Label.SPACE_CHUNK_KEY, b"", 32)
    fingerprint_key = derive(EPOCH, SPACE, Label.SPACE_FINGERPRINT_KEY, b"", 32)
    key = derive(chunk_key, blake3(TEXT, key=fingerprint_key).digest(), Label.CHUNK_KEY, SPACE, 32)
    assert resealed(key, TEXT.ljust(padme(len(TEXT)), b"\0")) == SEALED
