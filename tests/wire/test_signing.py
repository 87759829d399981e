"""The one Ed25519 verifier, and the composite signature."""

import hashlib
import json
from pathlib import Path
from typing import Final, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.wire import Label, verify_ed25519
from latticework.wire.signing import (
    CompositeSignatures,
    CompositeSigner,
    Ed25519Signer,
    composite_message,
    verify_composite,
)

VECTORS: Final = Path(__file__).parent.parent / "vectors"
ORDER: Final = (1 << 252) + 27742317777372353535851937790883648493
"""The order of the base point, L of RFC 8032."""
SMALL_ORDER: Final = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
"""All encodings of the eight points of small order ("Taming the many EdDSAs", table 2)."""


class SpecCase(TypedDict):
    name: str
    message: str
    public: str
    signature: str
    accepted: bool


def spec_cases() -> list[SpecCase]:
    cases: list[SpecCase] = json.loads((VECTORS / "wire-ed25519-speccheck.json").read_text())["cases"]
    return cases


@pytest.mark.unit
@pytest.mark.parametrize("case", spec_cases(), ids=lambda case: case["name"])
def test_edge_cases_are_judged_as_libsodium_does(case: SpecCase) -> None:
    raw = [bytes.fromhex(text) for text in (case["public"], case["message"], case["signature"])]
    assert verify_ed25519(raw[0], raw[1], raw[2]) is case["accepted"]


@pytest.mark.unit
def test_of_the_twelve_edge_cases_only_number_three_is_accepted() -> None:
    assert [number for number, case in enumerate(spec_cases()) if case["accepted"]] == [3]
    assert len(spec_cases()) == 12


@pytest.mark.unit
@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
    ids=["RFC 8032 test 1", "RFC 8032 test 2"],
)
def test_signatures_are_those_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    signer = Ed25519Signer(bytes.fromhex(seed))
    assert signer.public.hex() == public
    assert signer.sign_raw(bytes.fromhex(message)).hex() == signature
    assert verify_ed25519(signer.public, bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.unit
@pytest.mark.parametrize("key", SMALL_ORDER)
@pytest.mark.parametrize("r", SMALL_ORDER[:2])
def test_a_key_of_small_order_verifies_nothing(key: str, r: str) -> None:
    """With S = 0 and a small R such a key "signs" every message for careless verifiers."""
    for message in (b"", b"anything", bytes(32)):
        assert not verify_ed25519(bytes.fromhex(key), message, bytes.fromhex(r) + bytes(32))


@pytest.mark.unit
@pytest.mark.parametrize("multiple", [1, 2, 7])
def test_a_scalar_that_is_not_reduced_is_refused(multiple: int) -> None:
    """S + L verifies for those who do not check, so one signature would have two encodings."""
    signer = Ed25519Signer(b"s" * 32)
    signature = signer.sign_raw(b"message")
    scalar = int.from_bytes(signature[32:], "little")
    assert scalar < ORDER
    malleated = signature[:32] + (scalar + multiple * ORDER).to_bytes(32, "little")
    assert verify_ed25519(signer.public, b"message", signature)
    assert not verify_ed25519(signer.public, b"message", malleated)


@pytest.mark.unit
@pytest.mark.parametrize(("key", "length"), [(0, 64), (31, 64), (33, 64), (32, 0), (32, 63), (32, 65), (32, 32)])
def test_keys_and_signatures_of_another_length_are_refused(key: int, length: int) -> None:
    signer = Ed25519Signer(b"s" * 32)
    signature = (signer.sign_raw(b"m") + bytes(64))[:length]
    assert not verify_ed25519((signer.public + bytes(9))[:key], b"m", signature)


@pytest.mark.unit
def test_no_byte_can_move_from_the_signature_into_the_message() -> None:
    signer = Ed25519Signer(b"s" * 32)
    both = signer.sign_raw(b"message") + b"message"
    assert verify_ed25519(signer.public, both[64:], both[:64])
    assert not verify_ed25519(signer.public, both[63:], both[:63])


@pytest.mark.property
@given(st.binary(max_size=100), st.integers(0, 511), st.integers(0, 255))
def test_any_flipped_bit_of_signature_or_key_is_noticed(message: bytes, bit: int, key_bit: int) -> None:
    signer = Ed25519Signer(b"s" * 32)
    signature = bytearray(signer.sign_raw(message))
    assert verify_ed25519(signer.public, message, bytes(signature))
    key = bytearray(signer.public)
    key[key_bit // 8] ^= 1 << key_bit % 8
    assert not verify_ed25519(bytes(key), message, bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify_ed25519(signer.public, message, bytes(signature))


@pytest.mark.unit
def test_a_signer_never_shows_its_secret() -> None:
    for signer in (Ed25519Signer(b"s" * 32), CompositeSigner(b"s" * 64)):
        assert repr(signer).endswith(f"({signer.public[:4].hex()})")


PROVIDER: Final = CompositeSignatures()
SIGNER: Final = PROVIDER.signer(bytes(range(64)))
OTHER: Final = PROVIDER.signer(bytes(range(1, 65)))
SIGNATURE: Final = SIGNER.sign(b"message", Label.CERTIFICATE)
HALF: Final = 3309


def accepts(public: bytes, message: bytes, signature: bytes, label: Label = Label.CERTIFICATE) -> bool:
    return PROVIDER.verify(public, message, signature, label)


@pytest.mark.unit
def test_a_composite_has_the_published_sizes_and_verifies() -> None:
    assert (len(SIGNER.public), len(SIGNATURE)) == (PROVIDER.public_bytes, PROVIDER.signature_bytes) == (1984, 3373)
    assert accepts(SIGNER.public, b"message", SIGNATURE)
    assert PROVIDER.signer(bytes(range(64))).public == SIGNER.public
    again = SIGNER.sign(b"message", Label.CERTIFICATE)
    assert again[:HALF] != SIGNATURE[:HALF], "ML-DSA is hedged"
    assert again[HALF:] == SIGNATURE[HALF:], "Ed25519 is deterministic"


@pytest.mark.unit
@pytest.mark.parametrize("label", [label for label in Label if label is not Label.CERTIFICATE])
def test_a_composite_is_good_for_its_label_only(label: Label) -> None:
    assert not accepts(SIGNER.public, b"message", SIGNATURE, label)


@pytest.mark.unit
def test_both_halves_are_needed() -> None:
    by_other = OTHER.sign(b"message", Label.CERTIFICATE)
    elsewhere = SIGNER.sign(b"elsewhere", Label.CERTIFICATE)
    relabelled = SIGNER.sign(b"message", Label.CERTIFICATE_ACCEPT)
    for wrong in (by_other, elsewhere, relabelled):
        assert not accepts(SIGNER.public, b"message", wrong[:HALF] + SIGNATURE[HALF:])
        assert not accepts(SIGNER.public, b"message", SIGNATURE[:HALF] + wrong[HALF:])
    for public in (OTHER.public[:1952] + SIGNER.public[1952:], SIGNER.public[:1952] + OTHER.public[1952:]):
        assert not accepts(public, b"message", SIGNATURE)
    assert not accepts(SIGNER.public, b"message", SIGNATURE[HALF:] + SIGNATURE[:HALF])


@pytest.mark.unit
def test_halves_of_two_signatures_by_one_signer_of_one_message_may_be_joined() -> None:
    """They say the same; the composite is not strongly unforgeable in its ML-DSA half and nothing relies on that."""
    again = SIGNER.sign(b"message", Label.CERTIFICATE)
    assert accepts(SIGNER.public, b"message", again[:HALF] + SIGNATURE[HALF:])


@pytest.mark.unit
def test_a_bare_signature_of_the_message_is_no_half_of_a_composite() -> None:
    bare = Ed25519Signer(bytes(range(32, 64))).sign_raw(b"message")
    assert not accepts(SIGNER.public, b"message", SIGNATURE[:HALF] + bare)
    assert not verify_ed25519(SIGNER.public[1952:], b"message", SIGNATURE[HALF:])


@pytest.mark.unit
@pytest.mark.parametrize("cut", [0, 1, 1951, 1952, 1983])
def test_keys_of_another_length_are_refused(cut: int) -> None:
    assert not accepts(SIGNER.public[:cut], b"message", SIGNATURE)
    assert not accepts(SIGNER.public + b"\0", b"message", SIGNATURE)


@pytest.mark.unit
@pytest.mark.parametrize("cut", [0, 64, 3308, 3309, 3372])
def test_signatures_of_another_length_are_refused(cut: int) -> None:
    assert not accepts(SIGNER.public, b"message", SIGNATURE[:cut])
    assert not accepts(SIGNER.public, b"message", SIGNATURE + b"\0")


@pytest.mark.property
@given(st.integers(0, 3372), st.integers(1, 255))
def test_a_changed_byte_anywhere_in_a_composite_is_noticed(at: int, change: int) -> None:
    damaged = bytearray(SIGNATURE)
    damaged[at] ^= change
    assert not accepts(SIGNER.public, b"message", bytes(damaged))


@pytest.mark.property
@given(st.binary(max_size=8))
def test_noise_as_key_or_signature_is_refused_without_an_exception(seed: bytes) -> None:
    noise = hashlib.shake_256(seed)
    public, signature = noise.digest(1984), noise.digest(3373)
    assert not accepts(public, b"message", signature)
    assert not accepts(public, b"message", SIGNATURE)
    assert not accepts(SIGNER.public, b"message", signature)


@pytest.mark.unit
def test_the_signed_message_is_prefix_label_context_and_hash() -> None:
    composed = composite_message(b"message", b"ctx")
    assert composed.startswith(b"CompositeAlgorithmSignatures2025COMPSIG-MLDSA65-Ed25519-SHA512\x03ctx")
    assert len(composed) == 32 + 30 + 1 + 3 + 64
    assert composite_message(b"", b"a") != composite_message(b"", b"")
    assert verify_composite(SIGNER.public, b"message", SIGNATURE, Label.CERTIFICATE.value)
    assert not verify_composite(SIGNER.public, b"message", SIGNATURE, b"")


@pytest.mark.unit
def test_the_published_known_answer_verifies() -> None:
    """`src/testvectors.json` of lamps-wg/draft-composite-sigs: not our code signed this."""
    kat: dict[str, str] = json.loads((VECTORS / "wire-composite-kat.json").read_text())
    public, message, signature = (bytes.fromhex(kat[name]) for name in ("public", "message", "signature"))
    assert CompositeSigner(bytes.fromhex(kat["seed"])).public == public
    assert verify_composite(public, message, signature, b"")
    assert not verify_composite(public, message, signature, b"lattice")
    assert not verify_composite(public, message + b".", signature, b"")
