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
    """What one scan found, all as paths: to read, gone, no longer tracked, and impossible to sync with the reason."""

    changed: list[bytes] = field(default_factory=list[bytes])
    gone: list[bytes] = field(default_factory=list[bytes])
    untracked: list[bytes] = field(default_factory=list[bytes])
    refused: dict[bytes, str] = field(default_factory=dict[bytes, str])
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
    if row is None or not matches(row, status):
        found.changed.append(path)
    return kind == "d"
