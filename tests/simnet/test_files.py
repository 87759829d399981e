import os
import sys
from pathlib import Path

import pytest

from latticework.simnet.extras import need
from latticework.simnet.files import make_folder, write_whole
from latticework.wire import LocalError

pytestmark = pytest.mark.unit


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_moved_into_place_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(LocalError, match=r"a\.json cannot be written: "):
        write_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert (path / "inside").is_dir()


def test_what_a_crash_left_does_not_stand_in_the_way_and_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_bytes(b"mine")
    path = tmp_path / "a.json"
    write_whole(path, b"one")

    (tmp_path / f".a.json.{os.getpid()}.new").symlink_to(target)
    write_whole(path, b"two")
    assert target.read_bytes() == b"mine"
    assert path.read_bytes() == b"two"


def test_a_missing_folder_and_a_file_in_its_way_are_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"none/a cannot be written: No such file"):
        write_whole(tmp_path / "none" / "a", b"")
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match=r"file/deep cannot be made a folder for results: Not a directory"):
        make_folder(tmp_path / "file" / "deep")


def test_a_missing_library_is_told_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    need("sim", "json", "json.decoder")
    monkeypatch.setitem(sys.modules, "json.decoder", None)
    with pytest.raises(LocalError, match=r'^this needs json: pip install "latticework\[sim\]"$'):
        need("sim", "json.decoder")
