"""A person is faster: the file is replaced between our look at it and the rename, and nothing of theirs is lost."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from latticework.crdt import File, Inline
from latticework.node.folders import moving, root
from latticework.node.folders.content import row_of
from latticework.node.folders.kinds import matches
from latticework.node.folders.refusals import LocalChangeError
from latticework.node.folders.root import FolderRoot
from latticework.node.store import Row

from .bare_folder import FOLDER, bare_folder, temporary

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bare_folder(tmp_path)


@pytest.fixture
def opened(folder: Path) -> Generator[FolderRoot]:
    with FolderRoot.open(folder, FOLDER) as opened:
        yield opened


def write(path: Path, text: str) -> Row:
    """Replace a file as editors do, and what a scan would remember of it."""
    beside = path.with_name("beside")
    beside.write_text(text)
    beside.rename(path)
    return row_of(File(len(text), 0, False, Inline(())), path.lstat(), ())


def after_the_look(patch: pytest.MonkeyPatch, path: Path, act: Callable[[], object]) -> None:
    """Do `act` once, right after `path` was found to be what its row says."""
    inode = path.lstat().st_ino
    waiting = [act]

    def look(row: Row, status: os.stat_result) -> bool:
        same = matches(row, status)
        if waiting and status.st_ino == inode:
            waiting.pop()()
        return same

    patch.setattr(root, "matches", look)


type Step = Callable[[FolderRoot, Path, Row], object]


def remove(opened: FolderRoot, _: Path, row: Row) -> None:
    opened.remove(b"note", row)


def install(opened: FolderRoot, _: Path, row: Row) -> None:
    opened.install(temporary(opened, b"remote"), b"note", row)


def make_directory(opened: FolderRoot, _: Path, row: Row) -> None:
    opened.make_directory(b"note", row)


def make_link(opened: FolderRoot, _: Path, row: Row) -> None:
    opened.make_link(b"link", b"target", b"note", row)


def rename_over(opened: FolderRoot, folder: Path, row: Row) -> None:
    opened.rename(b"other", b"note", write(folder / "other", "other"), row)


@pytest.mark.parametrize("step", [remove, install, make_directory, make_link, rename_over])
@pytest.mark.parametrize("by", ["a file", "a directory"])
def test_what_a_person_put_there_meanwhile_stays(
    folder: Path, opened: FolderRoot, monkeypatch: pytest.MonkeyPatch, step: Step, by: str
) -> None:
    note = folder / "note"
    row = write(note, "first")

    def replace() -> None:
        if by == "a file":
            write(note, "mine")
        else:
            note.unlink()
            note.mkdir()
            (note / "inside").write_text("mine")

    after_the_look(monkeypatch, note, replace)
    with pytest.raises(LocalChangeError):
        step(opened, folder, row)
    assert (note if by == "a file" else note / "inside").read_text() == "mine"
    assert not (folder / "other").exists() or (folder / "other").read_text() == "other"


def test_a_free_name_that_is_taken_meanwhile_is_not_overwritten(
    folder: Path, opened: FolderRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = write(folder / "old", "old")
    after_the_look(monkeypatch, folder / "old", lambda: write(folder / "new", "mine"))
    with pytest.raises(LocalChangeError, match="appeared"):
        opened.rename(b"old", b"new", row, None)
    assert (folder / "new").read_text() == "mine"
    assert (folder / "old").read_text() == "old"


def test_a_file_replaced_before_it_is_renamed_does_not_pass_for_what_was_looked_at(
    folder: Path, opened: FolderRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = write(folder / "old", "old")
    after_the_look(monkeypatch, folder / "old", lambda: write(folder / "old", "mine"))
    status = opened.rename(b"old", b"new", row, None)
    assert (folder / "new").read_text() == "mine"
    assert not matches(row_of(File(3, 0, False, Inline(())), status, ()), (folder / "new").lstat())


def test_times_and_mode_are_not_given_to_another_file(
    folder: Path, opened: FolderRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = write(folder / "note", "first")
    after_the_look(monkeypatch, folder / "note", lambda: write(folder / "note", "mine"))
    with pytest.raises(LocalChangeError):
        opened.set_times_and_mode(b"note", row, 1, executable=True)
    assert (folder / "note").lstat().st_mtime_ns != 1


def test_an_edit_right_after_a_file_was_put_there_is_seen_by_the_next_scan(
    folder: Path, opened: FolderRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_and_lose(
        old: bytes, source: int, new: bytes, target: int, known: Callable[..., None] = moving.move_to_free
    ) -> None:
        known(old, source, new, target)
        write(folder / "note", "mine")

    monkeypatch.setattr("latticework.node.folders.replacing.move_to_free", put_and_lose)
    status = opened.install(temporary(opened, b"remote"), b"note", None)
    assert status.st_ino != (folder / "note").lstat().st_ino


def test_where_names_cannot_be_exchanged_a_file_is_replaced_all_the_same(
    folder: Path, opened: FolderRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_renameat2", None)
    row = write(folder / "note", "first")
    opened.install(temporary(opened, b"remote"), b"note", row)
    opened.install(temporary(opened, b"more"), b"more", None)
    assert (folder / "note").read_text() == "remote"
    assert (folder / "more").read_text() == "more"
    with pytest.raises(LocalChangeError):
        opened.install(temporary(opened, b"again"), b"more", None)
