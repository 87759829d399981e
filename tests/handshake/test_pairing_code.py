"""Codes as people type and scan them, and the register of live offers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.handshake import Failure, Offers, QrCode, TypedCode, parse_qr, parse_typed
from latticework.handshake.pairing_code import CodeKind, password_of
from latticework.handshake.params import MAX_OFFERS, OFFER_REMEMBERED_US, OFFER_VALID_US
from latticework.simnet.rng import KeyedRng
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

ADDRESSES = ("/ip4/192.168.1.7/tcp/4001", "/ip6/fe80::1/tcp/4001")
QR = QrCode("4821", bytes(range(32)), bytes(range(32, 64)), ADDRESSES)


@pytest.mark.parametrize(
    "text",
    [
        "4821-0937-5516",
        "482109375516",
        " 4821 0937 5516\n",
        "4821\u20130937\u20145516",
        "4 8 2 1 - 0 9 3 7 - 5 5 1 6",
        "\uff14821-0937-5516",
        "4821\u00a00937\u00a05516",
    ],
)
def test_what_people_type_is_read_leniently(text: str) -> None:
    assert parse_typed(text) == TypedCode("4821", "09375516")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has 12 digits, like 4821-0937-5516; this one has 0"),
        ("4821-0937-551", "this one has 11"),
        ("4821-0937-55166", "this one has 13"),
        ("4821-O937-5516", "'O' is not a digit"),
        ("4821_0937_5516", "'_' is not a digit"),
        ("\u0664821-0937-5516", "is not a digit"),
        ("lattice:pair?v=1", "'l' is not a digit"),
    ],
)
def test_a_malformed_code_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_typed(text)
    assert complaint in str(caught.value)


def test_a_code_is_shown_in_three_groups() -> None:
    assert parse_typed("482109375516").text == "4821-0937-5516"


@pytest.mark.parametrize("addresses", [(), ADDRESSES, ("/dns/a&b=c%d é/tcp/1",) * 8])
def test_a_qr_payload_is_read_back_exactly(addresses: tuple[str, ...]) -> None:
    code = QrCode("0007", QR.secret, QR.certificate_hash, addresses)
    assert parse_qr(code.uri) == code


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("https://example.org", "not a Latticework pairing code"),
        ("", "not a Latticework pairing code"),
        (QR.uri.replace("v=1", "v=2"), "another version"),
        (QR.uri[:-1] + "&x=1", "damaged"),
        (QR.uri + "&a=", "damaged"),
        (QR.uri.replace("&n=4821", ""), "damaged"),
        (QR.uri.replace("&n=4821", "&n=48211"), "damaged"),
        (QR.uri.replace("&s=", "&s=A"), "damaged"),
        (QR.uri.replace("4821", "\u0664821"), "damaged"),
        (QR.uri.replace("/ip4", "%2Fip4"), "damaged"),
        (QR.uri.replace("/ip4", "%ff"), "damaged"),
        (QR.uri + " ", "damaged"),
        (QrCode("4821", QR.secret, QR.certificate_hash, ("/a",) * 9).uri, "damaged"),
        (QrCode("4821", QR.secret, QR.certificate_hash, ("/" + "a" * 256,)).uri, "damaged"),
        (QrCode("4821", QR.secret, QR.certificate_hash, ("/" + "a" * 2000,)).uri, "damaged"),
    ],
)
def test_a_qr_payload_is_read_strictly(text: str, complaint: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_qr(text)
    assert complaint in str(caught.value)


def test_the_unused_bits_of_base64_must_be_zero() -> None:
    i = QR.uri.index("&h=") - 1
    assert QR.uri[i] == "8"
    with pytest.raises(LocalError):
        parse_qr(QR.uri[:i] + "9" + QR.uri[i + 1 :])


@pytest.mark.property
@given(text=st.text(max_size=200), prefixed=st.booleans())
def test_reading_any_text_raises_nothing_else(text: str, *, prefixed: bool) -> None:
    for parse in (parse_typed, parse_qr):
        try:
            parse("lattice:pair?v=1&" * prefixed + text)
        except LocalError:
            continue


def test_passwords_bind_kind_and_nameplate() -> None:
    typed = TypedCode("4821", "09375516")
    passwords = {password_of(typed), password_of(TypedCode("4822", "09375516")), password_of(QR)}
    passwords.add(password_of(TypedCode("4821", "09375517")))
    assert len(passwords) == 4


def test_representations_hide_secrets() -> None:
    assert "0937" not in repr(TypedCode("4821", "09375516"))
    assert repr(QR) == "QrCode(4821)"


def test_an_offer_is_found_by_nameplate_and_kind() -> None:
    offers, rng = Offers(), KeyedRng(b"offers")
    typed, qr = offers.offer_typed(rng, 0), offers.offer_qr(rng, bytes(32), ADDRESSES, 0)
    assert offers.find(CodeKind.TYPED, typed.nameplate, 1) == typed
    assert offers.find(CodeKind.QR, qr.nameplate, 1) == qr
    assert offers.find(CodeKind.QR, typed.nameplate, 1) is Failure.WRONG_CODE
    unused = next(n for n in ("1111", "2222", "3333") if n not in {typed.nameplate, qr.nameplate})
    assert offers.find(CodeKind.TYPED, unused, 1) is Failure.WRONG_CODE
    assert offers.live(1) == (typed, qr)


def test_an_offer_lives_five_minutes_and_is_remembered_for_ten_more() -> None:
    offers = Offers()
    code = offers.offer_typed(KeyedRng(b"offers"), 0)
    assert offers.find(CodeKind.TYPED, code.nameplate, OFFER_VALID_US - 1) == code
    assert offers.find(CodeKind.TYPED, code.nameplate, OFFER_VALID_US) is Failure.EXPIRED
    assert offers.live(OFFER_VALID_US) == ()
    late = OFFER_VALID_US + OFFER_REMEMBERED_US
    assert offers.find(CodeKind.TYPED, code.nameplate, late) is Failure.WRONG_CODE


def test_a_burned_offer_is_used_and_its_secret_gone() -> None:
    offers = Offers()
    code = offers.offer_typed(KeyedRng(b"offers"), 0)
    offers.burn(code.nameplate)
    offers.burn("none")
    assert offers.find(CodeKind.TYPED, code.nameplate, 1) is Failure.USED


def test_few_offers_live_at_once() -> None:
    offers, rng = Offers(), KeyedRng(b"offers")
    codes = [offers.offer_typed(rng, 0) for _ in range(MAX_OFFERS)]
    assert len({code.nameplate for code in codes}) == MAX_OFFERS
    with pytest.raises(LocalError, match="waiting already"):
        offers.offer_typed(rng, OFFER_VALID_US - 1)
    offers.burn(codes[0].nameplate)
    offers.offer_typed(rng, OFFER_VALID_US - 1)
    offers.offer_typed(rng, OFFER_VALID_US)


def test_addresses_that_do_not_fit_a_qr_code_are_left_out() -> None:
    offers = Offers()
    code = offers.offer_qr(KeyedRng(b"offers"), bytes(32), ("/" + "a" * 256, *("/b",) * 10), 0)
    assert code.addresses == ("/b",) * 8
    assert parse_qr(code.uri) == code
