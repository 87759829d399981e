"""Both space stores keep one contract."""

from collections.abc import Callable
from pathlib import Path

import pytest

from latticework.crdt import Base, Conviction, Dot, Entry, FraudKind, write_entry
from latticework.crdt.reconcile_events import Range
from latticework.crdt.statements import prove_fork
from latticework.node.memory_store import MemoryStore
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import DiskChange, DiskMoves, Incoming, Piece, Place, Row, SpaceStore, StoreCorruptError
from latticework.wire import ChunkId, EntryId, LogId, SpaceId, StoreError, encode
from latticework.wire.signing import Ed25519Signer

pytestmark = pytest.mark.unit

SPACE = SpaceId(bytes(32))
SIGNERS = [Ed25519Signer(bytes([number]) * 32) for number in range(3)]

type Make = Callable[[], SpaceStore]


def incoming(entries: list[Entry]) -> list[Incoming]:
    return [Incoming(entry, checked=True) for entry in entries]


def branch_of(signer: Ed25519Signer) -> Entry:
    """Another entry 1 of the log of `signer`."""
    first = log_of(signer, 1)[0]
    return write_entry(SPACE, signer, seq=1, prev=first.id, deps=(), hlc=(1 << 63) + 1, lane=1, payload=b"other")


def conviction_of(signer: Ed25519Signer, seq: int) -> Conviction:
    return conviction_for(SPACE, signer, seq)


def conviction_for(space: SpaceId, signer: Ed25519Signer, seq: int) -> Conviction:
    prev = log_of(signer, seq)[-1].id
    pair = [
        write_entry(space, signer, seq=seq, prev=prev, deps=(), hlc=(1 << 63) + seq, lane=1, payload=text)
        for text in (b"one", b"other")
    ]
    proof = encode(prove_fork(space, *pair))
    return Conviction(LogId(signer.public), seq, FraudKind.FORK, proof)


def log_of(signer: Ed25519Signer, count: int, lane: int = 1) -> list[Entry]:
    entries: list[Entry] = []
    for seq in range(count):
        prev = entries[-1].id if entries else None
        payload = bytes([seq]) * 200
        entries.append(
            write_entry(SPACE, signer, seq=seq, prev=prev, deps=(), hlc=(1 << 63) + seq, lane=lane, payload=payload)
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
    store.commit(incoming(entries), [change], durable=True)
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


def test_an_entry_is_found_by_its_id_its_number_and_the_beginning_of_its_id(make: Make) -> None:
    store = make()
    entries = log_of(SIGNERS[0], 3)
    store.commit(incoming(entries), [], durable=False)
    log = LogId(SIGNERS[0].public)
    assert store.entry(entries[1].id) == entries[1]
    assert store.entry(EntryId(bytes(32))) is None
    assert store.position(EntryId(bytes(32))) is None
    assert store.entry_at(log, 2) == entries[2].id
    assert store.entry_at(log, 3) is None
    assert list(store.entries_from(log, 1)) == entries[1:]
    assert list(store.entries_from(LogId(bytes(32)), 0)) == []
    assert store.recent(2) == [entries[2], entries[1]]
    assert store.recent(9) == entries[::-1]
    assert store.find(entries[1].id[:5]) == [entries[1].id]
    assert sorted(store.find(b"")) == sorted(entry.id for entry in entries)
    assert store.find(b"never" * 2) == []
    store.close()


def test_both_entries_under_one_number_are_kept_and_the_first_is_found_by_it(make: Make) -> None:
    store = make()
    entries, other = log_of(SIGNERS[0], 3), branch_of(SIGNERS[0])
    store.commit(incoming([*entries, other]), [], durable=False)
    log = LogId(SIGNERS[0].public)
    assert store.entry_at(log, 1) == entries[1].id
    assert list(store.entries_from(log, 1)) == [*entries[1:], other]
    assert store.entry(other.id) == other
    store.close()


def test_payloads_are_erased_up_to_a_number_in_some_lanes_and_can_be_filled_in_again(make: Make) -> None:
    store = make()
    entries = [*log_of(SIGNERS[0], 4), *log_of(SIGNERS[1], 4, lane=3)]
    store.commit(incoming(entries), [], durable=False)
    upto = {LogId(SIGNERS[0].public): 1, LogId(SIGNERS[1].public): 3, LogId(bytes(32)): 9}
    assert store.erase(upto, {1}) == 2
    assert store.erase(upto, {1}) == 0
    assert [entry.envelope.payload is None for entry in store.entries()] == [True, True] + 6 * [False]
    assert store.entry(entries[0].id) == entries[0].without_payload()
    store.fill(entries[0])
    assert [entry.envelope.payload is None for entry in store.entries()] == [False, True] + 6 * [False]
    assert store.check() == []
    store.close()
    store = make()
    assert store.entry(entries[1].id) == entries[1].without_payload()
    store.close()


def test_of_two_proofs_about_a_log_the_one_with_the_lower_number_is_kept(make: Make) -> None:
    store = make()
    late, early = conviction_of(SIGNERS[0], 2), conviction_of(SIGNERS[0], 1)
    other = conviction_of(SIGNERS[1], 1)
    for conviction in (late, other, early, late):
        store.keep_proof(conviction)
    assert sorted(store.proofs()) == sorted([early.proof, other.proof])
    assert store.check() == []
    store.close()
    store = make()
    assert sorted(store.proofs()) == sorted([early.proof, other.proof])
    store.close()


def test_the_last_kept_state_is_there_after_opening_again(make: Make) -> None:
    store = make()
    assert store.base() is None
    store.keep_base(Base(EntryId(bytes(32)), b"first"))
    store.keep_base(Base(EntryId(b"c" * 32), b"second" * 100_000))
    store.close()
    store = make()
    assert store.base() == Base(EntryId(b"c" * 32), b"second" * 100_000)
    store.close()


def test_nothing_from_an_unchecked_signature_on_is_served(make: Make) -> None:
    store = make()
    logs = [log_of(signer, 4) for signer in SIGNERS[:2]]
    store.commit([Incoming(entry, checked=entry != logs[0][1]) for log in logs for entry in log], [], durable=False)
    wanted = [Range(LogId(signer.public), 0, 9) for signer in SIGNERS[:2]]
    assert store.unchecked(9) == [logs[0][1]]
    assert store.serve(wanted, 0, 1 << 20) == ([logs[0][0], *logs[1]], None)
    store.mark_checked([logs[0][1].id])
    assert store.unchecked(9) == []
    assert store.serve(wanted, 0, 1 << 20) == ([*logs[0], *logs[1]], None)
    store.close()


def test_what_is_dropped_goes_with_all_that_depends_on_it(make: Make) -> None:
    store = make()
    entries = log_of(SIGNERS[0], 4)
    other = log_of(SIGNERS[1], 1)
    above = write_entry(
        SPACE, SIGNERS[2], seq=0, prev=None, deps=(entries[2].id,), hlc=(1 << 63) + 9, lane=1, payload=b""
    )
    store.commit(incoming([*entries, *other, above]), [], durable=False)
    assert store.drop([entries[2].id]) == 3
    assert list(store.entries()) == [*entries[:2], *other]
    assert store.entry(above.id) is None
    assert store.check() == []
    store.close()


def test_unchecked_entries_are_read_on_the_branch_that_they_stand_on(make: Make) -> None:
    """What is read skips the checked entry that one of them follows."""
    store, log, other = make(), log_of(SIGNERS[0], 2), branch_of(SIGNERS[0])
    after = write_entry(
        SPACE, SIGNERS[0], seq=2, prev=other.id, deps=(), hlc=(1 << 63) + 2, lane=1, payload=b"on the other branch"
    )
    checked = [True, False, True, False]
    entries = [*log, other, after]
    store.commit([Incoming(entry, checked=c) for entry, c in zip(entries, checked, strict=True)], [], durable=True)
    assert list(store.entries()) == entries
    assert store.unchecked(9) == [log[1], after]
    assert store.recent(2) == [after, other]
    assert store.entries_from(LogId(SIGNERS[0].public), 1) == [log[1], other, after]


def test_entries_asked_for_by_id_come_with_their_branch_down_to_the_fork(make: Make) -> None:
    store = make()
    entries, other = log_of(SIGNERS[0], 4), branch_of(SIGNERS[0])
    store.commit(incoming([*entries, other]), [], durable=False)
    log = LogId(SIGNERS[0].public)
    assert store.serve_ids([entries[3].id], {}, 1 << 20) == [entries[3]]
    assert store.serve_ids([entries[3].id], {log: 1}, 1 << 20) == entries[1:]
    assert store.serve_ids([other.id, entries[2].id], {log: 1}, 1 << 20) == [other, *entries[1:3]]
    assert store.serve_ids([EntryId(bytes(32))], {}, 1 << 20) == []
    assert store.serve_ids([other.id], {log: 1}, 1) == []
    store.close()


def test_rows_that_move_at_once_may_swap_and_take_their_pieces_along(make: Make) -> None:
    store = make()
    chunks = [ChunkId(letter * 32) for letter in (b"c", b"d", b"e")]
    changes = [DiskChange(name, row(n), [Piece(chunks[n], 0, 9)]) for n, name in enumerate((b"a", b"b", b"gone"))]
    store.commit([], changes, durable=False)
    store.commit([], [DiskMoves({b"a": b"b", b"b": b"a"}), DiskMoves({b"b": b"gone"})], durable=True)
    assert store.rows() == {b"a": row(1), b"gone": row(0)}
    assert store.places(chunks) == {chunks[0]: [Place(b"gone", 0, 9)], chunks[1]: [Place(b"a", 0, 9)]}
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
    store.commit(incoming(mixed), [], durable=False)
    wanted = [Range(LogId(SIGNERS[0].public), 2, 4), Range(LogId(SIGNERS[2].public), 0, 1)]
    expected = [e for e in mixed if e in logs[0][2:5] or e in logs[2][:2]]
    whole, cursor = store.serve(wanted, 0, 1 << 20)
    assert (whole, cursor) == (expected, None)
    found: list[Entry] = []
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
    store.commit(incoming(log_of(SIGNERS[0], 3)), [], durable=True)
    store.close()
    connection = apsw.Connection(str(path))
    data = bytes(connection.execute("SELECT payload FROM entry WHERE seq=1").get)
    connection.execute("UPDATE entry SET payload=? WHERE seq=1", (data[:-1] + bytes([data[-1] ^ 1]),))
    connection.close()
    store = SqliteStore(path, SPACE, bytes(16))
    with pytest.raises(StoreCorruptError):
        list(store.entries())
    store.close()


def test_a_copied_database_is_noticed(tmp_path: Path) -> None:
    import shutil  # noqa: PLC0415

    path = tmp_path / "space.db"
    store = SqliteStore(path, SPACE, bytes(16))
    store.commit(incoming(log_of(SIGNERS[0], 3)), [], durable=True)
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
        store.commit(incoming([entry]), [], durable=True)
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
    store.commit(incoming(entries[:1]), [], durable=True)
    broken = DiskChange(b"bad", row(1)._replace(size=1 << 70))
    with pytest.raises((StoreError, OverflowError)):
        store.commit(incoming(entries[1:]), [DiskChange(b"good", row(2)), broken], durable=True)
    assert [entry.id for entry in store.entries()] == [entries[0].id]
    assert store.rows() == {}
    store.commit(incoming(entries[1:]), [], durable=True)
    assert len(list(store.entries())) == 2
    store.close()
