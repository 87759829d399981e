"""Sets of entries that are no chains: the initiator learns the difference, within bounded messages."""

import hashlib
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.params import SYNC_MAX_KEYS, SYNC_MAX_RANGES
from latticework.crdt.reconcile import session_key
from latticework.crdt.reconcile_messages import SetRange, SetRanges
from latticework.crdt.reconcile_set import SetReconciler, entry_index
from latticework.wire import EntryId, MalformedError, decode, encode

KEY: Final = session_key(bytes(16), b"s" * 16)
MAX_MESSAGE_BYTES: Final = 1 << 20

type Entries = set[tuple[int, EntryId]]

ENTRIES: Final = st.sets(
    st.tuples(st.integers(0, 3) | st.integers(0, (1 << 64) - 1), st.integers(0, 500)), max_size=90
).map(lambda rows: {(clock, entry(number)) for clock, number in {n: (c, n) for c, n in rows}.values()})


def entry(number: int) -> EntryId:
    return EntryId(hashlib.sha256(b"%d" % number).digest())


def converse(ours: Entries, theirs: Entries) -> tuple[SetReconciler, int]:
    """Every message as its bytes; the initiator, and how many messages it took."""
    one = SetReconciler(entry_index(KEY, ours), initiator=True)
    two = SetReconciler(entry_index(KEY, theirs), initiator=False)
    message: SetRanges | None = one.start()
    count = 0
    while message is not None:
        count += 1
        assert count < 200
        heard = decode(SetRanges, encode(message), MAX_MESSAGE_BYTES)
        message = (two if count % 2 else one).answer(heard)
    return one, count


@pytest.mark.property
@settings(deadline=None)
@given(ENTRIES, ENTRIES, ENTRIES)
def test_the_initiator_learns_the_difference(common: Entries, mine: Entries, yours: Entries) -> None:
    one, _ = converse(common | mine, common | yours)
    ours, theirs = common | mine, common | yours
    have, need = {e for _, e in ours - theirs}, {e for _, e in theirs - ours}
    assert (one.have, one.need) == (have, need)


@pytest.mark.unit
def test_large_differences_are_told_in_bounded_messages() -> None:
    ours = {(n, entry(n)) for n in range(6000)}
    theirs = {(n, entry(n)) for n in range(3000, 14_000)}
    one, count = converse(ours, theirs)
    assert one.have == {e for _, e in ours - theirs}
    assert one.need == {e for _, e in theirs - ours}
    assert count < 40


@pytest.mark.unit
def test_equal_sets_take_two_messages() -> None:
    entries = {(n, entry(n)) for n in range(5000)}
    assert converse(entries, entries)[1] == 2


@pytest.mark.unit
@pytest.mark.parametrize(
    "ranges",
    [
        (SetRange(b"b", None, None), SetRange(b"a", None, None)),
        (SetRange(b"a", None, None), SetRange(b"a", None, None)),
        (SetRange(b"", None, None), SetRange(b"a", None, None)),
        (SetRange(b"", bytes(16), ()),),
    ],
    ids=["descending", "twice", "after infinity", "two things"],
)
def test_what_breaks_the_rules_is_refused(ranges: tuple[SetRange, ...]) -> None:
    for initiator in (True, False):
        with pytest.raises(MalformedError):
            SetReconciler(entry_index(KEY, []), initiator=initiator).answer(SetRanges(ranges))


@pytest.mark.property
@given(
    st.lists(
        st.builds(
            SetRange,
            st.binary(min_size=1, max_size=40),
            st.none() | st.binary(min_size=16, max_size=16),
            st.none() | st.lists(st.binary(min_size=40, max_size=40), max_size=3).map(tuple),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_message_gets_one_bounded_answer(ranges: list[SetRange], initiator: bool) -> None:  # noqa: FBT001 - drawn
    side = SetReconciler(entry_index(KEY, ((n << 40, entry(n)) for n in range(300))), initiator=initiator)
    try:
        answer = side.answer(SetRanges(tuple(ranges)))
    except MalformedError:
        return
    if answer is not None:
        assert len(answer.ranges) <= SYNC_MAX_RANGES
        assert sum(len(told.keys or ()) for told in answer.ranges) <= SYNC_MAX_KEYS
        decode(SetRanges, encode(answer), MAX_MESSAGE_BYTES)
