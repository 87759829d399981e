"""What a folder asks of the node around it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from latticework.crdt import FileTree
from latticework.wire import ChunkId, EntryId

from ..store import DiskChange, DiskMoves, Row
from .content import Found

type Deliver = Callable[[list[tuple[ChunkId, bytes]]], Awaitable[None]]
"""Takes a group of received chunks; awaited before more are read, so it is the back-pressure."""


@dataclass(frozen=True, slots=True)
class LocalChange:
    """A path whose disk differs from its row: what stands there now, or None when nothing does."""

    path: bytes
    found: Found | None
    row: Row | None


@dataclass(frozen=True, slots=True)
class LocalMove:
    """What the row at `old` says stands at `new` now, with everything beneath it; `row` has its present status."""

    old: bytes
    new: bytes
    row: Row


@dataclass(frozen=True, slots=True)
class LocalMoves:
    """Moves that one scan found, directories first, and the new path of every row that goes along, by its old one."""

    moves: Sequence[LocalMove] = ()
    paths: Mapping[bytes, bytes] = field(default_factory=dict[bytes, bytes])


NO_MOVES: Final = LocalMoves()


class Publisher(Protocol):
    """The task that owns the space of this folder."""

    @property
    def tree(self) -> FileTree:
        """The space's tree; read between awaits only."""
        ...

    async def publish(
        self, changes: Sequence[LocalChange], rows: Mapping[bytes, Row], moves: LocalMoves
    ) -> dict[bytes, Row | None]:
        """Write local changes into the space and return the rows that are now right; `rows` are the current ones.

        What was gone before something moved there is among `changes`, as gone. When this returns they are durable.

        Raises:
            StoreError: nothing was written.
        """
        ...

    async def record(self, changes: Sequence[DiskChange | DiskMoves]) -> None:
        """Commit disk rows after the folder brought files to disk; raises StoreError."""
        ...

    def is_void(self, entry: EntryId) -> bool:
        """True for an entry whose operations lost their effect, because its author equivocated."""
        ...

    def pending_changed(self) -> None:
        """The folder's count of pending paths changed."""
        ...


class ChunkFetcher(Protocol):
    """Gets chunks from the devices that are connected."""

    async def fetch(self, wanted: Mapping[ChunkId, int], deliver: Deliver) -> None:
        """Ask for `wanted` chunks (with their sealed sizes in bytes) and hand over what comes, in groups, unchecked.

        Returns when no connected device has more of them; what is still missing then has no source.
        """
        ...


class Watcher(Protocol):
    """Tells which paths of a folder may have changed."""

    async def watch(self, report: Callable[[set[bytes] | None], None]) -> None:
        """Report relative paths for ever; None means anything may have changed.

        Raises:
            StoreError: watching is impossible here; the caller falls back to scanning.
        """
        ...
