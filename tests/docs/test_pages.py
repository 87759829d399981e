"""What the pages say is what the code holds: links, records, labels, commands, exit codes, cited decisions."""

import argparse
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

from latticework.node import exits
from latticework.node.cli import main as cli
from latticework.wire import records

from .generated import renewed
from .pages import PAGES, ROOT, anchors_of, blocks_of, links_of, name_of

pytestmark = pytest.mark.unit
FOLDERS = ("wire", "crdt", "chunkstore", "handshake", "transport", "discovery", "node", "simnet")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_relative_to(ROOT), target
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked), target


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in links_of(index)}
    missing = [name_of(page) for page in PAGES if page != index and page not in linked]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_generated_blocks_are_fresh(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: uv run python tests/docs/generated.py"


def test_every_record_stands_on_exactly_one_page() -> None:
    for folder in FOLDERS:
        package = import_module(f"latticework.{folder}")
        for module in pkgutil.walk_packages(package.__path__, f"latticework.{folder}."):
            if not module.name.endswith(("_pb2", ".main")):
                import_module(module.name)
    layouts = cast("dict[type, object]", vars(records)["_LAYOUTS"])
    declared = sorted(
        records.cddl(cls).partition(" ")[0] for cls in layouts if cls.__module__.startswith("latticework.")
    )
    shown = [
        rule
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "cddl"
        for rule in re.findall(r"^([\w-]+) = \[", block.text, re.MULTILINE)
    ]
    assert sorted(shown) == declared


def test_the_page_of_the_command_line_names_every_command_and_option() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    make = cast("object", vars(cli)["_parser"])
    assert callable(make)
    for command, options in _commands(cast("argparse.ArgumentParser", make()), "lattice"):
        assert f"`{command}" in text, command
        for option in options:
            assert f"`{option}" in text, f"{command} {option}"


def _commands(parser: argparse.ArgumentParser, name: str) -> list[tuple[str, list[str]]]:
    options: list[str] = []
    found: list[tuple[str, list[str]]] = []
    for action in cast("list[argparse.Action]", vars(parser)["_actions"]):
        if action.nargs == argparse.PARSER:
            for word, child in cast("dict[str, argparse.ArgumentParser]", action.choices).items():
                found += _commands(child, f"{name} {word}")
        else:
            options += [option for option in action.option_strings if option.startswith("--") and option != "--help"]
    return found or [(name, options)]


def test_the_page_of_the_command_line_names_every_exit_code() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert shown == {value for name, value in vars(exits).items() if name.startswith("EXIT_")}


def test_every_decision_that_the_code_cites_is_on_its_page() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    cited: set[int] = set()
    for folder in FOLDERS:
        for source in sorted((ROOT / folder).rglob("*.py")):
            for first, second in re.findall(r"[Dd]ecisions? (\d+)(?: and (\d+))?", source.read_text(encoding="utf-8")):
                cited |= {int(number) for number in (first, second) if number}
    assert cited <= listed
