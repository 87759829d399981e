"""The Python interface: two nodes in this process, on loopback, with real homes."""

import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import trio

from latticework.node.api import (
    Atom,
    Count,
    Doc,
    DocChange,
    DocumentEditor,
    DocumentError,
    Node,
    NoSuchPathError,
    WrongKindError,
)
from latticework.node.home import HomeLockedError
from latticework.wire import LocalError, PeerError

from .devices import LATTICE, Device, clean_environment, until

pytestmark = pytest.mark.wire
LISTEN = ["/ip4/127.0.0.1/tcp/0"]
PATIENCE_S = 20


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncGenerator[tuple[Node, Node]]:
    async with (
        Node.open(tmp_path / "one", name="one", listen=LISTEN, mdns=False) as one,
        Node.open(tmp_path / "two", name="two", listen=LISTEN, mdns=False) as two,
    ):
        with one.invite() as code:
            await two.join(code)
        yield one, two


@pytest.fixture
async def docs(nodes: tuple[Node, Node]) -> tuple[Doc, Doc]:
    """The same document on both nodes, with a text, a list, a counter, a set and a single value in it."""
    ours, theirs = (node.space("home").doc("notes") for node in nodes)

    def fill(edit: DocumentEditor) -> None:
        edit.put(("text",), "middle")
        edit.put(("list",), ["b"])
        edit.put(("visits",), Count(1))
        edit.put(("tags",), {"x"})
        edit.put(("state",), Atom("open"))

    await ours.change(fill)
    await eventually(theirs, lambda doc: doc.json() == ours.json())
    return ours, theirs


async def eventually(doc: Doc, holds: Callable[[Doc], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        await doc.until(lambda _: holds(doc))


async def same(ours: Doc, theirs: Doc, holds: Callable[[Doc], bool]) -> None:
    """Both are as `holds` says, and alike."""
    for doc in (ours, theirs):
        await eventually(doc, holds)

    async def alike() -> bool:
        return ours.json() == theirs.json()

    # Which of the two changes last is not known, so neither can be waited for alone.
    await until(alike, "both to show the same")


async def test_what_both_write_at_once_into_every_part_is_kept(docs: tuple[Doc, Doc]) -> None:
    ours, theirs = docs
    async with trio.open_nursery() as both:
        both.start_soon(ours.text("text").insert, 0, "start ")
        both.start_soon(theirs.text("text").insert, 6, " end")
        both.start_soon(ours.list("list").insert, 0, "a")
        both.start_soon(theirs.list("list").append, "c", {"deep": [1]})
        both.start_soon(ours.counter("visits").add, 10)
        both.start_soon(theirs.counter("visits").add, -4)
        both.start_soon(ours.set("tags").add, "y")
        both.start_soon(theirs.set("tags").discard, "x")
    await same(ours, theirs, lambda doc: doc.get("visits") == 7 and len(str(doc.text("text"))) == 16)
    await same(ours, theirs, lambda doc: doc.get("tags") == ["y"] and len(doc.list("list")) == 4)
    assert str(ours.text("text")) == "start middle end"
    assert ours.list("list").get() == ["a", "b", "c", {"deep": [1]}]
    assert theirs.set("tags").get() == ["y"]
    assert theirs.counter("visits").get() == 7


async def test_two_values_at_one_place_are_a_conflict_until_somebody_writes_again(docs: tuple[Doc, Doc]) -> None:
    ours, theirs = docs
    edits = [doc.edit() for doc in docs]
    async with edits[0] as one, edits[1] as two:
        one.put(("state",), Atom("done"))
        two.put(("state",), Atom("dropped"))
    await same(ours, theirs, lambda doc: sorted(map(str, doc.conflicts("state"))) == ["done", "dropped"])
    assert ours.get("state") == theirs.get("state")
    await theirs.put(("state",), Atom("settled"))
    await same(ours, theirs, lambda doc: doc.conflicts("state") == ["settled"])


async def test_an_edit_that_takes_its_time_merges_with_what_came_meanwhile(docs: tuple[Doc, Doc]) -> None:
    ours, theirs = docs
    async with ours.edit() as edit:
        before = edit.view.text(("text",))
        await theirs.text("text").insert(0, "their ")
        await eventually(ours, lambda doc: str(doc.text("text")) == "their middle")
        edit.set_text(("text",), before + " ours")
    await same(ours, theirs, lambda doc: str(doc.text("text")) == "their middle ours")


async def test_changes_are_told_with_their_places_on_both_sides(docs: tuple[Doc, Doc]) -> None:
    ours, theirs = docs
    ours_seen, theirs_seen = ours.changes(), theirs.changes()
    await ours.put(("state",), Atom("done"))
    with trio.fail_after(PATIENCE_S):
        assert await anext(ours_seen) == DocChange(frozenset({("state",)}))
        assert await anext(theirs_seen) == DocChange(frozenset({("state",)}))
        await theirs.list("list").append("c")
        assert ("list",) in {path[:1] for path in (await anext(ours_seen)).paths}


async def test_a_wait_for_changes_that_is_cancelled_loses_none(docs: tuple[Doc, Doc]) -> None:
    ours, _ = docs
    changes = ours.changes()
    with trio.move_on_after(0.05):
        await anext(changes)
    await ours.put(("state",), Atom("done"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(changes)
    with trio.fail_after(PATIENCE_S):
        assert await anext(changes) == DocChange(frozenset({("state",)}))


async def test_a_cancelled_write_is_done_whole_or_not_at_all_and_the_node_goes_on(docs: tuple[Doc, Doc]) -> None:
    ours, theirs = docs

    def add_twice(edit: DocumentEditor) -> None:
        edit.add(("visits",), 1)
        edit.add(("twin",), 1)

    for number in range(20):
        with trio.CancelScope() as scope:
            if number % 2:
                scope.cancel()
            await ours.change(add_twice)
    await ours.counter("visits").add(0)
    assert ours.get("visits") == 1 + int(str(ours.get("twin")))
    await same(ours, theirs, lambda doc: "twin" in doc.json())


async def test_undo_and_redo_take_this_devices_changes_back_and_leave_the_others(docs: tuple[Doc, Doc]) -> None:
    ours, theirs = docs
    await ours.text("text").insert(0, "A")
    await ours.text("text").insert(1, "B")
    await eventually(theirs, lambda doc: str(doc.text("text")) == "ABmiddle")
    await theirs.text("text").insert(8, "!")
    await eventually(ours, lambda doc: str(doc.text("text")) == "ABmiddle!")
    assert await ours.undo()
    assert str(ours.text("text")) == "Amiddle!"
    assert await ours.undo()
    assert str(ours.text("text")) == "middle!"
    assert await ours.redo()
    await same(ours, theirs, lambda doc: str(doc.text("text")) == "Amiddle!")
    assert await theirs.undo()
    await same(ours, theirs, lambda doc: str(doc.text("text")) == "Amiddle")
    assert not await theirs.undo()
    await ours.text("text").insert(0, "C")
    assert not await ours.redo()


async def test_an_undo_reaches_what_was_written_before_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for value in ("first", "second"):
        async with Node.open(home, name="one", listen=LISTEN, mdns=False) as node:
            await node.space("home").doc("notes").put(("title",), Atom(value))
    async with Node.open(home, listen=LISTEN, mdns=False) as node:
        await node.space("home").hold()
        notes = node.space("home").doc("notes")
        assert await notes.undo()
        assert notes.get("title") == "first"
    async with Node.open(home, listen=LISTEN, mdns=False) as node:
        notes = node.space("home").doc("notes")
        assert await notes.redo()
        assert notes.get("title") == "second"
        assert await notes.undo()
        assert await notes.undo()
        assert notes.json() == {}
        assert not await notes.undo()


async def test_what_makes_no_sense_raises_and_writes_nothing(docs: tuple[Doc, Doc]) -> None:
    ours, _ = docs
    before = ours.json()
    with pytest.raises(NoSuchPathError):
        ours.get("nowhere")
    with pytest.raises(NoSuchPathError):
        await ours.list("list").insert(9, "x")
    with pytest.raises(WrongKindError):
        await ours.counter("text").add(1)
    with pytest.raises(DocumentError):
        await ours.put(("float",), float("nan"))
    with pytest.raises(ZeroDivisionError):
        await ours.change(lambda edit: edit.put(("x",), 1 // 0))
    with pytest.raises(ZeroDivisionError):
        await _edit_badly(ours)
    assert ours.json() == before


async def _edit_badly(doc: Doc) -> None:
    async with doc.edit() as edit:
        edit.put(("x",), 1 // 0)


async def test_a_code_works_once_and_only_for_a_device_of_its_own(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    with one.invite() as code, pytest.raises(LocalError, match="already belongs"):
        await two.join(code)
    with pytest.raises((LocalError, PeerError)):
        await two.join(code)


async def test_a_home_that_is_in_use_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with Node.open(home, name="one", listen=LISTEN, mdns=False):
        with pytest.raises(HomeLockedError, match="already runs"):
            async with Node.open(home, listen=LISTEN, mdns=False):
                pass
        command = [*LATTICE, "--home", str(home), "doc", "list"]
        listed = await trio.run_process(command, capture_stdout=True, capture_stderr=True, env=clean_environment())
        assert listed.returncode == 0
    device = Device("one", tmp_path, 0, [])
    await device.start()
    try:
        with pytest.raises(HomeLockedError, match="already runs"):
            async with Node.open(home, listen=LISTEN, mdns=False):
                pass
    finally:
        await device.stop()


async def test_an_error_in_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        async with Node.open(tmp_path / "home", name="one", listen=LISTEN, mdns=False):
            raise KeyError
    assert sys.exception() is None
