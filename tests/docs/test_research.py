"""The research example as a researcher runs it: with 300 nodes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sim, pytest.mark.long]


def test_three_hundred_nodes_replay_bit_for_bit_and_a_liar_is_proven(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples/mesh_research.py"
    command = [sys.executable, "-W", "error", str(example), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("300 nodes")
    assert "all proven" in done.stdout
    assert {path.stem for path in tmp_path.glob("*.png")} == {"coverage", "degree", "timeline", "traffic"}
