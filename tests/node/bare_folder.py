"""A folder's root by itself, without a space."""

import os
from pathlib import Path

from latticework.node.folders.root import FolderRoot

FOLDER = bytes(32)


def bare_folder(base: Path) -> Path:
    """A directory with the marker of `FOLDER`."""
    path = base / "folder"
    FolderRoot.create(path, FOLDER)
    return path


def temporary(root: FolderRoot, text: bytes) -> bytes:
    """A finished temporary file, to be installed."""
    descriptor = root.open_temporary(b"new", fresh=True)
    os.write(descriptor, text)
    os.close(descriptor)
    return b"new"
