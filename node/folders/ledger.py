"""What both tasks of a folder share: its rows, what is due, what failed and why, and the lock over the disk.

The lock is held while the disk is compared with the rows, while what was found is published, and while files are moved
into place and their rows replaced; reading, hashing and fetching happen outside it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import final

import trio

from latticework.crdt.paths import ancestors

from ..store import Row
from .ignore import IgnoreRules
from .ports import Publisher
from .reasons import Pending, Reason
from .root import FolderRoot


@final
class FolderLedger:
    """The state of one folder; owned by the tasks of its engine."""

    def __init__(self, path: Path, folder_id: bytes, rows: dict[bytes, Row], publisher: Publisher) -> None:
        self.path = path
        self.folder_id = folder_id
        self.rows = rows
        self.publisher = publisher
        self.disk = trio.Lock()
        self.rules = IgnoreRules(b"")
        self.pending: dict[bytes, Pending] = {}
        self.unreadable: dict[bytes, Pending] = {}
        self.opened = False
        """The ignore rules are known; nothing is written before."""
        self.stopped: str | None = None
        self.watch_problem: str | None = None
        self.scanning = True
        self.applying = False
        self.under_way: dict[bytes, None] = {}
        """What the present apply round has not brought to disk yet."""
        self.moved: set[bytes] = set()
        """Paths whose rows went elsewhere since the disk was last compared with the rows."""
        self.to_scan: set[bytes] | None = None
        self.to_apply: dict[bytes, None] = {}
        self.scan_wake = trio.Event()
        self.apply_wake = trio.Event()

    @property
    def pending_count(self) -> int:
        """Paths that are not on this disk as the tree shows them, and local changes not yet published."""
        due = self.to_apply.keys() | self.under_way.keys()
        failed = sum(path not in due for path in self.retryable())
        return len(due) + failed + len(self.unreadable) + bool(self.stopped)

    @property
    def busy(self) -> bool:
        """True while a scan or an apply round is due or runs."""
        return self.scanning or self.applying or bool(self.to_apply) or self.to_scan is None or bool(self.to_scan)

    def retryable(self) -> list[bytes]:
        """Failed paths that trying again may help."""
        return [path for path, why in self.pending.items() if why.reason is not Reason.IGNORED]

    def tree_changed(self, paths: Iterable[bytes]) -> None:
        """These visible paths of the tree may differ from the disk now."""
        self.to_apply |= dict.fromkeys(paths)
        self.apply_wake.set()

    def disk_changed(self, paths: set[bytes] | None) -> None:
        """These paths of the disk, or any, may differ from the rows now."""
        if paths is None or self.to_scan is None:
            self.to_scan = None
        else:
            self.to_scan |= paths
        self.scan_wake.set()

    def check_tree(self) -> None:
        """Compare everything that the tree shows with the rows again."""
        tree = self.publisher.tree
        self.tree_changed(sorted(path for path in tree.shown.keys() | self.rows.keys() if not self.in_step(path)))

    def check_all(self) -> None:
        """Compare everything again, both ways."""
        self.check_tree()
        self.disk_changed(None)

    def in_step(self, path: bytes) -> bool:
        """True when the row of `path` says that the disk shows what the tree shows."""
        shown = self.publisher.tree.shown.get(path)
        row = self.rows.get(path)
        if shown is None:
            return row is None or (row.kind == "d" and self.publisher.tree.is_directory(path))
        return row is not None and row.dots == shown.dots

    def is_void(self, row: Row) -> bool:
        """True when the disk shows at this row what nobody may rely on: its author equivocated."""
        return bool(row.dots) and all(self.publisher.is_void(dot.entry) for dot in row.dots)

    def set_row(self, path: bytes, row: Row | None) -> None:
        """The disk shows this now, and the store knows it."""
        if row is None:
            self.rows.pop(path, None)
        else:
            self.rows[path] = row
        self._note_progress(path)

    def take_moves(self, paths: Mapping[bytes, bytes]) -> None:
        """Rows are those of other paths now, and the store knows it; see `DiskMoves`."""
        moved = {new: self.rows[old] for old, new in paths.items()}
        for old in paths:
            del self.rows[old]
        self.rows |= moved
        self.moved |= paths.keys()
        for path in (*paths, *moved):
            self._note_progress(path)

    def has_left(self, path: bytes) -> bool:
        """True when what stood at `path` went elsewhere since the disk was last compared with the rows."""
        return path in self.moved or any(above in self.moved for above in ancestors(path))

    def _note_progress(self, path: bytes) -> None:
        if path in self.under_way and self.in_step(path):
            del self.under_way[path]

    def open_root(self) -> FolderRoot:
        """Open the folder for one pass; blocking; raises FolderStoppedError."""
        return FolderRoot.open(self.path, self.folder_id)
