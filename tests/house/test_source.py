"""House rules that no linter checks for us."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from .tree import FOLDERS, ROOT, modules, named

pytestmark = pytest.mark.unit

MAX_MODULE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60
LONG_MODULES: Final[set[str]] = set()
"""Modules that may be longer, with a reason beside each."""
LONG_FUNCTIONS: Final[set[str]] = set()
"""`module:function` that may be longer, with a reason beside each."""

MODULES: Final = modules()
TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))


def imports(path: Path) -> list[tuple[int, str]]:
    """(level, module) of each import; level 0 is absolute."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
    return found


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_are_relative_inside_a_folder_and_absolute_across_folders(path: Path) -> None:
    folder, inner = path.relative_to(ROOT).parts[0], len(path.relative_to(ROOT).parts) - 1
    for level, module in imports(path):
        assert level <= inner, f"a relative import leaves {folder}/"
        assert level > 0 or not f"{module}.".startswith(f"latticework.{folder}."), f"import {module} relatively"


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=named)
def test_nothing_imports_a_folder_by_its_bare_name(path: Path) -> None:
    bare = [module for level, module in imports(path) if level == 0 and module.partition(".")[0] in FOLDERS]
    assert bare == [], "write latticework.<folder>: the bare name depends on the working directory"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_read_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_MODULE_LINES or named(path) in LONG_MODULES


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = {
        f"{named(path)}:{node.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long <= LONG_FUNCTIONS


def test_the_lists_of_exceptions_hold_nothing_that_is_gone() -> None:
    assert {*LONG_MODULES, *(entry.partition(":")[0] for entry in LONG_FUNCTIONS)} <= {named(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_no_notes_to_self_are_left(path: Path) -> None:
    found = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text())
    assert found is None


@pytest.mark.parametrize("path", [p for p in MODULES if not named(p).startswith("node/cli/")], ids=named)
def test_only_the_command_line_prints(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Name) and node.id == "print"), f"line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
