from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.discovery import KadParams, RecordStore, Validators, Verdict, key_of

from .kad_kit import HOUR, KEY, SMALL, US, VALIDATORS, contact

NOW = 100 * HOUR
TIGHT = replace(SMALL, max_records=4, max_records_per_peer=3)


def fresh(params: KadParams = SMALL) -> RecordStore:
    return RecordStore(US.key, Validators(VALIDATORS, params), params)


def key(number: int) -> bytes:
    return b"/test/%d" % number


@pytest.mark.unit
@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ((b"", b"1"), Verdict.TOO_LARGE),
        ((KEY, b""), Verdict.TOO_LARGE),
        ((b"/test/" + bytes(SMALL.max_name_bytes), b"1"), Verdict.TOO_LARGE),
        ((KEY, b"1" * (SMALL.max_value_bytes + 1)), Verdict.TOO_LARGE),
        ((b"/other/key", b"1"), Verdict.NO_VALIDATOR),
        ((b"/test", b"1"), Verdict.NO_VALIDATOR),
        ((b"test/key", b"1"), Verdict.NO_VALIDATOR),
        ((b"x/test/key", b"1"), Verdict.NO_VALIDATOR),
        ((b"//key", b"1"), Verdict.NO_VALIDATOR),
        ((b"/\xff\xfe/key", b"1"), Verdict.NO_VALIDATOR),
        ((KEY, b"one"), Verdict.INVALID),
    ],
    ids=str,
)
def test_an_unfit_record_is_not_kept(record: tuple[bytes, bytes], verdict: Verdict) -> None:
    store = fresh()
    assert store.put(*record, contact(1).peer, NOW) is verdict
    assert len(store) == 0
    assert store.next_expiry_us is None


@pytest.mark.unit
def test_a_worse_value_does_not_replace_a_better_one() -> None:
    store = fresh()
    store.put(KEY, b"2", contact(1).peer, NOW)
    assert store.put(KEY, b"1", contact(2).peer, NOW) is Verdict.WORSE
    assert store.get(KEY, NOW) == b"2"
    assert store.put(KEY, b"3", contact(2).peer, NOW) is Verdict.KEPT
    assert store.get(KEY, NOW) == b"3"


@pytest.mark.unit
def test_one_peer_brings_no_more_than_its_share() -> None:
    store = fresh(TIGHT)
    verdicts = [store.put(key(number), b"1", contact(1).peer, NOW) for number in range(5)]
    assert verdicts == [Verdict.KEPT] * 3 + [Verdict.PEER_FULL] * 2
    assert store.put(key(0), b"2", contact(1).peer, NOW) is Verdict.KEPT, "what it brought may be renewed"


@pytest.mark.unit
def test_what_a_peer_brought_stays_charged_to_it_whoever_renews_it() -> None:
    store = fresh(TIGHT)
    for number in range(3):
        store.put(key(number), b"1", contact(1).peer, NOW)
        store.put(key(number), b"2", contact(2).peer, NOW)
    assert store.put(key(9), b"1", contact(1).peer, NOW) is Verdict.PEER_FULL
    assert store.put(key(9), b"1", contact(2).peer, NOW) is Verdict.KEPT


@pytest.mark.unit
def test_a_full_store_gives_up_its_farthest_record_for_a_closer_one_only() -> None:
    store = fresh(TIGHT)
    keys = sorted((key(number) for number in range(6)), key=lambda name: key_of(name) ^ US.key)
    for number, name in enumerate(keys[1:5]):
        assert store.put(name, b"1", contact(number).peer, NOW) is Verdict.KEPT
    assert store.put(keys[5], b"1", contact(8).peer, NOW) is Verdict.FULL
    assert store.put(keys[0], b"1", contact(8).peer, NOW) is Verdict.KEPT
    assert [store.get(name, NOW) is not None for name in keys] == [True] * 4 + [False] * 2


@pytest.mark.unit
def test_a_record_expires_unless_it_is_stored_again() -> None:
    store = fresh()
    store.put(key(1), b"1", contact(1).peer, NOW)
    store.put(key(2), b"1", contact(1).peer, NOW + 1)
    store.put(key(1), b"1", contact(1).peer, NOW + 2)
    first_end = NOW + 1 + SMALL.expiry_us
    assert store.next_expiry_us == first_end
    assert store.get(key(2), first_end - 1) == b"1"
    assert store.get(key(2), first_end) is None, "also before anybody has cleared it away"
    store.expire(first_end)
    assert (len(store), store.next_expiry_us) == (1, first_end + 1)


@pytest.mark.unit
def test_what_expires_frees_the_share_of_its_peer() -> None:
    store = fresh(TIGHT)
    for number in range(3):
        store.put(key(number), b"1", contact(1).peer, NOW)
    later = NOW + SMALL.expiry_us
    assert store.put(key(9), b"1", contact(1).peer, later) is Verdict.KEPT
    assert len(store) == 1


@pytest.mark.property
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([b"1", b"2", b"3", b"x"]), st.integers(0, 4), st.integers(0, 20))
    )
)
def test_no_flood_exceeds_the_bounds(stores: list[tuple[int, bytes, int, int]]) -> None:
    params = replace(TIGHT, republish_us=5, expiry_us=50)
    store = fresh(params)
    now_us = 0
    held: dict[int, tuple[bytes, int]] = {}
    for number, value, peer, wait_us in stores:
        now_us += wait_us
        verdict = store.put(key(number), value, contact(peer).peer, now_us)
        if verdict is Verdict.KEPT:
            held[number] = (value, now_us)
        assert len(store) <= params.max_records
        counts = store._counts.values()  # pyright: ignore[reportPrivateUsage]  # a leak shows here only
        assert sum(counts) == len(store)
        assert all(0 < count <= params.max_records_per_peer for count in counts)
        for other in range(10):
            got = store.get(key(other), now_us)
            value_then, since_us = held.get(other, (b"", -100))
            assert got is None or (got == value_then and now_us < since_us + params.expiry_us)
        if verdict is Verdict.WORSE:
            assert int(store.get(key(number), now_us) or 0) > int(value)
