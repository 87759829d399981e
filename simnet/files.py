"""Files that appear whole or not at all, so that whoever reads a folder of results never sees half of one."""

import os
from pathlib import Path

from latticework.wire import LocalError


def make_folder(path: Path) -> None:
    """Make the folder `path` and those above it; raises LocalError where something else stands in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"{path} cannot be made a folder for results: {error.strerror}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `path` under another name and move it there: a link at `path` is replaced and never followed.

    A crash of the machine may still leave a damaged file, since nothing waits for the disk.

    Raises:
        LocalError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.unlink(missing_ok=True)
        try:
            with fresh.open("xb") as file:
                file.write(content)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"{path} cannot be written: {error.strerror}") from error
