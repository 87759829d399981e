"""Every command and every line of Python on the pages is run, in order, page by page."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Generator
from pathlib import Path

import pytest

from latticework.simnet import scenario_of

from .checkout import run_in_checkout
from .pages import LANGUAGES, PAGES, ROOT, Block, blocks_of, name_of
from .terminals import World, commands_of

BLOCKS = {page: blocks_of(page) for page in PAGES}
_COMMAND = re.compile(r"^\s*(\$ |lattice [a-z]|uv |pip |pipx |python3? )", re.MULTILINE)


@pytest.fixture
def scratch() -> Generator[Path]:
    """A short path: Unix sockets have room for a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="lattice-docs-") as directory:
        yield Path(directory)


def pages_with(language: str) -> list[Path]:
    return [page for page, blocks in BLOCKS.items() if any(block.language == language for block in blocks)]


@pytest.mark.wire
@pytest.mark.parametrize("page", pages_with("console"), ids=name_of)
def test_the_commands_of_a_page_do_what_it_shows(page: Path, scratch: Path) -> None:
    world = World(scratch)
    done: set[str] = set()
    try:
        for block in BLOCKS[page]:
            if block.language != "console":
                continue
            if block.options["run"] == "checkout":
                for command, _ in commands_of(block.text):
                    assert command is not None, block.place
                    run_in_checkout(command, scratch, done)
            else:
                world.run(block.options["run"], block.text, int(block.options.get("exit", "0")))
        world.end()
    finally:
        world.close()


@pytest.mark.unit
@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_the_python_of_a_page_runs(page: Path) -> None:
    names: dict[str, object] = {"__name__": "page"}
    for block in BLOCKS[page]:
        if block.language == "python":
            padding = "\n" * block.line
            exec(compile(padding + block.text, name_of(page), "exec"), names)


@pytest.mark.unit
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in BLOCKS[page]:
        assert block.language in LANGUAGES, block.place
        if block.language == "console":
            assert block.options.get("run"), f"{block.place}: no comment says which device runs it"
        if block.language == "text":
            assert not _COMMAND.search(block.text), f"{block.place}: commands belong in console blocks"


@pytest.mark.long
@pytest.mark.wire
@pytest.mark.parametrize("block", [b for b in BLOCKS[ROOT / "README.md"] if b.options.get("run") == "checkout"])
def test_the_commands_for_a_fresh_machine_work_as_they_stand(
    block: Block, scratch: Path, request: pytest.FixtureRequest
) -> None:
    if "long" not in (request.config.option.markexpr or ""):
        pytest.skip("minutes, and a package index: pytest -m long")
    checkout = scratch / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and ((ROOT / name).is_file() or (ROOT / name).is_symlink()):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name, follow_symlinks=False)
    venv.create(scratch / "python", with_pip=True)
    left_out = {"VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "LATTICE_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    environment["PATH"] = f"{scratch / 'python' / 'bin'}:{environment['PATH']}"
    environment["HOME"] = str(scratch)
    for command, _ in commands_of(block.text):
        assert command is not None, block.place
        if command.startswith("pipx ") and shutil.which("pipx") is None:
            continue
        done = subprocess.run(
            command, shell=True, cwd=checkout, env=environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"


@pytest.mark.unit
@pytest.mark.parametrize("page", [ROOT / "docs/simnet.md"], ids=name_of)
def test_the_scenarios_of_a_page_can_be_read(page: Path) -> None:
    for block in BLOCKS[page]:
        if block.language == "toml":
            assert scenario_of(block.text, block.place).node_count


def examples() -> list[Path]:
    """All but the one that takes arguments, which tests/node/test_forks.py runs."""
    return sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "verify_fraud_proof.py")


@pytest.mark.wire
@pytest.mark.parametrize("example", examples(), ids=lambda path: path.name)
def test_an_example_runs_and_is_short(example: Path, tmp_path: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 60
    # A directory to write into and a number of nodes, for those that take them.
    command = [sys.executable, "-W", "error", str(example), str(tmp_path), "40"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
