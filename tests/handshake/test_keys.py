"""Seeds, live keys, prekey rotation and the two signatures of a certificate."""

from dataclasses import replace

import pytest

from latticework.crdt.roster import Roster, account_id, device_id, read_certificate
from latticework.handshake import (
    Introduction,
    Subject,
    accept_introduction,
    decode_seeds,
    encode_seeds,
    found_account,
    generate,
    introduce,
    load_keys,
    rotate,
)
from latticework.handshake.certificates import check_introduction
from latticework.handshake.keys import DeviceSeeds
from latticework.simnet.rng import KeyedRng
from latticework.wire import PeerError, StoreError

from .world import DAY_S, MODEL, NOW_S, REAL, Providers, World, flip

pytestmark = pytest.mark.unit


def fresh(now_s: int = NOW_S) -> DeviceSeeds:
    return generate(KeyedRng(b"keys"), now_s)


def ages(seeds: DeviceSeeds, now_s: int) -> list[int]:
    return [(now_s - prekey.created_s) // DAY_S for prekey in seeds.prekeys]


def test_seeds_survive_the_vaults_encoding() -> None:
    seeds = rotate(fresh(), KeyedRng(b"more"), NOW_S + 8 * DAY_S)
    assert decode_seeds(encode_seeds(seeds)) == seeds


@pytest.mark.parametrize("data", [b"", b"\x80", encode_seeds(fresh())[:-1], encode_seeds(replace(fresh(), prekeys=()))])
def test_anything_else_in_the_vault_is_a_store_error(data: bytes) -> None:
    with pytest.raises(StoreError):
        decode_seeds(data)


def test_the_device_id_follows_from_the_public_keys() -> None:
    keys = load_keys(fresh(), MODEL.kem, MODEL.signatures)
    assert keys.device == device_id(keys.signer.public, keys.exchange.public)
    assert keys.device == load_keys(fresh(), MODEL.kem, MODEL.signatures).device


def test_nothing_is_rotated_within_seven_days() -> None:
    seeds = fresh()
    assert rotate(seeds, KeyedRng(b"x"), NOW_S + 7 * DAY_S - 1) is seeds


def test_a_week_brings_a_new_prekey_and_keeps_the_old() -> None:
    rotated = rotate(fresh(), KeyedRng(b"x"), NOW_S + 7 * DAY_S)
    assert [prekey.id for prekey in rotated.prekeys] == [1, 2]
    keys = load_keys(rotated, MODEL.kem, MODEL.signatures)
    assert keys.prekey.id == 2
    assert set(keys.prekeys) == {1, 2}


def test_a_prekey_is_dropped_thirty_days_after_its_week() -> None:
    seeds, rng = fresh(), KeyedRng(b"x")
    oldest: list[int] = []
    for day in range(120):
        seeds = rotate(seeds, rng, NOW_S + day * DAY_S)
        oldest.append(ages(seeds, NOW_S + day * DAY_S)[0])
    assert max(oldest) == 37
    assert len(seeds.prekeys) <= 7


def test_a_device_that_slept_for_months_has_one_fresh_prekey() -> None:
    later = NOW_S + 100 * DAY_S
    assert ages(rotate(fresh(), KeyedRng(b"x"), later), later) == [0]


def test_a_prekey_from_the_future_is_replaced() -> None:
    rotated = rotate(fresh(NOW_S + 2 * DAY_S), KeyedRng(b"x"), NOW_S)
    assert rotated.prekeys[-1].created_s == NOW_S


def test_a_clock_that_jumps_to_and_fro_cannot_fill_the_vault() -> None:
    seeds, rng = fresh(), KeyedRng(b"x")
    for turn in range(50):
        seeds = rotate(seeds, rng, NOW_S + (turn % 2) * 8 * DAY_S)
    assert len(seeds.prekeys) <= 8
    assert decode_seeds(encode_seeds(seeds)) == seeds


@pytest.mark.parametrize("providers", [MODEL, REAL], ids=["model", "real"])
def test_certificates_satisfy_the_roster(providers: Providers) -> None:
    world = World(b"certificates", providers)
    assert world.roster.account == account_id(world.alpha.certificate)
    assert set(world.roster.members) == {world.alpha.keys.device, world.beta.keys.device}
    replica = Roster.found(providers.signatures, world.alpha.certificate)
    assert replica.add_all([world.beta.certificate]) == []
    assert replica.root() == world.roster.root()


def test_a_certificate_without_the_subjects_acceptance_joins_nothing() -> None:
    world = World()
    gamma = world.gamma.keys
    subject = Subject(gamma.signer.public, gamma.exchange.public, "gamma")
    offer = introduce(world.alpha.keys, world.roster.account, subject, world.roster.heads(), NOW_S)
    stolen = accept_introduction(world.beta.keys, offer)
    assert world.roster.refusal(stolen) == "the device's own signature does not verify"
    assert world.roster.refusal(accept_introduction(gamma, offer)) is None


def test_a_subject_checks_what_it_accepts() -> None:
    world = World()
    gamma = world.gamma.keys
    subject = Subject(gamma.signer.public, gamma.exchange.public, "gamma")
    issuer = world.roster.members[world.alpha.keys.device].certificate
    account, signatures = world.roster.account, world.providers.signatures
    offer = introduce(world.alpha.keys, account, subject, world.roster.heads(), NOW_S)
    assert check_introduction(offer, subject, account, issuer, signatures).name == "gamma"
    forged = Introduction(offer.body, flip(offer.issuer_signature))
    other = read_certificate(world.beta.certificate)[1]
    elsewhere = account_id(world.gamma.certificate)
    for bad in (
        (forged, subject, account, issuer),
        (offer, replace(subject, name="mallory"), account, issuer),
        (offer, replace(subject, exchange_key=bytes(32)), account, issuer),
        (offer, subject, elsewhere, issuer),
        (offer, subject, account, other),
    ):
        with pytest.raises(PeerError):
            check_introduction(*bad, signatures)


def test_representations_hide_keys() -> None:
    seeds = fresh()
    keys = load_keys(seeds, MODEL.kem, MODEL.signatures)
    device = World().alpha.local
    for shown in (repr(seeds), repr(seeds.prekeys), repr(keys), repr(device), repr(keys.prekey)):
        assert "\\x" not in shown
        assert len(shown) < 200


def test_a_first_certificate_has_one_account_of_its_own() -> None:
    keys = load_keys(fresh(), MODEL.kem, MODEL.signatures)
    one = Roster.found(MODEL.signatures, found_account(keys, "one", NOW_S))
    two = Roster.found(MODEL.signatures, found_account(keys, "two", NOW_S))
    assert one.account != two.account
