"""`.latticeignore`: which paths of a folder are never published and never written (gitignore syntax)."""

import os
from typing import final

import pathspec

from latticework.wire import StoreError

from ..params import IGNORE_FILE_BYTES
from .root import FolderRoot

IGNORE_FILE = b".latticeignore"
ALWAYS = (".lattice-*.tmp",)
_REMEMBERED = 8192
"""Directories whose verdict is kept; chosen here."""


class IgnoreFileError(StoreError):
    """The ignore file cannot be understood; guessing could publish what was meant to stay private."""


@final
class IgnoreRules:
    """Compiled rules; `source` is the text they come from."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self._directories: dict[bytes, bool] = {}
        try:
            lines = [*ALWAYS, *source.decode("utf-8").splitlines()]
            self._spec = pathspec.GitIgnoreSpec.from_lines(lines)
        except (UnicodeDecodeError, ValueError, TypeError) as error:
            raise IgnoreFileError(f"{os.fsdecode(IGNORE_FILE)} cannot be understood: {error}") from error

    def ignores(self, path: bytes, *, directory: bool) -> bool:
        """True when `path` itself matches; whoever walks leaves out what is below an ignored directory."""
        return self._spec.match_file(os.fsdecode(path) + ("/" if directory else ""))

    def ignores_below(self, path: bytes, *, directory: bool) -> bool:
        """True when `path` or a directory above it matches."""
        return self._ignores_directory(path.rpartition(b"/")[0]) or self.ignores(path, directory=directory)

    def _ignores_directory(self, path: bytes) -> bool:
        """`ignores_below` for a directory, looked up where many paths share it; b"" is the root."""
        unknown: list[bytes] = []
        while path and path not in self._directories:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        ignored = self._directories.get(path, False)
        if len(self._directories) + len(unknown) > _REMEMBERED:
            self._directories.clear()
        for each in reversed(unknown):
            ignored = self._directories[each] = ignored or self.ignores(each, directory=True)
        return ignored


def load_rules(root: FolderRoot) -> IgnoreRules:
    """The rules of an open folder; none when there is no ignore file.

    Raises:
        IgnoreFileError: it is unreadable, too long or not valid.
    """
    try:
        descriptor = root.open_file(IGNORE_FILE)
    except FileNotFoundError:
        return IgnoreRules(b"")
    except OSError as error:
        raise IgnoreFileError(f"{os.fsdecode(IGNORE_FILE)} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        source = file.read(IGNORE_FILE_BYTES + 1)
    if len(source) > IGNORE_FILE_BYTES:
        raise IgnoreFileError(f"{os.fsdecode(IGNORE_FILE)} is longer than {IGNORE_FILE_BYTES} bytes")
    return IgnoreRules(source)
