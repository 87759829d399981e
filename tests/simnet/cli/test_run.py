"""`lattice sim run`: what it prints, writes and ends with."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from latticework.simnet.scenario_file import read_scenario

from .tiny import FAILING, TINY, lattice, object_of, written

pytestmark = pytest.mark.sim
KEYS = ["scenario", "seed", "nodes", "virtual_s", "cpu_s", "delivered", "coverage", "p50_ms", "p99_ms", "digest"]


def test_json_ends_with_one_object_of_the_agreed_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = lattice(capsys, "run", written(tmp_path), "--seed", "5", "--json")
    told = object_of(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert list(told)[: len(KEYS)] == KEYS
    assert (told["scenario"], told["seed"], told["nodes"], told["virtual_s"]) == ("tiny", 5, 20, 14.0)
    assert (told["delivered"], told["coverage"], told["ok"]) == (4 * 19, 1.0, True)


def test_people_read_figures_and_checks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = lattice(capsys, "run", written(tmp_path))
    assert (code, err) == (0, "")
    assert "nodes       20" in out
    assert "delivered   76 of 76 (100.000 %)" in out
    assert "coverage  yes    76 of 76 deliveries" in out


def test_a_failed_check_is_exit_code_1_and_a_line_that_replays_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, FAILING)
    code, out, err = lattice(capsys, "run", path, "--set", "mesh.d=8", "--seed", "3", "--json")
    digest = object_of(out)["digest"]
    assert code == 1
    assert "failed: latency: p99 " in err
    line = err.splitlines()[-1]
    assert line == f"lattice sim replay {path} --seed 3 --set mesh.d=8 --digest {digest}"
    code, out, err = lattice(capsys, *shlex.split(line)[2:], "--json")
    assert (code, err) == (0, "identical\n")
    assert (object_of(out)["digest"], object_of(out)["identical"]) == (digest, True)


def test_settings_tier_and_crypto_come_from_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, TINY.replace('"V"', '"F"'))
    words = ("--tier", "V", "--crypto", "real", "--set", "nodes.peers.count=31", "--set", "run.until=2s")
    told = object_of(lattice(capsys, "run", path, *words, "--json")[1])
    assert (told["tier"], told["crypto"], told["nodes"], told["delivered"]) == ("V", "real", 31, 60)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "no-such"), "the library has no scenario 'no-such'; there is: churn"),
        (("run", "lan-30"), "the library has no scenario 'lan-30'; did you mean 'lan-300'?"),
        (("run", "missing.toml"), "cannot read the scenario missing.toml"),
        (("run", "flood", "--set", "mesh.dd=3"), "setting mesh.dd: mesh: unknown key 'dd'; did you mean 'd'?"),
        (("run", "flood", "--set", "mesh.d"), "'mesh.d' is no setting such as mesh.d=8"),
        (("run", "flood", "--seed", "-1"), "setting run.seed: run: key 'seed': it holds a whole number"),
        (("run", "flood", "--tier", "X"), "argument --tier: invalid choice: 'X'"),
        (("run",), "the following arguments are required: NAME|FILE"),
        (("walk",), "argument ACTION: invalid choice: 'walk'"),
        ((), "the following arguments are required: ACTION"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    code, out, err = lattice(capsys, *words)
    assert (code, out) == (2, "")
    assert told in err


def test_a_malformed_file_is_named_and_json_says_so_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, TINY.replace("count", "cuont"))
    code, out, err = lattice(capsys, "run", path, "--json")
    message = f"{path}: nodes 0: unknown key 'cuont'; did you mean 'count'?"
    assert (code, err) == (2, f"lattice: {message}\n")
    assert object_of(out) == {"error": {"code": "usage", "message": message, "exit": 2}}


def test_what_a_tier_cannot_do_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = lattice(capsys, "run", written(tmp_path), "--set", "links.corrupt=0.1")
    assert code == 1
    assert err.startswith("lattice: scenario 'tiny': on tier V links have latency, jitter_time and loss; tiers C and F")


def test_out_holds_the_scenario_its_seed_tables_and_figures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, _ = lattice(capsys, "run", written(tmp_path), "--seed", "9", "--out", str(out), "--json")
    assert code == 0
    files = {path.name for path in out.iterdir()}
    assert files >= {"scenario.toml", "result.npz", "summary.json", "deliveries.csv", "nodes.csv", "timeline.csv"}
    assert files >= {"coverage.png", "traffic.png", "degree.png", "timeline.png"}
    saved = read_scenario(out / "scenario.toml")
    assert (saved.name, saved.seed) == ("tiny", 9)
    assert json.loads((out / "summary.json").read_text()) == object_of(printed)


def test_a_failure_with_out_is_replayed_from_the_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, err = lattice(capsys, "run", written(tmp_path, FAILING), "--out", str(out))
    assert (code, err.splitlines()[-1]) == (1, f"lattice sim replay {out}")
    assert lattice(capsys, "replay", str(out))[0] == 0


def test_progress_is_a_line_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    assert lattice(capsys, "run", path)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    err = lattice(capsys, "run", path)[2]
    assert err == "\r\x1b[K13.0 of 14.0 s  76 delivered  20 nodes up\r\x1b[K"
