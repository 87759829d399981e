"""What disk rows say about changes: which are none, and which rows a change of heads carries along."""

from collections.abc import Mapping

from latticework.crdt import File, FileTree

from .folders.content import digest
from .folders.kinds import kind_of
from .folders.ports import LocalChange
from .store import Row


def is_untouched(change: LocalChange) -> bool:
    """True when nothing that a person sees has changed: the inode or its change time alone moved.

    Our own link into `.lattice/previous` does that, and a backup program may; it must not pass for an edit.
    """
    row, found = change.row, change.found
    if row is None or found is None or not row.dots or row.content != digest(found.value):
        return False
    value = found.value
    same_kind = row.kind == kind_of(found.status)
    if isinstance(value, File):
        return same_kind and row.mtime_ns == value.mtime_ns and row.executable == value.executable
    return same_kind


def rebased(rows: Mapping[bytes, Row], tree: FileTree, paths: frozenset[bytes]) -> dict[bytes, Row]:
    """Rows whose content the tree still shows, under new heads: conflict copies that became files of their own."""
    result: dict[bytes, Row] = {}
    for path in sorted(paths):
        row, shown = rows.get(path), tree.shown.get(path)
        if row is not None and shown is not None and row.content == digest(shown.value):
            result[path] = row._replace(dots=shown.dots)
    return result
