"""Whom a lookup should find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.discovery import Contact, Found
from latticework.simnet.core.kad_keys import closest
from latticework.simnet.core.kad_lookups import Lookups
from latticework.transport import Multiaddr, PeerId

KEYS = st.integers(0, (1 << 256) - 1)


@pytest.mark.property
@given(keys=st.lists(KEYS, min_size=1, max_size=60, unique=True), target=KEYS)
def test_the_closest_key_by_bisection_is_the_closest_of_all(keys: list[int], target: int) -> None:
    keys.sort()
    assert keys[closest(keys, target)] == min(keys, key=lambda key: key ^ target)


pytestmark = pytest.mark.unit
CONTACTS = [Contact(PeerId.of_key(bytes([n]) * 32), (Multiaddr.memory(n),)) for n in range(8)]


def lookups_of(honest: int = 8) -> Lookups:
    lookups = Lookups(CONTACTS, [number < honest for number in range(8)])
    for number in range(8):
        lookups.came(number, 0)
    return lookups


def by_distance(target: int, among: range = range(8)) -> list[int]:
    return sorted(among, key=lambda number: CONTACTS[number].key ^ target)


def ended(lookups: Lookups, lookup: int, *found: int) -> tuple[int, int]:
    """Found and failed after it."""
    lookups.end(Found(lookup, tuple(CONTACTS[number] for number in found), 2, 5), 1_000)
    return lookups.counters.found, lookups.counters.failed


def test_a_lookup_is_found_with_the_closest_among_its_contacts_and_failed_without() -> None:
    lookups = lookups_of()
    target = 12345
    source, best, second = by_distance(target)[-1], *by_distance(target)[:2]
    assert ended(lookups, lookups.begin(source, target, 10), best, second) == (1, 0)
    assert ended(lookups, lookups.begin(source, target, 10), second) == (1, 1)
    assert ended(lookups, lookups.begin(source, target, 10)) == (1, 2)
    assert lookups.counters.hops_total == 2
    assert lookups.counters.asked == 15
    assert lookups.deliveries.latency_us.tolist() == [990]
    assert lookups.expected == 3


def test_the_source_liars_and_who_came_or_went_meanwhile_are_not_looked_for() -> None:
    target = CONTACTS[3].key
    nearest = by_distance(target)
    lookups = lookups_of()
    assert ended(lookups, lookups.begin(3, target, 10), nearest[1]) == (1, 0), "the source"
    lookups = lookups_of(honest=3)
    honest = by_distance(target, range(3))
    assert ended(lookups, lookups.begin(honest[-1], target, 10), honest[0]) == (1, 0), "liars"
    lookups = lookups_of()
    lookup = lookups.begin(nearest[-1], target, 10)
    lookups.went(3)
    assert ended(lookups, lookup, nearest[1]) == (1, 0), "who went"
    lookup = lookups.begin(nearest[-1], target, 10)
    lookups.came(3, 11)
    assert ended(lookups, lookup, nearest[1]) == (2, 0), "who came"
    assert ended(lookups, lookups.begin(nearest[-1], target, 11), nearest[1]) == (2, 1), "who was there"


def test_a_lookup_ends_with_its_source() -> None:
    lookups = lookups_of()
    lookup = lookups.begin(2, 12345, 10)
    lookups.went(2)
    assert ended(lookups, lookup, *range(8)) == (0, 0)
    assert lookups.counters.abandoned == 1
    assert lookups.expected == 0


def test_a_refused_lookup_has_failed() -> None:
    lookups = lookups_of()
    lookups.fail(lookups.begin(2, 12345, 10))
    assert lookups.counters.failed == 1
