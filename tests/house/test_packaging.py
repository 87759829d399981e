"""What is installed is what is in the tree, and everything installed is pinned."""

import re
import shutil
import subprocess
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from .tree import FOLDERS, ROOT, project, strings, table

PROJECT: Final = project()


def packages_in_the_tree() -> dict[str, str]:
    """Import name and folder of every package."""
    found = (path.parent.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py"))
    return {".".join(("latticework", *folder.parts)): folder.as_posix() for folder in found}


@pytest.mark.unit
def test_every_package_is_declared_and_mapped() -> None:
    declared = table(PROJECT, "tool", "setuptools")
    assert sorted(strings(declared["packages"])) == sorted(packages_in_the_tree())
    assert declared["package-dir"] == packages_in_the_tree()


@pytest.mark.unit
def test_every_folder_is_typed_and_mirrored_for_the_type_checkers() -> None:
    for folder in FOLDERS:
        assert (ROOT / folder / "py.typed").exists()
        assert (ROOT / "_dev" / "latticework" / folder).resolve() == ROOT / folder


def built_wheel(directory: Path) -> Path:
    """A wheel of a copy of the tree, so that nothing is left behind in it."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on the path")
    copy = directory / "copy"
    copy.mkdir()
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
        else:
            pytest.skip(f"{name} is not written yet")
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", str(directory / "dist"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode and re.search(r"dns|connect|network|resolve|offline|download|fetch", done.stderr, re.IGNORECASE):
        pytest.skip(f"the build backend cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    (wheel,) = (directory / "dist").glob("*.whl")
    return wheel


@pytest.mark.wire
def test_the_wheel_holds_the_tree_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(built_wheel(tmp_path)) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        f"latticework/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for pattern in ("*.py", "py.typed", "*.pyi", "*.toml")
        for path in (ROOT / folder).rglob(pattern)
    }
    assert inside == expected


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(wanted: list[str]) -> dict[str, str]:
    """Name and installed version of everything that the requirements `wanted` pull in on this machine."""
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in wanted]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = normal(requirement.name), frozenset(requirement.extras)
        if (name, extras) in done or name == "latticework":
            continue
        done.add((name, extras))
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed: `uv sync --all-groups`")
        found[name] = installed.version
        for text in installed.requires or []:
            inner = Requirement(text)
            marker = inner.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                waiting.append(inner)
    return found


def wanted() -> list[str]:
    groups = table(PROJECT, "dependency-groups")
    applicable = [Requirement(text) for text in strings(table(PROJECT, "project")["dependencies"])]
    listed = [str(r) for r in applicable if r.marker is None or r.marker.evaluate()]
    return listed + [text for name in groups if name in {"test", "lint", "bench"} for text in strings(groups[name])]


@pytest.mark.unit
def test_everything_that_is_installed_is_pinned() -> None:
    """Decision 13: the pins hold the whole closure."""
    listed = table(PROJECT, "tool", "uv").get("constraint-dependencies")
    assert listed is not None, "pyproject.toml pins nothing"
    pins = {normal(pin.name): pin for pin in map(Requirement, strings(listed))}
    installed = closure(wanted())
    assert sorted(installed.keys() - pins.keys()) == [], "not pinned"
    wrong = {name: version for name, version in installed.items() if str(pins[name].specifier) != f"=={version}"}
    assert wrong == {}, "installed in another version than the pin says"
