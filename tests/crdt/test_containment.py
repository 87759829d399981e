"""The settled floor: a pure function of who has named what, for every size of a roster (decision 26)."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import Attested, Contested, Conviction, FraudKind, Judgement, judge
from latticework.crdt.containment import Convictions
from latticework.wire import DeviceId, EntryId, LogId

DEVICES: Final = [DeviceId(bytes([number]) * 32) for number in range(1, 7)]
AUTHOR: Final = DEVICES[0]
NOBODY: Final = frozenset[DeviceId]()
SIZES = pytest.mark.parametrize("size", [1, 2, 3, 5])


def branch(name: bytes, length: int, start: int = 3, root: EntryId | None = None) -> list[Contested]:
    """Contested entries `start` to `start + length - 1`, on top of `root`."""
    prev = root or EntryId(b"below".ljust(32))
    entries: list[Contested] = []
    for seq in range(start, start + length):
        entries.append(Contested(EntryId((name + b"%d" % seq).ljust(32)), seq, prev))
        prev = entries[-1].entry
    return entries


LEFT: Final = branch(b"l", 6)
RIGHT: Final = branch(b"r", 6)


def judged(size: int, attested: Sequence[Attested], contested: Sequence[Contested] = (*LEFT, *RIGHT)) -> Judgement:
    return judge(3, lambda _: AUTHOR, DEVICES[:size], contested, attested)


def words(devices: Sequence[DeviceId], entry: Contested) -> list[Attested]:
    return [Attested(device, entry.entry, NOBODY) for device in devices]


def kept(judgement: Judgement) -> set[EntryId]:
    return {entry.entry for entry in (*LEFT, *RIGHT)} - judgement.void


def ids(entries: Sequence[Contested]) -> set[EntryId]:
    return {entry.entry for entry in entries}


@pytest.mark.unit
@SIZES
def test_what_nobody_has_named_is_void_from_the_fork_on(size: int) -> None:
    assert judged(size, []) == Judgement(3, None, frozenset(ids([*LEFT, *RIGHT])))


@pytest.mark.unit
@pytest.mark.parametrize(("size", "needed"), [(2, 1), (3, 2), (4, 2), (5, 3), (6, 3)])
def test_a_majority_without_the_author_settles_a_branch_up_to_what_it_named(size: int, needed: int) -> None:
    electors = DEVICES[1:size]
    for devices in combinations(electors, needed):
        judgement = judged(size, words(devices, LEFT[2]))
        assert judgement.settled == LEFT[2].entry
        assert kept(judgement) == ids(LEFT[:3])
    for devices in combinations(electors, needed - 1):
        assert kept(judged(size, words([AUTHOR, *devices], LEFT[2]))) == set(), "the author's word does not count"


@pytest.mark.unit
def test_who_names_more_also_names_what_is_below() -> None:
    attested = [*words(DEVICES[1:2], LEFT[1]), *words(DEVICES[2:3], LEFT[4]), *words(DEVICES[3:4], LEFT[3])]
    assert judged(4, attested).settled == LEFT[3].entry
    assert judged(4, [*attested, *words(DEVICES[1:2], LEFT[5])]).settled == LEFT[4].entry


@pytest.mark.unit
def test_a_device_that_is_alone_settles_its_own_past() -> None:
    judgement = judged(1, words([AUTHOR], LEFT[3]))
    assert kept(judgement) == ids(LEFT[:4])
    assert kept(judged(2, words([AUTHOR], LEFT[3]))) == set(), "and no longer once another takes part"


@pytest.mark.unit
def test_the_word_of_who_does_not_take_part_is_nothing() -> None:
    assert kept(judged(3, words(DEVICES[3:], LEFT[3]))) == set()


@pytest.mark.unit
@pytest.mark.parametrize("size", [3, 5, 6])
def test_colluders_below_a_majority_change_nothing(size: int) -> None:
    electors = DEVICES[1:size]
    majority = len(electors) // 2 + 1
    honest = words(electors[:majority], LEFT[2])
    colluders = electors[majority:]
    for top in RIGHT:
        assert kept(judged(size, [*honest, *words([AUTHOR, *colluders], top)])) == ids(LEFT[:3])
        assert kept(judged(size, words([AUTHOR, *electors[: len(electors) // 2]], top))) == set()


@pytest.mark.unit
def test_two_settled_branches_are_decided_by_height_and_then_by_id() -> None:
    both = [*words(DEVICES[1:3], LEFT[2]), *words(DEVICES[1:3], RIGHT[3])]
    assert kept(judged(3, both)) == ids(RIGHT[:4])
    equal = [*words(DEVICES[1:3], RIGHT[2]), *words(DEVICES[1:3], LEFT[2])]
    assert kept(judged(3, equal)) == ids(LEFT[:3]) == kept(judged(3, equal[::-1]))


@pytest.mark.unit
def test_branches_share_what_is_below_them() -> None:
    twig = branch(b"t", 2, 5, LEFT[1].entry)
    attested = [*words(DEVICES[1:2], LEFT[3]), *words(DEVICES[2:3], twig[1])]
    judgement = judge(3, lambda _: AUTHOR, DEVICES[:3], [*LEFT, *twig], attested)
    assert judgement.settled == LEFT[1].entry
    assert judgement.void == ids([*LEFT[2:], *twig])


@pytest.mark.unit
def test_who_joined_with_the_word_in_his_past_is_not_asked_and_may_confirm() -> None:
    early, late = DEVICES[1], DEVICES[2:5]
    attested = [Attested(early, LEFT[3].entry, frozenset(late))]
    assert judged(5, attested).settled == LEFT[3].entry, "the space was settled so when they came"
    assert kept(judged(6, attested)) == set(), "who came without it is asked"
    assert judged(6, [*attested, *words(late[:1], LEFT[3])]).settled == LEFT[3].entry


@pytest.mark.unit
def test_devices_that_join_take_nothing_back() -> None:
    attested = words(DEVICES[1:2], LEFT[3])
    for size in range(2, 7):
        joined = frozenset(DEVICES[2:size])
        assert judged(size, [attested[0]._replace(later=joined)]).settled == LEFT[3].entry


@pytest.mark.unit
def test_a_log_that_was_opened_twice_belongs_to_another_on_each_branch() -> None:
    authors = {LEFT[0].entry: DEVICES[1], RIGHT[0].entry: DEVICES[2]}
    contested = [*branch(b"l", 6), *branch(b"r", 6)]
    attested = [*words(DEVICES[1:2], RIGHT[1]), *words(DEVICES[1:2], LEFT[4])]
    assert judge(3, authors.get, DEVICES[1:3], contested, attested).settled == RIGHT[1].entry


@pytest.mark.unit
def test_words_about_what_is_not_contested_are_nothing() -> None:
    assert kept(judged(3, [Attested(DEVICES[1], EntryId(bytes(32)), NOBODY)])) == set()
    assert judge(3, lambda _: None, [], [], []) == Judgement(3, None, frozenset())


WORD = st.builds(
    Attested,
    st.sampled_from(DEVICES),
    st.sampled_from([*LEFT, *RIGHT]).map(lambda entry: entry.entry),
    st.frozensets(st.sampled_from(DEVICES), max_size=2),
)


@pytest.mark.property
@given(st.integers(1, 6), st.lists(WORD, max_size=8), st.data())
def test_the_verdict_is_the_same_in_any_order_and_however_often(
    size: int, attested: list[Attested], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*attested, *attested[:2]]))
    contested = data.draw(st.permutations([*LEFT, *RIGHT]))
    assert judged(size, shuffled, contested) == judged(size, attested)


@pytest.mark.property
@given(st.integers(1, 6), st.lists(WORD, max_size=8))
def test_the_verdict_equals_a_naive_model(size: int, attested: list[Attested]) -> None:
    below = {e.entry: {x.entry for x in side if x.seq <= e.seq} for side in (LEFT, RIGHT) for e in side}
    settled: list[Contested] = []
    for entry in (*LEFT, *RIGHT):
        covering = [word for word in attested if entry.entry in below[word.entry]]
        given_by = {word.device for word in covering}
        excused = {device for word in covering for device in word.later} - given_by
        electors = set(DEVICES[:size]) - {AUTHOR} - excused
        if 2 * len(electors & given_by) > len(electors) if electors else AUTHOR in given_by:
            settled.append(entry)
    top = min(settled, key=lambda e: (-e.seq, e.entry), default=None)
    expected: set[EntryId] = set() if top is None else below[top.entry]
    assert kept(judged(size, attested)) == expected


@pytest.mark.property
@given(st.integers(1, 6), st.lists(WORD, max_size=6), st.lists(WORD, max_size=6))
def test_more_words_for_one_branch_never_take_anything_back(
    size: int, first: list[Attested], more: list[Attested]
) -> None:
    left = ids(LEFT)
    plain = [word._replace(later=NOBODY) for word in [*first, *more] if word.entry in left]
    assert kept(judged(size, plain[: len(first)])) <= kept(judged(size, plain))


@pytest.mark.unit
def test_a_long_settled_past_is_judged_in_linear_time() -> None:
    """Ten thousand settled entries and a fork at the first: the attack of invariant I7."""
    chain = branch(b"c", 10_000, 0)
    attested = [word for top in chain[255::256] for word in words(DEVICES[1:5], top)]
    judgement = judge(0, lambda _: AUTHOR, DEVICES[:5], [*chain, *branch(b"x", 10, 0)], attested)
    assert judgement.settled == chain[-17].entry
    assert len(judgement.void) == 16 + 10


@pytest.mark.unit
def test_the_lowest_conviction_of_a_log_counts_whatever_came_first() -> None:
    log = LogId(b"l" * 32)
    low, high = (Conviction(log, seq, FraudKind.FORK, b"") for seq in (2, 5))
    for order, expected in (((low, high), [True, False]), ((high, low), [True, True])):
        convictions = Convictions()
        assert [convictions.add(conviction) for conviction in order] == expected
        assert list(convictions) == [low]
        assert not convictions.add(low)
        assert convictions.fork(log) == 2
        assert convictions.fork(LogId(bytes(32))) is None
        assert [convictions.contests(log, seq) for seq in (1, 2, 9)] == [False, True, True]
        assert log in convictions
        assert len(convictions) == 1
