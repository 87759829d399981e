"""Renames travel as one operation and are renames on the other disk too."""

import os
from pathlib import Path
from typing import cast

import pytest
import trio

from .devices import Device, Pair, assert_same, contents, looked_at, tree, until

pytestmark = pytest.mark.wire


def fill(directory: Path, count: int) -> None:
    for number in range(count):
        path = directory / f"d{number % 10}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}")


def inodes(root: Path) -> dict[str, int]:
    """Inode by path beneath `root`."""
    found = [Path(directory) / name for directory, _, names in os.walk(root) for name in names]
    return {str(path.relative_to(root)): path.lstat().st_ino for path in found}


def payloads(device: Device) -> list[int]:
    """The sealed payload of every entry in bytes, in admission order."""
    with looked_at(device.database) as connection:
        rows = cast("list[tuple[int]]", connection.execute("SELECT length(payload) FROM entry ORDER BY i").fetchall())
    return [length for (length,) in rows]


async def appears(path: Path, patience_s: float = 20) -> None:
    async def there() -> bool | None:
        return await trio.Path(path).exists() or None

    await until(there, f"{path} to appear", patience_s)


async def renamed_directory(pair: Pair, count: int) -> None:
    one, two = pair.both
    fill(one.folder / "old", count)
    await pair.in_step(120)
    before, entries = inodes(two.folder / "old"), len(payloads(one))
    assert len(before) == count
    (one.folder / "old").rename(one.folder / "new")
    await appears(two.folder / "new")
    await pair.in_step(60)
    assert_same(pair)
    assert inodes(two.folder / "new") == before, "files were written anew"
    (payload,) = payloads(one)[entries:]
    assert payload < 384, "a rename of a directory is one operation: 200 bytes at most, sealed and padded"
    assert not (two.folder / "old").exists()


async def test_a_renamed_directory_is_one_operation_and_one_rename(running: Pair) -> None:
    await renamed_directory(running, 300)


@pytest.mark.long
async def test_a_renamed_directory_of_ten_thousand_files_is_one_operation(running: Pair) -> None:
    await renamed_directory(running, 10_000)


async def test_a_renamed_file_is_renamed_and_not_fetched(running: Pair) -> None:
    one, two = running.both
    (one.folder / "big").write_bytes(os.urandom(3 << 20))
    await running.in_step()
    before = (two.folder / "big").lstat().st_ino
    (one.folder / "sub").mkdir()
    (one.folder / "big").rename(one.folder / "sub" / "moved")
    await appears(two.folder / "sub" / "moved")
    await running.in_step()
    assert_same(running)
    assert (two.folder / "sub" / "moved").lstat().st_ino == before


async def test_files_and_directories_that_change_places_are_renamed(running: Pair) -> None:
    one, two = running.both
    for name in "abc":
        (one.folder / name).write_text(name)
        fill(one.folder / f"dir {name}", 12)
        (one.folder / f"dir {name}" / name).write_text(f"in {name}")
    await running.in_step()
    before = {name: inodes(two.folder / f"dir {name}") for name in "abc"}
    files = {name: (two.folder / name).lstat().st_ino for name in "abc"}
    one.suspend()
    for prefix in ("", "dir "):
        paths = [one.folder / f"{prefix}{name}" for name in "abc"]
        paths[0].rename(one.base / "aside")
        paths[1].rename(paths[0])
        paths[2].rename(paths[1])
        (one.base / "aside").rename(paths[2])
    one.resume()
    await running.in_step()
    assert_same(running)
    assert {name: (two.folder / name).lstat().st_ino for name in "abc"} == {
        "a": files["b"],
        "b": files["c"],
        "c": files["a"],
    }
    assert {name: inodes(two.folder / f"dir {name}") for name in "abc"} == {
        "a": before["b"],
        "b": before["c"],
        "c": before["a"],
    }


async def test_a_directory_moved_into_one_that_takes_its_name(running: Pair) -> None:
    one, two = running.both
    fill(one.folder / "d", 20)
    await running.in_step()
    before = inodes(two.folder / "d")
    one.suspend()
    (one.folder / "d").rename(one.base / "aside")
    (one.folder / "d").mkdir()
    (one.base / "aside").rename(one.folder / "d" / "old")
    (one.folder / "d" / "new").write_text("new")
    one.resume()
    await running.in_step()
    assert_same(running)
    assert inodes(two.folder / "d" / "old") == before


async def apart(pair: Pair) -> None:
    """Stop `two`, so that what follows on both is concurrent."""
    await pair.in_step()
    await pair.two.stop()


async def together(pair: Pair) -> None:
    await pair.two.start()
    await pair.in_step(40)
    assert_same(pair)


async def test_concurrent_renames_to_two_names_end_in_one(running: Pair) -> None:
    one, two = running.both
    fill(one.folder / "d", 30)
    await apart(running)
    (two.folder / "d").rename(two.folder / "by two")
    (one.folder / "d").rename(one.folder / "by one")
    await appears_in_tree(one)
    await together(running)
    (name,) = (path.name for path in one.folder.iterdir() if path.name != ".lattice")
    assert name in {"by one", "by two"}
    assert len(inodes(one.folder / name)) == 30


async def appears_in_tree(device: Device) -> None:
    """Wait until the folder of `device` has no change that is not published."""
    await device.ask("rescan")

    async def still() -> bool | None:
        status = await device.folder_status()
        return (status["state"] == "in step") or None

    await until(still, "a quiet folder", 20)


async def test_an_edit_on_one_side_follows_the_rename_on_the_other(running: Pair) -> None:
    one, two = running.both
    fill(one.folder / "d", 30)
    await apart(running)
    (two.folder / "d" / "d1" / "f1").write_text("edited")
    (two.folder / "d" / "d1" / "added").write_text("added")
    (two.folder / "d" / "d2" / "f2").unlink()
    (one.folder / "d").rename(one.folder / "e")
    await appears_in_tree(one)
    await together(running)
    assert not (one.folder / "d").exists()
    assert (one.folder / "e" / "d1" / "f1").read_text() == "edited"
    assert (one.folder / "e" / "d1" / "added").read_text() == "added"
    assert not (one.folder / "e" / "d2" / "f2").exists()


async def test_directories_renamed_into_each_other_converge_and_lose_nothing(running: Pair) -> None:
    one, two = running.both
    fill(one.folder / "a", 20)
    (one.folder / "b").mkdir()
    (one.folder / "b" / "in b").write_text("in b")
    await apart(running)
    before = contents(one.folder)
    (one.folder / "a").rename(one.folder / "b" / "a")
    (two.folder / "b").rename(two.folder / "a" / "b")
    await appears_in_tree(one)
    await together(running)
    assert contents(one.folder) == before
    assert len(inodes(one.folder)) - len(inodes(one.folder / ".lattice")) == 21


async def test_both_sides_rename_and_fill_one_name(running: Pair) -> None:
    """Two directories become one: what was renamed there is merged with what is there."""
    one, two = running.both
    fill(one.folder / "d", 20)
    await apart(running)
    (one.folder / "d").rename(one.folder / "e")
    (two.folder / "e").mkdir()
    (two.folder / "e" / "of two").write_text("of two")
    await appears_in_tree(one)
    await together(running)
    assert (one.folder / "e" / "of two").read_text() == "of two"
    assert len(inodes(one.folder / "e")) == 21


async def test_a_rename_that_overwrites_a_file_replaces_it(running: Pair) -> None:
    one, two = running.both
    (one.folder / "a").write_text("a")
    (one.folder / "b").write_text("b")
    (one.folder / "much").write_text("m" * 1000)
    await running.in_step()
    before = (two.folder / "a").lstat().st_ino
    (one.folder / "a").rename(one.folder / "b")
    await running.in_step()
    assert_same(running)
    assert tree(two.folder, times=False).keys() == {b"b", b"much"}
    assert (two.folder / "b").read_text() == "a"
    assert (two.folder / "b").lstat().st_ino == before
    assert [path.read_text() for path in (two.folder / ".lattice" / "previous").iterdir()] == ["b"]


async def test_a_node_killed_between_a_rename_and_its_record_heals(running: Pair) -> None:
    one, two = running.both
    fill(one.folder / "d", 20)
    await apart(running)
    (one.folder / "d").rename(one.folder / "e")
    await appears_in_tree(one)
    entries = len(payloads(one))
    # As a kill would leave it: the disk is renamed, the rows of `two` are not.
    (two.folder / "d").rename(two.folder / "e")
    await together(running)
    assert len(payloads(one)) <= entries + 2
    assert len(inodes(one.folder / "e")) == 20


async def test_what_is_moved_in_from_outside_and_out_again_is_made_and_removed(running: Pair) -> None:
    one, two = running.both
    outside = one.base / "outside"
    fill(outside, 10)
    outside.rename(one.folder / "in")
    await running.in_step()
    assert_same(running)
    assert len(inodes(two.folder / "in")) == 10
    (one.folder / "in").rename(outside)
    with trio.fail_after(30):
        await running.in_step()
    assert tree(two.folder) == {}


async def test_copied_and_hard_linked_files_are_no_moves(running: Pair) -> None:
    one, two = running.both
    (one.folder / "a").write_text("a")
    await running.in_step()
    os.link(one.folder / "a", one.folder / "b")
    await running.in_step()
    assert_same(running)
    assert sorted(path.name for path in two.folder.iterdir()) == [".lattice", "a", "b"]
