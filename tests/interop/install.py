"""Installs what the interoperation tests speak with: js-libp2p from npm, py-libp2p from PyPI, at pinned versions.

    python tests/interop/install.py [js] [py]

Goes to build/interop/js and build/interop/py, or where $LATTICE_NPM and $LATTICE_INTEROP_PY say. Says what it did; what
is there already is kept. js-libp2p needs Node 20 or later and npm. py-libp2p compiles two of its dependencies: it needs
a C compiler and Debian's libgmp-dev. The tests never install anything; they skip what is absent.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from places import HERE, INSTALLED, JS, JS_LOCK, PY, REQUIREMENTS, js_missing, py_missing

TIMEOUT_S = 900


def call(command: list[str], where: Path) -> None:
    # Not from the checkout: its pins and its uv settings are for us.
    environment = {**os.environ, "UV_NO_CONFIG": "1", "UV_LINK_MODE": "copy"}
    subprocess.run(command, cwd=where, check=True, env=environment, timeout=TIMEOUT_S)


def install_js() -> str:
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        return "left out: it needs Node 20 or later and npm"
    JS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", JS_LOCK):
        shutil.copy(HERE / "js" / name, JS / name)
    call([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], JS)
    shutil.copy(HERE / "js" / JS_LOCK, JS / INSTALLED)
    return f"installed into {JS}"


def install_py() -> str:
    found = shutil.which("uv")
    uv = [found] if found else [sys.executable, "-m", "uv"]
    PY.parent.mkdir(parents=True, exist_ok=True)
    pins = HERE / "py" / REQUIREMENTS
    call([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(PY)], PY.parent)
    call([*uv, "pip", "install", "--quiet", "--python", str(PY / "bin" / "python"), "-r", str(pins)], PY.parent)
    shutil.copy(pins, PY / INSTALLED)
    return f"installed into {PY}"


def main() -> int:
    wanted = sys.argv[1:] or ["js", "py"]
    status = 0
    for name, missing, install in (("js", js_missing, install_js), ("py", py_missing, install_py)):
        if name not in wanted:
            continue
        try:
            said = install() if missing() else "there already"
        except (OSError, subprocess.SubprocessError) as error:
            said, status = f"failed: {error}", 1
        sys.stdout.write(f"interop {name}: {said}\n")
        sys.stdout.flush()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
