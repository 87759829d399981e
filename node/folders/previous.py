"""What a change from another device replaced or deleted stays for a while in the folder's own directory.

One version per path, the oldest dropped first, within a small share of the folder's size (decisions 21 and 24): a
deleted archive frees its disk at once, a deleted note can be taken back from `.lattice/previous`.
"""

import os
from contextlib import suppress

from .root import PREVIOUS, FolderRoot


def trim_previous(root: FolderRoot, budget_bytes: int) -> None:
    """Drop the versions that went first until at most `budget_bytes` are kept; blocking."""
    kept = root.own_directory(PREVIOUS)
    with os.scandir(kept) as entries:
        found = [(status.st_ctime_ns, entry.name, status.st_size) for entry in entries if (status := _status(entry))]
    total = sum(size for _, _, size in found)
    for _, name, size in sorted(found):
        if total <= budget_bytes:
            return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=kept)
        total -= size


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return entry.stat(follow_symlinks=False)
    return None
