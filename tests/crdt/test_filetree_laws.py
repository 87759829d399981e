"""The tree is a function of the set of entries and of which are void, and it is the one that plain reading of the rules
gives (I1, I2, I11, I13)."""

import hashlib
from itertools import count
from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import (
    Directory,
    Dot,
    File,
    FileOperations,
    FileTree,
    Make,
    Move,
    Operation,
    Ref,
    Remove,
    Shown,
    Symlink,
    Value,
    Write,
    conflict_path,
    content_key,
    path_refusal,
)
from latticework.wire import EntryId, LogId, encode_plain

from .tree_world import text

pytestmark = pytest.mark.property

LOGS: Final = [LogId(bytes([number]) * 32) for number in range(3)]
IDS: Final = [EntryId(hashlib.sha256(bytes([number])).digest()) for number in range(8)]
NAMES: Final = {LOGS[0]: "n", LOGS[1]: "n", LOGS[2]: "m"}
HLCS: Final = [1 << 16, 2 << 16, 5000 << 16]
COPY: Final = conflict_path(b"a", "n", HLCS[0], None)

type Entry = tuple[EntryId, int, LogId, FileOperations]

refs = st.builds(Ref, st.sampled_from([None, *IDS]), st.integers(0, 2))
parents = st.one_of(st.none(), refs)
names = st.sampled_from([b"a", b"a", b"b.x", COPY, b"..", b"c/d"])
values = st.sampled_from(
    [
        text(b"1"),
        text(b"2"),
        Directory(),
        Directory(),
        Symlink(b"t"),
        File(1, 5, executable=True, content=text(b"1").content),
    ]
)
ref_lists = st.lists(refs, max_size=3).map(tuple)
operations = st.one_of(
    st.builds(Make, parents, names, values),
    st.builds(Make, parents, names, values),
    st.builds(Move, refs, parents, names, ref_lists, ref_lists),
    st.builds(Write, refs, values, ref_lists),
    st.builds(Remove, refs, ref_lists),
)
entries = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.sampled_from(HLCS),
        st.sampled_from(LOGS),
        st.builds(FileOperations, st.lists(operations, min_size=1, max_size=3).map(tuple)),
    ),
    max_size=8,
    unique_by=lambda entry: entry[0],
)


class Content(NamedTuple):
    """A live content of a node at a register."""

    order: tuple[int, Dot, int, Dot]
    value: Value
    log: LogId
    moves: frozenset[Dot]


class Plainly:
    """The rules, read aloud: no state, no increments."""

    def __init__(self, batch: list[Entry], void: set[EntryId]) -> None:
        self.logs = {entry: log for entry, _, log, _ in batch}
        self.all: list[tuple[int, Dot, Operation]] = []
        for entry, hlc, _, listed in batch:
            self.all += [(hlc, Dot(entry, index), op) for index, op in enumerate(listed.operations)]
        self.void = void
        self.effective = [item for item in self.all if item[1].entry not in void]
        self.made = {dot: (hlc, op) for hlc, dot, op in self.all if isinstance(op, Make)}
        self.positions = self._positions()

    def _positions(self) -> dict[Dot, tuple[Dot | None, bytes, int, Dot]]:
        moves = [item for item in self.all if isinstance(item[2], Make)]
        moves += [item for item in self.effective if isinstance(item[2], Move)]
        found: dict[Dot, tuple[Dot | None, bytes, int, Dot]] = {}
        for hlc, dot, operation in sorted(moves, key=lambda item: item[:2]):
            assert isinstance(operation, Make | Move)
            node = dot if isinstance(operation, Make) else operation.node.dot(dot.entry)
            parent = None if operation.parent is None else operation.parent.dot(dot.entry)
            above = parent
            while above is not None and above != node:
                above = found[above][0] if above in found else None
            if above is None:
                found[node] = (parent, operation.name, hlc, dot)
        return found

    def path(self, node: Dot) -> bytes | None:
        names: list[bytes] = []
        while True:
            if node not in self.positions or node not in self.made:
                return None
            parent, name, _, _ = self.positions[node]
            names.append(name)
            if b"/" in name:
                return None
            if parent is None:
                path = b"/".join(reversed(names))
                return None if path_refusal(path) else path
            if parent not in self.made or not isinstance(self.made[parent][1].value, Directory):
                return None
            node = parent

    def contents(self, node: Dot) -> list[Content]:
        on_node = [
            (h, d, op) for h, d, op in self.effective if not isinstance(op, Make) and op.node.dot(d.entry) == node
        ]
        replaced: set[Dot] = set()
        covered: set[Dot] = set()
        for _, dot, operation in on_node:
            match operation:
                case Write(replaces=listed):
                    replaced |= {ref.dot(dot.entry) for ref in listed}
                    covered |= {ref.dot(dot.entry) for ref in listed}
                case Move(replaces=listed) | Remove(seen=listed):
                    covered |= {ref.dot(dot.entry) for ref in listed}
                case _:
                    pass
        kind = isinstance(self.made[node][1].value, Directory)
        written = [
            (h, d, op.value)
            for h, d, op in on_node
            if isinstance(op, Write) and isinstance(op.value, Directory) == kind
        ]
        written += [(h, d, op.value) for h, d, op in self.effective if isinstance(op, Make) and d == node]
        current = [item for item in written if item[1] not in replaced]
        listed = [(d, op) for _, d, op in on_node if isinstance(op, Move) and d not in covered]
        moves = frozenset(d for d, _ in listed)
        had = {ref.dot(d.entry) for d, op in listed for ref in op.contents}
        alive = [item for item in current if item[1] not in covered]
        if moves and not alive:
            alive = [item for item in written if item[1] in had] or current
        _, _, hlc, by = self.positions.get(node, (None, b"", -1, Dot(EntryId(bytes(32)), 0)))
        found: list[Content] = []
        for written_at, dot, value in alive:
            at, cause = max((hlc, by), (written_at, dot))
            # A void log's opening may differ between replicas: the one who wrote the content gives the name.
            named = dot if cause.entry in self.void else cause
            found.append(Content((at, cause, written_at, dot), value, self.logs[named.entry], moves))
        return found

    def shown(self) -> dict[bytes, Shown]:
        registers: dict[bytes, list[Content]] = {}
        for node in self.made:
            path = self.path(node)
            if path is not None and (contents := self.contents(node)):
                registers.setdefault(path, []).extend(contents)
        result: dict[bytes, Shown] = {}
        for register, contents in sorted(registers.items()):
            result |= self._register(register, contents, registers)
        return result

    def _register(
        self, register: bytes, contents: list[Content], registers: dict[bytes, list[Content]]
    ) -> dict[bytes, Shown]:
        groups: dict[object, list[Content]] = {}
        for content in sorted(contents, key=lambda content: content.order):
            groups.setdefault(content_key(content.value), []).append(content)
        is_directory = any(isinstance(content.value, Directory) for content in contents) or any(
            other.startswith(register + b"/") for other in registers
        )
        result: dict[bytes, Shown] = {}
        for group in groups.values():
            first, last = group[0], group[-1]
            path, role = register, "primary"
            if (is_directory and not isinstance(first.value, Directory)) or (register in result and not is_directory):
                role = "copy"
                name = NAMES[first.log]
                path = conflict_path(register, name, first.order[0], None)
                for attempt in count(1):
                    beneath = any(other.startswith(path + b"/") for other in registers)
                    if path not in result and path not in registers and not beneath:
                        break
                    dot = first.order[3]
                    salt = hashlib.sha256(encode_plain([dot.entry, dot.index, attempt])).digest()
                    path = conflict_path(register, name, first.order[0], salt[: 2 if attempt == 1 else 8])
            dots = {content.order[3] for content in group}.union(*(content.moves for content in group))
            assert role in {"primary", "copy"}
            result[path] = Shown(
                register,
                last.value,
                tuple(sorted(dots)),
                first.order[0],
                first.log,
                "copy" if role == "copy" else "primary",
            )
        return result


def different(before: dict[bytes, Shown], after: dict[bytes, Shown]) -> set[bytes]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def check_changes(changed: set[bytes], before: dict[bytes, Shown], after: dict[bytes, Shown]) -> None:
    assert changed >= different(before, after)
    assert not (changed - different(before, after)) & after.keys()


def check(fs: FileTree, batch: list[Entry], void: set[EntryId]) -> None:
    plain = Plainly(batch, void)
    assert fs.shown == plain.shown()
    owners = [path for register in {shown.register for shown in fs.shown.values()} for path in fs.emitted(register)]
    assert sorted(owners) == sorted(fs.shown)
    assert fs.refused_paths == sum(plain.path(node) is None and bool(plain.contents(node)) for node in plain.made)
    for path, shown in fs.shown.items():
        beneath = any(other.startswith(path + b"/") for other in fs.shown)
        assert isinstance(shown.value, Directory) or not beneath
        assert fs.is_directory(path) == beneath
        assert any(fs.place_of(dot) == path for dot in shown.dots)


@given(entries, st.data())
def test_the_tree_is_what_the_rules_say_after_every_batch(history: list[Entry], data: st.DataObject) -> None:
    """Even where an author names what he never saw, writes to names of copies, and is void by turns."""
    rest = list(data.draw(st.permutations(history)))
    fs = FileTree(NAMES.__getitem__)
    known: list[Entry] = []
    void: set[EntryId] = set()
    while rest:
        batch, rest = rest[: (taken := data.draw(st.integers(1, len(rest))))], rest[taken:]
        turned = data.draw(st.dictionaries(st.sampled_from(IDS), st.booleans(), max_size=3))
        before = dict(fs.shown)
        check_changes(fs.apply_all(batch), before, fs.shown)
        before = dict(fs.shown)
        check_changes(fs.set_void(turned), before, fs.shown)
        known += batch
        void |= {entry for entry, is_void in turned.items() if is_void}
        void -= {entry for entry, is_void in turned.items() if not is_void}
        check(fs, known, void)
        if data.draw(st.booleans()):
            fs = FileTree.load(fs.snapshot(), NAMES.__getitem__)
            check(fs, known, void)
    once = FileTree(NAMES.__getitem__)
    once.set_void(dict.fromkeys(void, True))
    once.apply_all(sorted(history, key=lambda entry: entry[0]))
    assert (once.shown, once.conflicts(), once.snapshot()) == (fs.shown, fs.conflicts(), fs.snapshot())


@given(entries, st.sets(st.sampled_from(IDS), max_size=3))
def test_void_entries_that_nobody_built_upon_might_as_well_not_be_there(
    history: list[Entry], void: set[EntryId]
) -> None:
    fs = FileTree(NAMES.__getitem__)
    fs.apply_all(history)
    fs.set_void(dict.fromkeys(void, True))
    named = {
        ref.entry
        for entry, _, _, listed in history
        if entry not in void
        for op in listed.operations
        for ref in (
            [op.parent] if isinstance(op, Make) else [op.node, op.parent] if isinstance(op, Move) else [op.node]
        )
        if ref is not None
    }
    if not named & void:
        without = FileTree(NAMES.__getitem__)
        without.apply_all([entry for entry in history if entry[0] not in void])
        assert fs.shown == without.shown


@given(entries)
def test_snapshots_are_equal_exactly_for_equal_states(history: list[Entry]) -> None:
    whole, part = FileTree(NAMES.__getitem__), FileTree(NAMES.__getitem__)
    whole.apply_all(history)
    part.apply_all(history[1:])
    assert (whole.snapshot() == part.snapshot()) == (not history)
    before = whole.snapshot()
    whole.set_void({IDS[0]: True})
    assert whole.snapshot() != before
    whole.set_void({IDS[0]: False})
    assert whole.snapshot() == before
