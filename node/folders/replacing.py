"""Taking a file's place, or taking it away, only while it is exactly what its row says.

Whoever looks first and renames then can destroy what a person put there in between. So the name is taken first, at once
with giving it to what replaces it, and what came out is looked at; where that is not what the row says, it goes back.
"""

import os

from ..store import Row
from .keeping import OwnDirectories, link_previous, move_to_previous
from .kinds import matches_after_rename
from .moving import exchange, move_to_free
from .refusals import LocalChangeError

_ASIDE = b"aside "
_ASIDE_NAME_BYTES = 200


def put(
    root: OwnDirectories, old: bytes, source: int, name: bytes, target: int, path: bytes, replaced: Row | None
) -> int:
    """Move a file to `name` in `target`, which is `path`, where `replaced` or nothing stands; how many bytes are kept.

    Raises LocalChangeError, with both files where they were, when something else stands there.
    """
    if replaced is None:
        try:
            move_to_free(old, source, name, target)
        except FileExistsError:
            raise LocalChangeError(f"{path!r} appeared") from None
        return 0
    if not exchange(old, source, name, target):
        kept = link_previous(root, target, name, path, replaced)
        os.rename(old, name, src_dir_fd=source, dst_dir_fd=target)
        return kept
    if not matches_after_rename(replaced, os.stat(old, dir_fd=source, follow_symlinks=False)):
        exchange(old, source, name, target)
        raise LocalChangeError(f"{path!r} changed")
    return _drop(root, old, source, path, replaced)


def take_away(root: OwnDirectories, own: int, name: bytes, directory: int, path: bytes, expected: Row) -> int:
    """Remove the file or link `name` of `directory`, which is `path`, by way of our directory `own`; bytes kept.

    Raises LocalChangeError, and puts back what stood there, when that is not `expected`.
    """
    aside = _ASIDE + name[:_ASIDE_NAME_BYTES]
    os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=own)
    if matches_after_rename(expected, os.stat(aside, dir_fd=own, follow_symlinks=False)):
        return _drop(root, aside, own, path, expected)
    try:
        move_to_free(aside, own, name, directory)
    except FileExistsError:
        # Replaced twice within a moment, the second time by whom it belongs to.
        _drop(root, aside, own, path, expected)
    raise LocalChangeError(f"{path!r} changed")


def status_of(ours: os.stat_result, name: bytes, directory: int) -> os.stat_result:
    """The status of what we put at `name`: its new change time, unless a person has touched or replaced it by now."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    same = (found.st_ino, found.st_size, found.st_mtime_ns) == (ours.st_ino, ours.st_size, ours.st_mtime_ns)
    return found if same else ours


def _drop(root: OwnDirectories, name: bytes, directory: int, path: bytes, row: Row) -> int:
    if move_to_previous(root, directory, name, path, row):
        return row.size
    os.unlink(name, dir_fd=directory)
    return 0
