"""Commands of the pages that are typed in a checkout: through uv, with the tools of a dependency group.

By default they are run with the tools that are installed already, or checked without being run where they would install
something or take minutes; tests marked long run them as they stand.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import cast

from .pages import ROOT
from .terminals import PageError

_INSTALL = re.compile(r"^(pip install uv && |pipx run )(?=uv )")
_CHECKED_ONLY = frozenset({"sync", "export", "lock", "tool"})
_TOOLS = {"pytest": "test", "ruff": "lint", "mypy": "lint", "pyright": "lint", "lint-imports": "lint"}
_PACKAGE = {"lint-imports": "import-linter"}

type Table = dict[str, object]


def project() -> Table:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def inner_command(command: str) -> list[str] | None:
    """What uv would run, as words; None for a command of uv's own that was checked."""
    words = shlex.split(_INSTALL.sub("", command))
    if words[0] != "uv":
        return words
    if words[1] in _CHECKED_ONLY:
        return None
    if words[1] != "run":
        raise PageError(f"what does {command!r} do?")
    rest = words[2:]
    groups: set[str] = set()
    while rest[0].startswith("--"):
        option = rest.pop(0)
        match option:
            case "--group":
                groups.add(rest.pop(0))
            case "--all-groups":
                groups |= _groups().keys()
            case _:
                raise PageError(f"{command!r}: {option} is not expected")
    _check_tool(rest[0], groups)
    return rest


def run_in_checkout(command: str, scratch: Path, done: set[str]) -> None:
    """Run a command of a page, or check it; what is in `done` was run for this page already."""
    words = inner_command(command)
    if words is None or shlex.join(words) in done:
        return
    done.add(shlex.join(words))
    if words[0] in _TOOLS:
        _check_arguments(words)
        return
    tool = Path(sys.executable).parent / words[0]
    result = subprocess.run(
        [str(tool), *words[1:]],
        cwd=ROOT,
        env={"PATH": f"{tool.parent}:/usr/bin:/bin", "HOME": str(scratch), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode:
        raise PageError(f"$ {command}\nended with {result.returncode}:\n{result.stdout}{result.stderr}")


def _groups() -> dict[str, list[str]]:
    return cast("dict[str, list[str]]", project()["dependency-groups"])


def _check_tool(tool: str, groups: set[str]) -> None:
    needed = _TOOLS.get(tool)
    if needed is None:
        return
    package = _PACKAGE.get(tool, tool)
    if needed not in groups or not any(re.match(rf"{package}\b", item) for item in _groups()[needed]):
        raise PageError(f"{tool} needs the group {needed}, which must hold {package}")


def _check_arguments(words: list[str]) -> None:
    """Paths exist, markers are declared."""
    tables = cast("dict[str, dict[str, list[str]]]", project()["tool"])
    markers = {marker.partition(":")[0] for marker in tables["pytest"]["markers"]}
    for before, word in pairwise(words):
        if before == "-m":
            unknown = set(re.findall(r"\w+", word)) - markers - {"not", "and", "or"}
            if unknown:
                raise PageError(f"{' '.join(words)!r}: no marker {unknown}")
        elif before == "-p":
            if not (ROOT / word.removeprefix("latticework.")).is_dir():
                raise PageError(f"{' '.join(words)!r}: no package {word}")
        elif "/" in word and not (ROOT / word.partition("::")[0]).exists():
            raise PageError(f"{' '.join(words)!r}: no {word}")
