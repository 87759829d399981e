"""The state that a space's entries add up to: its file tree and its documents.

A pure function of the applied entries and of which of them are void; the order of arrival never shows. `snapshot` keeps
all of it, structure included, so a replica that starts from one and applies the rest ends like one that applied
everything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, final

from latticework.wire import Bytes, EntryId, LogId, UInt, decode, encode, record

from .doc_ops import DocOperations
from .doc_paths import DocumentPath
from .documents import Documents
from .filetree import FileTree
from .params import MAX_SNAPSHOT_BYTES
from .tree_ops import FileOperations

type Operations = FileOperations | DocOperations
"""What an entry does to the state."""


class Applied(NamedTuple):
    """An admitted entry and what it does; `past` gives per log the highest number that its author had seen."""

    entry: EntryId
    log: LogId
    seq: int
    hlc: int
    past: Callable[[], Mapping[LogId, int]]
    operations: Operations


@dataclass(slots=True)
class Changes:
    """What a person sees change: visible paths of the tree, and places in documents by name."""

    paths: set[bytes] = field(default_factory=set[bytes])
    documents: dict[str, frozenset[DocumentPath]] = field(default_factory=dict[str, frozenset[DocumentPath]])

    def __bool__(self) -> bool:
        return bool(self.paths or self.documents)

    def add(self, more: "Changes") -> None:
        """Take in what else changed."""
        self.paths |= more.paths
        for name, paths in more.documents.items():
            self.documents[name] = self.documents.get(name, frozenset()) | paths


@record("snapshot")
@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state at one frontier, canonical; its hash is the state root of checkpoints."""

    version: Annotated[int, UInt(1)]
    files: Annotated[bytes, Bytes(maximum=MAX_SNAPSHOT_BYTES)]
    documents: Annotated[bytes, Bytes(maximum=MAX_SNAPSHOT_BYTES)]


@final
class Projection:
    """File tree and documents of one space."""

    def __init__(self, author_name: Callable[[LogId], str]) -> None:
        self._author_name = author_name
        self.tree = FileTree(author_name)
        self.documents = Documents()

    @classmethod
    def load(cls, snapshot: bytes, author_name: Callable[[LogId], str]) -> "Projection":
        """The state that `snapshot` holds.

        Raises:
            MalformedError: it is no snapshot.
        """
        parts = decode(Snapshot, snapshot, MAX_SNAPSHOT_BYTES)
        projection = cls(author_name)
        projection.tree = FileTree.load(parts.files, author_name)
        projection.documents = Documents.load(parts.documents)
        return projection

    def snapshot(self) -> bytes:
        """Equal exactly for equal sets of applied and of void entries."""
        return encode(Snapshot(1, self.tree.snapshot(), self.documents.snapshot()))

    def apply(self, batch: Sequence[Applied]) -> Changes:
        """Apply admitted entries, in causal order."""
        changes = Changes()
        files: list[tuple[EntryId, int, LogId, FileOperations]] = []
        for applied in batch:
            match applied.operations:
                case FileOperations() as operations:
                    files.append((applied.entry, applied.hlc, applied.log, operations))
                case DocOperations() as operations:
                    entry, log, seq, hlc, past, _ = applied
                    changed = self.documents.apply(entry, hlc, log, seq, past(), operations)
                    changes.add(Changes(documents=changed))
        if files:
            changes.paths |= self.tree.apply_all(files)
        return changes

    def set_void(self, entries: Mapping[EntryId, bool]) -> Changes:
        """Take the effect of entries away, or give it back."""
        if not entries:
            return Changes()
        return Changes(self.tree.set_void(entries), self.documents.set_void(entries))

    def renamed(self) -> Changes:
        """The names of authors are others now: so are those of conflict copies."""
        return Changes(self.tree.renamed())
