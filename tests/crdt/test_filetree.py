"""The visible tree, case by case."""

import hashlib
from typing import Final

import pytest

from latticework.crdt import (
    Directory,
    Dot,
    File,
    FileOperations,
    FileTree,
    Make,
    Move,
    Moved,
    Operation,
    Ref,
    Remove,
    Shown,
    Symlink,
    Value,
    Write,
    Written,
    content_key,
    operations_for,
)
from latticework.crdt.moves import MAX_DEPTH
from latticework.wire import EntryId, LogId, MalformedError, encode

from .tree_world import Replica, content_of, exchange, text, tree

LOG: Final = LogId(bytes(32))
pytestmark = pytest.mark.unit


def replicas(count: int = 2) -> list[Replica]:
    names: dict[LogId, str] = {}
    return [Replica(number, name, names) for number, name in enumerate(["alpha", "beta", "gamma"][:count])]


def conflicted() -> tuple[Replica, Replica, bytes]:
    """Two replicas that show one conflict at `a.txt`, and where its copy stands."""
    one, two = replicas()
    one.change((b"a.txt", text(b"one")))
    two.change((b"a.txt", text(b"two")))
    exchange(one, two)
    (copy,) = one.shown.keys() - {b"a.txt"}
    assert one.shown == two.shown
    return one, two, copy


def edited_twice() -> tuple[Replica, Replica, bytes]:
    """The same, but both wrote to one file."""
    one, two = replicas()
    one.change((b"a.txt", text(b"zero")))
    exchange(one, two)
    one.change((b"a.txt", text(b"one")))
    two.change((b"a.txt", text(b"two")))
    exchange(one, two)
    (copy,) = one.shown.keys() - {b"a.txt"}
    assert one.shown == two.shown
    return one, two, copy


both_conflicts = pytest.mark.parametrize("setting", [conflicted, edited_twice], ids=["two files", "two edits of one"])


@both_conflicts
def test_of_two_concurrent_contents_both_are_shown_and_the_conflict_is_listed(setting: object) -> None:
    one, _, copy = conflicted() if setting is conflicted else edited_twice()
    assert sorted(tree(one).values()) == [b"one", b"two"]
    assert one.tree.conflicts() == [b"a.txt"]
    assert copy.startswith(b"a (")
    assert copy.endswith(b").txt")


def test_equal_content_written_twice_is_one_file() -> None:
    one, two = replicas()
    one.change((b"a", text(b"same")))
    two.change((b"a", text(b"same")))
    exchange(one, two)
    assert tree(one) == {b"a": b"same"}
    assert one.tree.conflicts() == []
    assert len(one.shown[b"a"].dots) == 2
    one.change((b"a", text(b"edited")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a": b"edited"}
    two.move((b"a", b"b"))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"b": b"edited"}


def test_equal_files_are_moved_and_removed_together() -> None:
    one, two = replicas()
    one.change((b"a", text(b"same")))
    two.change((b"a", text(b"same")))
    exchange(one, two)
    one.move((b"a", b"b"))
    exchange(one, two)
    assert tree(two) == {b"b": b"same"}
    two.change((b"b", None))
    exchange(one, two)
    assert one.shown == two.shown == {}


def test_modification_time_and_executable_bit_are_no_content() -> None:
    plain = text(b"x")
    assert content_key(plain) == content_key(File(plain.size, 9, executable=True, content=plain.content))


def test_an_edit_beats_a_concurrent_deletion() -> None:
    one, two = replicas()
    one.change((b"a", text(b"old")))
    exchange(one, two)
    one.change((b"a", None))
    two.change((b"a", text(b"new")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a": b"new"}


def test_a_move_beats_a_concurrent_deletion_and_keeps_the_content() -> None:
    one, two = replicas()
    one.change((b"a", text(b"old")))
    exchange(one, two)
    two.move((b"a", b"b"))
    one.change((b"a", None))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"b": b"old"}
    one.change((b"b", None))
    exchange(one, two)
    assert one.shown == two.shown == {}


def test_a_move_brings_back_what_its_author_had_and_not_what_nobody_has_any_more() -> None:
    one, two = replicas()
    one.change((b"a", text(b"old")))
    exchange(one, two)
    one.change((b"a", text(b"new, and seen by nobody else")))
    one.change((b"a", None))
    two.move((b"a", b"b"))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"b": b"old"}
    one.change((b"b", text(b"newer")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"b": b"newer"}
    one.change((b"b", None))
    exchange(one, two)
    assert one.shown == two.shown == {}


def test_the_earlier_of_two_moves_beats_a_deletion_by_somebody_who_saw_the_later() -> None:
    one, two, three = replicas(3)
    one.change((b"a", text(b"old")))
    exchange(one, two, three)
    two.move((b"a", b"b"))
    three.now_us += 5_000_000
    three.move((b"a", b"c"))
    one.receive(*three.entries)
    one.change((b"c", None))
    exchange(one, two, three)
    assert tree(one) == tree(two) == {b"c": b"old"}


def test_two_directories_of_one_name_are_one_directory() -> None:
    one, two = replicas()
    one.change((b"photos", Directory()), (b"photos/1", text(b"1")))
    two.change((b"photos", Directory()), (b"photos/2", text(b"2")), (b"photos/1", text(b"1")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"photos": b"<directory>", b"photos/1": b"1", b"photos/2": b"2"}
    assert one.tree.conflicts() == []
    one.move((b"photos", b"pictures"))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"pictures": b"<directory>", b"pictures/1": b"1", b"pictures/2": b"2"}
    one.change((b"pictures/1", None), (b"pictures/2", None), (b"pictures", None))
    exchange(one, two)
    assert one.shown == two.shown == {}


def test_a_directory_moved_onto_another_is_merged_with_it() -> None:
    one, two = replicas()
    one.change((b"d/x", text(b"x")))
    exchange(one, two)
    one.change((b"e/y", text(b"y")))
    two.move((b"d", b"e"))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"e": b"<directory>", b"e/x": b"x", b"e/y": b"y"}


@pytest.mark.parametrize("value", [text(b"file"), Symlink(b"/etc")], ids=["file", "symlink"])
def test_where_something_meets_a_directory_the_directory_keeps_the_name(value: Value) -> None:
    one, two = replicas()
    one.change((b"d", Directory()), (b"d/x", text(b"x")))
    two.change((b"d", value))
    exchange(one, two)
    assert one.shown == two.shown
    assert {p for p, s in one.shown.items() if s.register == b"d"} == {b"d", b"d (beta, 2027-01-15 08-00-01)"}
    assert isinstance(one.shown[b"d"].value, Directory)


def test_nothing_stands_beneath_a_symlink() -> None:
    """Or a file beneath it would be written through the link, to anywhere."""
    (one,) = replicas(1)
    one.write(Make(None, b"d", Symlink(b"/etc")), Make(Ref(None, 0), b"passwd", text(b"x")))
    assert tree(one) == {b"d": b"->/etc"}
    assert one.tree.refused_paths == 1


def test_a_symlink_and_a_directory_of_one_name_are_kept_apart() -> None:
    (one,) = replicas(1)
    one.write(
        Make(None, b"d", Symlink(b"/etc")), Make(None, b"d", Directory()), Make(Ref(None, 1), b"passwd", text(b"x"))
    )
    assert tree(one) == {
        b"d": b"<directory>",
        b"d (alpha, 2027-01-15 08-00-01)": b"->/etc",
        b"d/passwd": b"x",
    }


def test_a_file_beneath_a_deleted_directory_brings_the_directory_back() -> None:
    one, two = replicas()
    one.change((b"d", Directory()))
    exchange(one, two)
    one.change((b"d", None))
    two.change((b"d/x", text(b"x")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"d/x": b"x"}
    assert one.tree.is_directory(b"d")
    one.change((b"d/x", None))
    exchange(one, two)
    assert not two.tree.is_directory(b"d")


def test_a_directory_that_was_deleted_elsewhere_is_moved_with_what_was_added() -> None:
    one, two = replicas()
    one.change((b"d", Directory()), (b"d/x", text(b"x")))
    exchange(one, two)
    one.change((b"d/x", None), (b"d", None))
    two.change((b"d/y", text(b"y")))
    exchange(one, two)
    assert tree(one) == {b"d/y": b"y"}
    one.move((b"d", b"e"))
    exchange(one, two)
    assert tree(two) == {b"e": b"<directory>", b"e/y": b"y"}


@both_conflicts
def test_editing_the_file_beside_a_copy_leaves_both_where_they_are(setting: object) -> None:
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    other = tree(one)[copy]
    one.change((b"a.txt", text(b"edited")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": b"edited", copy: other}
    assert one.tree.conflicts() == []


@both_conflicts
@pytest.mark.parametrize("also", [False, True], ids=["alone", "with an edit of the file"])
def test_deleting_a_copy_settles_the_conflict(setting: object, *, also: bool) -> None:
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    kept = tree(one)[b"a.txt"]
    changes: list[tuple[bytes, Value | None]] = [(copy, None)]
    if also:
        kept = b"merged"
        changes.append((b"a.txt", text(kept)))
    one.change(*changes)
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": kept}


@both_conflicts
@pytest.mark.parametrize("also", [False, True], ids=["alone", "with an edit of the file"])
def test_an_edited_copy_becomes_a_file_of_its_own(setting: object, *, also: bool) -> None:
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    kept = tree(one)[b"a.txt"]
    changes: list[tuple[bytes, Value | None]] = [(copy, text(b"edited"))]
    if also:
        kept = b"both"
        changes.append((b"a.txt", text(kept)))
    one.change(*changes)
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": kept, copy: b"edited"}
    assert one.tree.conflicts() == []
    one.change((b"a.txt", None))
    assert tree(one) == {copy: b"edited"}


@both_conflicts
def test_deleting_the_file_beside_a_copy_leaves_the_copy_under_its_name(setting: object) -> None:
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    other = tree(one)[copy]
    one.change((b"a.txt", None))
    exchange(one, two)
    assert tree(one) == tree(two) == {copy: other}
    one.change((copy, None))
    exchange(one, two)
    assert one.shown == two.shown == {}


@both_conflicts
def test_deleting_the_file_and_its_copy_at_once_leaves_nothing(setting: object) -> None:
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    one.change((b"a.txt", None), (copy, None))
    exchange(one, two)
    assert one.shown == two.shown == {}


@both_conflicts
@pytest.mark.parametrize("which", ["file", "copy"])
def test_renaming_one_side_of_a_conflict_settles_it_and_leaves_the_other(setting: object, which: str) -> None:
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    before = tree(one)
    old = b"a.txt" if which == "file" else copy
    (other,) = before.keys() - {old}
    one.move((old, b"new"))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"new": before[old], other: before[other]}
    assert one.tree.conflicts() == []


@both_conflicts
def test_nobody_keeps_a_copy_alive_that_he_does_not_have(setting: object) -> None:
    """The one edits beside a copy that is not on his disk yet, while its owner takes it away."""
    one, two, copy = conflicted() if setting is conflicted else edited_twice()
    one.write(*operations_for(one.tree, [Written(b"a.txt", text(b"edited"), one.seen(b"a.txt"))], lambda _: False))
    two.change((copy, None))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"a.txt": b"edited"}


def test_a_deletion_never_takes_a_copy_that_its_user_did_not_see() -> None:
    """The disk still has an old file where the tree already shows a conflict copy; the user deletes everything."""
    one, _, copy = conflicted()
    other = tree(one)[copy]
    old = Dot(EntryId(bytes(32)), 0)
    one.do(Written(b"a.txt", None, one.seen(b"a.txt")), Written(copy, None, (old,)))
    assert list(tree(one).values()) == [other]


def test_an_edit_of_what_somebody_else_has_replaced_stays_beside_it() -> None:
    one, _ = replicas()
    one.change((b"a", text(b"first")))
    seen = one.seen(b"a")
    one.change((b"a", text(b"second")))
    one.do(Written(b"a", text(b"mine"), seen))
    assert sorted(tree(one).values()) == [b"mine", b"second"]


@pytest.mark.parametrize("beneath", [b"", b"/x", b"/x/y"])
def test_a_copy_makes_way_for_whatever_takes_its_name(beneath: bytes) -> None:
    one, two, copy = conflicted()
    other = tree(one)[copy]
    two.write(*operations_for(FileTree(lambda _: ""), [Written(copy + beneath, text(b"new"))]))
    exchange(one, two)
    assert one.shown == two.shown
    shown = tree(one)
    assert shown.pop(copy + beneath) == b"new"
    del shown[b"a.txt"]
    ((path, content),) = [item for item in shown.items() if item[1] != b"<directory>"]
    assert content == other
    assert len(path) == len(copy) + len(b", 1234")
    two.change(*((p, None) for p in sorted(two.shown, reverse=True) if p == copy or p.startswith(copy + b"/")))
    assert tree(two)[copy] == other


def applied(operations: list[Operation], *, hlc: int = 1, entry: bytes = bytes(32)) -> FileTree:
    fs = FileTree(lambda _: "n")
    fs.apply_all([(EntryId(entry), hlc, LOG, FileOperations(tuple(operations)))])
    return fs


def test_copies_of_one_author_and_second_have_different_names_however_many() -> None:
    """Salts of sixteen bits collide among 600; none may cover another."""
    contents = [b"%d" % number for number in range(600)]
    fs = applied([Make(None, b"a.txt", text(content)) for content in contents])
    assert sorted(content_of(shown.value) for shown in fs.shown.values()) == sorted(contents)


def test_a_member_who_takes_every_name_of_a_copy_cannot_hide_it() -> None:
    one, _, copy = conflicted()
    other = tree(one)[copy]
    for _ in range(4):
        (now,) = [path for path, shown in one.shown.items() if shown.role == "copy"]
        one.write(Make(None, now, text(b"squatter")))
    assert [content_of(shown.value) for shown in one.shown.values() if shown.role == "copy"] == [other]


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"/etc/passwd",
        b"..",
        b"../x",
        b"a/b",
        b".",
        b"a/",
        b"a\x00b",
        b"x" * 256,
        b".lattice",
        b".LATTICE",
        b".Lattice",
    ],
)
def test_a_name_that_leads_elsewhere_has_no_effect(name: bytes) -> None:
    fs = applied(
        [
            Make(None, name, Directory()),
            Make(Ref(None, 0), b"beneath", text(b"x")),
            Make(None, b"good", text(b"x")),
            Move(Ref(None, 2), None, name, ()),
            Move(Ref(None, 2), None, b"better", ()),
        ]
    )
    assert (set(fs.shown), fs.refused_paths) == ({b"better"}, 2)


@pytest.mark.parametrize("name", [b"x" * 255, b".lattices", b"...", b"a\\b", b"\xff", b" "])
def test_an_unusual_name_is_a_name(name: bytes) -> None:
    assert set(applied([Make(None, name, text(b"x"))]).shown) == {name}
    assert set(applied([Make(None, b"d", Directory()), Make(Ref(None, 0), b".lattice", text(b"x"))]).shown) == {
        b"d",
        b"d/.lattice",
    }


def test_a_path_that_became_too_long_by_a_move_is_not_shown_and_comes_back_with_the_next() -> None:
    (one,) = replicas(1)
    long = b"/".join([b"x" * 255] * 8)
    one.change((b"d/" + long + b"/" + b"y" * 255 + b"/f", text(b"f")), (long + b"/g", text(b"g")))
    before = tree(one)
    one.move((b"d", long + b"/d"))
    assert set(tree(one).values()) == {b"<directory>", b"g"}
    assert one.tree.refused_paths == 3
    assert one.tree.node_of(one.seen(long + b"/g")[0]) is not None
    dot = one.tree.directories(long + b"/d")[0].dot
    one.do(Moved(long + b"/d", b"d", (dot,)))
    assert tree(one) == before
    assert one.tree.refused_paths == 0


def test_a_rename_is_one_operation_of_few_bytes_whatever_stands_beneath() -> None:
    one, two = replicas()
    one.change(*((b"d/e/%d" % number, text(b"%d" % number)) for number in range(1000)))
    exchange(one, two)
    operations = operations_for(one.tree, [Moved(b"d", b"renamed", one.seen(b"d"))])
    assert len(operations) == 1
    assert len(encode(FileOperations(tuple(operations)))) < 100
    one.write(*operations)
    exchange(one, two)
    assert tree(two) == {b"renamed": b"<directory>", b"renamed/e": b"<directory>"} | {
        b"renamed/e/%d" % number: b"%d" % number for number in range(1000)
    }
    again = operations_for(one.tree, [Moved(b"renamed", b"x" * 100, one.seen(b"renamed"))])
    assert len(encode(FileOperations(tuple(again)))) < 200


def test_concurrent_renames_to_two_names_end_in_the_later() -> None:
    one, two = replicas()
    one.change((b"d/x", text(b"x")))
    exchange(one, two)
    one.move((b"d", b"by one"))
    two.now_us += 5_000_000
    two.move((b"d", b"by two"))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"by two": b"<directory>", b"by two/x": b"x"}


def test_directories_moved_into_each_other_make_no_cycle() -> None:
    one, two = replicas()
    one.change((b"a/x", text(b"x")), (b"b/y", text(b"y")))
    exchange(one, two)
    one.move((b"a", b"b/a"))
    two.move((b"b", b"a/b"))
    exchange(one, two)
    assert one.shown == two.shown
    assert sorted(tree(one).values()) == [b"<directory>", b"<directory>", b"x", b"y"]


def test_an_edit_follows_a_concurrent_rename() -> None:
    one, two = replicas()
    one.change((b"d/x", text(b"old")))
    exchange(one, two)
    one.move((b"d", b"e"))
    two.change((b"d/x", text(b"new")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"e": b"<directory>", b"e/x": b"new"}


def test_a_rename_by_somebody_who_has_not_seen_the_latest_edits_takes_them_along() -> None:
    one, two = replicas()
    one.change((b"a", text(b"old")))
    seen = one.seen(b"a")
    exchange(one, two)
    one.change((b"a", text(b"one")))
    two.change((b"a", text(b"two")))
    exchange(one, two)
    one.do(Moved(b"a", b"b", seen))
    (copy,) = one.shown.keys() - {b"b"}
    assert copy.startswith(b"a (")
    assert sorted(tree(one).values()) == [b"one", b"two"]


def test_a_file_added_beneath_a_concurrent_rename_goes_along() -> None:
    one, two = replicas()
    one.change((b"d", Directory()))
    exchange(one, two)
    one.move((b"d", b"e"))
    two.change((b"d/x", text(b"new")))
    exchange(one, two)
    assert tree(one) == tree(two) == {b"e": b"<directory>", b"e/x": b"new"}


def test_an_edit_by_somebody_whose_disk_is_behind_goes_to_the_node_that_he_saw() -> None:
    (one,) = replicas(1)
    one.change((b"d/x", text(b"old")))
    file, directory = one.seen(b"d/x"), one.seen(b"d")
    one.move((b"d", b"e"))
    one.do(Written(b"d/x", text(b"new"), file, directory), Written(b"d/y", text(b"y"), (), directory))
    assert tree(one) == {b"e": b"<directory>", b"e/x": b"new", b"e/y": b"y"}


def test_files_swap_their_names_and_move_on_in_a_chain() -> None:
    one, two = replicas()
    one.change((b"a", text(b"1")), (b"b", text(b"2")), (b"d/c", text(b"3")))
    exchange(one, two)
    one.move((b"a", b"b"), (b"b", b"a"))
    exchange(one, two)
    assert tree(two) == {b"a": b"2", b"b": b"1", b"d": b"<directory>", b"d/c": b"3"}
    one.do(
        Written(b"d/c", None, one.seen(b"d/c")), Moved(b"b", b"d/c", one.seen(b"b")), Moved(b"a", b"b", one.seen(b"a"))
    )
    exchange(one, two)
    assert tree(two) == {b"b": b"2", b"d": b"<directory>", b"d/c": b"1"}


def test_a_directory_made_in_place_of_one_that_was_moved_away_is_another() -> None:
    one, two = replicas()
    one.change((b"d/x", text(b"x")))
    exchange(one, two)
    one.do(
        Moved(b"d", b"e", one.seen(b"d")),
        Written(b"d", Directory()),
        Written(b"d/y", text(b"y")),
        Written(b"e/z", text(b"z")),
    )
    exchange(one, two)
    assert tree(two) == {
        b"d": b"<directory>",
        b"d/y": b"y",
        b"e": b"<directory>",
        b"e/x": b"x",
        b"e/z": b"z",
    }


@pytest.mark.parametrize("value", [text(b"file"), Directory()], ids=["file", "directory"])
def test_a_path_may_change_its_kind(value: Value) -> None:
    one, two = replicas()
    one.change((b"a", Directory() if isinstance(value, File) else text(b"old")))
    exchange(one, two)
    one.change((b"a", value))
    exchange(one, two)
    assert tree(two) == {b"a": content_of(value)}


def test_changes_name_every_path_that_looks_different_and_no_other_that_is_shown() -> None:
    one, two, copy = conflicted()
    before = dict(two.shown)
    entries = one.change((copy, None), (b"new", text(b"n")))
    changed = two.receive(*entries)
    assert changed >= {copy, b"new"} == different(before, two.shown)
    assert not (changed - different(before, two.shown)) & two.shown.keys()


def different(before: dict[bytes, Shown], after: dict[bytes, Shown]) -> set[bytes]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_operations_of_several_entries_name_each_other() -> None:
    one, two = replicas()
    entries = one.change(*((b"d%d/f" % number, text(b"%d" % number)) for number in range(500)))
    assert len(entries) > 3
    more = [Make(None, b"top", Directory()), *(Make(Ref(None, n), b"s", Directory()) for n in range(300))]
    assert len(one.write(*more)) > 1
    exchange(one, two)
    assert two.shown == one.shown
    assert b"top/" + b"/".join([b"s"] * 300) in two.shown


UNKNOWN: Final = Ref(EntryId(b"u" * 32), 0)
HOSTILE: Final[dict[str, list[Operation]]] = {
    "unknown parent": [Make(UNKNOWN, b"x", text(b"x"))],
    "unknown node": [Move(UNKNOWN, None, b"x", ()), Write(UNKNOWN, text(b"x"), ()), Remove(UNKNOWN, (UNKNOWN,))],
    "own parent": [Make(Ref(None, 0), b"x", Directory())],
    "own parent by a move": [Make(None, b"x", Directory()), Move(Ref(None, 0), Ref(None, 0), b"x", ())],
    "cycle": [
        Make(None, b"x", Directory()),
        Make(Ref(None, 0), b"x", Directory()),
        Move(Ref(None, 0), Ref(None, 1), b"x", ()),
    ],
    "parent made later": [Make(Ref(None, 1), b"x", Directory()), Make(Ref(None, 0), b"x", Directory())],
    "a move of a move": [
        Make(None, b"x", Directory()),
        Move(Ref(None, 0), None, b"x", ()),
        Move(Ref(None, 1), None, b"y", ()),
    ],
    "replaces itself": [Make(None, b"x", text(b"x")), Write(Ref(None, 0), text(b"y"), (Ref(None, 1),))],
    "replaces what is not there": [
        Make(None, b"x", text(b"x")),
        Write(Ref(None, 0), text(b"y"), (UNKNOWN, Ref(None, 77))),
    ],
    "sees itself": [Make(None, b"x", text(b"x")), Remove(Ref(None, 0), (Ref(None, 1), UNKNOWN))],
    "another kind": [Make(None, b"x", Directory()), Write(Ref(None, 0), text(b"y"), ())],
    "an index out of bounds": [Make(Ref(None, 8000), b"x", text(b"x"))],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_operations_harm_nothing_else(name: str) -> None:
    good = [Make(None, b"good", Directory()), Make(Ref(None, 0), b"file", text(b"good"))]
    batch = [
        (EntryId(b"g" * 32), 5, LOG, FileOperations(tuple(good))),
        (EntryId(b"h" * 32), 7, LOG, FileOperations(tuple(HOSTILE[name]))),
    ]
    fs = FileTree(lambda _: "n")
    fs.apply_all(batch)
    assert {path: content_of(fs.shown[path].value) for path in (b"good", b"good/file")} == {
        b"good": b"<directory>",
        b"good/file": b"good",
    }
    other = FileTree(lambda _: "n")
    for entry in reversed(batch):
        other.apply_all([entry])
    assert (other.shown, other.snapshot(), other.refused_paths) == (fs.shown, fs.snapshot(), fs.refused_paths)


def test_an_operation_may_not_replace_or_remove_contents_of_another_node() -> None:
    (one,) = replicas(1)
    one.change((b"a", text(b"x")), (b"b", text(b"y")))
    a, b = (Ref.to(one.seen(path)[0]) for path in (b"a", b"b"))
    one.write(Remove(b, (a,)), Write(b, text(b"z"), (a, b)))
    assert tree(one) == {b"a": b"x", b"b": b"z"}


def test_a_chain_deeper_than_any_path_is_bounded() -> None:
    count = MAX_DEPTH + 50
    chain: list[Operation] = [Make(None, b"c", Directory())]
    chain += [Make(Ref(None, number), b"c", Directory()) for number in range(count)]
    fs = applied(chain)
    assert len(fs.shown) == MAX_DEPTH
    assert fs.refused_paths == count + 1 - MAX_DEPTH
    deep, top = Ref(EntryId(bytes(32)), count - 1), Ref(EntryId(bytes(32)), 0)
    fs.apply_all([(EntryId(b"m" * 32), 2, LOG, FileOperations((Move(top, deep, b"x", ()),)))])
    assert len(fs.shown) == MAX_DEPTH


def entry_id(number: int) -> EntryId:
    return EntryId(hashlib.sha256(bytes([number])).digest())


def test_what_a_void_entry_did_is_undone_and_what_it_undid_returns() -> None:
    fs = FileTree(lambda _: "n")
    first = FileOperations((Make(None, b"d", Directory()), Make(Ref(None, 0), b"f", text(b"1"))))
    node, file = Ref(entry_id(0), 0), Ref(entry_id(0), 1)
    fs.apply_all([(entry_id(0), 1, LOG, first)])
    before = dict(fs.shown)
    bad = FileOperations(
        (
            Move(node, None, b"stolen", ()),
            Write(file, text(b"2"), (file,)),
            Remove(file, (Ref(None, 1),)),
            Make(None, b"new", text(b"3")),
        )
    )
    assert fs.apply_all([(entry_id(1), 2, LOG, bad)]) == {b"d", b"d/f", b"stolen", b"new"}
    assert fs.set_void({entry_id(1): True}) >= {b"d", b"d/f", b"stolen", b"new"}
    assert fs.shown == before
    fs.set_void({entry_id(1): False})
    assert set(fs.shown) == {b"stolen", b"new"}
    again = FileTree(lambda _: "n")
    again.set_void({entry_id(1): True})
    again.apply_all([(entry_id(0), 1, LOG, first), (entry_id(1), 2, LOG, bad)])
    assert again.shown == before


def test_an_honest_edit_of_what_a_void_entry_made_is_shown_under_its_name() -> None:
    fs = FileTree(lambda _: "n")
    bad = FileOperations((Make(None, b"d", Directory()), Make(Ref(None, 0), b"f", text(b"bad"))))
    honest = FileOperations(
        (
            Write(Ref(entry_id(0), 1), text(b"honest"), (Ref(entry_id(0), 1),)),
            Make(Ref(entry_id(0), 0), b"g", text(b"too")),
        )
    )
    fs.apply_all([(entry_id(0), 1, LOG, bad), (entry_id(1), 2, LOG, honest)])
    fs.set_void({entry_id(0): True})
    assert {path: content_of(shown.value) for path, shown in fs.shown.items()} == {b"d/f": b"honest", b"d/g": b"too"}
    assert fs.is_directory(b"d")
    away = FileOperations((Move(Ref(entry_id(0), 1), None, b"away", ()),))
    fs.apply_all([(entry_id(2), 3, LOG, away)])
    assert set(fs.shown) == {b"away", b"d/g"}


def test_a_void_file_that_somebody_moved_is_not_shown() -> None:
    fs = applied([Make(None, b"f", text(b"bad"))])
    fs.apply_all([(entry_id(2), 3, LOG, FileOperations((Move(Ref(EntryId(bytes(32)), 0), None, b"g", ()),)))])
    fs.set_void({EntryId(bytes(32)): True})
    assert fs.shown == {}


def test_a_snapshot_that_was_tampered_with_is_refused() -> None:
    data = applied([Make(None, b"f", text(b"1"))]).snapshot()
    assert FileTree.load(data, lambda _: "n").snapshot() == data
    for end in range(len(data)):
        with pytest.raises(MalformedError):
            FileTree.load(data[:end], lambda _: "n")
    with pytest.raises(MalformedError):
        FileTree.load(data + b"\0", lambda _: "n")


def test_an_entry_that_is_applied_twice_counts_once() -> None:
    fs = FileTree(lambda _: "n")
    entry = (entry_id(0), 1, LOG, FileOperations((Make(None, b"f", text(b"1")),)))
    assert fs.apply_all([entry, entry]) == {b"f"}
    assert fs.apply_all([entry]) == set()
    assert len(fs.shown[b"f"].dots) == 1
