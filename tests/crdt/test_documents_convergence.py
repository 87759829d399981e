"""The laws of documents, tried by people who edit, lose touch, undo and are found out at random (I1, I2, I10, I13)."""

import contextlib
import os
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from latticework.crdt.doc_edit import DocumentEditor
from latticework.crdt.doc_paths import DocumentError, DocumentPath
from latticework.crdt.doc_values import Atom, Count, Input
from latticework.crdt.doc_view import Json
from latticework.crdt.documents import Documents
from latticework.wire import EntryId

from .doc_world import NAME, Device, Made, alike

pytestmark = pytest.mark.property

MAX_EXAMPLES: Final = int(os.environ.get("LATTICE_EXAMPLES", "40"))
KEYS: Final = ["a", "b", "t"]
SIMPLE: Final[list[Input]] = [None, True, 7, 0.5, b"x", Atom("s"), "text", "", Count(2), frozenset({1}), {}, []]


def nested(inner: st.SearchStrategy[Input]) -> st.SearchStrategy[Input]:
    """Lists and maps of values."""
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2)


VALUES: Final = st.recursive(st.sampled_from(SIMPLE), nested, max_leaves=4)


def paths(value: Json, path: DocumentPath = ()) -> list[DocumentPath]:
    """Every path of a document."""
    found = [path]
    if isinstance(value, dict):
        found += [p for key, inner in value.items() for p in paths(inner, (*path, key))]
    elif isinstance(value, list):
        found += [p for at, inner in enumerate(value) for p in paths(inner, (*path, at))]
    return found


class Writers(RuleBasedStateMachine):
    """Devices that write one document; entries travel in causal order, otherwise anyhow."""

    @initialize(count=st.integers(2, 6), seed=st.sampled_from([True, False]))
    def start(self, count: int, *, seed: bool) -> None:
        self.devices = [Device(f"device {n}") for n in range(count)]
        self.void: set[EntryId] = set()
        self.made: list[Made] = []
        if seed:
            self.write(self.devices[0], lambda edit: edit.put(("t",), "abc"))
            self.write(self.devices[0], lambda edit: edit.put(("a",), [1, {"b": "x"}, [2]]))
            for device in self.devices[1:]:
                device.receive(*self.made)

    def write(self, device: Device, *actions: Callable[[DocumentEditor], None]) -> None:
        before = device.json
        drafted: list[Json] = []

        def act(edit: DocumentEditor) -> None:
            for action in actions:
                with contextlib.suppress(DocumentError):
                    action(edit)
            drafted.append(edit.view.json())

        assert device.json == before, "an editor changed the document"
        made = device.edit(act)
        if made.id not in self.void and not any(type(op).__name__ == "Undo" for op in made.content.operations):
            assert device.json == drafted[0], "the draft was something else"
        self.made.append(made)

    @rule(data=st.data(), count=st.integers(1, 4))
    def edit(self, data: st.DataObject, count: int) -> None:
        device = data.draw(st.sampled_from(self.devices))

        def act(edit: DocumentEditor) -> None:
            place = data.draw(st.sampled_from(paths(edit.view.json())))
            value = edit.view.get(place)
            size = len(value) if isinstance(value, str | list) else 0
            at = data.draw(st.integers(0, size))
            gone = data.draw(st.integers(0, min(2, size - at)))
            match data.draw(st.integers(0, 7)):
                case 0:
                    key = data.draw(st.sampled_from(KEYS))
                    edit.put((*place, key), data.draw(VALUES), lww=data.draw(st.booleans()))
                case 1:
                    edit.put(place, data.draw(VALUES))
                case 2:
                    edit.delete(place)
                case 3:
                    edit.splice(place, at, gone, data.draw(st.lists(VALUES, max_size=2)))
                case 4:
                    edit.add(place, data.draw(st.integers(-3, 3)))
                case 5:
                    edit.add_to_set(place, data.draw(st.integers(0, 2)))
                case 6:
                    edit.remove_from_set(place, data.draw(st.integers(0, 2)))
                case _:
                    edit.splice(place, at, gone, data.draw(st.text("xyz\u6c34", max_size=3)))

        self.write(device, *[act] * count)

    @rule(data=st.data())
    def undo_or_redo(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(self.devices))
        known = [made.id for made in self.made if made.id in device.entries]
        if known:
            target = data.draw(st.sampled_from(known))
            redo = data.draw(st.booleans())
            self.write(device, lambda edit: edit.redo_entry(target) if redo else edit.undo_entry(target, anyone=True))

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        source, target = data.draw(st.sampled_from(self.devices)), data.draw(st.sampled_from(self.devices))
        missing = [made for made in source.entries.values() if made.id not in target.entries]
        target.receive(*missing[: data.draw(st.integers(0, 8))])

    @rule(data=st.data())
    def receive_again(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(self.devices))
        if device.entries:
            made = data.draw(st.sampled_from(list(device.entries.values())))
            assert device.documents.apply(*made) == {}

    @rule(data=st.data())
    def convict(self, data: st.DataObject) -> None:
        if self.made:
            made = data.draw(st.sampled_from(self.made))
            self.void ^= {made.id}
            for device in self.devices:
                device.documents.set_void({made.id: made.id in self.void})

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(self.devices))
        before = device.json
        device.reload()
        assert device.json == before

    @invariant()
    def those_who_have_the_same_show_the_same(self) -> None:
        known: dict[frozenset[EntryId], Device] = {}
        for device in self.devices:
            alike(known.setdefault(frozenset(device.entries), device), device)

    def teardown(self) -> None:
        if not getattr(self, "devices", None):
            return
        for device in self.devices:
            for other in self.devices:
                device.receive(*[made for made in other.entries.values() if made.id not in device.entries])
        shown = alike(*self.devices)
        late = Documents()
        late.set_void(dict.fromkeys(self.void, True))
        for made in sorted(self.made, key=lambda made: (made.hlc, made.id)):
            late.apply(*made)
        assert late.document(NAME).json() == shown
        anyhow = Documents()
        for made in sorted(self.made, key=lambda made: made.id):
            anyhow.apply(*made)
        anyhow.set_void(dict.fromkeys(self.void, True))
        assert anyhow.document(NAME).json() == shown, "an order that is not causal shows something else"
        assert anyhow.snapshot() == late.snapshot()


TestWriters = pytest.mark.property(Writers.TestCase)
Writers.TestCase.settings = settings(
    max_examples=MAX_EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
