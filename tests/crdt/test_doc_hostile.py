"""Operations by members who mean no good: they have the same effect on every replica, mostly none, and crash nobody."""

import os
import time
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.doc_ops import (
    ABSENT,
    OPERATIONS,
    AddMember,
    Container,
    DeleteElements,
    DocOperations,
    Double,
    ElementRange,
    ElementRef,
    Increment,
    InsertText,
    InsertValues,
    Make,
    Operation,
    OperationRef,
    PutElement,
    PutKey,
    RemoveMembers,
    Undo,
)
from latticework.crdt.documents import Documents
from latticework.crdt.dots import Dot
from latticework.wire import EntryId, LogId, MalformedError, decode, encode, encode_plain

from .doc_world import NAME, Device, Made, alike, entry_of, exchange

ROOT_TEXT: Final = Container(0, "t", 3)
LOGS: Final = [LogId(bytes([n]) * 32) for n in range(3)]

small = st.integers(0, 4)
elements = st.builds(ElementRef, st.integers(0, 3), small, st.integers(0, 3))
operations = st.builds(OperationRef, st.integers(0, 3), small)
ranges = st.builds(ElementRange, st.integers(0, 3), small, st.integers(0, 3), st.sampled_from([0, 1, 2, 1 << 19]))
rows = st.builds(Container, st.integers(0, 3), st.sampled_from(["a", "t"]) | elements, st.integers(0, 5))
scalars = st.sampled_from([None, True, 1, "s", b"b", Double.of(0.5)])
values = scalars | st.builds(Make, st.integers(1, 5))
many_operations = st.lists(operations, max_size=3).map(tuple)
origins = (st.none() | elements, st.booleans(), st.none() | elements)
anything: Final[st.SearchStrategy[Operation]] = st.one_of(
    st.builds(PutKey, small, st.sampled_from(["a", "t"]), values | st.just(ABSENT), many_operations, st.booleans()),
    st.builds(PutElement, small, elements, values, many_operations, st.booleans()),
    st.builds(InsertText, small, *origins, st.sampled_from(["", "x", "xyz"])),
    st.builds(InsertValues, small, *origins, st.lists(values, max_size=3).map(tuple)),
    st.builds(DeleteElements, small, st.lists(ranges, max_size=3).map(tuple)),
    st.builds(Increment, small, st.integers(-2, 2)),
    st.builds(AddMember, small, scalars),
    st.builds(RemoveMembers, small, many_operations),
    st.builds(Undo, operations),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Made]:
    """Entries that name each other and nobody, with pasts that need not be true and numbers used twice."""
    made: list[Made] = []
    for hlc in range(1, draw(st.integers(2, 6))):
        named = draw(st.lists(st.sampled_from([EntryId(bytes(32)), *(entry.id for entry in made)]), max_size=3))
        content = DocOperations(
            draw(st.sampled_from([NAME, NAME, "other"])),
            tuple(named),
            tuple(draw(st.lists(rows, max_size=4))),
            tuple(draw(st.lists(anything, max_size=6))),
        )
        past = {log: draw(st.integers(0, 3)) for log in draw(st.sets(st.sampled_from(LOGS)))}
        made.append(entry_of(hlc, draw(st.sampled_from(LOGS)), draw(st.integers(0, 3)), past, content))
    return made


def applied(entries: Sequence[Made], void: Sequence[EntryId], *, early: bool) -> tuple[bytes, str]:
    documents = Documents()
    for _ in range(1 if early else 0):
        documents.set_void(dict.fromkeys(void, True))
    for made in entries:
        documents.apply(*made)
    documents.set_void(dict.fromkeys(void, True))
    shown = [
        (name, documents.document(name).json(), documents.document(name).all_conflicts()) for name in (NAME, "other")
    ]
    return documents.snapshot(), repr(shown)


@pytest.mark.property
@settings(max_examples=int(os.environ.get("LATTICE_EXAMPLES", "150")), deadline=None)
@given(histories(), st.data())
def test_whatever_is_said_in_whatever_order_everybody_shows_the_same(history: list[Made], data: st.DataObject) -> None:
    void = [made.id for made in history if data.draw(st.sampled_from([False, False, True]))]
    expected = applied(history, void, early=False)
    for early in (False, True):
        assert applied(data.draw(st.permutations(history)), void, early=early) == expected
    assert Documents.load(expected[0]).snapshot() == expected[0]


@pytest.mark.unit
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80",
        encode_plain(["d" * 256, [], [], []]),
        encode_plain(["d", [b"short"], [], []]),
        encode_plain(["d", [], [[0, "k" * 1025, 1]], []]),
        encode_plain(["d", [], [[0, "k", 6]], []]),
        encode_plain(["d", [], [], [[10, 0]]]),
        encode_plain(["d", [], [], [[1, 0, "k", [0, bytes.fromhex("7ff8000000000000")], [], False]]]),
        encode_plain(["d", [], [], [[1, 0, "k", [1, 0], [], False]]]),
        encode_plain(["d", [], [], [[1, 0, "k", 1 << 63, [], False]]]),
        encode_plain(["d", [], [], [[1, 0, "k", {}, [], False]]]),
        encode_plain(["d", [], [], [[2, 0, [0, 0, 0], [2], [], False]]]),
        encode_plain(["d", [], [], [[3, 0, None, False, None, 7]]]),
        encode_plain(["d", [], [], [[7, 0, [1, 1]]]]),
        encode_plain(["d", [], [], [[5, 0, [[0, 0, 0, (1 << 19) + 1]]]]]),
    ],
    ids=range(15),
)
def test_what_is_no_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(DocOperations, payload, 1 << 20)


@pytest.mark.unit
def test_every_operation_has_a_tag_of_its_own() -> None:
    assert len(OPERATIONS) == 9
    written = encode(DocOperations("d", (), (), (Undo(OperationRef(0, 0)), Increment(1, -1))))
    assert decode(DocOperations, written, 100) == DocOperations(
        "d", (), (), (Undo(OperationRef(0, 0)), Increment(1, -1))
    )


def say(
    *said: Operation, rows: tuple[Container, ...] = (ROOT_TEXT,), entries: tuple[EntryId, ...] = ()
) -> DocOperations:
    return DocOperations(NAME, entries, rows, said)


@pytest.mark.unit
@pytest.mark.parametrize(
    "content",
    [
        say(InsertText(1, ElementRef(0, 0, 0), False, None, "its own child")),
        say(InsertText(1, ElementRef(0, 1, 0), False, None, "a later one's"), InsertText(9, None, False, None, "x")),
        say(InsertText(1, None, True, None, "left of nothing")),
        say(InsertText(1, ElementRef(7, 0, 0), False, None, "beside the table")),
        say(InsertText(0, None, False, None, "into the root")),
        say(InsertValues(1, None, False, None, (1,))),
        say(InsertText(1, None, False, None, ""), InsertText(1, ElementRef(0, 0, 0), False, None, "in nothing")),
        say(Increment(1, 5), AddMember(1, 1), RemoveMembers(1, ()), PutKey(1, "k", 1, (), False)),
        say(PutKey(0, "k", 1, (OperationRef(0, 1),), False), PutKey(0, "k", ABSENT, (OperationRef(0, 0),), False)),
        say(Undo(OperationRef(0, 0)), Undo(OperationRef(0, 2)), Undo(OperationRef(5, 0))),
        say(InsertText(2, None, False, None, "x"), rows=(ROOT_TEXT, Container(2, "x", 3))),
        say(InsertText(2, None, False, None, "x"), rows=(ROOT_TEXT, Container(1, "x", 3))),
        say(
            InsertText(18, None, False, None, "too deep"),
            rows=(*(Container(n, "d", 1) for n in range(17)), Container(17, "t", 3)),
        ),
        say(InsertText(4000, None, False, None, "x"), rows=tuple(Container(n, "d", 1) for n in range(4000))),
    ],
    ids=range(14),
)
def test_an_operation_that_makes_no_sense_has_no_effect(content: DocOperations) -> None:
    device = Device("a")
    device.write(content)
    assert device.json == {}
    device.reload()
    device.edit(lambda e: e.put(("t",), "fine"))
    assert device.json == {"t": "fine"}


@pytest.mark.unit
def test_a_range_ends_where_its_run_does_and_overlaps_count_once() -> None:
    device = Device("a")
    made = device.edit(lambda e: e.put(("t",), "abcdef"))
    overlapping = (ElementRange(1, 1, 1, 2), ElementRange(1, 1, 2, 1 << 18), ElementRange(1, 1, 9, 1))
    deletion = device.write(say(DeleteElements(1, overlapping), entries=(made.id,)))
    assert device.json == {"t": "a"}
    device.edit(lambda e: e.undo_entry(deletion.id))
    assert device.json == {"t": "abcdef"}


@pytest.mark.unit
def test_undos_of_undos_end_somewhere() -> None:
    device = Device("a")
    chain: list[Operation] = [PutKey(0, "k", 1, (), False), *(Undo(OperationRef(0, n)) for n in range(1000))]
    device.write(say(*chain))
    assert device.json == {"k": 1}, "sixteen undos are even"
    device.write(say(*(Undo(OperationRef(0, n)) for n in range(8000))))
    assert device.json == {"k": 1}


@pytest.mark.unit
def test_what_names_an_unknown_entry_takes_effect_when_that_comes() -> None:
    a, b = Device("a"), Device("b")
    first = a.edit(lambda e: e.put(("t",), "ab"))
    second = a.edit(lambda e: e.splice(("t",), 1, 1, "c"), lambda e: e.splice(("t",), 2, 0, "d"))
    third = a.edit(lambda e: e.undo_entry(second.id))
    for made in (third, second):
        b.receive(made)
        assert b.json == {}
    b.receive(first)
    assert alike(a, b) == {"t": "ab"}


@pytest.mark.unit
def test_both_branches_of_a_fork_have_their_place() -> None:
    a, b, c = Device("a"), Device("b"), Device("c")
    base = a.edit(lambda e: e.put(("t",), "base"))
    twin = Device("a")
    twin.receive(base)
    a.edit(lambda e: e.splice(("t",), 0, 0, "left "))
    forked = twin.edit(lambda e: e.splice(("t",), 4, 0, " right"), lambda e: e.put(("k",), 1))
    b.receive(*a.entries.values(), forked)
    c.receive(base, forked, *[made for made in a.entries.values() if made.id != base.id])
    assert alike(b, c) == {"t": "left base right", "k": 1}
    for device in (b, c):
        device.documents.set_void({forked.id: True})
    c.edit(lambda e: e.splice(("t",), 9, 0, "!"))
    exchange(b, c)
    assert alike(b, c) == {"t": "left base!"}


@pytest.mark.unit
@pytest.mark.parametrize(
    "content",
    [
        say(*(Undo(OperationRef(0, 0)) for _ in range(8000))),
        say(InsertText(1, None, False, None, "x" * 500_000), DeleteElements(1, (ElementRange(0, 0, 7, 60),) * 8000)),
        say(*(InsertText(1, None, False, None, "x") for _ in range(8000))),
        say(
            InsertText(1, None, False, None, "x"),
            *(InsertText(1, ElementRef(0, n, 0), True, None, "x") for n in range(8000)),
        ),
        say(*(PutKey(0, "k", Make(3), (OperationRef(0, max(0, n - 1)),), False) for n in range(8000))),
        say(*(PutKey(0, "k", n, (), False) for n in range(8000))),
        say(*(Increment(1, 1) for _ in range(8000)), rows=(Container(0, "n", 4),)),
    ],
    ids=["undo", "ranges", "siblings", "left chain", "puts", "heads", "counts"],
)
def test_a_full_entry_is_applied_in_a_moment(content: DocOperations) -> None:
    device, began = Device("a"), time.process_time()
    device.write(content)
    assert device.json is not None
    assert time.process_time() - began < 5


@pytest.mark.unit
def test_an_entry_deletes_at_most_half_a_million_elements() -> None:
    device = Device("a")
    made = device.edit(lambda e: e.put(("l",), list(range(4000))))
    row, everything = (Container(0, "l", 2),), DeleteElements(1, (ElementRange(1, 1, 0, 4000),))
    toggles = [op for n in range(0, 4000, 2) for op in (Undo(OperationRef(0, 131)), Undo(OperationRef(0, 132 + n)))]
    began = time.process_time()
    many = device.write(say(*[everything] * 132, *toggles, rows=row, entries=(made.id,)))
    assert time.process_time() - began < 5
    assert device.json == {"l": []}
    assert device.documents.operation(NAME, Dot(many.id, 130)) is not None
    assert device.documents.operation(NAME, Dot(many.id, 131)) is None
    device.edit(lambda e: e.undo_entry(many.id))
    assert device.json == {"l": list(range(4000))}
