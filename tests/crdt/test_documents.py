"""Documents: what concurrent writes, deletions, undos and convictions come to."""

import pytest

from latticework.crdt.doc_edit import DocumentEditor
from latticework.crdt.doc_paths import DocumentError, NoSuchPathError
from latticework.crdt.doc_values import Atom, Count, Input
from latticework.crdt.documents import Documents
from latticework.crdt.dots import Dot
from latticework.wire import MalformedError

from .doc_world import NAME, Device, alike, exchange

pytestmark = pytest.mark.unit


def pair(value: dict[str, Input]) -> tuple[Device, Device]:
    """Two devices that hold the same document."""
    first, second = Device("first"), Device("second")

    def fill(edit: DocumentEditor) -> None:
        for key, inner in value.items():
            edit.put((key,), inner)

    first.edit(fill)
    exchange(first, second)
    return first, second


def test_two_devices_that_make_the_same_containers_offline_write_into_one() -> None:
    a, b = Device("a"), Device("b")
    a.edit(lambda e: e.put(("notes",), {"body": "left", "n": Count(1), "tags": {"x"}, "items": [1]}))
    b.edit(lambda e: e.put(("notes",), {"body": "RIGHT", "n": Count(2), "tags": {"y"}, "items": [2]}))
    exchange(a, b)
    notes = alike(a, b)["notes"]
    assert isinstance(notes, dict)
    assert notes["body"] in {"leftRIGHT", "RIGHTleft"}
    assert (notes["n"], notes["tags"]) == (3, ["x", "y"])
    assert isinstance(notes["items"], list)
    assert set(map(str, notes["items"])) == {"1", "2"}
    assert a.documents.document(NAME).all_conflicts() == {}


def test_concurrent_values_stay_and_the_newest_is_shown() -> None:
    a, b = pair({"k": 0})
    a.edit(lambda e: e.put(("k",), 1))
    b.edit(lambda e: e.put(("other",), 1))
    b.edit(lambda e: e.put(("k",), Atom("two")))
    exchange(a, b)
    assert alike(a, b)["k"] == "two"
    assert a.documents.document(NAME).conflicts(("k",)) == ["two", 1]
    a.edit(lambda e: e.put(("k",), 3))
    exchange(a, b)
    assert a.documents.document(NAME).conflicts(("k",)) == [3]
    assert alike(a, b)["k"] == 3


def test_true_and_one_are_in_conflict() -> None:
    a, b = pair({})
    a.edit(lambda e: e.put(("k",), 1))
    b.edit(lambda e: e.put(("k",), True))
    exchange(a, b)
    alike(a, b)
    assert sorted(map(repr, a.documents.document(NAME).conflicts(("k",)))) == ["1", "True"]


def test_of_last_writer_wins_writes_one_is_left_beside_the_others() -> None:
    a, b = pair({"k": 0})
    c = Device("c")
    exchange(a, b, c)
    a.edit(lambda e: e.put(("k",), 1, lww=True))
    b.edit(lambda e: e.put(("k",), 2, lww=True))
    exchange(a, b)
    assert len(a.documents.document(NAME).conflicts(("k",))) == 1
    c.edit(lambda e: e.put(("k",), 3))
    exchange(a, b, c)
    alike(a, b, c)
    assert len(a.documents.document(NAME).conflicts(("k",))) == 2


def test_what_is_added_to_a_container_that_somebody_deletes_survives_alone() -> None:
    a, b = pair({"m": {"old": 1, "text": "seen", "n": Count(5), "s": {1}, "list": [1, 2]}})
    a.edit(lambda e: e.delete(("m",)))

    def add(edit: DocumentEditor) -> None:
        edit.put(("m", "new"), 2)
        edit.splice(("m", "text"), 2, 1, "+")
        edit.add(("m", "n"), 3)
        edit.add_to_set(("m", "s"), 9)
        edit.insert(("m", "list"), 1, [7])

    b.edit(add)
    exchange(a, b)
    assert alike(a, b) == {"m": {"new": 2, "text": "+", "n": 3, "s": [9], "list": [7]}}


def test_replacing_a_container_by_its_like_empties_it() -> None:
    a, b = pair({"t": "before", "l": [1, 2]})
    a.edit(lambda e: e.put(("t",), "after"), lambda e: e.put(("l",), [3]))
    assert a.json == {"t": "after", "l": [3]}
    b.edit(lambda e: e.splice(("t",), 0, 0, "B"))
    exchange(a, b)
    assert alike(a, b)["t"] in {"Bafter", "afterB"}


def test_an_element_that_is_written_to_while_it_is_deleted_stays() -> None:
    a, b = pair({"l": [1, {"x": 1, "y": 1}, 3]})
    a.edit(lambda e: e.remove(("l",), 0, 3))
    b.edit(lambda e: e.put(("l", 0), 10), lambda e: e.put(("l", 1, "x"), 20))
    exchange(a, b)
    assert alike(a, b) == {"l": [10, {"x": 20}]}
    a.edit(lambda e: e.remove(("l",), 0, 2))
    exchange(a, b)
    assert alike(a, b) == {"l": []}


def test_undo_restores_and_redo_repeats() -> None:
    a, _ = pair({"t": "abc", "k": 1, "n": Count(1), "l": [1, 2], "s": {1}})
    before = a.json

    def change(edit: DocumentEditor) -> None:
        edit.splice(("t",), 1, 1, "XY")
        edit.put(("k",), {"deep": [1]})
        edit.add(("n",), 5)
        edit.splice(("l",), 0, 1, [7, 8])
        edit.remove_from_set(("s",), 1)
        edit.add_to_set(("s",), 2)
        edit.put(("new",), True)

    done = a.edit(change)
    after = a.json
    assert after != before
    for _ in range(3):
        a.edit(lambda e: e.undo_entry(done.id))
        assert a.json == before
        a.edit(lambda e: e.redo_entry(done.id))
        assert a.json == after


def test_undoing_a_write_does_not_bring_back_what_somebody_else_replaced() -> None:
    a, b = pair({"k": 0})
    mine = a.edit(lambda e: e.put(("k",), 1))
    exchange(a, b)
    b.edit(lambda e: e.put(("k",), 2))
    exchange(a, b)
    a.edit(lambda e: e.undo_entry(mine.id))
    exchange(a, b)
    assert a.documents.document(NAME).conflicts(("k",)) == [2]
    theirs = b.edit(lambda e: e.put(("k",), 3))
    b.edit(lambda e: e.undo_entry(theirs.id))
    assert b.json == {"k": 2}


def test_an_element_deleted_twice_needs_both_deletions_undone() -> None:
    a, b = pair({"t": "abc"})
    first = a.edit(lambda e: e.remove(("t",), 0, 2))
    second = b.edit(lambda e: e.remove(("t",), 1, 2))
    exchange(a, b)
    assert alike(a, b) == {"t": ""}
    a.edit(lambda e: e.undo_entry(first.id))
    assert a.json == {"t": "a"}
    b.edit(lambda e: e.undo_entry(second.id))
    exchange(a, b)
    assert alike(a, b) == {"t": "abc"}


def test_two_who_undo_the_same_must_both_redo() -> None:
    a, b = pair({"k": 0})
    done = a.edit(lambda e: e.put(("k",), 1))
    exchange(a, b)
    a.edit(lambda e: e.undo_entry(done.id))
    b.edit(lambda e: e.undo_entry(done.id, anyone=True))
    exchange(a, b)
    assert alike(a, b) == {"k": 0}
    a.edit(lambda e: e.redo_entry(done.id))
    exchange(a, b)
    assert alike(a, b) == {"k": 1}, "a redo takes back every undo it knows"


def test_somebody_elses_operation_is_undone_only_when_asked_for() -> None:
    a, b = pair({"k": 0})
    done = a.edit(lambda e: e.put(("k",), 1))
    exchange(a, b)
    with pytest.raises(DocumentError, match="somebody else"):
        b.edit(lambda e: e.undo(Dot(done.id, 0)))
    with pytest.raises(NoSuchPathError):
        b.edit(lambda e: e.undo(Dot(done.id, 7)))
    with pytest.raises(NoSuchPathError):
        b.edit(lambda e: e.redo(Dot(done.id, 0)))


def test_void_entries_lose_their_effect_and_keep_their_place() -> None:
    a, b = pair({"t": "ad", "k": 0})
    bad = a.edit(lambda e: e.splice(("t",), 1, 0, "bc"), lambda e: e.put(("k",), 9))
    exchange(a, b)
    b.edit(lambda e: e.splice(("t",), 2, 0, "-"))
    exchange(a, b)
    assert alike(a, b) == {"t": "ab-cd", "k": 9}
    changed = [device.documents.set_void({bad.id: True}) for device in (a, b)]
    assert changed[0] == changed[1] == {NAME: frozenset({("t",), ("k",)})}
    assert alike(a, b) == {"t": "a-d", "k": 0}
    late = Documents.load(a.documents.snapshot())
    late.set_void({bad.id: False})
    assert late.document(NAME).json() == {"t": "ab-cd", "k": 9}


def test_changes_are_told_by_path() -> None:
    a, b = pair({"m": {"l": [{"x": 1}, {"x": 2}]}, "t": "text"})
    made = b.edit(lambda e: e.put(("m", "l", 1, "x"), 5), lambda e: e.splice(("t",), 0, 1, ""))
    assert a.documents.apply(*made) == {NAME: frozenset({("m", "l", 1, "x"), ("t",)})}
    assert a.documents.apply(*made) == {}


def test_documents_are_known_by_name_while_they_hold_anything() -> None:
    device = Device("a")
    device.edit(lambda e: e.put(("k",), 1))
    assert device.documents.names() == [NAME]
    device.edit(lambda e: e.delete(("k",)))
    assert device.documents.names() == []
    assert device.documents.document("never heard of").json() == {}


def test_a_counter_counts_beyond_64_bits_and_a_set_tells_true_from_one() -> None:
    device = Device("a")
    most = (1 << 63) - 1
    device.edit(
        lambda e: e.put(("n",), Count(most)),
        lambda e: e.add(("n",), most),
        lambda e: e.add_to_set(("s",), 1),
        lambda e: e.add_to_set(("s",), True),
        lambda e: e.add_to_set(("s",), 1.0),
    )
    assert device.json["n"] == 2 * most
    assert repr(device.json["s"]) == "[1.0, True, 1]"


@pytest.mark.parametrize("snapshot", [b"", b"\x80", b"\x85\x01\x80\x80\x80", b"\x85\x02\x80\x80\x80\x80"])
def test_what_is_no_snapshot_is_refused(snapshot: bytes) -> None:
    with pytest.raises(MalformedError):
        Documents.load(snapshot)
