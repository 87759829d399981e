"""Folders of two devices without a network: what is asked of the other, what becomes of void content, and any order."""

import os
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast, final, override

import pytest
import trio
import trio.testing

from latticework.crdt import FileOperations, Move, Remove
from latticework.node.folders.ports import Deliver, LocalMove, LocalMoves
from latticework.node.store import DiskChange, DiskMoves
from latticework.simnet import InlineThreads
from latticework.wire import ChunkId, encode

from .devices import Dice, contents, tree
from .edits import Editor
from .folder_world import Side, World

pytestmark = pytest.mark.sim


@pytest.fixture
async def world(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> AsyncGenerator[World]:
    del autojump_clock
    made = World(tmp_path)
    async with trio.open_nursery() as nursery:
        for name in ("alpha", "beta"):
            side = made.side(name)
            nursery.start_soon(side.run_space)
            await nursery.start(side.run_folder)
        made.nursery = nursery
        yield made
        nursery.cancel_scope.cancel()


def fill(directory: Path, count: int) -> None:
    for number in range(count):
        path = directory / f"d{number % 10}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}")


def entries(side: Side) -> int:
    return len(list(side.store.entries()))


async def test_a_renamed_directory_is_one_operation_and_asks_nobody_for_anything(world: World) -> None:
    alpha, beta = world.sides
    fill(alpha.folder / "old", 2000)
    await world.in_step()
    assert beta.files() == alpha.files()
    assert len(beta.asked) == 2000
    before, asked, written = beta.inodes(), len(beta.asked), entries(alpha)
    (alpha.folder / "old").rename(alpha.folder / "new")
    await world.in_step()
    assert beta.inodes() == {path.replace("old/", "new/"): inode for path, inode in before.items()}
    assert len(beta.asked) == asked
    (operation,) = alpha.operations(written)
    assert isinstance(operation, Move)
    assert len(encode(FileOperations((operation,)))) < 200
    assert beta.operations(written) == [operation]
    assert alpha.store.rows().keys() == beta.store.rows().keys()


async def test_whatever_is_renamed_is_asked_of_nobody(world: World) -> None:
    alpha, beta = world.sides
    for name in "abc":
        (alpha.folder / name).write_text(name)
        fill(alpha.folder / f"dir {name}", 12)
    await world.in_step()
    asked = len(beta.asked)
    for prefix in ("", "dir "):
        paths = [alpha.folder / f"{prefix}{name}" for name in "abc"]
        paths[0].rename(alpha.folder / "aside")
        paths[1].rename(paths[0])
        paths[2].rename(paths[1])
        (alpha.folder / "aside").rename(paths[2])
    (alpha.folder / "x" / "y").mkdir(parents=True)
    (alpha.folder / "dir a").rename(alpha.folder / "x" / "y" / "z")
    (alpha.folder / "dir b" / "d1").rename(alpha.folder / "d1")
    (alpha.folder / "dir b").rename(alpha.folder / "d1" / "dir b")
    await world.in_step()
    assert beta.files() == alpha.files()
    assert len(beta.asked) == asked


async def test_files_and_a_directory_that_wait_for_each_others_places_are_renamed(world: World) -> None:
    alpha, beta = world.sides
    fill(alpha.folder / "f", 3)
    (alpha.folder / "g").mkdir()
    (alpha.folder / "g" / "c").write_text("to c")
    (alpha.folder / "c").write_text("into the directory")
    await world.in_step()
    asked, before = len(beta.asked), beta.inodes()
    (alpha.folder / "c").rename(alpha.folder / "aside")
    (alpha.folder / "g" / "c").rename(alpha.folder / "c")
    (alpha.folder / "f").rename(alpha.folder / "g" / "c")
    (alpha.folder / "aside").rename(alpha.folder / "g" / "c" / "h")
    await world.in_step()
    assert beta.files() == alpha.files()
    assert len(beta.asked) == asked
    after = beta.inodes()
    assert (after["c"], after["g/c/h"]) == (before["g/c"], before["c"])


async def test_a_rename_meets_unpublished_changes_and_nothing_is_lost(world: World) -> None:
    """What beta has not scanned yet is beneath the directory that alpha renames."""
    alpha, beta = world.sides
    fill(alpha.folder / "d", 20)
    await world.in_step()
    (beta.folder / "d" / "d1" / "f1").write_text("edited")
    (beta.folder / "d" / "d1" / "added").write_text("added")
    (beta.folder / "d" / "d2" / "f2").unlink()
    (beta.folder / "d" / "d3").rename(beta.folder / "away")
    (alpha.folder / "d").rename(alpha.folder / "e")
    await alpha.settle()
    await beta.hear(alpha)
    await beta.settle(rescan=False)
    await world.in_step()
    assert alpha.files() == beta.files()
    files = alpha.files()
    assert (files["e/d1/f1"], files["e/d1/added"]) == ("edited", "added")
    assert "e/d2/f2" not in files
    assert files["away/f3"] == "content 3"
    assert len(files) == 20


@final
class SlowReading:
    """Threads on which what a person changed takes as long to read as the test wishes."""

    def __init__(self) -> None:
        self.reading = trio.Event()
        self.go_on = trio.Event()

    async def run[T](self, work: Callable[[], T]) -> T:
        result = await InlineThreads().run(work)
        if isinstance(work, partial) and getattr(cast("object", work.func), "__name__", "") == "_read":
            self.reading.set()
            await self.go_on.wait()
        return result


async def test_a_rename_while_changes_are_read_does_not_bring_the_old_directory_back(world: World) -> None:
    """What was read at its old path is published at the new one, and nothing of it is taken for deleted."""
    alpha, beta = world.sides
    fill(alpha.folder / "d", 20)
    await world.in_step()
    await beta.stop_folder()
    beta.threads = slow = SlowReading()
    (beta.folder / "d" / "d1" / "f1").write_text("edited")
    (beta.folder / "d" / "d1" / "added").write_text("added")
    (alpha.folder / "d").rename(alpha.folder / "e")
    await alpha.settle()
    await world.nursery.start(beta.run_folder)
    await slow.reading.wait()
    await beta.hear(alpha)
    while (beta.folder / "d").exists():  # noqa: ASYNC110  # an engine has no event for one rename
        await trio.sleep(0.01)
    slow.go_on.set()
    await world.in_step()
    assert not (alpha.folder / "d").exists()
    assert not (beta.folder / "d").exists()
    assert alpha.files() == beta.files()
    assert (alpha.files()["e/d1/f1"], alpha.files()["e/d1/added"], len(alpha.files())) == ("edited", "added", 21)


async def test_what_is_being_brought_counts_as_pending_until_the_disk_shows_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are told this number: none of it may be missing while a round is under way."""
    alpha, beta = world.sides
    fill(alpha.folder / "d", 20)
    await world.in_step()
    (alpha.folder / "d").rename(alpha.folder / "e")
    (alpha.folder / "new").write_text("new")
    await alpha.settle()
    seen: list[int] = []
    record = beta.space.record

    async def watched(changes: Sequence[DiskChange | DiskMoves]) -> None:
        seen.append(beta.ledger.pending_count)
        await record(changes)

    monkeypatch.setattr(beta.space, "record", watched)
    await beta.hear(alpha)
    await beta.settle(rescan=False)
    assert alpha.files() == beta.files()
    assert len(seen) >= 2
    assert all(seen)
    assert beta.ledger.pending_count == 0


async def test_the_rename_of_the_other_that_we_did_too_is_adopted(world: World) -> None:
    """Also what a kill between a rename and its record leaves behind."""
    alpha, beta = world.sides
    fill(alpha.folder / "d", 20)
    await world.in_step()
    asked = len(beta.asked)
    await beta.stop_folder()
    (alpha.folder / "d").rename(alpha.folder / "e")
    await alpha.settle()
    await beta.hear(alpha)
    (beta.folder / "d").rename(beta.folder / "e")
    written = entries(beta)
    await world.nursery.start(beta.run_folder)
    await world.in_step()
    assert alpha.files() == beta.files()
    assert len(beta.asked) == asked
    assert beta.operations(written) == []


async def test_a_directory_that_is_in_the_way_is_merged(world: World) -> None:
    alpha, beta = world.sides
    fill(alpha.folder / "d", 20)
    await world.in_step()
    asked = len(beta.asked)
    (beta.folder / "e").mkdir()
    (beta.folder / "e" / "of beta").write_text("of beta")
    (alpha.folder / "d").rename(alpha.folder / "e")
    await alpha.settle()
    await beta.hear(alpha)
    await beta.settle(rescan=False)
    await world.in_step()
    assert alpha.files() == beta.files()
    assert len(alpha.files()) == 21
    assert len(beta.asked) == asked


async def test_a_directory_made_anew_under_a_reused_inode_is_no_rename(world: World) -> None:
    alpha, beta = world.sides
    fill(alpha.folder / "d", 5)
    await world.in_step()
    written = entries(alpha)
    shutil.rmtree(alpha.folder / "d")
    for number in range(20):
        (alpha.folder / f"new {number}").mkdir()
    await world.in_step()
    assert not any(isinstance(operation, Move) for operation in alpha.operations(written))
    assert sorted(path.name for path in beta.folder.iterdir()) == sorted(path.name for path in alpha.folder.iterdir())


async def test_void_content_becomes_a_copy_and_is_published_as_ours(world: World) -> None:
    """Decision 27: it never disappears from disk."""
    alpha, beta = world.sides
    (alpha.folder / "sub").mkdir()
    (alpha.folder / "sub" / "note.txt").write_text("void")
    (beta.folder / "honest").write_text("honest")
    await world.in_step()
    inode = beta.inodes()["sub/note.txt"]
    written = entries(beta)
    await beta.hear_of_a_fork(alpha, 1)
    await beta.settle(rescan=False)
    (copy,) = beta.files().keys() - {"honest"}
    assert copy.startswith("sub/note (alpha, 2027-01-15 08-")
    assert copy.endswith(").txt")
    assert beta.inodes()[copy] == inode
    assert beta.files() == {"honest": "honest", copy: "void"}
    assert len(beta.operations(written)) > 0
    await world.in_step()
    assert alpha.files() == beta.files() == {"honest": "honest", copy: "void"}
    assert not (beta.folder / ".lattice" / "previous").exists()


async def test_a_void_edit_becomes_a_copy_beside_what_it_replaced(world: World) -> None:
    alpha, beta = world.sides
    (beta.folder / "note.txt").write_text("first")
    await world.in_step()
    (alpha.folder / "note.txt").write_text("void")
    await world.in_step()
    (alpha.folder / "saved").write_text("first")
    await world.in_step()
    await beta.hear_of_a_fork(alpha, 1)
    await beta.settle(rescan=False)
    files = beta.files()
    edit, saved = sorted(files.keys() - {"note.txt"})
    assert edit.startswith("note (alpha, ")
    assert saved.startswith("saved (alpha, ")
    assert (files["note.txt"], files[edit], files[saved]) == ("first", "void", "first")
    await world.in_step()
    assert alpha.files() == beta.files() == files


async def test_a_kill_while_void_files_are_set_aside_heals(world: World) -> None:
    alpha, beta = world.sides
    for number in range(4):
        (alpha.folder / f"note{number}").write_text(f"void {number}")
    await world.in_step()
    await beta.stop_folder()
    await beta.hear_of_a_fork(alpha, 1)
    # One was renamed and not recorded; another was linked and not unlinked.
    (beta.folder / "note0").rename(beta.folder / "note0 (alpha, 2027-01-15 08-00-00)")
    os.link(beta.folder / "note1", beta.folder / "note1 (alpha, 2027-01-15 08-00-00)")
    await world.nursery.start(beta.run_folder)
    await beta.settle()
    assert sorted(set(beta.files().values())) == [f"void {number}" for number in range(4)]
    assert not {f"note{number}" for number in range(4)} & beta.files().keys()


async def test_a_void_file_that_was_edited_here_stays_where_it_is(world: World) -> None:
    alpha, beta = world.sides
    (alpha.folder / "note").write_text("void")
    await world.in_step()
    (beta.folder / "note").write_text("void, and edited by an honest person")
    await beta.hear_of_a_fork(alpha, 1)
    await beta.settle()
    assert beta.files() == {"note": "void, and edited by an honest person"}
    await world.in_step()
    assert alpha.files()["note"] == "void, and edited by an honest person"


async def test_what_a_rename_left_without_a_valid_path_stays_on_disk(world: World) -> None:
    """Two renames that are fine by themselves make a path too long together; nobody loses the files beneath."""
    alpha, beta = world.sides
    half = Path(*["x" * 250] * 8)
    (alpha.folder / "a").mkdir()
    (alpha.folder / "b").mkdir()
    fill(alpha.folder / "b" / "deep", 3)
    await world.in_step()
    for side, name in ((alpha, "a"), (beta, "b")):
        (side.folder / half).mkdir(parents=True)
        (side.folder / name).rename(side.folder / half / name)
    await world.in_step()
    (alpha.folder / half / "a").rename(alpha.folder / "a")
    await world.in_step()
    await alpha.settle()
    (alpha.folder / "a").rename(alpha.folder / half / "a")
    await alpha.settle()
    (beta.folder / half / "b").rename(beta.folder / "a" / "b")
    await beta.settle()
    before = contents(beta.folder)
    await alpha.hear(beta)
    await beta.hear(alpha)
    for side in world.sides:
        await side.settle(rescan=False)
        assert contents(side.folder) >= before


async def test_a_directory_that_moves_into_one_that_is_itself_to_move_takes_nothings_place(world: World) -> None:
    """What stands in the moved directory under that name must not be taken for the one that came first."""
    alpha, beta = world.sides
    (alpha.folder / "g").mkdir()
    (alpha.folder / "b").mkdir()
    (alpha.folder / "g" / "kept").write_text("kept")
    (alpha.folder / "b" / "inside").write_text("inside")
    await world.in_step()
    (beta.folder / "b").rename(beta.folder / "g" / "c")
    await beta.settle()
    (alpha.folder / "g" / "c").write_text("precious")
    await alpha.settle()
    (beta.folder / "e").mkdir()
    (beta.folder / "g").rename(beta.folder / "e" / "a")
    await beta.settle()
    await world.in_step()
    assert alpha.files() == beta.files()
    assert sorted(alpha.files().values()) == ["inside", "kept", "precious"]


async def test_what_is_taken_back_while_its_removal_waits_for_the_disk_stays(world: World) -> None:
    alpha, beta = world.sides
    (alpha.folder / "note").write_text("precious")
    await world.in_step()
    (alpha.folder / "note").unlink()
    await alpha.settle()
    async with beta.ledger.disk:
        await beta.hear(alpha)
        await trio.sleep(0.05)  # the removal is decided, and waits
        row = beta.ledger.rows[b"note"]
        rows = await beta.space.publish([], beta.ledger.rows, LocalMoves((LocalMove(b"note", b"note", row),)))
        for path, after in rows.items():
            beta.ledger.set_row(path, after)
    await world.in_step()
    assert alpha.files() == beta.files() == {"note": "precious"}


async def test_what_is_taken_back_while_another_version_is_fetched_is_not_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, beta = world.sides
    (beta.folder / "note").write_text("first")
    await world.in_step()
    (alpha.folder / "note").write_text("second")
    await alpha.settle()
    fetched = trio.Event()
    fetch = beta.fetch

    async def late(wanted: Mapping[ChunkId, int], deliver: Deliver) -> None:
        await fetch(wanted, deliver)
        await fetched.wait()

    monkeypatch.setattr(beta, "fetch", late)
    await beta.hear(alpha)
    await trio.sleep(0.05)
    (alpha.folder / "note").write_text("third")
    await alpha.settle()
    await beta.hear(alpha)
    fetched.set()
    await beta.settle(rescan=False)
    assert beta.files() == {"note": "third"}
    await world.in_step()
    assert alpha.files() == beta.files() == {"note": "third"}


class Mover(Editor):
    """Somebody who mostly tidies up."""

    @override
    def edit(self, count: int) -> None:
        actions = [
            self._write,
            self._write,
            self._append,
            self._delete,
            self._mkdir,
            self._rename,
            self._rename_directory,
            self._rename_directory,
            self._rename_directory,
            self._swap,
            self._swap,
        ]
        for _ in range(count):
            with suppress(OSError):
                self._dice.pick(actions)()

    def _swap(self) -> None:
        one, two = self._existing(self._dice.pick(["f", "d"])), self._existing(self._dice.pick(["f", "d"]))
        if one is None or two is None or one.is_relative_to(two) or two.is_relative_to(one):
            return
        aside = self._folder / f".lattice-swap-{self._name}.tmp"
        one.rename(aside)
        two.rename(one)
        aside.rename(two)


async def random_rounds(world: World, rounds: int, editor_of: type[Editor]) -> None:
    dice = Dice("folders")
    editors = [editor_of(side.folder, dice, side.name) for side in world.sides]
    for number in range(rounds):
        for side, editor in zip(world.sides, editors, strict=True):
            editor.edit(dice.below(6))
            if dice.below(3):
                await side.settle()
            if dice.below(2):
                (other,) = (each for each in world.sides if each is not side)
                await side.hear(other)
                if dice.below(2):
                    await side.settle(rescan=False)
        if dice.below(8) == 0:
            victim = dice.pick(world.sides)
            await victim.stop_folder()
            await world.nursery.start(victim.run_folder)
        if number % 4 == 3:
            await world.in_step()
            left, right = (tree(side.folder) for side in world.sides)
            assert left == right, f"round {number}"
            lost = Editor.kept(editors) - contents(*(side.folder for side in world.sides))
            assert not lost, f"round {number}: {len(lost)} contents are gone: {sorted(lost)[:5]}"
            for side in world.sides:
                assert side.ledger.rows == side.store.rows()


async def test_a_file_takes_the_place_of_the_directory_that_it_stands_in(world: World) -> None:
    alpha, beta = world.sides
    (alpha.folder / "a/b").mkdir(parents=True)
    (alpha.folder / "a/b/f").write_text("content")
    await world.in_step()
    (beta.folder / "a/b/f").rename(beta.folder / "f")
    (beta.folder / "a/b").rmdir()
    (beta.folder / "f").rename(beta.folder / "a/b")
    await world.in_step()
    assert alpha.files() == beta.files() == {"a/b": "content"}
    assert not alpha.ledger.pending


async def test_a_directory_takes_the_place_of_the_one_that_it_stands_in(world: World) -> None:
    alpha, beta = world.sides
    (alpha.folder / "a/b").mkdir(parents=True)
    (alpha.folder / "a/b/f").write_text("content")
    await world.in_step()
    (beta.folder / "a/b").rename(beta.folder / "b")
    (beta.folder / "a").rmdir()
    (beta.folder / "b").rename(beta.folder / "a")
    await world.in_step()
    assert alpha.files() == beta.files() == {"a/f": "content"}
    assert not alpha.ledger.pending


async def test_random_edits_and_renames_converge_and_lose_nothing(world: World) -> None:
    await random_rounds(world, 12, Editor)


@pytest.mark.long
async def test_very_many_random_edits_and_renames_converge_and_lose_nothing(world: World) -> None:
    await random_rounds(world, int(os.environ.get("LATTICE_ROUNDS", "3000")), Editor)


async def test_random_moves_converge_and_lose_nothing(world: World) -> None:
    await random_rounds(world, 12, Mover)


@pytest.mark.long
async def test_many_random_moves_converge_and_lose_nothing(world: World) -> None:
    await random_rounds(world, int(os.environ.get("LATTICE_ROUNDS", "3000")), Mover)


async def test_a_deletion_of_a_moved_file_is_a_removal(world: World) -> None:
    alpha, beta = world.sides
    (alpha.folder / "a").write_text("a")
    await world.in_step()
    (alpha.folder / "a").rename(alpha.folder / "b")
    await world.in_step()
    written = entries(beta)
    (beta.folder / "b").unlink()
    await world.in_step()
    assert alpha.files() == {}
    (removal,) = alpha.operations(written)
    assert isinstance(removal, Remove)
    assert len(removal.seen) == 2, "the content and the move"
