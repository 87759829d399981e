import os
from pathlib import Path

import pytest

from latticework.crdt import Dot, File, Inline
from latticework.node.folders.content import Found, row_of
from latticework.node.folders.ports import LocalChange
from latticework.node.rows import is_untouched
from latticework.node.store import Row
from latticework.wire import EntryId

pytestmark = pytest.mark.unit

DOTS = (Dot(EntryId(bytes(32)), 0),)


def value(path: Path) -> File:
    status = path.lstat()
    return File(status.st_size, status.st_mtime_ns, bool(status.st_mode & 0o100), Inline(()))


def recorded(path: Path) -> Row:
    return row_of(value(path), path.lstat(), DOTS)


def change(path: Path, row: Row | None) -> LocalChange:
    return LocalChange(b"note", Found(b"note", value(path), path.lstat(), ()), row)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note"
    path.write_text("text")
    return path


def test_a_second_link_to_a_file_is_no_edit(note: Path, tmp_path: Path) -> None:
    """Our own link into `.lattice/previous` changes the change time; a deletion that failed after it stays one."""
    row = recorded(note)
    os.link(note, tmp_path / "link")
    assert row.ctime_ns != note.lstat().st_ctime_ns
    assert is_untouched(change(note, row))


def test_another_time_or_mode_is_an_edit(note: Path) -> None:
    row = recorded(note)
    os.utime(note, ns=(1, 1))
    assert not is_untouched(change(note, row))
    row = recorded(note)
    note.chmod(0o755)
    assert not is_untouched(change(note, row))


def test_a_path_that_no_head_stands_for_is_not_settled_so(note: Path) -> None:
    assert not is_untouched(change(note, recorded(note)._replace(dots=())))
    assert not is_untouched(change(note, None))
    assert not is_untouched(LocalChange(b"note", None, recorded(note)))
