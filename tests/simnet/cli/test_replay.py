"""`lattice sim replay`: identical, or the first difference."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from latticework.simnet.cli.replay import first_difference
from latticework.simnet.running import run
from latticework.simnet.scenario_file import scenario_of

from .tiny import TINY, lattice, object_of, written

pytestmark = pytest.mark.sim


def saved(capsys: pytest.CaptureFixture[str], directory: Path, *words: str) -> Path:
    out = directory / "out"
    assert lattice(capsys, "run", written(directory), "--out", str(out), *words)[0] == 0
    return out


def test_a_saved_run_comes_out_identical(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = saved(capsys, tmp_path, "--seed", "4")
    code, printed, err = lattice(capsys, "replay", str(out), "--json")
    assert (code, err) == (0, "identical\n")
    told = object_of(printed)
    assert (told["seed"], told["identical"], told["difference"]) == (4, True, "")


def test_a_scenario_alone_is_run_twice(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert lattice(capsys, "replay", written(tmp_path))[::2] == (0, "identical\n")
    assert lattice(capsys, "replay", str(saved(capsys, tmp_path)), "--seed", "8")[::2] == (0, "identical\n")


def test_another_digest_is_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = lattice(capsys, "replay", written(tmp_path), "--digest", "ab", "--json")
    told = object_of(out)
    assert (code, told["identical"]) == (1, False)
    assert told["difference"] == f"the digest is {told['digest']}, not ab"
    assert err == f"different: {told['difference']}\n"


def test_a_saved_run_that_differs_is_told_by_its_first_delivery(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = saved(capsys, tmp_path)
    scenario = out / "scenario.toml"
    scenario.write_text(scenario.read_text() + "\n[links]\njitter_time = '50ms'\n")
    code, _, err = lattice(capsys, "replay", str(out))
    assert code == 1
    assert err.startswith("different: delivery 0 was message 0 at node 0 after ")
    assert err.endswith("; the saved run was made by another version\n")


def test_until_stops_early_and_compares_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = saved(capsys, tmp_path)
    code, printed, err = lattice(capsys, "replay", str(out), "--until", "11.5s", "--json")
    told = object_of(printed)
    assert (code, err) == (0, "")
    assert (told["virtual_s"], told["delivered"], told["identical"]) == (11.5, 38, None)


@pytest.mark.parametrize("summary", ["{}", "[]", '{"digest": 4, "run_id": "x"}', "{", None])
def test_a_folder_without_a_result_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, summary: str | None
) -> None:
    out = saved(capsys, tmp_path)
    (out / "summary.json").unlink()
    if summary is not None:
        (out / "summary.json").write_text(summary)
    code, _, err = lattice(capsys, "replay", str(out))
    assert code == 2
    assert "summary.json is no summary of a run" in err


def test_a_wrong_time_is_exit_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = lattice(capsys, "replay", written(tmp_path), "--until", "soon")
    assert (code, err) == (2, "lattice: 'soon' is not a duration such as 500ms, 20s or 10min\n")


def test_the_first_difference_names_message_node_and_time() -> None:
    scenario = scenario_of(TINY, "tiny")
    whole, other = run(scenario), run(scenario, 2)
    shorter = run(replace(scenario, until_us=2_000_000))
    assert first_difference(whole, run(scenario)) == ""
    assert first_difference(whole, other).startswith("delivery 0 was message 0 at node ")
    assert first_difference(whole, shorter) == "76 deliveries before, 38 now, alike as far as both go"
    json.dumps(whole.summary())
