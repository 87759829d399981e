"""The product's source files, by folder."""

import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
FOLDERS: Final = ("wire", "crdt", "chunkstore", "handshake", "transport", "discovery", "node", "simnet")

type Toml = str | int | float | bool | list[Toml] | dict[str, Toml]


def modules() -> list[Path]:
    """Every module that we wrote; generated ones are somebody else's style."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "pb" not in path.parts]


def named(path: Path) -> str:
    """The path as a person would say it."""
    return path.relative_to(ROOT).as_posix()


def project() -> dict[str, Toml]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def table(value: Toml, *keys: str) -> dict[str, Toml]:
    """The table at `keys`; empty if there is none."""
    for key in keys:
        assert isinstance(value, dict)
        value = value.get(key, {})
    assert isinstance(value, dict)
    return value


def strings(value: Toml) -> list[str]:
    """A list of strings."""
    assert isinstance(value, list)
    return [str(item) for item in value]
