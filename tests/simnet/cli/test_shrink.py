"""`lattice sim shrink`."""

from pathlib import Path

import pytest

from latticework.simnet.scenario_file import read_scenario, scenario_of

from .tiny import FAILING, lattice, object_of, written

pytestmark = pytest.mark.sim
SLOW = FAILING.replace('until = "14s"', 'until = "14s", warmup = "1s"')


def test_a_failing_scenario_gets_smaller_and_still_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    code, out, err = lattice(capsys, "shrink", written(tmp_path, SLOW), "--seed", "2", "--out", str(small), "--json")
    assert code == 0
    assert "20 nodes became 3 in " in err
    told = object_of(out)
    assert (told["seed"], told["nodes"], told["minimal"]) == (2, 3, True)
    scenario = read_scenario(small)
    assert (scenario.seed, scenario.node_count) == (2, 3)
    assert scenario == scenario_of(str(told["scenario"]), "x")
    assert lattice(capsys, "run", str(small))[0] == 1


def test_what_was_seen_to_fail_is_looked_for_without_a_run_of_the_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = written(tmp_path, SLOW)
    _, _, told = lattice(capsys, "run", file, "--seed", "2")
    command = next(line for line in told.splitlines() if " shrink " in line)
    assert command.endswith("--seed 2 --check latency")
    code, out, err = lattice(capsys, "shrink", file, "--seed", "2", "--check", "latency")
    assert (code, scenario_of(out, "x").node_count) == (0, 3)
    assert "20 nodes became 3 in " in err
    code, _, err = lattice(capsys, "shrink", file, "--seed", "2", "--check", "converged")
    assert code == 2
    assert err.endswith("there is nothing to shrink\n")


def test_without_a_file_the_scenario_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = lattice(capsys, "shrink", written(tmp_path, SLOW))
    assert code == 0
    assert scenario_of(out, "x").node_count == 3


def test_what_does_not_fail_cannot_be_shrunk(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = lattice(capsys, "shrink", written(tmp_path))
    assert (code, err) == (2, "lattice: scenario 'tiny' does not fail with seed 1; there is nothing to shrink\n")
