"""The visible tree, case by case, and as a function of the set of operations."""

import hashlib
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import (
    Deleted,
    Directory,
    Dot,
    File,
    FileTree,
    Put,
    Shown,
    Symlink,
    Value,
    conflict_path,
    content_key,
)
from latticework.wire import EntryId, LogId

from .world import Account, Replica, content_of, exchange, text, tree

ACCOUNT: Final = Account("alpha", "beta", "gamma")
A_COPY: Final = b"a (alpha, 2027-01-15 08-00-01).txt"


def replicas(count: int = 2) -> list[Replica]:
    roster = ACCOUNT.roster()
    return [Replica(device, roster) for device in ACCOUNT.devices[:count]]


def conflicted() -> tuple[Replica, Replica, bytes]:
    """Two replicas that show one conflict at `a.txt`, and where its copy stands."""
    one, two = replicas()
    one.change((b"a.txt", text(b"one")))
    two.change((b"a.txt", text(b"two")))
    exchange(one, two)
    (copy,) = one.shown.keys() - {b"a.txt"}
    assert one.shown == two.shown
    return one, two, copy


@pytest.mark.unit
def test_of_two_concurrent_contents_both_are_shown_and_the_conflict_is_listed() -> None:
    one, _, copy = conflicted()
    assert sorted(tree(one).values()) == [b"one", b"two"]
    assert one.space.tree.conflicts() == [b"a.txt"]
    assert copy.startswith(b"a (")
    assert copy.endswith(b").txt")


@pytest.mark.unit
def test_equal_content_written_twice_is_one_file() -> None:
    one, two = replicas()
    one.change((b"a", text(b"same")))
    two.change((b"a", text(b"same")))
    exchange(one, two)
    assert tree(one) == {b"a": b"same"}
    assert one.space.tree.conflicts() == []
    assert len(one.shown[b"a"].dots) == 2


@pytest.mark.unit
def test_modification_time_and_executable_bit_are_no_content() -> None:
    plain = text(b"x")
    assert content_key(plain) == content_key(File(plain.size, 9, executable=True, content=plain.content))


@pytest.mark.unit
def test_an_edit_beats_a_concurrent_deletion() -> None:
    one, two = replicas()
    one.change((b"a", text(b"old")))
    exchange(one, two)
    one.change((b"a", Deleted()))
    two.change((b"a", text(b"new")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a": b"new"}


@pytest.mark.unit
@pytest.mark.parametrize("value", [text(b"file"), Symlink(b"/etc")], ids=["file", "symlink"])
def test_where_something_meets_a_directory_the_directory_keeps_the_name(value: Value) -> None:
    one, two = replicas()
    one.change((b"d", Directory()), (b"d/x", text(b"x")))
    two.change((b"d", value))
    exchange(one, two)
    assert one.shown == two.shown
    assert {p for p, s in one.shown.items() if s.register == b"d"} == {b"d", b"d (beta, 2027-01-15 08-00-01)"}
    assert isinstance(one.shown[b"d"].value, Directory)


@pytest.mark.unit
def test_a_symlink_never_stands_above_a_live_path() -> None:
    """Or a file beneath it would be written through the link, to anywhere."""
    (one,) = replicas(1)
    one.write(Put(b"d", Symlink(b"/etc"), ()), Put(b"d/passwd", text(b"x"), ()))
    assert tree(one) == {b"d (alpha, 2027-01-15 08-00-01)": b"->/etc", b"d/passwd": b"x"}


@pytest.mark.unit
def test_a_file_beneath_a_deleted_directory_brings_the_directory_back() -> None:
    one, two = replicas()
    one.change((b"d", Directory()))
    exchange(one, two)
    one.change((b"d", Deleted()))
    two.change((b"d/x", text(b"x")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"d/x": b"x"}
    assert one.space.tree.is_directory(b"d")


@pytest.mark.unit
def test_editing_the_file_beside_a_copy_leaves_both_where_they_are() -> None:
    one, two, copy = conflicted()
    other = tree(one)[copy]
    one.change((b"a.txt", text(b"edited")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": b"edited", copy: other}
    assert one.space.tree.conflicts() == []


@pytest.mark.unit
@pytest.mark.parametrize("also", [False, True], ids=["alone", "with an edit of the file"])
def test_deleting_a_copy_settles_the_conflict(*, also: bool) -> None:
    one, two, copy = conflicted()
    kept = tree(one)[b"a.txt"]
    changes: list[tuple[bytes, Value]] = [(copy, Deleted())]
    if also:
        kept = b"merged"
        changes.append((b"a.txt", text(kept)))
    one.change(*changes)
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": kept}


@pytest.mark.unit
@pytest.mark.parametrize("also", [False, True], ids=["alone", "with an edit of the file"])
def test_an_edited_copy_becomes_a_file_of_its_own(*, also: bool) -> None:
    one, two, copy = conflicted()
    kept = tree(one)[b"a.txt"]
    changes: list[tuple[bytes, Value]] = [(copy, text(b"edited"))]
    if also:
        kept = b"both"
        changes.append((b"a.txt", text(kept)))
    one.change(*changes)
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": kept, copy: b"edited"}
    assert one.space.tree.conflicts() == []
    one.change((b"a.txt", Deleted()))
    assert tree(one) == {copy: b"edited"}


@pytest.mark.unit
def test_deleting_the_file_beside_a_copy_leaves_the_copy_under_its_name() -> None:
    one, two, copy = conflicted()
    other = tree(one)[copy]
    one.change((b"a.txt", Deleted()))
    exchange(one, two)
    assert tree(one) == tree(two) == {copy: other}
    one.change((copy, Deleted()))
    exchange(one, two)
    assert one.shown == two.shown == {}


@pytest.mark.unit
def test_deleting_the_file_and_its_copy_at_once_leaves_nothing() -> None:
    one, two, copy = conflicted()
    one.change((b"a.txt", Deleted()), (copy, Deleted()))
    exchange(one, two)
    assert one.shown == two.shown == {}


@pytest.mark.unit
def test_a_deletion_never_takes_a_copy_that_its_user_did_not_see() -> None:
    """The disk still has an old file where the tree already shows a conflict copy; the user deletes everything."""
    one, _, copy = conflicted()
    fs = one.space.tree
    other = tree(one)[copy]
    gone = [b"a.txt", copy]
    old = Dot(EntryId(bytes(32)), 0)
    one.write(
        *fs.puts_for(b"a.txt", Deleted(), one.shown[b"a.txt"].dots, gone), *fs.puts_for(copy, Deleted(), (old,), gone)
    )
    assert list(tree(one).values()) == [other]


@pytest.mark.unit
def test_an_edit_of_what_somebody_else_has_replaced_stays_beside_it() -> None:
    one, _ = replicas()
    one.change((b"a", text(b"first")))
    seen = one.shown[b"a"].dots
    one.change((b"a", text(b"second")))
    one.write(*one.space.tree.puts_for(b"a", text(b"mine"), seen))
    assert sorted(tree(one).values()) == [b"mine", b"second"]


@pytest.mark.unit
@pytest.mark.parametrize("beneath", [b"", b"/x", b"/x/y"])
def test_a_copy_makes_way_for_whatever_takes_its_name(beneath: bytes) -> None:
    one, two, copy = conflicted()
    other = tree(one)[copy]
    two.write(Put(copy + beneath, text(b"new"), ()))
    exchange(one, two)
    assert one.shown == two.shown
    shown = tree(one)
    assert shown.pop(copy + beneath) == b"new"
    del shown[b"a.txt"]
    ((path, content),) = shown.items()
    assert content == other
    assert len(path) == len(copy) + len(b", 1234")
    two.change((copy + beneath, Deleted()))
    assert tree(two)[copy] == other


@pytest.mark.unit
def test_copies_of_one_author_and_second_have_different_names_however_many() -> None:
    """Salts of sixteen bits collide among 600; none may cover another."""
    fs = FileTree(lambda _: "n")
    contents = [b"%d" % number for number in range(600)]
    fs.apply(EntryId(bytes(32)), 1, LogId(bytes(32)), [Put(b"a.txt", text(content), ()) for content in contents])
    assert sorted(content_of(shown.value) for shown in fs.shown.values()) == sorted(contents)


@pytest.mark.unit
def test_a_member_who_takes_every_name_of_a_copy_cannot_hide_it() -> None:
    one, _, copy = conflicted()
    other = tree(one)[copy]
    for _ in range(4):
        (now,) = [path for path, shown in one.shown.items() if shown.role == "copy"]
        one.write(Put(now, text(b"squatter"), ()))
    assert [content_of(shown.value) for shown in one.shown.values() if shown.role == "copy"] == [other]


@pytest.mark.unit
@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/etc/passwd",
        b"..",
        b"../x",
        b"a/../b",
        b"a/..",
        b".",
        b"./a",
        b"a/./b",
        b"a//b",
        b"a/",
        b"a\x00b",
        b"x" * 256,
        b"d/" + b"x" * 256,
        b"d/" * 2048 + b"x",
        b".lattice",
        b".LATTICE/identity",
        b".Lattice/x",
    ],
)
def test_a_path_that_leaves_the_folder_has_no_effect(path: bytes) -> None:
    fs = FileTree(lambda _: "n")
    put = Put(path, text(b"x"), ())
    good = Put(b"good", text(b"x"), ())
    assert fs.apply(EntryId(bytes(32)), 1, LogId(bytes(32)), [put, good]) == {b"good"}
    assert (set(fs.shown), fs.refused_paths, fs.heads(path)) == ({b"good"}, 1, ())
    assert fs.shown[b"good"].dots == (Dot(EntryId(bytes(32)), 1),)


@pytest.mark.unit
@pytest.mark.parametrize("path", [b"x" * 255, b"d/.lattice", b".lattices", b"...", b"a\\b", b"\xff", b" "])
def test_an_unusual_path_is_a_path(path: bytes) -> None:
    fs = FileTree(lambda _: "n")
    assert path in fs.apply(EntryId(bytes(32)), 1, LogId(bytes(32)), [Put(path, text(b"x"), ())])
    assert set(fs.shown) == {path}


@pytest.mark.unit
def test_an_operation_may_not_replace_a_head_of_another_path() -> None:
    (one,) = replicas(1)
    one.change((b"a", text(b"x")))
    one.write(Put(b"b", Deleted(), one.shown[b"a"].dots))
    assert tree(one) == {b"a": b"x"}


@pytest.mark.unit
def test_changes_name_every_path_that_looks_different_and_no_other_that_is_shown() -> None:
    one, two, copy = conflicted()
    before = dict(two.shown)
    entries = one.change((copy, Deleted()), (b"new", text(b"n")))
    changed = {path for entry in entries for event in two.receive(entry) for path in getattr(event, "changed", ())}
    assert changed >= {copy, b"new"} == different(before, two.shown)
    assert not (changed - different(before, two.shown)) & two.shown.keys()


def different(before: dict[bytes, Shown], after: dict[bytes, Shown]) -> set[bytes]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@pytest.mark.unit
def test_a_tree_that_was_built_before_a_device_got_a_second_name_equals_one_built_after() -> None:
    """Two certificates for one device: the smaller hash names it, whichever came first."""
    founder, beta, _ = ACCOUNT.devices
    renamed = ACCOUNT.introduce(founder, beta, *ACCOUNT.roster().heads(), name="renamed")
    one, _, _ = conflicted()
    assert one.roster.add(renamed) is None
    assert one.roster.members[beta.id].certificate.name == "renamed", "or the vectors changed: try another name"
    assert one.replayed(one.entries).shown == one.shown


type Operation = tuple[EntryId, int, LogId, tuple[Put, ...]]

LOGS: Final = [LogId(bytes([number]) * 32) for number in range(3)]
IDS: Final = [EntryId(hashlib.sha256(bytes([number])).digest()) for number in range(10)]
NAMES: Final = {LOGS[0]: "n", LOGS[1]: "n", LOGS[2]: "m"}
HLCS: Final = [1 << 16, 2 << 16, 5000 << 16]


def universe() -> list[bytes]:
    paths = [b"a", b"a/b", b"a/b/c.x", b"e.txt"]
    return paths + [conflict_path(path, "n", HLCS[0], None) for path in paths] + [b"a (n, 1970-01-01 00-00-00)/z"]


dots = st.builds(Dot, st.sampled_from(IDS), st.integers(0, 2))
values = st.sampled_from([text(b"1"), text(b"2"), text(b"3"), Directory(), Deleted(), Deleted(), Symlink(b"t")])
puts = st.builds(Put, st.sampled_from(universe()), values, st.lists(dots, max_size=3).map(tuple))
operations = st.lists(
    st.tuples(
        st.sampled_from(IDS), st.sampled_from(HLCS), st.sampled_from(LOGS), st.lists(puts, max_size=3).map(tuple)
    ),
    max_size=10,
    unique_by=lambda operation: operation[0],
)


def built(sequence: Sequence[Operation]) -> FileTree:
    fs = FileTree(NAMES.__getitem__)
    for operation in sequence:
        before = dict(fs.shown)
        changed = fs.apply(*operation)
        assert changed >= different(before, fs.shown)
        assert not (changed - different(before, fs.shown)) & fs.shown.keys()
    return fs


@pytest.mark.property
@given(operations, st.data())
def test_the_tree_depends_on_the_set_of_operations_alone(sequence: list[Operation], data: st.DataObject) -> None:
    """Even where an author replaces what he never saw, or writes to names of copies."""
    shuffled = data.draw(st.permutations(sequence))
    one, two = built(sequence), built(shuffled)
    assert one.shown == two.shown
    assert one.conflicts() == two.conflicts()
    owners = [path for register in {s.register for s in one.shown.values()} for path in one.emitted(register)]
    assert sorted(owners) == sorted(one.shown)
    for path, shown in one.shown.items():
        beneath = any(other.startswith(path + b"/") for other in one.shown)
        assert isinstance(shown.value, Directory) or not beneath
