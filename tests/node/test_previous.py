import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from latticework.crdt import File, Inline
from latticework.node.folders.content import row_of
from latticework.node.folders.previous import trim_previous
from latticework.node.folders.refusals import LocalChangeError
from latticework.node.folders.root import FolderRoot
from latticework.node.store import Row

from .bare_folder import FOLDER, bare_folder, temporary

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bare_folder(tmp_path)


def row(path: Path) -> Row:
    return row_of(File(0, 0, False, Inline(())), path.lstat(), ())


def kept(folder: Path) -> dict[str, str]:
    found = sorted((folder / ".lattice" / "previous").iterdir())
    return {path.name.partition(" ")[2]: path.read_text() for path in found}


def test_a_replaced_file_is_kept_and_only_its_last_version(folder: Path) -> None:
    note = folder / "note.txt"
    note.write_text("first")
    with FolderRoot.open(folder, FOLDER) as root:
        root.install(temporary(root, b"second"), b"note.txt", row(note))
        assert note.read_text() == "second"
        assert kept(folder) == {"note.txt": "first"}
        root.install(temporary(root, b"third"), b"note.txt", row(note))
    assert kept(folder) == {"note.txt": "second"}


def test_a_deleted_file_is_kept(folder: Path) -> None:
    note = folder / "note.txt"
    note.write_text("text")
    with FolderRoot.open(folder, FOLDER) as root:
        root.remove(b"note.txt", row(note))
    assert not note.exists()
    assert kept(folder) == {"note.txt": "text"}


def test_a_file_that_changed_meanwhile_is_neither_replaced_nor_removed_nor_kept(folder: Path) -> None:
    note = folder / "note.txt"
    note.write_text("text")
    old = row(note)
    note.write_text("other text")
    with FolderRoot.open(folder, FOLDER) as root:
        with pytest.raises(LocalChangeError):
            root.install(temporary(root, b"new"), b"note.txt", old)
        with pytest.raises(LocalChangeError):
            root.remove(b"note.txt", old)
    assert note.read_text() == "other text"
    assert not (folder / ".lattice" / "previous").exists()


@pytest.fixture
def nobody() -> Generator[Path]:
    """A directory that anyone may enter, and a user without privileges, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o777)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(scratch)
        finally:
            os.seteuid(before)


def test_a_deletion_that_the_disk_refuses_touches_nothing(nobody: Path) -> None:
    folder = nobody / "folder"
    FolderRoot.create(folder, FOLDER)
    note = folder / "sub" / "note.txt"
    note.parent.mkdir()
    note.write_text("text")
    before = row(note)
    note.parent.chmod(0o555)
    try:
        with FolderRoot.open(folder, FOLDER) as root:
            for _ in range(2):
                with pytest.raises(PermissionError):
                    root.remove(b"sub/note.txt", before)
    finally:
        note.parent.chmod(0o755)
    assert row(note) == before


def test_the_versions_that_went_first_are_dropped_beyond_the_budget(folder: Path) -> None:
    with FolderRoot.open(folder, FOLDER) as root:
        for number in range(5):
            path = folder / f"{number}"
            path.write_text("x" * 100)
            root.remove(str(number).encode(), row(path))
        trim_previous(root, 250)
        assert len(kept(folder)) == 2
        trim_previous(root, 0)
    assert kept(folder) == {}


def test_a_version_that_does_not_fit_takes_no_other_with_it(folder: Path) -> None:
    with FolderRoot.open(folder, FOLDER) as root:
        for name, size in (("old", 50), ("huge", 5000), ("new", 50)):
            path = folder / name
            path.write_text("x" * size)
            root.remove(name.encode(), row(path))
        trim_previous(root, 150)
    assert kept(folder).keys() == {"old", "new"}
