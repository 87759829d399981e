import os
import subprocess
import sys
from pathlib import Path

import pytest

from .two_nodes import story

pytestmark = pytest.mark.sim


def test_two_nodes_send_the_same_bytes_in_two_runs_from_one_seed(tmp_path: Path) -> None:
    first, one, two = story(b"seed 1", tmp_path / "first")
    again, _, _ = story(b"seed 1", tmp_path / "again")
    assert first.frame_count > 50
    assert first.frames == again.frames
    assert first.digest == again.digest
    assert one == two


def test_another_seed_sends_other_bytes_and_ends_with_the_same_files(tmp_path: Path) -> None:
    first, one, _ = story(b"seed 1", tmp_path / "first")
    other, _, two = story(b"seed 2", tmp_path / "other")
    assert first.digest != other.digest
    assert sorted(one.values()) == sorted(two.values())


def test_both_sides_of_a_conflict_are_kept_on_both_sides(tmp_path: Path) -> None:
    _, one, two = story(b"seed 3", tmp_path)
    assert one == two
    assert {"from one", "from two"} <= set(one.values())
    assert "dir-0/file-0.txt" not in one


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_bytes_do_not_depend_on_the_hash_seed(hash_seed: str, tmp_path: Path) -> None:
    here, _, _ = story(b"seed 4", tmp_path)
    program = Path(__file__).with_name("two_nodes.py")
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    there = subprocess.run(
        [sys.executable, str(program), "seed 4"], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.digest.hex()
