"""`lattice demo`: two real nodes, two processes, one folder, a conflict, and a byte-for-byte comparison."""

import argparse
import itertools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, cast

from ..exits import EXIT_ERROR, EXIT_OK
from ..frames import Data
from ..home import Home
from .client import CommandError, ask_once
from .output import say, show_json, size

type Item = dict[str, Data]

_START_S = 30.0
_STALL_S = 120.0
"""The demo gives up when nothing has moved for so long."""
_POLL_S = 0.05
_SAMPLE_FILES = 400


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    home: Home
    folder: Path
    process: subprocess.Popen[str]
    address: str


class _Show(Protocol):
    """How progress is shown."""

    def __call__(self, text: str, done: float) -> None: ...


def run(options: argparse.Namespace) -> int:
    """Run the demo; exit code 0 only if both folders end identical."""
    source = None if options.path is None else Path(options.path).expanduser().absolute()
    if source is not None and not source.is_dir():
        raise CommandError("usage", f"{source} is not a directory", 2)
    # A kill must not leave nodes or files behind: it unwinds like an interrupt.
    signal.signal(signal.SIGTERM, _unwind)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(_scratch()))
        show = stack.enter_context(_progress(as_json=options.json))
        result = _demonstrate(stack, scratch, source, show)
    if options.json:
        show_json(result)
    else:
        _tell(result)
    return EXIT_OK if result["identical"] else EXIT_ERROR


def _unwind(number: int, frame: object) -> NoReturn:
    del frame
    sys.exit(128 + number)


def _demonstrate(stack: ExitStack, scratch: Path, source: Path | None, show: _Show) -> Item:
    show("making the folder", 0.0)
    original = scratch / "one" / "folder"
    original.parent.mkdir()
    (scratch / "two").mkdir()
    if source is None:
        _make_sample(original)
    else:
        _copy(source, original)
    show("starting two nodes", 0.05)
    one = _start(stack, scratch, "one")
    two = _start(stack, scratch, "two")
    show("pairing", 0.15)
    _pair(one, two)
    count, total = _measure(original)
    show("syncing", 0.2)
    started = time.monotonic()
    ask_once(one.home, "folder add", path=str(one.folder), name="demo")
    _until(lambda: any(f["name"] == "demo" for f in _items(ask_once(two.home, "folder list"))), "the offer", one, two)
    ask_once(two.home, "folder join", name="demo", path=str(two.folder))
    _wait(one, two, lambda done: show(f"syncing {count} files", 0.2 + 0.5 * done), count)
    seconds = time.monotonic() - started
    show("editing on both sides", 0.75)
    _edit(one, two)
    _wait(one, two, lambda done: show("syncing the edits", 0.8 + 0.1 * done), count)
    show("comparing", 0.95)
    difference = _difference(one.folder, two.folder)
    status = cast("Item", ask_once(one.home, "status"))
    folder = _items(status["folders"])[0]
    peer = next(item for item in _items(status["devices"]) if item["connected"])
    show("done", 1.0)
    return {
        "files": count,
        "bytes": total,
        "seconds": round(seconds, 3),
        "mb_per_s": round(total / 1e6 / seconds, 2),
        "entries": folder["entries"],
        "conflicts": folder["conflicts"],
        "kem": peer["kem"],
        "signature": peer["signature"],
        "identical": difference is None,
        **({} if difference is None else {"difference": difference}),
    }


def _start(stack: ExitStack, scratch: Path, name: str) -> _Node:
    home = Home(scratch / name / "home")
    lattice = [sys.executable, "-m", "latticework.node.cli.main", "--home", str(home.root), "--json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LATTICE_")}
    made = subprocess.run(  # noqa: S603  # our own program
        [*lattice, "init", "--name", f"demo-{name}"], env=environment, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise CommandError("demo", f"lattice init failed: {made.stderr.strip()}", EXIT_ERROR)
    log = stack.enter_context((scratch / name / "log").open("w"))
    process = subprocess.Popen(  # noqa: S603  # our own program
        [*lattice, "up", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    stack.callback(_stop, process)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise CommandError("demo", f"a node did not start: {(scratch / name / 'log').read_text()[-2000:]}", EXIT_ERROR)
    address = json.loads(line)["listening"][0]
    return _Node(name, home, scratch / name / "folder", process, address)


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _pair(one: _Node, two: _Node) -> None:
    """The sponsor waits in a process of its own, as it would in another terminal."""
    sponsor = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "latticework.node.cli.main", "--home", str(one.home.root), "--json", "pair", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with sponsor:
        assert sponsor.stdout is not None
        code = json.loads(sponsor.stdout.readline())["code"]
        ask_once(two.home, "pair with", lambda event: event.get("event") == "confirm", code=code, peers=[one.address])
        _, error = sponsor.communicate(timeout=_START_S)
    if sponsor.returncode:
        raise CommandError("demo", f"pairing failed: {error.strip()}", EXIT_ERROR)


def _wait(one: _Node, two: _Node, show: Callable[[float], None], count: int) -> None:
    def in_step() -> bool:
        statuses = [cast("Item", ask_once(node.home, "status")) for node in (one, two)]
        folders = [_items(status["folders"]) for status in statuses]
        if not all(folders):
            return False
        pending = int(cast("int", folders[1][0]["pending"]))
        show(max(0.0, 1 - pending / max(count, 1)))
        shared = all(any(peer["in_step"] for peer in _items(f[0]["peers"])) for f in folders)
        return shared and all(bool(status["in_step"]) for status in statuses)

    _until(in_step, "both nodes to be in step", one, two)


def _until(condition: Callable[[], bool], what: str, *nodes: _Node) -> None:
    """Wait while anything moves; give up when the nodes' status has not changed for a while."""
    last, since = "", time.monotonic()
    while not condition():
        for node in nodes:
            if node.process.poll() is not None:
                raise CommandError("demo", f"node {node.name} has died", EXIT_ERROR)
        now = json.dumps([ask_once(node.home, "status") for node in nodes])
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > _STALL_S:
            raise CommandError(
                "demo", f"nothing moved for {_STALL_S:.0f} s while waiting for {what}: {now}", EXIT_ERROR
            )
        time.sleep(_POLL_S)  # noqa: TID251  # a blocking client polls another process


def _edit(one: _Node, two: _Node) -> None:
    """A conflict, an edit, a new file, a rename and a deletion, spread over both sides."""
    for node in (one, two):
        # Stopped, neither can hear of the other's edit before it has written its own: a true conflict.
        node.process.send_signal(signal.SIGSTOP)
    try:
        for node in (one, two):
            (node.folder / "demo-conflict.txt").write_text(f"written on {node.name}\n")
        (one.folder / "demo-new.txt").write_text("a new file\n")
        files = [path for path in sorted(two.folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        outside = [path for path in files if ".lattice" not in path.parts and not path.name.startswith("demo-")]
        if outside:
            with outside[0].open("ab") as file:
                file.write(b"\nedited on two\n")
        if len(outside) > 1:
            outside[1].rename(outside[1].with_name("demo-renamed" + outside[1].suffix))
        if len(outside) > 2:
            outside[2].unlink()
    finally:
        for node in (one, two):
            node.process.send_signal(signal.SIGCONT)
    for node in (one, two):
        ask_once(node.home, "rescan")


def _difference(one: Path, two: Path) -> str | None:
    """What differs first between the trees; None when they are the same byte for byte."""
    left, right = _listing(one), _listing(two)
    if left.keys() != right.keys():
        return f"only on one side: {min(left.keys() ^ right.keys())}"
    for name, status in left.items():
        other = right[name]
        if stat.S_IFMT(status.st_mode) != stat.S_IFMT(other.st_mode):
            return f"{name} is of another kind"
        a, b = one / name, two / name
        if stat.S_ISLNK(status.st_mode):
            if a.readlink() != b.readlink():
                return f"{name} points elsewhere"
        elif stat.S_ISREG(status.st_mode):
            if status.st_mode & 0o100 != other.st_mode & 0o100 or status.st_mtime_ns != other.st_mtime_ns:
                return f"{name} has another mode or time"
            if not _same_bytes(a, b):
                return f"{name} has other bytes"
    return None


def _listing(root: Path) -> dict[str, os.stat_result]:
    found: dict[str, os.stat_result] = {}
    for directory, directories, files in os.walk(root):
        if Path(directory) == root and ".lattice" in directories:
            directories.remove(".lattice")
        for name in itertools.chain(directories, files):
            path = Path(directory) / name
            found[str(path.relative_to(root))] = path.lstat()
    return found


def _same_bytes(a: Path, b: Path) -> bool:
    with a.open("rb") as left, b.open("rb") as right:
        while block := left.read(1 << 20):
            if block != right.read(1 << 20):
                return False
        return not right.read(1)


def _copy(source: Path, target: Path) -> None:
    def leave_out(directory: str, names: list[str]) -> set[str]:
        special = {
            name
            for name in names
            if not (path := Path(directory) / name).is_symlink() and not path.is_dir() and not path.is_file()
        }
        return special | ({".lattice"} & set(names) if Path(directory) == source else set())

    try:
        shutil.copytree(source, target, symlinks=True, ignore=leave_out)
    except (OSError, shutil.Error) as error:
        raise CommandError("demo", f"cannot copy {source}: {error}", EXIT_ERROR) from error


def _make_sample(target: Path) -> None:
    """A folder of many small files, a few large ones, an empty directory, an empty file and a link."""
    for number in range(_SAMPLE_FILES):
        directory = target / f"notes-{number % 20:02d}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"note-{number:03d}.txt").write_text(f"note {number}\n" * (1 + number * 7 % 400))
    (target / "empty directory").mkdir()
    (target / "empty.txt").touch()
    for number in range(3):
        (target / f"large-{number}.bin").write_bytes(os.urandom(4 << 20))
    (target / "link").symlink_to("notes-00/note-000.txt")
    script = target / "run.sh"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)


def _measure(root: Path) -> tuple[int, int]:
    sizes = [status.st_size for status in _listing(root).values() if stat.S_ISREG(status.st_mode)]
    return len(sizes), sum(sizes)


@contextmanager
def _scratch() -> Generator[str]:
    directory = tempfile.mkdtemp(prefix="lattice-demo-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _progress(*, as_json: bool) -> AbstractContextManager[_Show]:
    if sys.stderr.isatty() and not as_json:
        return _bar()
    return _lines()


@contextmanager
def _bar() -> Generator[_Show]:
    from rich.console import Console  # noqa: PLC0415  # only on a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # as above

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<28}"), BarColumn(40), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("", total=1.0)

        def show(text: str, done: float) -> None:
            progress.update(task, description=text, completed=done)

        yield show


@contextmanager
def _lines() -> Generator[_Show]:
    last = ""

    def show(text: str, done: float) -> None:
        nonlocal last
        if text != last:
            say(f"{done:4.0%} {text}")
            last = text

    yield show


def _tell(result: Item) -> None:
    print(f"files      {result['files']}")
    print(f"bytes      {size(float(cast('int', result['bytes'])))}")
    print(f"seconds    {result['seconds']}")
    print(f"rate       {result['mb_per_s']} MB/s")
    print(f"entries    {result['entries']}")
    print(f"conflicts  {result['conflicts']} (both versions kept on both sides)")
    print(f"kem        {result['kem']}")
    print(f"signature  {result['signature']}")
    print(f"identical  {'yes, byte for byte' if result['identical'] else 'NO: ' + str(result.get('difference'))}")


def _items(value: Data) -> list[Item]:
    return cast("list[Item]", value)
