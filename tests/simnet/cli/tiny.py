"""A scenario that runs in milliseconds, and the command line in this process."""

import json
from pathlib import Path
from typing import cast

import pytest

from latticework.node.cli.main import main

TINY = """
run = {until = "4s", tier = "V", title = "A tiny flood"}
mesh = {d = 6}
[[nodes]]
name = "peers"
count = 20
[[load]]
kind = "publish"
source = "peers"
[[check]]
kind = "coverage"
within = "1s"
"""
FAILING = TINY + '[[check]]\nkind = "latency"\nmost = "1ms"\n'


def written(directory: Path, text: str = TINY, name: str = "tiny.toml") -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def lattice(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr; argparse's exits included."""
    try:
        code = main(["sim", *words])
    except SystemExit as ended:
        code = cast("int", ended.code)
    out, err = capsys.readouterr()
    return code, out, err


def object_of(text: str) -> dict[str, object]:
    """The one JSON object that stdout ends with."""
    value: object = json.loads(text.splitlines()[-1])
    assert isinstance(value, dict)
    return cast("dict[str, object]", value)
