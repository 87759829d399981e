"""The editor: paths, refusals, and texts that are changed as little as possible."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.doc_diff import replacements
from latticework.crdt.doc_edit import DocumentEditor
from latticework.crdt.doc_ops import InsertText
from latticework.crdt.doc_paths import DocumentError, NoSuchPathError, WrongKindError
from latticework.crdt.doc_values import Atom, Count, Input
from latticework.crdt.documents import Documents
from latticework.wire import EntryId, LogId

from .doc_world import NAME, Device

pytestmark = pytest.mark.unit


def nested(depth: int) -> Input:
    value: Input = {}
    for _ in range(depth):
        value = [value]
    return value


def sample() -> Device:
    device = Device("a")
    device.edit(
        lambda e: e.put(("t",), "text"),
        lambda e: e.put(("l",), [1, [2], {"x": None}]),
        lambda e: e.put(("m",), {"k": Atom("atom"), "f": 1.5, "b": b"bytes"}),
        lambda e: e.put(("n",), Count(3)),
        lambda e: e.put(("s",), {1}),
    )
    return device


REFUSED: Final[list[tuple[Callable[[DocumentEditor], None], type[DocumentError]]]] = [
    (lambda e: e.put((), 1), WrongKindError),
    (lambda e: e.put(("nope", "k"), 1), NoSuchPathError),
    (lambda e: e.put(("m", 0), 1), WrongKindError),
    (lambda e: e.put(("l", "k"), 1), WrongKindError),
    (lambda e: e.put(("l", 3), 1), NoSuchPathError),
    (lambda e: e.put(("l", -1), 1), NoSuchPathError),
    (lambda e: e.put(("m", "k", "deeper"), 1), WrongKindError),
    (lambda e: e.put(("k",), float("nan")), WrongKindError),
    (lambda e: e.put(("k",), 1 << 63), WrongKindError),
    (lambda e: e.put(("k",), "\ud800"), WrongKindError),
    (lambda e: e.put(("k" * 1025,), 1), WrongKindError),
    (lambda e: e.put(("k",), Atom("x" * 65537)), WrongKindError),
    (lambda e: e.put(("k",), nested(16)), WrongKindError),
    (lambda e: e.put(("k",), [{"\ud800": 1}]), WrongKindError),
    (lambda e: e.delete(("nope",)), NoSuchPathError),
    (lambda e: e.delete(()), DocumentError),
    (lambda e: e.insert(("t",), 5, "x"), NoSuchPathError),
    (lambda e: e.insert(("t",), 0, [1]), WrongKindError),
    (lambda e: e.insert(("l",), 0, "x"), WrongKindError),
    (lambda e: e.insert(("m",), 0, "x"), WrongKindError),
    (lambda e: e.remove(("t",), 3, 2), NoSuchPathError),
    (lambda e: e.remove(("t",), 3, -1), NoSuchPathError),
    (lambda e: e.set_text(("n",), "x"), WrongKindError),
    (lambda e: e.add(("t",), 1), WrongKindError),
    (lambda e: e.add(("n",), 1 << 63), WrongKindError),
    (lambda e: e.add_to_set(("n",), 1), WrongKindError),
    (lambda e: e.remove_from_set(("s",), 2), NoSuchPathError),
]


@pytest.mark.parametrize(("action", "error"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_an_edit_that_cannot_be_done_does_nothing(
    action: Callable[[DocumentEditor], None], error: type[DocumentError]
) -> None:
    device = sample()
    editor = DocumentEditor(device.documents, NAME, device.log)
    with pytest.raises(error):
        action(editor)
    assert editor.operations().operations == ()
    assert editor.view.json() == device.json


def test_values_come_back_as_they_went_in() -> None:
    assert sample().json == {
        "t": "text",
        "l": [1, [2], {"x": None}],
        "m": {"k": "atom", "f": 1.5, "b": b"bytes"},
        "n": 3,
        "s": [1],
    }


def test_containers_are_nested_sixteen_deep() -> None:
    device = Device("a")
    device.edit(lambda e: e.put(("k",), nested(15)))
    assert device.json == {"k": nested(15)}


def test_typing_in_one_editor_is_one_run() -> None:
    device = sample()

    def type_it(edit: DocumentEditor) -> None:
        for at, letter in enumerate("typed one by one"):
            edit.splice(("t",), 4 + at, 0, letter)

    made = device.edit(type_it)
    assert [type(op) for op in made.content.operations] == [InsertText]
    assert device.json["t"] == "texttyped one by one"


def test_a_text_counts_code_points() -> None:
    device = sample()
    device.edit(lambda e: e.splice(("t",), 0, 4, "a\U0001f600b"), lambda e: e.splice(("t",), 2, 1, "\u00fc"))
    assert device.json["t"] == "a\U0001f600\u00fc"
    assert device.documents.document(NAME).text(("t",)) == "a\U0001f600\u00fc"


def test_a_large_value_takes_several_operations_and_too_large_a_one_is_refused() -> None:
    device = sample()
    device.edit(lambda e: e.put(("t",), "x" * 300_000), lambda e: e.put(("l",), [0] * 9000))
    assert device.json["t"] == "x" * 300_000
    assert device.json["l"] == [0] * 9000
    with pytest.raises(DocumentError, match="in parts"):
        device.edit(lambda e: e.put(("t",), "x" * (1 << 20)))
    with pytest.raises(DocumentError, match="operations"):
        device.edit(lambda e: e.put(("m",), {str(n): n for n in range(9000)}))


def test_an_editor_is_of_no_use_once_the_documents_changed() -> None:
    device = sample()
    editor = DocumentEditor(device.documents, NAME, device.log)
    editor.put(("k",), 1)
    device.edit(lambda e: e.put(("k",), 2))
    with pytest.raises(DocumentError, match="begin another"):
        editor.put(("k",), 3)


def test_a_document_has_a_short_name() -> None:
    with pytest.raises(DocumentError, match="name"):
        DocumentEditor(Documents(), "n" * 256)


def test_a_changed_word_leaves_the_rest_alone() -> None:
    old = "one line\nanother line here\nthe end\n"
    assert replacements(old, old.replace("another", "a second")) == [(10, 6, " second")]
    assert replacements(old, old) == []
    assert replacements("", "new") == [(0, 0, "new")]
    assert replacements("aXbYc", "abc") == [(0, 5, "abc")] or len(replacements("a X b Y c", "a  b  c")) == 2


@pytest.mark.property
@settings(max_examples=150, deadline=None)
@given(st.text("ab \n.", max_size=60), st.text("ab \n.", max_size=60))
def test_a_text_becomes_what_it_is_set_to(old: str, new: str) -> None:
    text = old
    for at, count, content in replacements(old, new):
        text = text[:at] + content + text[at + count :]
    assert text == new
    device = Device("a")
    device.edit(lambda e: e.put(("t",), old), lambda e: e.set_text(("t",), new))
    assert device.json["t"] == new


def test_a_text_that_was_made_empty_reads_as_empty_and_can_be_typed_into() -> None:
    documents = Documents()
    log = LogId(bytes(32))
    for number, words in enumerate(("", "hello", "")):
        editor = DocumentEditor(documents, "x", log)
        if number == 0:
            editor.put(("text",), "")
        else:
            editor.set_text(("text",), words)
        documents.apply(EntryId(bytes([number]) * 32), number, log, number, {}, editor.operations())
        assert documents.document("x").text(("text",)) == words
