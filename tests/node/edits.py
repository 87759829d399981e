"""Random edits of a folder, by somebody who remembers what must not be lost."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from latticework.node.folders.moving import exchange, move_to_free

from .devices import Dice

NAMES = [*"abcdefgh"]


class Editor:
    """Edits one folder. Every content that is written is unique; `mine` are the final ones of this side."""

    def __init__(self, folder: Path, dice: Dice, name: str) -> None:
        self._folder = folder
        self._dice = dice
        self._name = name
        self._count = 0
        self._asides = 0
        self.written: set[bytes] = set()
        self.gone: set[bytes] = set()
        """Contents that this side overwrote or deleted itself, after it saw them on its own disk."""

    @staticmethod
    def kept(editors: Sequence["Editor"]) -> set[bytes]:
        """Contents that somebody wrote and nobody took away on purpose."""
        written = set[bytes]().union(*(editor.written for editor in editors))
        return written.difference(*(editor.gone for editor in editors))

    def edit(self, count: int) -> None:
        actions = [
            self._write,
            self._write,
            self._write,
            self._write,
            self._append,
            self._rename,
            self._delete,
            self._mkdir,
            self._link,
            self._chmod,
            self._file_to_directory,
            self._directory_to_file,
            self._rename_directory,
        ]
        for _ in range(count):
            # The node works in the same tree: what it moves away under us is tried again another time.
            with suppress(OSError):
                self._dice.pick(actions)()

    def _place(self) -> Path:
        depth = self._dice.below(3)
        return self._folder.joinpath(*(self._dice.pick(NAMES) for _ in range(depth + 1)))

    def _existing(self, kind: str) -> Path | None:
        found: list[Path] = []
        for directory, directories, files in os.walk(self._folder):
            directories[:] = sorted(name for name in directories if name != ".lattice")
            found += [Path(directory) / name for name in (directories if kind == "d" else sorted(files))]
        return self._dice.pick(found) if found else None

    def _content(self) -> bytes:
        self._count += 1
        head = f"{self._name} {self._dice.seed} {self._count}\n".encode()
        size = self._dice.pick([0, 10, 3000, 70_000, 400_000])
        return head + self._dice.bytes(16) * (size // 16)

    def _lose(self, path: Path) -> None:
        """Take away what stands at `path` at this very moment, by this side's own will.

        It is looked at when the node cannot reach it any more: whoever looks first and deletes then may delete what the
        node has put there in between, and would say that it was lost.
        """
        aside = self._aside()
        path.rename(aside)
        for file in [aside, *aside.rglob("*")] if aside.is_dir() and not aside.is_symlink() else [aside]:
            if file.is_file() and not file.is_symlink():
                self.gone.add(file.read_bytes())
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink()

    def _put(self, file: Path, path: Path) -> None:
        """Move `file` to `path`; what stands there is taken away in the same step."""
        here, there = os.open(file.parent, os.O_RDONLY), os.open(path.parent, os.O_RDONLY)
        try:
            try:
                move_to_free(os.fsencode(file.name), here, os.fsencode(path.name), there)
            except FileExistsError:
                assert exchange(os.fsencode(file.name), here, os.fsencode(path.name), there)
                self._lose(file)
        finally:
            os.close(here)
            os.close(there)

    def _aside(self) -> Path:
        self._asides += 1
        return self._folder.parent / f"aside-{self._name}-{self._asides}"

    def _write(self) -> None:
        path, content = self._place(), self._content()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.is_dir():
            return
        temporary = self._folder / f".lattice-{self._name}-{self._count}.tmp"
        temporary.write_bytes(content)
        try:
            self._put(temporary, path)
        except OSError:
            # The node made or removed a directory there; our own temporary file is none of its business.
            temporary.unlink()
            raise
        self.written.add(content)

    def _append(self) -> None:
        path = self._existing("f")
        if path is None or path.is_symlink():
            return
        line = f"more by {self._name} {self._count}\n".encode()
        self._count += 1
        with path.open("r+b") as file:
            before = file.read()
            file.write(line)
        self.gone |= {before, before + line}

    def _rename(self) -> None:
        path, target = self._existing("f"), self._place()
        if path is None or target.is_dir():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if target != path:
            self._put(path, target)

    def _delete(self) -> None:
        path = self._existing(self._dice.pick(["f", "f", "d"]))
        if path is None:
            return
        self._lose(path)

    def _mkdir(self) -> None:
        self._place().mkdir(parents=True, exist_ok=True)

    def _link(self) -> None:
        path = self._place()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(f"target-{self._dice.below(100)}")

    def _chmod(self) -> None:
        path = self._existing("f")
        if path is not None and not path.is_symlink():
            path.chmod(path.stat().st_mode ^ 0o111)

    def _file_to_directory(self) -> None:
        path = self._existing("f")
        if path is None:
            return
        self._lose(path)
        path.mkdir()
        content = self._content()
        with (path / "inside").open("xb") as file:
            file.write(content)
        self.written.add(content)

    def _directory_to_file(self) -> None:
        path = self._existing("d")
        if path is None:
            return
        self._lose(path)
        content = self._content()
        with path.open("xb") as file:
            file.write(content)
        self.written.add(content)

    def _rename_directory(self) -> None:
        path, target = self._existing("d"), self._place()
        if path is None or target.exists() or target.is_symlink() or target.is_relative_to(path):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
