"""What can be undone and redone is read off a device's own log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt.doc_edit import DocumentEditor
from latticework.crdt.doc_undo import undoable
from latticework.crdt.doc_values import Atom

from .doc_world import NAME, Device, exchange

pytestmark = pytest.mark.unit


def undo(device: Device) -> bool:
    known = undoable(device.documents, NAME, device.log)
    if known.done:
        device.edit(lambda edit: edit.undo_entry(known.done[-1]))
    return bool(known.done)


def redo(device: Device) -> bool:
    known = undoable(device.documents, NAME, device.log)
    if known.undone:
        device.edit(lambda edit: edit.redo_entry(known.undone[-1]))
    return bool(known.undone)


def test_undo_walks_back_redo_walks_forth_and_a_new_edit_ends_redoing() -> None:
    device = Device("a")
    for value in ("one", "two", "three"):
        device.edit(lambda edit, value=value: edit.put(("k",), Atom(value)))  # type: ignore[misc]
    seen = [device.json]
    while undo(device):
        seen.append(device.json)
    assert seen == [{"k": "three"}, {"k": "two"}, {"k": "one"}, {}]
    while redo(device):
        seen.append(device.json)
    assert seen[4:] == [{"k": "one"}, {"k": "two"}, {"k": "three"}]
    assert undo(device)
    device.edit(lambda edit: edit.put(("other",), 1))
    assert not redo(device)
    assert undo(device)
    assert undo(device)
    assert device.json == {"k": "one"}


def test_an_undo_by_somebody_else_is_no_edit_of_theirs_to_undo_here() -> None:
    a, b = Device("a"), Device("b")
    made = a.edit(lambda edit: edit.put(("k",), 1))
    exchange(a, b)
    b.edit(lambda edit: edit.undo_entry(made.id, anyone=True))
    exchange(a, b)
    assert undoable(b.documents, NAME, a.log).done == [made.id]
    assert undoable(b.documents, NAME, b.log).done == []
    assert undoable(a.documents, "another", a.log) == ([], [])


def test_a_void_edit_cannot_be_undone() -> None:
    device = Device("a")
    made = device.edit(lambda edit: edit.put(("k",), 1))
    device.documents.set_void({made.id: True})
    assert undoable(device.documents, NAME, device.log).done == []


def test_a_copy_shows_the_same_stays_as_it_was_and_makes_operations_for_the_original() -> None:
    a, b = Device("a"), Device("b")
    a.edit(lambda edit: edit.put(("t",), "text"))
    exchange(a, b)
    copy = a.documents.copy_of(NAME)
    b.edit(lambda edit: edit.insert(("t",), 0, "their "))
    exchange(a, b)
    assert copy.document(NAME).json() == {"t": "text"}
    edit = DocumentEditor(copy, NAME, a.log)
    edit.set_text(("t",), "text!")
    a.write(edit.operations())
    exchange(a, b)
    assert a.json == b.json == {"t": "their text!"}


@pytest.mark.property
@given(st.lists(st.sampled_from(["edit", "undo", "redo", "reload", "other"]), max_size=24))
def test_the_stacks_are_those_of_an_editor_with_a_memory(steps: list[str]) -> None:
    device, other = Device("a"), Device("b")
    done: list[int] = []
    undone: list[int] = []
    for number, step in enumerate(steps):
        match step:
            case "edit":
                device.edit(lambda edit, number=number: edit.put((f"k{number}",), number))  # type: ignore[misc]
                done.append(number)
                undone.clear()
            case "undo":
                assert undo(device) == bool(done)
                undone += [done.pop()] if done else []
            case "redo":
                assert redo(device) == bool(undone)
                done += [undone.pop()] if undone else []
            case "reload":
                device.reload()
            case _:
                exchange(device, other)
                other.edit(lambda edit, number=number: edit.put(("theirs",), number))  # type: ignore[misc]
                exchange(device, other)
        assert {key for key in device.json if key != "theirs"} == {f"k{number}" for number in done}
