"""What a person changed in a folder, as operations of the file tree and as the rows that stand on disk afterwards."""

from collections.abc import Mapping, Sequence

from latticework.crdt import Deleted, Directory, FileTree, Put, content_key

from .folders.ports import LocalChange
from .rows import is_untouched
from .store import Row


def operations_of(tree: FileTree, changes: Sequence[LocalChange], rows: Mapping[bytes, Row]) -> list[Put]:
    """The operations that bring `tree` to what the disk shows now; `rows` are all rows before the changes."""
    also_changed = {change.path for change in changes if _shows(tree, change)}
    puts: list[Put] = []
    for change in changes:
        puts += _puts(tree, change, also_changed, rows)
    return puts


def row_after(tree: FileTree, change: LocalChange) -> Row | None:
    """The row of a changed path once its operations are applied."""
    if change.found is None:
        return None
    shown = tree.shown.get(change.path)
    key = content_key(change.found.value)
    if shown is not None and content_key(shown.value) == key:
        # Adopted content with other times or another mode is brought in line when it is applied.
        return change.found.row(shown.dots if shown.value == change.found.value else ())
    if is_untouched(change) and change.row is not None:
        return change.found.row(change.row.dots)
    mine = (version.dot for version in tree.heads(change.path) if content_key(version.value) == key)
    return change.found.row(tuple(mine))


def _shows(tree: FileTree, change: LocalChange) -> bool:
    shown = tree.shown.get(change.path)
    return shown is not None and change.row is not None and not set(change.row.dots).isdisjoint(shown.dots)


def _puts(tree: FileTree, change: LocalChange, also_changed: set[bytes], rows: Mapping[bytes, Row]) -> list[Put]:
    path, found, row = change.path, change.found, change.row
    if is_untouched(change):
        return []
    shown = tree.shown.get(path)
    # What lost its name here and was taken away before its copy was written has no content anywhere: it is settled.
    dots = frozenset(() if row is None else row.dots)
    copies = [other for other in tree.emitted(path) if other != path]
    unwritten = {other for other in copies if other not in rows and dots & set(tree.shown[other].dots)}
    named = set(() if shown is None else shown.dots).union(*(rows[other].dots for other in copies if other in rows))
    heads = (version.dot for version in tree.heads(path) if version.dot in dots - named)
    mine = tuple(heads)
    settled = [Put(path, Deleted() if found is None else found.value, mine)] if mine else []
    if found is None:
        if row is None or not _shows(tree, change):
            return settled
        return tree.puts_for(path, Deleted(), row.dots, also_changed | unwritten)
    if shown is not None and content_key(shown.value) == content_key(found.value):
        if row is None or row.dots != shown.dots or shown.value == found.value:
            return settled
    elif isinstance(found.value, Directory) and tree.is_directory(path):
        return settled
    return tree.puts_for(path, found.value, () if row is None else row.dots, also_changed | unwritten)
