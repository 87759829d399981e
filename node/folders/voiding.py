"""Files whose content lost its effect become conflict copies; they never disappear from disk (decision 27).

A device that equivocated has the rest of what it wrote voided. Where its files stand on our disk, somebody may have
worked with them: each is renamed beside its place, by the rules for the names of copies, and the next scan finds it
there as a file of this device. Nothing is remembered in between: a file is void by its row, and a copy is a copy by
being where no row is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from latticework.crdt.paths import conflict_path

from ..store import Row
from .content import digest
from .ledger import FolderLedger
from .reasons import Pending, Reason, pending_for
from .refusals import BlockedError, LocalChangeError
from .root import FolderRoot


@dataclass(frozen=True, slots=True)
class VoidFile:
    """A file to set aside, and whose it was: the device's name and the clock of the entry."""

    path: bytes
    row: Row
    device: str
    hlc: int


def void_files(ledger: FolderLedger, paths: Iterable[bytes]) -> list[VoidFile]:
    """Those of `paths` that the tree is about to replace or delete though nobody honest ever replaced them."""
    found: list[VoidFile] = []
    for path in paths:
        row = ledger.rows.get(path)
        if row is not None and is_to_be_kept(ledger, path, row):
            device, hlc = ledger.publisher.tree.origin_of(row.dots[0].entry) or ("unknown", 0)
            found.append(VoidFile(path, row, device, hlc))
    return found


def is_to_be_kept(ledger: FolderLedger, path: bytes, row: Row) -> bool:
    """True when what stands at `path` is void content and the tree does not show the same there anyway."""
    if row.kind == "d" or ledger.in_step(path) or not ledger.is_void(row):
        return False
    shown = ledger.publisher.tree.shown.get(path)
    return shown is None or digest(shown.value) != row.content


def set_aside(root: FolderRoot, files: Sequence[VoidFile]) -> tuple[dict[bytes, bytes], dict[bytes, Pending]]:
    """Rename void files, blocking: the path of the copy by that of the file, and why others are still there."""
    copies: dict[bytes, bytes] = {}
    failed: dict[bytes, Pending] = {}
    for file in files:
        try:
            copies[file.path] = _set_aside(root, file)
        except LocalChangeError as error:
            failed[file.path] = Pending(Reason.LOCAL_CHANGE, str(error))
        except BlockedError as error:
            failed[file.path] = Pending(Reason.BLOCKED, str(error))
        except OSError as error:
            failed[file.path] = pending_for(error)
    root.flush()
    return copies, failed


def _set_aside(root: FolderRoot, file: VoidFile) -> bytes:
    for copy in _names(file):
        if root.status(copy) is None:
            root.rename(file.path, copy, file.row, None)
            return copy
    raise AssertionError("names do not end")


def _names(file: VoidFile) -> Iterator[bytes]:
    yield conflict_path(file.path, file.device, file.hlc, None)
    for number in count(1):
        yield conflict_path(file.path, file.device, file.hlc, number.to_bytes(2, "big"))
