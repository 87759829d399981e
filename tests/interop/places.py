"""Where the other implementations are installed, and what is missing of them."""

import os
import shutil
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parents[1] / "build" / "interop"
JS: Final = Path(os.environ.get("LATTICE_NPM") or BUILD / "js")
PY: Final = Path(os.environ.get("LATTICE_INTEROP_PY") or BUILD / "py")
JS_LOCK: Final = "package-lock.json"
REQUIREMENTS: Final = "requirements.txt"
INSTALLED: Final = "interop-installed"
"""A copy of the pins, written into a directory when everything in it is installed."""


def node() -> str:
    """The Node binary; raises LookupError."""
    found = shutil.which("node")
    if found is None:
        raise LookupError("node is not installed")
    return found


def js_missing() -> str:
    """Why js-libp2p cannot be run, or nothing."""
    if shutil.which("node") is None:
        return "node is not installed"
    return _stale(JS, HERE / "js" / JS_LOCK)


def py_missing() -> str:
    """Why py-libp2p cannot be run, or nothing."""
    return _stale(PY, HERE / "py" / REQUIREMENTS)


def _stale(place: Path, pins: Path) -> str:
    installed = place / INSTALLED
    if not installed.exists():
        return f"nothing is installed in {place}: run tests/interop/install.py"
    if installed.read_bytes() != pins.read_bytes():
        return f"{place} has other versions than {pins.name}: run tests/interop/install.py"
    return ""
