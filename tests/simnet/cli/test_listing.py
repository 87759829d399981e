"""`lattice sim list`, and how the command is found."""

import json
import subprocess
import sys

import pytest

from latticework.node.cli.main import main
from latticework.simnet.library import names

from .tiny import lattice

pytestmark = pytest.mark.sim


def test_people_read_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = lattice(capsys, "list")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["name", "tier", "nodes", "title"]
    assert [line.split()[0] for line in lines[1:]] == list(names())


def test_json_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(lattice(capsys, "list", "--json")[1])
    assert [entry["name"] for entry in told] == list(names())
    assert all(list(entry) == ["name", "tier", "nodes", "title"] for entry in told)
    assert {entry["name"]: (entry["tier"], entry["nodes"]) for entry in told}["lan-300"] == ("F", 300)


def test_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "sim        simulate networks of nodes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "loaded"),
    [(["status"], False), (["--home", "sim", "status"], False), (["--json", "sim", "list"], True), (["sim"], True)],
)
def test_the_simulator_is_loaded_only_for_those_who_ask(words: list[str], loaded: bool) -> None:  # noqa: FBT001
    program = (
        "import sys; from latticework.node.cli.main import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        "print('latticework.simnet' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == str(loaded)
