"""The laws of the file tree, tried by machines that edit, partition, repeat and reorder at random (I1, I3, I11)."""

import os
from collections import Counter
from typing import Final, override

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from latticework.crdt import Directory, LocalOperation, Moved, Shown, Value, Written, path_refusal
from latticework.crdt.paths import ancestors
from latticework.wire import LogId

from .tree_world import Entry, Replica, content_of, text, tree

pytestmark = pytest.mark.property

NAMES: Final = ["alpha", "beta", "gamma", "beta"]
"""Two devices have one name, so that their conflict copies want one name too."""
MAX_EXAMPLES: Final = int(os.environ.get("LATTICE_EXAMPLES", "100"))
PATHS: Final = [b"a", b"b.txt", b"d", b"d/a", b"d/e", b"d/e/f.txt"]


class Folder:
    """A replica whose user sees every change at once, and what that user ever did on purpose."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.inbox: list[Entry] = []
        self.seen: dict[bytes, Shown] = {}

    @override
    def __repr__(self) -> str:
        return f"Folder({self.replica.name})"

    def disk(self) -> dict[bytes, bytes]:
        """What stands on disk: the files shown, and every directory that holds one."""
        disk = tree(self.replica)
        for path in list(disk):
            for above in ancestors(path):
                disk.setdefault(above, b"<directory>")
        return disk


def files(shown: dict[bytes, bytes]) -> Counter[bytes]:
    """How often each content is shown."""
    return Counter(content for content in shown.values() if content != b"<directory>")


class Folders(RuleBasedStateMachine):
    """Users edit what they see; entries arrive late, twice and in any order."""

    @initialize(count=st.integers(2, 4))
    def start(self, count: int) -> None:
        names: dict[LogId, str] = {}
        self.folders = [Folder(Replica(number, name, names)) for number, name in enumerate(NAMES[:count])]
        self.number = 0
        self.written: set[bytes] = set()
        self.replaced: set[bytes] = set()

    def publish(self, folder: Folder, changes: dict[bytes, Value | None]) -> None:
        disk, before = tree(folder.replica), dict(folder.replica.shown)
        for path, value in changes.items():
            if path in disk and disk[path] != content_of(value):
                self.replaced.add(disk[path])
            if value is None:
                disk.pop(path, None)
            else:
                disk[path] = content_of(value)
                self.written.add(content_of(value))
        entries = folder.replica.change(*sorted(changes.items()))
        after = tree(folder.replica)
        assert files(after) == files(disk), "the tree shows other files than the user's disk"
        for path, content in disk.items():
            # Only an untouched conflict copy may move: back to its own name, when that has become free.
            moved = path not in changes and before[path].role == "copy"
            assert moved or after.get(path) == content, f"{path!r} is not as its user left it"
        for other in self.folders:
            if other is not folder:
                other.inbox += entries

    def content(self) -> bytes:
        self.number += 1
        return b"c%d" % self.number

    def pick(self, data: st.DataObject) -> Folder:
        return data.draw(st.sampled_from(self.folders))

    def prepare(self, folder: Folder, path: bytes) -> dict[bytes, Value | None]:
        """Deletions that make room for a file at `path`: whatever is beneath it, and files above it."""
        gone: dict[bytes, Value | None] = {}
        for other in folder.disk():
            if other.startswith(path + b"/") or path.startswith(other + b"/"):
                if path.startswith(other + b"/") and folder.disk()[other] == b"<directory>":
                    continue
                gone[other] = None
        return gone

    @rule(data=st.data())
    def edit_anything(self, data: st.DataObject) -> None:
        folder = self.pick(data)
        path = data.draw(st.sampled_from(sorted({*PATHS, *folder.replica.shown})))
        changes = self.prepare(folder, path)
        changes[path] = text(self.content())
        for other in list(changes):
            # A file that makes way for a directory: the directory is a find of the scan like any other.
            if path.startswith(other + b"/"):
                changes[other] = Directory()
        for above in ancestors(path):
            if above not in folder.disk():
                changes[above] = Directory()
        self.publish(folder, changes)

    @rule(data=st.data(), number=st.integers(0, 2))
    def write_one_content_in_several_places(self, data: st.DataObject, number: int) -> None:
        folder = self.pick(data)
        path = data.draw(st.sampled_from(PATHS[:2]))
        changes = self.prepare(folder, path)
        changes[path] = text(b"same%d" % number)
        if tree(folder.replica).get(path) != b"same%d" % number:
            self.publish(folder, changes)

    @rule(data=st.data())
    def make_a_directory(self, data: st.DataObject) -> None:
        folder = self.pick(data)
        path = data.draw(st.sampled_from([b"a", b"d", b"d/a"]))
        if folder.disk().get(path) != b"<directory>" and not self.prepare(folder, path):
            self.publish(folder, {path: Directory()})

    @rule(data=st.data())
    def delete_with_what_is_beneath(self, data: st.DataObject) -> None:
        folder = self.pick(data)
        if not folder.replica.shown:
            return
        path = data.draw(st.sampled_from(sorted(folder.replica.shown)))
        gone = {p for p in folder.replica.shown if p == path or p.startswith(path + b"/")}
        self.publish(folder, dict.fromkeys(gone, None))

    @rule(data=st.data())
    def change_several_at_once(self, data: st.DataObject) -> None:
        """Settling a conflict in one scan: some of what is shown is edited, some deleted, copies included."""
        folder = self.pick(data)
        files = [p for p, c in tree(folder.replica).items() if c != b"<directory>"]
        if not files:
            return
        paths = data.draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=4, unique=True))
        kinds = data.draw(st.lists(st.booleans(), min_size=len(paths), max_size=len(paths)))
        changes: dict[bytes, Value | None] = {
            path: None if gone else text(self.content()) for path, gone in zip(paths, kinds, strict=True)
        }
        self.publish(folder, changes)

    @rule(data=st.data(), place=st.sampled_from([*PATHS, b"new", b"d/new"]))
    def move(self, data: st.DataObject, place: bytes) -> None:
        folder = self.pick(data)
        disk, before = folder.disk(), tree(folder.replica)
        if not disk:
            return
        old = data.draw(st.sampled_from(sorted(disk)))
        free = not any(place == path or place.startswith(path + b"/") for path in before if path not in (b"d", b"d/e"))
        above = all(disk.get(path) == b"<directory>" for path in ancestors(place))
        if place in disk or not free or not above or place.startswith(old + b"/") or old == place:
            return
        moved = {
            place + path[len(old) :]: content
            for path, content in before.items()
            if (path + b"/").startswith(old + b"/")
        }
        stayed = {path: content for path, content in before.items() if not (path + b"/").startswith(old + b"/")}
        copies = {path for path, shown in folder.replica.shown.items() if shown.role == "copy"}
        entries = folder.replica.do(Moved(old, place, folder.replica.seen(old)))
        after = tree(folder.replica)
        for other in self.folders:
            if other is not folder:
                other.inbox += entries
        assert files(after) == files(before), "a move lost or doubled a file"
        if not copies:
            assert {p: c for p, c in after.items() if c != b"<directory>"} == {
                p: c for p, c in (stayed | moved).items() if c != b"<directory>"
            }

    @rule(data=st.data())
    def look_away(self, data: st.DataObject) -> None:
        """From here on this user's disk falls behind the tree."""
        folder = self.pick(data)
        folder.seen = dict(folder.replica.shown)

    @rule(data=st.data(), gone=st.lists(st.booleans(), min_size=1, max_size=3))
    def change_what_was_seen_long_ago(self, data: st.DataObject, gone: list[bool]) -> None:
        folder = self.pick(data)
        paths = sorted(path for path, shown in folder.seen.items() if not isinstance(shown.value, Directory))
        changes: dict[bytes, Value | None] = {}
        for deleted in gone:
            if paths:
                path = data.draw(st.sampled_from(paths))
                changes[path] = None if deleted else text(self.content())
        operations: list[LocalOperation] = []
        for path, value in sorted(changes.items()):
            operations.append(Written(path, value, folder.seen[path].dots))
            self.replaced.add(content_of(folder.seen[path].value))
            if value is not None:
                self.written.add(content_of(value))
            del folder.seen[path]
        entries = folder.replica.do(*operations)
        for other in self.folders:
            if other is not folder:
                other.inbox += entries

    @rule(data=st.data())
    def deliver_some_in_any_order(self, data: st.DataObject) -> None:
        folder = self.pick(data)
        if folder.inbox:
            order = data.draw(st.permutations(range(len(folder.inbox))))
            folder.inbox = [folder.inbox[index] for index in order]
            count = data.draw(st.integers(1, len(folder.inbox)))
            for entry in folder.inbox[:count]:
                folder.replica.receive(entry)
            folder.inbox = folder.inbox[count:]
            if data.draw(st.booleans()):
                folder.inbox += folder.replica.entries[-3:]

    @rule()
    def deliver_everything(self) -> None:
        for folder in self.folders:
            for entry in folder.inbox:
                folder.replica.receive(entry)
            folder.inbox.clear()
        self.compare()

    def compare(self) -> None:
        trees = [folder.replica.shown for folder in self.folders]
        assert all(other == trees[0] for other in trees[1:])
        states = [folder.replica.tree.snapshot() for folder in self.folders]
        assert all(other == states[0] for other in states[1:])
        contents = {content_of(shown.value) for shown in trees[0].values()}
        assert self.written - self.replaced <= contents | {b"<directory>"}

    @invariant()
    def the_trees_are_well_formed(self) -> None:
        for folder in getattr(self, "folders", []):
            shown = folder.replica.shown
            fs = folder.replica.tree
            emitted = [path for register in {s.register for s in shown.values()} for path in fs.emitted(register)]
            assert sorted(emitted) == sorted(shown), "a path has two owners or none"
            for path, item in shown.items():
                assert path_refusal(path) is None
                if item.role == "copy":
                    assert not fs.heads(path)
                    assert not fs.is_directory(path)
                if not isinstance(item.value, Directory):
                    assert not any(other.startswith(path + b"/") for other in shown)

    @override
    def teardown(self) -> None:
        if not hasattr(self, "folders"):
            return
        self.deliver_everything()
        first = self.folders[0].replica
        assert first.replayed(first.entries).shown == first.shown
        for folder in self.folders[1:]:
            # Another causal order of the same entries.
            assert first.replayed(folder.replica.entries).shown == first.shown


Folders.TestCase.settings = settings(
    max_examples=MAX_EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestFolders = pytest.mark.property(Folders.TestCase)
