"""`lattice sim plot`."""

from pathlib import Path
from typing import cast

import pytest

from .tiny import lattice, object_of, written

pytestmark = pytest.mark.sim


def test_the_figures_of_a_saved_run_are_drawn_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    lattice(capsys, "run", written(tmp_path), "--out", str(out))
    before = {path: path.read_bytes() for path in out.glob("*.png")}
    for path in before:
        path.unlink()
    code, printed, err = lattice(capsys, "plot", str(out), "--json")
    assert (code, err) == (0, "")
    assert {Path(path) for path in cast("list[str]", object_of(printed)["figures"])} == before.keys()
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_without_a_result_is_exit_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = lattice(capsys, "plot", str(tmp_path))
    assert code == 2
    assert "result.npz cannot be read" in err
