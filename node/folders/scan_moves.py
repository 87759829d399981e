"""Which of the differences that a scan found are moves: what has left one path and stands, itself, at another.

A file is itself by inode, size, times and mode, a directory by its inode and by something in it that came along: file
systems give the inode of what was deleted to what is made next.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from latticework.crdt.paths import ancestors

from ..store import Row
from .kinds import kind_of, matches
from .ports import LocalMove, LocalMoves
from .scan import Differences


@dataclass(frozen=True, slots=True)
class FoundMoves:
    """The moves among the differences; `overwritten` are the paths whose former things they took the place of."""

    moves: LocalMoves = field(default_factory=LocalMoves)
    overwritten: tuple[bytes, ...] = ()


def find_moves(found: Differences, rows: Mapping[bytes, Row], is_void: Callable[[Row], bool]) -> FoundMoves:
    """Take moves out of `found`, and what went along with them."""
    search = _Search(found, rows, is_void)
    if not search.sources:
        return FoundMoves()
    search.find_directories()
    search.follow_directories()
    search.find_files()
    return search.result()


@final
class _Search:
    def __init__(self, found: Differences, rows: Mapping[bytes, Row], is_void: Callable[[Row], bool]) -> None:
        self._found = found
        self._rows = rows
        self._changed = dict.fromkeys(found.changed)
        self._gone = dict.fromkeys(found.gone)
        self._directories: dict[bytes, bytes] = {}
        self._moves: list[LocalMove] = []
        self._paths: dict[bytes, bytes] = {}
        self.sources = self._sources(is_void)

    def _sources(self, is_void: Callable[[Row], bool]) -> dict[tuple[str, int], bytes]:
        """What is no longer where its row says, by kind and inode."""
        if not self._found.statuses:
            return {}
        sources: dict[tuple[str, int], bytes] = {}
        for path in (*self._gone, *self._changed):
            row = self._rows.get(path)
            if row is None or (row.kind != "d" and (not row.dots or is_void(row))):
                continue
            status = self._found.statuses.get(path)
            if status is None or (kind_of(status), status.st_ino) != (row.kind, row.inode):
                sources[row.kind, row.inode] = path
        return sources

    def find_directories(self) -> None:
        """Directories, the higher ones first; what a higher one explains is no move of its own."""
        arrived = [path for path in self._changed if _kind(self._found.statuses.get(path)) == "d"]
        for new in sorted(arrived, key=lambda path: path.count(b"/")):
            old = self.sources.get(("d", self._found.statuses[new].st_ino))
            if old is not None and self._through(old) != new:
                self._directories[old] = new
        witnessed = {
            self._above(path)
            for path, new in self._beneath()
            if path not in self._directories and self._is_same(self._rows[path], new)
        }
        self._directories = {old: new for old, new in self._directories.items() if old in witnessed}

    def follow_directories(self) -> None:
        """What stands in a moved directory as it did before goes along without being looked at."""
        for old, new in self._directories.items():
            self._move(old, new)
        for path, new in list(self._beneath()):
            if path in self._paths:
                continue
            row = self._rows[path]
            if self._is_same(row, new):
                self._paths[path] = new
                self._gone.pop(path, None)
                if row.kind == "d" or matches(row, self._found.statuses[new]):
                    self._changed.pop(new, None)
            elif path not in self._gone and path not in self._changed:
                # Taken out of the directory again, to where it was.
                self._moves.append(LocalMove(path, path, row))

    def find_files(self) -> None:
        """Files and links; what was written to on the way is another one."""
        for new in list(self._changed):
            status = self._found.statuses.get(new)
            kind = _kind(status)
            if status is None or kind is None or kind == "d":
                continue
            old = self.sources.get((kind, status.st_ino))
            if old is None or old in self._paths:
                continue
            row = self._rows[old]._replace(ctime_ns=status.st_ctime_ns)
            if matches(row, status):
                self._move(old, new)

    def result(self) -> FoundMoves:
        """The moves, and the differences without them."""
        self._found.changed = list(self._changed)
        self._found.gone = list(self._gone)
        overwritten = tuple(new for new in self._paths.values() if new in self._rows and new not in self._paths)
        return FoundMoves(LocalMoves(tuple(self._moves), self._paths), overwritten)

    def _move(self, old: bytes, new: bytes) -> None:
        status = self._found.statuses[new]
        row = self._rows[old]._replace(mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns)
        self._moves.append(LocalMove(old, new, row))
        self._paths[old] = new
        self._gone.pop(old, None)
        self._changed.pop(new, None)

    def _beneath(self) -> Iterable[tuple[bytes, bytes]]:
        """Every row in a moved directory, and where it should be now."""
        starts = tuple(old + b"/" for old in self._directories)
        return ((path, self._through(path)) for path in self._rows if path.startswith(starts)) if starts else ()

    def _through(self, path: bytes) -> bytes:
        above = self._above(path)
        return path if above is None else self._directories[above] + path[len(above) :]

    def _above(self, path: bytes) -> bytes | None:
        """The nearest moved directory at or above `path`."""
        return next((above for above in (path, *ancestors(path)) if above in self._directories), None)

    def _is_same(self, row: Row, new: bytes) -> bool:
        status = self._found.statuses.get(new)
        return status is not None and (kind_of(status), status.st_ino) == (row.kind, row.inode)


def _kind(status: os.stat_result | None) -> str | None:
    return None if status is None else kind_of(status)
