"""What waits is bounded per sender, released once, and known to be awaited only where it counts."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import LANE_DOCUMENTS, Entry, write_entry
from latticework.crdt.orphans import Orphans
from latticework.crdt.params import PENDING_ENTRIES_PER_SENDER
from latticework.wire import EntryId
from latticework.wire.signing import Ed25519Signer

from .world import SPACE

KEY: Final = Ed25519Signer(b"k" * 32)


def entry(number: int, payload: bytes = b"") -> Entry:
    prev = EntryId(bytes([number]) * 32)
    return write_entry(SPACE, KEY, seq=1, prev=prev, deps=(), hlc=number + 1, lane=LANE_DOCUMENTS, payload=payload)


ENTRIES: Final = [entry(number) for number in range(6)]
GONE: Final = EntryId(b"gone".ljust(32))


@pytest.mark.unit
def test_what_waits_is_released_once_with_its_sender() -> None:
    orphans = Orphans()
    assert orphans.hold(ENTRIES[0], b"a", GONE) == ("held", [])
    assert orphans.hold(ENTRIES[0], b"a", GONE) == ("known", [])
    assert orphans.hold(ENTRIES[0], b"b", GONE) == ("held", [])
    assert orphans.missing() == [GONE]
    assert orphans.release(GONE) == [(ENTRIES[0], b"a"), (ENTRIES[0], b"b")]
    assert orphans.release(GONE) == []
    assert (orphans.count(), orphans.missing()) == (0, [])


@pytest.mark.unit
def test_the_share_of_a_sender_is_full_at_its_bound_and_has_room_after_a_release() -> None:
    orphans = Orphans()
    for number in range(PENDING_ENTRIES_PER_SENDER):
        assert orphans.hold(entry(number % 256, number.to_bytes(4)), b"a", GONE)[0] == "held"
    assert orphans.hold(ENTRIES[0], b"a", GONE)[0] == "full"
    assert orphans.hold(ENTRIES[0], b"b", GONE)[0] == "held"
    assert len(orphans.release(GONE)) == PENDING_ENTRIES_PER_SENDER + 1
    assert orphans.hold(ENTRIES[0], b"a", GONE)[0] == "held"


@pytest.mark.unit
def test_only_what_something_vital_waits_for_is_awaited_however_long_the_chain() -> None:
    orphans = Orphans()
    one, two, three = ENTRIES[:3]
    assert orphans.hold(one, b"a", GONE) == ("held", [])
    assert orphans.hold(two, b"b", one.id) == ("held", [])
    assert not orphans.is_awaited(GONE)
    assert orphans.hold(three, b"c", two.id, vital=True) == ("held", [two.id, one.id, GONE])
    assert all(orphans.is_awaited(awaited) for awaited in (two.id, one.id, GONE))
    assert orphans.missing() == [GONE]
    orphans.forget_sender(b"c")
    assert not orphans.is_awaited(two.id)


@pytest.mark.unit
def test_what_comes_below_something_awaited_is_awaited_at_once_and_a_second_word_may_make_it_vital() -> None:
    orphans = Orphans()
    one, two = ENTRIES[:2]
    assert orphans.hold(two, b"a", one.id, vital=False) == ("held", [])
    assert orphans.hold(two, b"a", one.id, vital=True) == ("known", [one.id])
    assert orphans.hold(one, b"b", GONE) == ("held", [GONE])


@pytest.mark.unit
def test_what_waits_for_the_clock_is_taken_out_when_it_is_ready() -> None:
    orphans = Orphans()
    orphans.hold(ENTRIES[0], b"a", None)
    orphans.hold(ENTRIES[1], b"a", GONE)
    assert orphans.missing() == [GONE]
    assert orphans.take_if(lambda _, missing: missing is None) == [(ENTRIES[0], b"a")]
    assert orphans.count() == 1


STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(0, 5), st.sampled_from([b"a", b"b"]), st.integers(0, 6), st.booleans()),
        st.tuples(st.just("release"), st.integers(0, 5)),
        st.tuples(st.just("forget"), st.sampled_from([b"a", b"b"])),
    ),
    max_size=30,
)


@pytest.mark.property
@given(STEPS)
def test_any_sequence_agrees_with_a_plain_table(steps: list[tuple[object, ...]]) -> None:
    orphans = Orphans()
    table: dict[tuple[bytes, EntryId], EntryId | None] = {}
    for step in steps:
        match step:
            case ("hold", int(number), bytes(sender), int(other), bool(vital)):
                # Hashes have no cycles: an entry waits for one with a higher index only, or for the clock.
                missing = None if other == 6 else ENTRIES[other].id if other > number else GONE
                known = (sender, ENTRIES[number].id) in table
                outcome, _ = orphans.hold(ENTRIES[number], sender, missing, vital=vital)
                assert outcome == ("known" if known else "held")
                table.setdefault((sender, ENTRIES[number].id), missing)
            case ("release", int(number)):
                released = {(sender, e.id) for e, sender in orphans.release(ENTRIES[number].id)}
                assert released == {key for key, missing in table.items() if missing == ENTRIES[number].id}
                table = {key: missing for key, missing in table.items() if key not in released}
            case ("forget", bytes(sender)):
                orphans.forget_sender(sender)
                table = {key: missing for key, missing in table.items() if key[0] != sender}
            case _:
                raise AssertionError(step)
        held = {identifier for _, identifier in table}
        assert orphans.count() == len(table)
        assert orphans.missing() == sorted({m for m in table.values() if m is not None} - held)
