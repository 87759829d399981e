"""What the tree moved is renamed on disk, with everything beneath it: nothing is fetched, copied or read.

Which renames bring the disk nearer to the tree, and in which order, is found on the rows alone. Where places are
exchanged one of them waits under a name of its own; it stands in the folder all the time, so a crash loses nothing.
Whatever cannot be renamed is brought path by path.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from latticework.crdt import Directory, File, FileTree
from latticework.crdt.paths import ancestors, conflict_path

from ..store import DiskChange, DiskMoves, Row
from .content import digest
from .ledger import FolderLedger
from .reasons import Pending, Reason, pending_for
from .refusals import BlockedError, LocalChangeError
from .root import FolderRoot


@dataclass(frozen=True, slots=True)
class Rename:
    """One rename: what the row of `old` says goes to `new`, where `replaced` or nothing stands."""

    old: bytes
    new: bytes
    row: Row
    replaced: Row | None


@dataclass(frozen=True, slots=True)
class Renamed:
    """What became of renames: the rows that are now right, and why others failed, by the path they were to have."""

    moves: DiskMoves
    changes: Sequence[DiskChange]
    failed: Mapping[bytes, Pending]


def has_moved(ledger: FolderLedger, paths: Iterable[bytes]) -> bool:
    """True when the tree shows at another path what stands at one of `paths`."""
    return any(_target(ledger, path) is not None for path in paths)


def plan_renames(ledger: FolderLedger, paths: Iterable[bytes]) -> list[Rename]:
    """The renames that bring `paths`, which may differ from the tree, nearer to it."""
    targets = {path: new for path in paths if (new := _target(ledger, path)) is not None}
    if not targets:
        return []
    plan = _Plan(ledger, targets)
    plan.directories()
    plan.files()
    return plan.steps


def _target(ledger: FolderLedger, path: bytes) -> bytes | None:
    """The one visible path of what stands at `path`, when that is another."""
    row, tree = ledger.rows.get(path), ledger.publisher.tree
    if row is None or ledger.in_step(path):
        return None
    places = {tree.place_of(dot) for dot in row.dots} - {None}
    if len(places) != 1:
        return None
    (new,) = places
    if new is None or new == path or _kind(tree, new) != row.kind:
        return None
    directory = row.kind == "d"
    ignored = any(ledger.rules.ignores_below(each, directory=directory) for each in (path, new))
    return None if ignored else new


def _kind(tree: FileTree, path: bytes) -> str:
    match tree.shown[path].value:
        case File():
            return "f"
        case Directory():
            return "d"
        case _:
            return "l"


@final
class _Plan:
    """Renames tried on rows; a step that fails on disk later spoils only those that build on it."""

    def __init__(self, ledger: FolderLedger, targets: dict[bytes, bytes]) -> None:
        self._ledger = ledger
        self._rows = dict(ledger.rows)
        self._targets = targets
        self._parked: set[bytes] = set()
        self._coming = self._directories_to_come()
        self.steps: list[Rename] = []

    def directories(self) -> None:
        """Move directories, those above others first, then what hangs on them."""
        while waiting := self._pending("d"):
            ready = next((old for old in waiting if self._is_free(old, self._targets[old])), None)
            if ready is not None:
                self._step(ready, self._targets[ready])
            elif not self._clear_the_way(waiting):
                return

    def files(self) -> None:
        """Move files and links, the last of a chain first."""
        while waiting := [*self._pending("f"), *self._pending("l")]:
            before = len(self.steps)
            for start in waiting:
                for old in reversed(self._chain(start)):
                    if self._is_free(old, self._targets[old]):
                        self._step(old, self._targets[old])
            if len(self.steps) == before and not self._clear_the_way(waiting):
                return

    def _chain(self, start: bytes) -> list[bytes]:
        """What moves to the place of the next, from `start` on; in a circle, one is moved aside."""
        chain: list[bytes] = []
        old = start
        while old in self._targets and old not in chain:
            chain.append(old)
            old = self._targets[old]
        if old in chain:
            chain[chain.index(old)] = self._park(old, old)
        return chain

    def _clear_the_way(self, waiting: Sequence[bytes]) -> bool:
        """Move one thing aside that is to go elsewhere and stands where another must go, or on the way there."""
        for old in waiting:
            for obstacle in (self._targets[old], *ancestors(self._targets[old])):
                if obstacle in self._targets and obstacle not in self._parked:
                    self._park(obstacle, obstacle)
                    return True
            target = self._targets[old]
            if old.startswith(target + b"/") and target not in self._targets:
                # It is to take the place of the directory that it stands in, which can go only once it is empty.
                self._park(old, target)
                return True
        return False

    def _pending(self, kind: str) -> list[bytes]:
        return sorted(
            (old for old in self._targets if self._rows[old].kind == kind), key=lambda path: (path.count(b"/"), path)
        )

    def _is_free(self, old: bytes, new: bytes) -> bool:
        """True when `new` can be taken, and will stay where it is."""
        if new.startswith(old + b"/"):
            return False
        for above in ancestors(new):
            row = self._rows.get(above)
            if above in self._targets or above in self._coming or (row is not None and row.kind != "d"):
                return False
        if self._rows[old].kind == "d" and any(path.startswith(new + b"/") for path in self._rows):
            # Something stands beneath a directory that is not there: what is on the way must not be merged into it.
            return False
        return new not in self._rows or self._may_replace(old, new)

    def _may_replace(self, old: bytes, new: bytes) -> bool:
        """True for a file whose content the tree shows nowhere any more; it is kept as a previous version."""
        row, ledger = self._rows[new], self._ledger
        if row.kind == "d" or self._rows[old].kind == "d" or new in self._targets or ledger.is_void(row):
            return False
        tree = ledger.publisher.tree
        if any(tree.place_of(dot) is not None or tree.is_hidden(dot) for dot in row.dots):
            return False
        return new in ledger.rows and not ledger.in_step(new)

    def _park(self, old: bytes, beside: bytes) -> bytes:
        number = 0
        while (aside := conflict_path(beside, "moving", number << 32, None)) in self._rows:
            number += 1
        self._step(old, aside)
        self._parked.add(aside)
        return aside

    def _step(self, old: bytes, new: bytes) -> None:
        row = self._rows[old]
        self.steps.append(Rename(old, new, row, self._rows.get(new)))
        moved = moved_paths(self._rows, old, new, row)
        rows = {after: self._rows.pop(before) for before, after in moved.items()}
        targets = {moved[before]: self._targets.pop(before) for before in moved if before in self._targets}
        self._rows |= rows
        self._targets |= {path: target for path, target in targets.items() if path != target}
        if row.kind == "d":
            self._coming = self._directories_to_come()

    def _directories_to_come(self) -> set[bytes]:
        """Where directories are to go: what belongs beneath them waits, or it would be in their way."""
        return {new for old, new in self._targets.items() if self._rows[old].kind == "d"}


def moved_paths(rows: Iterable[bytes], old: bytes, new: bytes, row: Row) -> dict[bytes, bytes]:
    """Where everything at and beneath `old` is when that has gone to `new`."""
    if row.kind != "d":
        return {old: new}
    start = old + b"/"
    return {old: new} | {path: new + path[len(old) :] for path in rows if path.startswith(start)}


def rename_all(root: FolderRoot, steps: Sequence[Rename]) -> tuple[list[tuple[Rename, Row]], dict[bytes, Pending]]:
    """Rename on disk, blocking: what was done, with its new row but for its dots, and why the rest was not."""
    done: list[tuple[Rename, Row]] = []
    failed: dict[bytes, Pending] = {}
    fresh: dict[bytes, Row] = {}
    for step in steps:
        expected = step.row
        if (renamed := fresh.pop(step.old, None)) is not None and renamed.inode == step.row.inode:
            expected = renamed  # a rename of a file changes its change time
        try:
            status = root.rename(step.old, step.new, expected, step.replaced)
        except LocalChangeError as error:
            failed[step.new] = Pending(Reason.LOCAL_CHANGE, str(error))
        except BlockedError as error:
            failed[step.new] = Pending(Reason.BLOCKED, str(error))
        except OSError as error:
            failed[step.new] = pending_for(error)
        else:
            row = step.row._replace(mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, inode=status.st_ino)
            fresh[step.new] = row
            done.append((step, row))
    root.flush()
    return done, failed


def renamed_rows(ledger: FolderLedger, done: Sequence[tuple[Rename, Row]], failed: Mapping[bytes, Pending]) -> Renamed:
    """The rows after renames that were done in this order."""
    rows = dict.fromkeys(ledger.rows)
    came_from: dict[bytes, bytes] = {}
    changed: dict[bytes, Row] = {}
    for step, row in done:
        moved = moved_paths(rows, step.old, step.new, step.row)
        for before in moved:
            rows.pop(before, None)
        origins = {after: came_from.pop(before, before) for before, after in moved.items()}
        kept = {after: changed.pop(before) for before, after in moved.items() if before in changed}
        rows |= dict.fromkeys(moved.values())
        came_from |= origins
        changed |= kept
        changed[step.new] = row
    tree = ledger.publisher.tree
    changes = [DiskChange(path, _with_dots(tree, path, row)) for path, row in changed.items()]
    return Renamed(DiskMoves({old: new for new, old in came_from.items() if old != new}), changes, failed)


def _with_dots(tree: FileTree, path: bytes, row: Row) -> Row:
    """The row in step with the tree, unless the tree also has other content or times for it."""
    shown = tree.shown.get(path)
    if shown is None or set(shown.dots).isdisjoint(row.dots) or digest(shown.value) != row.content:
        return row
    value = shown.value
    if isinstance(value, File) and (value.mtime_ns, value.executable) != (row.mtime_ns, row.executable):
        return row
    return row._replace(dots=shown.dots)
