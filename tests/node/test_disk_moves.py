"""Both space stores move rows alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from latticework.crdt import Dot
from latticework.node.memory_store import MemoryStore
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import DiskChange, DiskMoves, Piece, Place, Row, SpaceStore
from latticework.wire import ChunkId, EntryId, SpaceId

pytestmark = pytest.mark.unit

SPACE = SpaceId(bytes(32))

type Open = Callable[[], SpaceStore]


def row(number: int) -> Row:
    dots = (Dot(EntryId(bytes([number]) * 32), number),)
    return Row("f", 5, -number, 7, (1 << 64) - 1, executable=True, content=bytes(32), dots=dots)


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "memory":
        kept = MemoryStore(bytes(16))
        return lambda: kept
    return lambda: SqliteStore(tmp_path / "space.db", SPACE, bytes(16))


def test_moved_rows_keep_their_pieces_and_may_swap(opened: Open) -> None:
    store = opened()
    chunks = [ChunkId(bytes([number]) * 32) for number in range(4)]
    paths = [b"a", b"b\xff", b"c", b"d"]
    before = [DiskChange(path, row(n), [Piece(chunks[n], n, 9)]) for n, path in enumerate(paths)]
    store.commit([], before, durable=False)
    moves = DiskMoves({b"a": b"b\xff", b"b\xff": b"a", b"c": b"d", b"never": b"e"})
    store.commit([], [moves, DiskChange(b"d", row(7))], durable=False)
    store.close()
    store = opened()
    assert store.rows() == {b"a": row(1), b"b\xff": row(0), b"d": row(7)}
    assert store.places(chunks) == {
        chunks[0]: [Place(b"b\xff", 0, 9)],
        chunks[1]: [Place(b"a", 1, 9)],
        chunks[2]: [Place(b"d", 2, 9)],
    }
    store.close()
