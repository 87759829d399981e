"""Both space stores keep one contract."""

from collections.abc import Callable
from pathlib import Path

import pytest

from latticework.crdt import Dot, Entry, write_entry
from latticework.crdt.frontier import Range
from latticework.node.memory_store import MemoryStore
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import DiskChange, Piece, Place, Row, SpaceStore, StoreCorruptError
from latticework.wire import ChunkId, EntryId, LogId, SpaceId, StoreError, encode
from latticework.wire.signing import Ed25519Signer

pytestmark = pytest.mark.unit

SPACE = SpaceId(bytes(32))
SIGNERS = [Ed25519Signer(bytes([number]) * 32) for number in range(3)]

type Make = Callable[[], SpaceStore]


def log_of(signer: Ed25519Signer, count: int) -> list[Entry]:
    entries: list[Entry] = []
    for seq in range(count):
        prev = entries[-1].id if entries else None
        payload = bytes([seq]) * 200
        entries.append(
            write_entry(SPACE, signer, seq=seq, prev=prev, deps=(), hlc=(1 << 63) + seq, lane=1, payload=payload)
        )
    return entries


def row(number: int, kind: str = "f") -> Row:
    dots = (Dot(EntryId(bytes([number]) * 32), number),)
    return Row(kind, 5, -number, 7, (1 << 64) - 1, executable=True, content=bytes(32), dots=dots)


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        kept = MemoryStore(bytes(16))
        return lambda: kept
    return lambda: SqliteStore(tmp_path / "space.db", SPACE, bytes(16))


def test_what_is_committed_is_there_after_opening_again(make: Make) -> None:
    store = make()
    entries = log_of(SIGNERS[0], 5)
    change = DiskChange(b"a\xff\n", row(1), [Piece(ChunkId(b"c" * 32), 3, 4)])
    store.commit(entries, [change], durable=True)
    store.close()
    store = make()
    assert [entry.id for entry in store.entries()] == [entry.id for entry in entries]
    assert store.rows() == {b"a\xff\n": row(1)}
    assert store.places([ChunkId(b"c" * 32), ChunkId(b"d" * 32)]) == {
        ChunkId(b"c" * 32): [Place(b"a\xff\n", 3, 4)],
    }
    position = store.position(entries[3].id)
    assert position is not None
    assert (position.log, position.seq, position.hlc) == (LogId(SIGNERS[0].public), 3, (1 << 63) + 3)
    assert store.log_nonce == bytes(16)
    assert not store.was_moved
    store.close()


def test_a_remembered_entry_is_known_before_it_is_stored(make: Make) -> None:
    store = make()
    (entry,) = log_of(SIGNERS[0], 1)
    assert store.position(entry.id) is None
    store.remember(entry)
    assert store.position(entry.id) is not None
    assert list(store.entries()) == []
    store.close()


def test_a_row_without_new_pieces_keeps_them_and_a_removed_one_loses_them(make: Make) -> None:
    store = make()
    chunk = ChunkId(b"c" * 32)
    store.commit([], [DiskChange(b"a", row(1), [Piece(chunk, 0, 9)])], durable=False)
    store.commit([], [DiskChange(b"a", row(2))], durable=False)
    assert store.places([chunk]) == {chunk: [Place(b"a", 0, 9)]}
    assert store.rows() == {b"a": row(2)}
    store.commit([], [DiskChange(b"a", row(3, "d"), [])], durable=False)
    assert store.places([chunk]) == {}
    store.commit([], [DiskChange(b"a", None), DiskChange(b"never", None)], durable=False)
    assert store.rows() == {}
    store.close()


def test_ranges_are_served_in_admission_order_and_in_parts(make: Make) -> None:
    store = make()
    logs = [log_of(signer, 6) for signer in SIGNERS]
    mixed = [entry for group in zip(*logs, strict=True) for entry in group]
    store.commit(mixed, [], durable=False)
    wanted = [Range(LogId(SIGNERS[0].public), 2, 4), Range(LogId(SIGNERS[2].public), 0, 1)]
    expected = [encode(e.envelope) for e in mixed if e in logs[0][2:5] or e in logs[2][:2]]
    whole, cursor = store.serve(wanted, 0, 1 << 20)
    assert (whole, cursor) == (expected, None)
    found: list[bytes] = []
    after: int | None = 0
    while after is not None:
        part, after = store.serve(wanted, after, 1)
        assert len(part) <= 1
        found += part
    assert found == expected
    assert store.serve([Range(LogId(bytes(32)), 0, 9)], 0, 1 << 20) == ([], None)
    store.close()


def test_a_new_log_outlives_the_process(make: Make) -> None:
    store = make()
    store.new_log(b"n" * 16)
    store.close()
    store = make()
    assert store.log_nonce == b"n" * 16
    assert not store.was_moved
    store.close()


def test_another_space_or_version_or_garbage_is_refused(tmp_path: Path) -> None:
    import apsw  # noqa: PLC0415

    path = tmp_path / "space.db"
    SqliteStore(path, SPACE, bytes(16)).close()
    with pytest.raises(StoreCorruptError):
        SqliteStore(path, SpaceId(b"x" * 32), bytes(16))
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="another version"):
        SqliteStore(path, SPACE, bytes(16))
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreCorruptError):
        SqliteStore(path, SPACE, bytes(16))
    with pytest.raises(StoreError):
        SqliteStore(tmp_path / "missing" / "space.db", SPACE, bytes(16))


def test_a_changed_entry_is_found_at_the_start(tmp_path: Path) -> None:
    import apsw  # noqa: PLC0415

    path = tmp_path / "space.db"
    store = SqliteStore(path, SPACE, bytes(16))
    store.commit(log_of(SIGNERS[0], 3), [], durable=True)
    store.close()
    connection = apsw.Connection(str(path))
    data = bytes(connection.execute("SELECT envelope FROM entry WHERE seq=1").get)
    connection.execute("UPDATE entry SET envelope=? WHERE seq=1", (data[:-1] + bytes([data[-1] ^ 1]),))
    connection.close()
    store = SqliteStore(path, SPACE, bytes(16))
    with pytest.raises(StoreCorruptError):
        list(store.entries())
    store.close()


def test_a_copied_database_is_noticed(tmp_path: Path) -> None:
    import shutil  # noqa: PLC0415

    path = tmp_path / "space.db"
    store = SqliteStore(path, SPACE, bytes(16))
    store.commit(log_of(SIGNERS[0], 3), [], durable=True)
    store.close()
    (tmp_path / "copy").mkdir()
    for suffix in ("", "-wal"):
        shutil.copy2(tmp_path / f"space.db{suffix}", tmp_path / "copy" / f"space.db{suffix}")
    copied = SqliteStore(tmp_path / "copy" / "space.db", SPACE, bytes(16))
    assert copied.was_moved
    copied.close()
    again = SqliteStore(path, SPACE, bytes(16))
    assert not again.was_moved
    again.close()


def test_a_journal_that_lost_its_end_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "space.db"
    store = SqliteStore(path, SPACE, bytes(16))
    for entry in log_of(SIGNERS[0], 6):
        store.commit([entry], [], durable=True)
    store.close()
    again = SqliteStore(path, SPACE, bytes(16))
    assert not again.was_moved
    again.close()
    journal = tmp_path / "space.db-wal"
    data = bytearray(journal.read_bytes())
    data[-3000] ^= 1
    journal.write_bytes(data)
    again = SqliteStore(path, SPACE, bytes(16))
    assert len(list(again.entries())) < 6
    assert again.was_moved
    again.close()


def test_a_failed_commit_stores_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "space.db", SPACE, bytes(16))
    entries = log_of(SIGNERS[0], 2)
    store.commit(entries[:1], [], durable=True)
    broken = DiskChange(b"bad", row(1)._replace(size=1 << 70))
    with pytest.raises((StoreError, OverflowError)):
        store.commit(entries[1:], [DiskChange(b"good", row(2)), broken], durable=True)
    assert [entry.id for entry in store.entries()] == [entries[0].id]
    assert store.rows() == {}
    store.commit(entries[1:], [], durable=True)
    assert len(list(store.entries())) == 2
    store.close()
