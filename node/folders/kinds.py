"""What stands at a path: its kind, its executable bit, and whether it is what a row recorded."""

import os
import stat

from ..store import Row


def kind_of(status: os.stat_result) -> str | None:
    """`f`, `d`, `l`, or None for what is never synced: sockets, pipes, devices."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return "f"
    if stat.S_ISDIR(mode):
        return "d"
    return "l" if stat.S_ISLNK(mode) else None


def is_executable(status: os.stat_result) -> bool:
    """The owner's executable bit."""
    return bool(status.st_mode & stat.S_IXUSR)


def with_executable(mode: int, *, executable: bool) -> int:
    """`mode` with execution for whoever may read, or for nobody."""
    return mode | ((mode & 0o444) >> 2) if executable else mode & ~0o111


def matches(row: Row, status: os.stat_result) -> bool:
    """True when `status` is what `row` recorded. A directory is itself whatever its times say."""
    kind = kind_of(status)
    if kind != row.kind:
        return False
    if kind == "d":
        return True
    return status.st_ctime_ns == row.ctime_ns and matches_after_rename(row, status)


def matches_after_rename(row: Row, status: os.stat_result) -> bool:
    """The same for a file or link that was renamed since: that alone changes the change time."""
    kind = kind_of(status)
    return (
        kind == row.kind
        and status.st_size == row.size
        and status.st_mtime_ns == row.mtime_ns
        and status.st_ino == row.inode
        and (kind == "l" or is_executable(status) == row.executable)
    )
