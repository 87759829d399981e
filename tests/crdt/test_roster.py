"""The roster: two signatures on everything, and one result whatever the order."""

from dataclasses import replace
from itertools import permutations
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import (
    DeviceCertificate,
    Roster,
    SignedCertificate,
    account_id,
    certificate_hash,
    device_id,
    read_certificate,
)
from latticework.crdt.params import MAX_CERTIFICATE_BYTES, MAX_ROSTER_RECORDS
from latticework.wire import AccountId, Label, MalformedError, decode, encode

from .world import SIGNATURES, Account, Device, device, signed

ACCOUNT: Final = Account("alpha", "beta", "gamma")
ALPHA, BETA, GAMMA = ACCOUNT.devices
FIRST, SECOND, THIRD = ACCOUNT.records
STRANGER: Final = device("stranger", 50)


def founded() -> Roster:
    return Roster.found(SIGNATURES, FIRST)


def certificate_of(record: bytes) -> DeviceCertificate:
    return read_certificate(record)[1]


@pytest.mark.unit
def test_the_first_certificate_founds_the_account_that_its_hash_names() -> None:
    roster = founded()
    assert roster.account == account_id(FIRST) == ACCOUNT.id
    assert set(roster.members) == {ALPHA.id}
    assert ALPHA.id == device_id(ALPHA.signer.public, ALPHA.exchange_key)


@pytest.mark.unit
@pytest.mark.parametrize("order", list(permutations([SECOND, THIRD])))
def test_records_are_accepted_in_any_order_and_once(order: tuple[bytes, ...]) -> None:
    roster = founded()
    assert roster.add_all([*order, *order]) == []
    assert roster.root() == ACCOUNT.roster().root()
    assert set(roster.members) == {ALPHA.id, BETA.id, GAMMA.id}
    assert roster.heads() == (certificate_hash(THIRD),)


@pytest.mark.unit
def test_a_record_whose_parents_are_missing_is_refused_until_they_come() -> None:
    roster = founded()
    assert roster.add(THIRD) == "the certificate builds on one that is not known here"
    assert roster.add_all([THIRD]) != []
    assert roster.add(SECOND) is None
    assert roster.add(THIRD) is None


@pytest.mark.unit
def test_concurrent_introductions_both_stand() -> None:
    roster = founded()
    roster.add(SECOND)
    delta, epsilon = device("delta", 60), device("epsilon", 61)
    parent = certificate_hash(SECOND)
    by_alpha, by_beta = ACCOUNT.introduce(ALPHA, delta, parent), ACCOUNT.introduce(BETA, epsilon, parent)
    assert roster.add_all([by_beta, by_alpha]) == []
    assert roster.heads() == tuple(sorted([certificate_hash(by_alpha), certificate_hash(by_beta)]))


def forged(issuer: Device, subject: Device) -> list[tuple[str, bytes, str]]:
    parent = certificate_hash(FIRST)
    good = subject.certificate(ACCOUNT.id, issuer.id, (parent,))
    body = encode(good)
    outer = decode(SignedCertificate, signed(good, issuer, subject), MAX_CERTIFICATE_BYTES)
    by_stranger = STRANGER.signer.sign(body, Label.CERTIFICATE)
    other = encode(replace(good, name="other"))
    return [
        ("issuer forged", encode(replace(outer, issuer_signature=by_stranger)), "issuer's signature"),
        (
            "subject forged",
            encode(replace(outer, subject_signature=STRANGER.signer.sign(body, Label.CERTIFICATE_ACCEPT))),
            "own signature",
        ),
        (
            "signatures swapped",
            encode(SignedCertificate(body, outer.subject_signature, outer.issuer_signature)),
            "issuer's signature",
        ),
        (
            "accepting is not introducing",
            encode(replace(outer, subject_signature=outer.issuer_signature)),
            "own signature",
        ),
        ("body changed", encode(replace(outer, body=other)), "issuer's signature"),
        ("unknown issuer", signed(replace(good, issuer=STRANGER.id), STRANGER, subject), "may not introduce"),
        ("no issuer", signed(replace(good, issuer=None), issuer, subject), "may not introduce"),
        ("issues itself", signed(replace(good, issuer=subject.id), subject, subject), "may not introduce"),
        ("no parents", signed(replace(good, parents=()), issuer, subject), "not known here"),
        ("unknown parent", signed(replace(good, parents=(bytes(32),)), issuer, subject), "not known here"),
        ("other account", signed(replace(good, account=AccountId(bytes(32))), issuer, subject), "another account"),
        ("no account", signed(replace(good, account=None), issuer, subject), "another account"),
        ("another founding", signed(STRANGER.certificate(None, None, ()), STRANGER, STRANGER), "another account"),
    ]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("record", "reason"), [case[1:] for case in forged(ALPHA, BETA)], ids=[c[0] for c in forged(ALPHA, BETA)]
)
def test_a_forged_or_foreign_certificate_is_refused_and_changes_nothing(record: bytes, reason: str) -> None:
    roster = founded()
    before = roster.root()
    refusal = roster.add(record)
    assert refusal is not None
    assert reason in refusal
    assert roster.refusal(record) == refusal
    assert (roster.root(), set(roster.members)) == (before, {ALPHA.id})


@pytest.mark.property
@given(st.integers(0, len(SECOND) * 8 - 1))
def test_a_certificate_with_any_bit_flipped_is_refused(bit: int) -> None:
    damaged = bytearray(SECOND)
    damaged[bit // 8] ^= 1 << bit % 8
    assert founded().add(bytes(damaged)) is not None


@pytest.mark.unit
def test_a_certificate_cut_anywhere_or_with_anything_behind_it_is_refused() -> None:
    roster = founded()
    for length in range(0, len(SECOND), 7):
        assert roster.add(SECOND[:length]) is not None
    assert roster.add(SECOND + b"\0") is not None
    assert roster.add(b"\xff" * (MAX_CERTIFICATE_BYTES + 1)) is not None


@pytest.mark.unit
@pytest.mark.parametrize(
    "certificate",
    [
        ALPHA.certificate(ACCOUNT.id, None, ()),
        ALPHA.certificate(None, ALPHA.id, ()),
        ALPHA.certificate(None, None, (bytes(32),)),
    ],
)
def test_only_a_first_certificate_founds_an_account(certificate: DeviceCertificate) -> None:
    with pytest.raises(MalformedError):
        Roster.found(SIGNATURES, signed(certificate, ALPHA, ALPHA))


@pytest.mark.unit
@pytest.mark.parametrize(("issuer", "subject"), [(STRANGER, ALPHA), (ALPHA, STRANGER)])
def test_a_first_certificate_is_signed_twice_by_its_own_device(issuer: Device, subject: Device) -> None:
    with pytest.raises(MalformedError):
        Roster.found(SIGNATURES, signed(ALPHA.certificate(None, None, ()), issuer, subject))


@pytest.mark.unit
def test_a_device_without_the_role_may_not_introduce() -> None:
    roster = founded()
    guest, friend = device("guest", 70), device("friend", 71)
    admitted = ACCOUNT.introduce(ALPHA, guest, certificate_hash(FIRST), roles=0)
    assert roster.add(admitted) is None
    assert (
        roster.add(ACCOUNT.introduce(guest, friend, certificate_hash(admitted)))
        == "the issuer may not introduce devices"
    )


def two_certificates() -> tuple[bytes, bytes]:
    """For beta: one with the role and one without, the latter with the smaller hash."""
    parent = certificate_hash(FIRST)
    for number in range(100):
        plain = ACCOUNT.introduce(ALPHA, BETA, parent, name=f"plain {number}", roles=0)
        if certificate_hash(plain) < certificate_hash(SECOND):
            return SECOND, plain
    raise AssertionError


@pytest.mark.unit
def test_of_two_certificates_for_one_device_the_same_one_counts_whatever_the_order() -> None:
    one, two = two_certificates()
    rosters = [founded(), founded()]
    assert rosters[0].add_all([one, two]) == rosters[1].add_all([two, one]) == []
    assert rosters[0].members == rosters[1].members
    assert rosters[0].members[BETA.id].signed == min(one, two, key=certificate_hash)
    assert rosters[0].root() == rosters[1].root()


@pytest.mark.unit
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_device_with_two_certificates_introduces_the_same_devices_whatever_the_order(order: tuple[int, ...]) -> None:
    """The verdict on a record may not depend on which certificate of its issuer happens to be known."""
    strong, weak = two_certificates()
    delta = ACCOUNT.introduce(BETA, device("delta", 60), certificate_hash(strong))
    records = [strong, weak, delta]
    roster = founded()
    for index in order:
        roster.add(records[index])
    assert roster.add_all(records) == []
    assert len(roster.members) == 3


@pytest.mark.unit
def test_a_full_roster_refuses_more() -> None:
    roster = founded()
    for number in range(MAX_ROSTER_RECORDS - 1):
        roster.records[b"%d" % number] = FIRST
    assert roster.add(SECOND) == "the roster is full"
    assert roster.add(FIRST) is None, "what is known stays accepted"


@pytest.mark.unit
def test_heads_are_never_more_than_a_certificate_can_name() -> None:
    roster = founded()
    for number in range(20):
        assert roster.add(ACCOUNT.introduce(ALPHA, device("d", 30 + number), certificate_hash(FIRST))) is None
    assert len(roster.heads()) == 16
    last = ACCOUNT.introduce(ALPHA, device("last", 90), *roster.heads())
    assert roster.add(last) is None
    assert certificate_of(last).parents == tuple(sorted(certificate_of(last).parents))


@pytest.mark.unit
@pytest.mark.parametrize("name", ["x" * 64, "\u00e9" * 32, ""])
def test_a_name_has_up_to_64_bytes(name: str) -> None:
    assert founded().add(ACCOUNT.introduce(ALPHA, BETA, certificate_hash(FIRST), name=name) if name else SECOND) is None
    too_long = ACCOUNT.introduce(ALPHA, BETA, certificate_hash(FIRST), name="x" + "\u00e9" * 32)
    assert "name" in (founded().add(too_long) or "")
