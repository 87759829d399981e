"""Keeping the version that is about to go: a link or a move into a directory of ours, on the same file system."""

import errno
import hashlib
import os
from contextlib import suppress
from typing import Protocol

from ..store import Row
from .moving import NO_LINKS

PREVIOUS = b"previous"
"""The directory of ours that holds them."""
_NOT_KEPT = NO_LINKS | {errno.EXDEV, errno.ENOSPC, errno.EDQUOT}
"""Why an earlier version is not kept; none of these may hold up the change itself."""


class OwnDirectories(Protocol):
    """An open folder, as far as this needs it."""

    def own_directory(self, name: bytes) -> int:
        """A descriptor of one of our own directories, made if need be."""
        ...


def link_previous(root: OwnDirectories, directory: int, name: bytes, path: bytes, row: Row) -> int:
    """Link the file that is about to be replaced there, as well as the disk allows; how many bytes are kept."""
    if row.kind != "f":
        return 0
    target = _kept_name(path)
    try:
        kept = root.own_directory(PREVIOUS)
        with suppress(FileNotFoundError):
            os.unlink(target + b".new", dir_fd=kept)
        os.link(name, target + b".new", src_dir_fd=directory, dst_dir_fd=kept, follow_symlinks=False)
        os.rename(target + b".new", target, src_dir_fd=kept, dst_dir_fd=kept)
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise
        return 0
    return row.size


def move_to_previous(root: OwnDirectories, directory: int, name: bytes, path: bytes, row: Row) -> bool:
    """Move the file `name`, which stood at `path`, there; False when it cannot be kept."""
    if row.kind != "f":
        return False
    try:
        kept = root.own_directory(PREVIOUS)
        os.rename(name, _kept_name(path), src_dir_fd=directory, dst_dir_fd=kept)
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise
        return False
    return True


def _kept_name(path: bytes) -> bytes:
    name = path.rpartition(b"/")[2]
    return hashlib.sha256(path).hexdigest()[:16].encode() + b" " + name[:200]
