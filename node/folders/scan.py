"""Scanning: what of the folder differs from the rows we keep. Blocking; runs in a worker thread."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from latticework.crdt import MARKER_DIRECTORY, path_refusal

from ..store import Row
from .ignore import IgnoreRules
from .kinds import kind_of, matches
from .root import FolderRoot


@dataclass(slots=True)
class Differences:
    """What one scan found, all as paths: to read, gone, no longer tracked, and impossible to sync with the reason.

    `statuses` are those of changed paths, unless there was no row to compare them with.
    """

    changed: list[bytes] = field(default_factory=list[bytes])
    gone: list[bytes] = field(default_factory=list[bytes])
    untracked: list[bytes] = field(default_factory=list[bytes])
    refused: dict[bytes, str] = field(default_factory=dict[bytes, str])
    statuses: dict[bytes, os.stat_result] = field(default_factory=dict[bytes, os.stat_result])
    failed: dict[bytes, OSError] = field(default_factory=dict[bytes, OSError])
    seen: int = 0


def scan(
    root: FolderRoot, rows: Mapping[bytes, Row], rules: IgnoreRules, prefixes: Iterable[bytes] | None
) -> Differences:
    """Compare disk and rows, everywhere or below `prefixes` only."""
    found = Differences()
    present: set[bytes] = set()
    if prefixes is None:
        _scan_below(root, b"", rows, rules, found, present)
        missing = [path for path in rows if path not in present]
    else:
        missing = _scan_prefixes(root, sorted(set(prefixes)), rows, rules, found, present)
        missing += _left_behind(root, rows, found, {*present, *missing})
    for path in missing:
        if rules.ignores_below(path, directory=rows[path].kind == "d"):
            found.untracked.append(path)
        else:
            try:
                if root.status(path) is None:
                    found.gone.append(path)
            except OSError as error:
                found.failed[path] = error
    return found


def _scan_prefixes(
    root: FolderRoot,
    prefixes: list[bytes],
    rows: Mapping[bytes, Row],
    rules: IgnoreRules,
    found: Differences,
    present: set[bytes],
) -> list[bytes]:
    deep: list[bytes] = []
    for path in prefixes:
        if path_refusal(path) is not None:
            continue
        status = root.status(path)
        if status is None:
            deep.append(path)
        elif not rules.ignores_below(path, directory=kind_of(status) == "d"):
            enter = _judge(path, status, rows, rules, found, present)
            # A directory that is named itself may be another one now: a rename tells nothing about what is in it.
            if enter:
                _scan_below(root, path, rows, rules, found, present)
            if enter or (path in rows and rows[path].kind == "d"):
                deep.append(path)
        else:
            deep.append(path)
    if not deep:
        return []
    exact = set(deep)
    starts = tuple(path + b"/" for path in deep)
    return [path for path in rows if path not in present and (path in exact or path.startswith(starts))]


def _left_behind(root: FolderRoot, rows: Mapping[bytes, Row], found: Differences, known: set[bytes]) -> list[bytes]:
    """Rows outside of the scanned prefixes whose file or directory has come into them: the other half of a rename."""
    inodes = {status.st_ino for path, status in found.statuses.items() if path not in rows}
    if not inodes:
        return []
    left = [path for path, row in rows.items() if row.inode in inodes and path not in known]
    left = [path for path in left if root.status(path) is None]
    if not left:
        return []
    exact, starts = set(left), tuple(path + b"/" for path in left)
    return [path for path in rows if path not in known and (path in exact or path.startswith(starts))]


def _scan_below(
    root: FolderRoot,
    directory: bytes,
    rows: Mapping[bytes, Row],
    rules: IgnoreRules,
    found: Differences,
    present: set[bytes],
) -> None:
    """Everything below `directory` except our own directory; links are never followed."""
    waiting = [directory]
    while waiting:
        directory = waiting.pop()
        try:
            names = root.names(directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if not directory:
                raise
            found.failed[directory] = error
            continue
        for name, status in names:
            if directory or name.lower() != MARKER_DIRECTORY:
                path = directory + b"/" + name if directory else name
                if _judge(path, status, rows, rules, found, present):
                    waiting.append(path)


def _judge(
    path: bytes,
    status: os.stat_result,
    rows: Mapping[bytes, Row],
    rules: IgnoreRules,
    found: Differences,
    present: set[bytes],
) -> bool:
    kind = kind_of(status)
    if kind is None or rules.ignores(path, directory=kind == "d"):
        return False
    if refusal := path_refusal(path):
        found.refused[path] = refusal
        return False
    if path in present:
        return False
    found.seen += 1
    present.add(path)
    row = rows.get(path)
    # A directory is followed by its inode, though nothing about it is an edit.
    if row is None or not matches(row, status) or row.inode != status.st_ino:
        found.changed.append(path)
        if rows:
            found.statuses[path] = status
    return kind == "d"
