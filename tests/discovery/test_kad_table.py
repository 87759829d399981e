import pytest

from latticework.discovery import Contact, KadParams, RoutingTable, key_of
from latticework.discovery.kad_contact import refresh_name, shared_prefix
from latticework.discovery.kad_params import MAX_ADDRESSES, REFRESH_BITS
from latticework.simnet import KeyedRng
from latticework.transport import Multiaddr
from latticework.wire import LocalError

from .kad_kit import SECOND, SMALL, US, contact, in_bucket

pytestmark = pytest.mark.unit

NOW = 100 * SECOND


def fresh(params: KadParams = SMALL) -> RoutingTable:
    return RoutingTable(US.key, params)


def full(bucket: int = 0, params: KadParams = SMALL) -> tuple[RoutingTable, list[Contact], list[Contact]]:
    """A table with one full bucket, those in it, and ten more peers who would belong there."""
    table = fresh(params)
    peers = in_bucket(bucket, params.k + 10)
    inside, outside = peers[: params.k], peers[params.k :]
    for peer in inside:
        table.seen(peer, NOW)
    return table, inside, outside


def test_we_never_enter_our_own_table() -> None:
    table = fresh()
    assert table.seen(US, NOW) is None
    table.failed(US.key)
    table.remove(US.key)
    assert list(table) == []
    assert table.find(US.key) is None


def test_a_contact_that_cannot_be_reached_is_not_taken_in() -> None:
    table = fresh()
    table.seen(Contact(contact(1).peer, ()), NOW)
    assert len(table) == 0


def test_a_newcomer_never_displaces_a_contact_that_may_be_alive() -> None:
    table, inside, (newcomer, *_) = full()
    later = NOW + SMALL.check_us
    assert table.seen(newcomer, later) is inside[0]
    assert table.bucket(0) == tuple(inside)
    assert table.replacements(0) == (newcomer,)


def test_a_flood_of_newcomers_costs_one_ping_in_a_while_and_a_bounded_cache() -> None:
    table, inside, outside = full()
    assert [table.seen(peer, NOW) for peer in outside] == [None] * len(outside), "the bucket is still young"
    later = NOW + SMALL.check_us
    assert [table.seen(peer, later) for peer in outside].count(inside[0]) == 1
    assert table.bucket(0) == tuple(inside)
    assert table.replacements(0) == tuple(outside[-SMALL.replacements :])


def test_no_replacement_is_kept_where_none_may_be() -> None:
    table, _, outside = full(params=KadParams(k=4, replacements=0))
    table.seen(outside[0], NOW)
    assert table.replacements(0) == ()


def test_a_contact_that_answers_becomes_the_most_recently_seen() -> None:
    table, inside, outside = full()
    assert table.seen(outside[0], NOW + SMALL.check_us) is inside[0]
    table.seen(inside[0], NOW + SMALL.check_us)
    assert table.bucket(0) == (*inside[1:], inside[0])
    assert table.seen(outside[1], NOW + 2 * SMALL.check_us) is inside[1]


def test_a_silent_contact_makes_room_for_the_replacement_seen_last() -> None:
    table, inside, outside = full()
    for peer in outside[:3]:
        table.seen(peer, NOW)
    table.failed(inside[1].key)
    assert table.bucket(0) == (inside[0], *inside[2:], outside[2])
    assert table.replacements(0) == tuple(outside[:2])


def test_a_silent_contact_without_a_replacement_stays_for_a_few_requests() -> None:
    table, inside, _ = full()
    for _ in range(SMALL.max_misses - 1):
        table.failed(inside[0].key)
    assert table.bucket(0) == tuple(inside)
    table.failed(inside[0].key)
    assert table.bucket(0) == tuple(inside[1:])


def test_a_sign_of_life_wipes_out_what_was_missed() -> None:
    table, inside, _ = full()
    for _ in range(2):
        for _ in range(SMALL.max_misses - 1):
            table.failed(inside[0].key)
        assert inside[0] in table.bucket(0)
        table.seen(inside[0], NOW)


def test_a_contact_that_is_silent_is_not_handed_on_but_still_tried() -> None:
    table, inside, _ = full()
    table.failed(inside[0].key)
    assert inside[0] not in table.closest(inside[0].key, 4, answering=True)
    assert table.closest(inside[0].key, 4)[0] is inside[0]


def test_a_contact_that_broke_the_protocol_is_gone_from_everywhere() -> None:
    table, inside, outside = full()
    table.seen(outside[0], NOW)
    table.seen(outside[1], NOW)
    table.remove(outside[1].key)
    table.remove(inside[0].key)
    assert table.bucket(0) == (*inside[1:], outside[0])
    assert table.replacements(0) == ()
    table.remove(contact(12345).key)
    table.failed(outside[5].key)
    assert len(table) == SMALL.k


def test_a_contact_that_moved_is_known_where_it_is_now() -> None:
    table = fresh()
    table.seen(contact(1), NOW)
    table.seen(contact(1, address=99), NOW)
    assert table.find(contact(1).key) is contact(1, address=99)
    table.seen(Contact(contact(1).peer, ()), NOW)
    assert table.find(contact(1).key) is contact(1, address=99), "having no address to tell is not having moved"


def test_a_contact_seen_again_keeps_the_object_that_is_shared() -> None:
    table = fresh()
    table.seen(contact(1), NOW)
    table.seen(Contact(contact(1).peer, contact(1).addresses), NOW)
    assert table.find(contact(1).key) is contact(1)


def at(peer: Contact, address: str) -> Contact:
    return Contact(peer.peer, (Multiaddr.parse(address),))


def test_one_public_network_gets_no_more_than_its_places_in_a_bucket() -> None:
    table = fresh(KadParams(k=4, max_per_network=1))
    peers = in_bucket(0, 8)
    table.seen(at(peers[0], "/ip4/20.1.0.1/tcp/1"), NOW)
    table.seen(at(peers[1], "/ip4/20.1.255.2/tcp/1"), NOW)
    table.seen(at(peers[2], "/ip6/2a00:1::1/tcp/1"), NOW)
    table.seen(at(peers[3], "/ip6/2a00:1:2::1/tcp/1"), NOW)
    assert [peer.key for peer in table.bucket(0)] == [peers[0].key, peers[2].key]
    for number in (4, 5, 6):
        table.seen(at(peers[number], f"/ip4/192.168.0.{number}/tcp/1"), NOW)
    assert len(table.bucket(0)) == 4, "a private network is not one network"


def test_replacements_do_not_get_round_the_limit_of_a_network() -> None:
    table = fresh(KadParams(k=2, max_per_network=1))
    peers = in_bucket(0, 5)
    table.seen(at(peers[0], "/ip4/20.2.0.1/tcp/1"), NOW)
    table.seen(at(peers[1], "/ip4/20.3.0.1/tcp/1"), NOW)
    for number in (2, 3):
        table.seen(at(peers[number], f"/ip4/20.1.0.{number}/tcp/1"), NOW)
    table.failed(peers[0].key)
    table.failed(peers[1].key)
    assert [peer.key for peer in table.bucket(0)] == [peers[1].key, peers[3].key]


def test_who_waits_for_a_place_of_its_network_gets_another_by_moving() -> None:
    table = fresh(KadParams(k=2, max_per_network=1))
    peers = in_bucket(0, 4)
    for number in (0, 1):
        table.seen(at(peers[number], f"/ip4/20.{number}.0.1/tcp/1"), NOW)
    table.seen(at(peers[2], "/ip4/20.2.0.1/tcp/1"), NOW)
    table.seen(at(peers[3], "/ip4/20.2.0.2/tcp/1"), NOW)
    table.remove(peers[0].key)
    table.remove(peers[1].key)
    assert [peer.key for peer in table.bucket(0)] == [peers[3].key]
    moved = at(peers[2], "/ip4/20.7.0.1/tcp/1")
    table.seen(moved, NOW)
    assert table.bucket(0)[1:] == (moved,)
    assert table.replacements(0) == ()


def test_addresses_of_one_contact_are_bounded() -> None:
    many = tuple(Multiaddr.memory(number) for number in range(100))
    assert Contact(contact(1).peer, many).addresses == many[:MAX_ADDRESSES]


def test_buckets_that_no_lookup_touches_grow_stale() -> None:
    table = fresh()
    far, near = in_bucket(0, 1)[0], in_bucket(2, 1)[0]
    table.seen(far, NOW)
    table.seen(near, NOW)
    assert table.stale(NOW, SECOND) == [1], "an empty bucket below the nearest contact always is"
    assert table.stale(NOW + SECOND, SECOND) == [0, 1, 2]
    table.touch(far.key, NOW + SECOND)
    assert table.stale(NOW + SECOND, SECOND) == [1, 2]
    assert fresh().stale(NOW, SECOND) == []


@pytest.mark.parametrize("bucket", range(REFRESH_BITS))
def test_a_refresh_looks_for_a_name_in_its_bucket(bucket: int) -> None:
    rng = KeyedRng(b"refresh")
    names = {refresh_name(US.key, bucket, rng) for _ in range(20)}
    assert {shared_prefix(US.key, key_of(name)) for name in names} == {bucket}
    assert len(names) > 1 or bucket == REFRESH_BITS - 1


@pytest.mark.parametrize(
    "changes",
    [{"k": 0}, {"alpha": 0}, {"paths": 0}, {"paths": 21}, {"refresh_us": 0}, {"expiry_us": 1}, {"replacements": -1}],
    ids=str,
)
def test_parameters_that_contradict_each_other_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(LocalError, match="Kademlia parameters"):
        KadParams(**changes)
