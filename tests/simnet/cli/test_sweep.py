"""`lattice sim sweep`: which runs it makes, keeps and shows."""

import csv
from pathlib import Path
from typing import cast

import pytest

from latticework.simnet.cli.sweep import read_axis
from latticework.simnet.scenario_keys import Toml
from latticework.wire import LocalError

from .tiny import TINY, lattice, object_of, written

pytestmark = pytest.mark.sim


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("mesh.d=4,6,8", ("mesh.d", (4, 6, 8))),
        ("mesh.d = 4", ("mesh.d", (4,))),
        ("links.loss=0,0.1", ("links.loss", (0, 0.1))),
        ("run.until=20s, 1min", ("run.until", ("20s", "1min"))),
        ("nodes.peers.role=silent,censor", ("nodes.peers.role", ("silent", "censor"))),
        ('links.uniform=[["1ms", "2ms"], ["3ms", "4ms"]]', ("links.uniform", (["1ms", "2ms"], ["3ms", "4ms"]))),
    ],
)
def test_an_axis_is_a_name_and_values(text: str, axis: tuple[str, tuple[Toml, ...]]) -> None:
    assert read_axis(text) == axis


@pytest.mark.parametrize("text", ["mesh.d", "mesh.d=", "=4", "mesh.d=[]"])
def test_an_axis_without_values_is_refused(text: str) -> None:
    with pytest.raises(LocalError):
        read_axis(text)


def test_a_sweep_makes_every_run_keeps_it_and_shows_intervals(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, TINY + "[sweep]\nmesh.d = [6, 8]\nseeds = 3\n")
    out = tmp_path / "out"
    words = ("sweep", path, "--set", "nodes.peers.count=30", "--workers", "1", "--out", str(out))
    code, printed, err = lattice(capsys, *words, "--json")
    told = object_of(printed)
    assert (code, err) == (0, "")
    points = cast("list[dict[str, object]]", told["points"])
    rows = cast("list[dict[str, object]]", told["rows"])
    assert [point["settings"] for point in points] == [{"mesh.d": 6}, {"mesh.d": 8}]
    assert points[0]["coverage"] == {"mean": 1.0, "half": 0.0, "runs": 3}
    assert [(row["settings"], row["seed"], row["delivered"]) for row in rows] == [
        ({"mesh.d": d}, seed, 4 * 29) for d in (6, 8) for seed in (1, 2, 3)
    ]
    with (out / "sweep.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["mesh.d"], row["seed"], row["coverage"]) for row in table][:2] == [
        ("6", "1", "1.0"),
        ("6", "2", "1.0"),
    ]
    assert {file.name for file in out.glob("*.png")} == {f"sweep-{n}.png" for n in ("coverage", "p50_ms", "p99_ms")}
    # Every run is there already: nothing is left for a second sweep to do but to show it.
    code, printed, _ = lattice(capsys, *words)
    assert code == 0
    assert printed.splitlines()[0].split() == ["mesh.d", "coverage", "median", "ms", "99", "%", "ms"]
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["6", "8"]


def test_a_combination_that_cannot_be_is_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("sweep", written(tmp_path), "--sweep", "mesh.d=6,99", "--workers", "1")
    code, out, _ = lattice(capsys, *words, "--json")
    rows = cast("list[dict[str, object]]", object_of(out)["rows"])
    assert (code, rows[0]["error"]) == (1, "")
    assert str(rows[1]["error"]).startswith("setting mesh.d: scenario 'tiny': the mesh needs")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sweep", "mesh.d"), "'mesh.d' is no setting such as mesh.d=8"),
        (("--seeds", "0"), "a sweep needs at least one seed"),
        (("--executor", "dask", "--workers", "2"), "the workers are those of the Dask cluster"),
        (("--executor", "mpi"), "argument --executor: invalid choice: 'mpi'"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    code, out, err = lattice(capsys, "sweep", written(tmp_path), *words)
    assert (code, out) == (2, "")
    assert told in err
