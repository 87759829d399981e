"""`verify` finds damage: flipped bits in the database of a stopped home are reported, and never end the node."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apsw
import pytest
import trio

from latticework.crdt import Roster, SpaceReplica, read_stored_entry, signature_verifies
from latticework.handshake.epochs import SpaceKeys
from latticework.node import app
from latticework.node.account import space_of
from latticework.node.api import Node
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import StoreCorruptError
from latticework.node.upkeep import rebuild, say_checkpoint
from latticework.wire import MalformedError, SpaceId, StoreError, encode
from latticework.wire.signing import CompositeSignatures

from .devices import CommandFailedError, Device, Dice, Item, items, until
from .test_store_contract import SIGNERS, conviction_for

pytestmark = pytest.mark.wire
LISTEN = ["/ip4/127.0.0.1/tcp/0"]
FLIPS = 200


@dataclass
class Stopped:
    """A stopped home, and what its one space needs to be read."""

    home: Path
    space: SpaceId
    roster: Roster
    secret: bytes

    @property
    def database(self) -> Path:
        (found,) = self.home.glob("spaces/*/space.db")
        return found

    def replica(self, store: SqliteStore) -> SpaceReplica:
        replica = SpaceReplica(
            self.space, self.roster, CompositeSignatures(), SpaceKeys(self.space, self.secret, _NoRng()), store
        )
        replica.load(store.entries(), store.proofs(), store.base())
        if (base := store.base()) is not None:
            replica.check_base(base)
        return replica


class _NoRng:
    def random_bytes(self, count: int) -> bytes:
        raise AssertionError(count)


async def _make(home: Path) -> Stopped:
    async with Node.open(home, name="one", listen=LISTEN, mdns=False) as node:
        notes = node.space("home").doc("notes")
        await notes.put(("text",), "hello")
        for number in range(12):
            await notes.text("text").insert(number, "x")
        runner = node.space("home").runner
        assert runner is not None
        assert runner.space is not None
        space = runner.space
        running = cast("app.Node", vars(node)["_running"])
        await say_checkpoint(space, running.threads, running.now_us())
        await notes.put(("after",), 1)
        space.store.keep_proof(conviction_for(space.id, SIGNERS[0], 1))
        before, after = await rebuild(space)
        assert before == after
        (known,) = running.account.spaces
        return Stopped(home, space_of(known), running.roster, known.epoch_secret)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """A home with a document, a checkpoint, a kept state and a proof; all of it in the main database file."""
    made = trio.run(_make, tmp_path_factory.mktemp("verify") / "home")
    connection = apsw.Connection(str(made.database))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return made


def seen(store: SqliteStore) -> object:
    """Everything about entries, proofs and the state, by every way in which it is looked up."""
    entries = list(store.entries())
    lookups = [
        (store.position(e.id), store.entry(e.id), store.entry_at(e.body.author, e.body.seq), store.find(e.id[:4]))
        for e in entries
    ]
    logs = [list(store.entries_from(log, 0)) for log in sorted({e.body.author for e in entries})]
    return entries, lookups, logs, store.proofs(), store.base(), store.recent(99), store.unchecked(99)


def problems_of(stopped: Stopped, path: Path) -> list[str]:
    """What opening, `check` and a load report; StoreError and MalformedError are the only ways to fail."""
    try:
        store = SqliteStore(path, stopped.space, bytes(16))
    except StoreError as error:
        return [str(error)]
    try:
        found = store.check()
        if not found:
            stopped.replica(store).state_root()
    except (StoreError, MalformedError) as error:
        found = [str(error)]
    finally:
        store.close()
    return found


def test_an_undamaged_home_has_no_problems(stopped: Stopped, tmp_path: Path) -> None:
    shutil.copy(stopped.database, tmp_path / "space.db")
    assert problems_of(stopped, tmp_path / "space.db") == []


def test_every_flipped_byte_of_every_entry_is_found(stopped: Stopped) -> None:
    store = SqliteStore(stopped.database, stopped.space, bytes(16))
    entries = list(store.entries())
    store.close()
    flips = 0
    for entry in entries:
        data = encode(entry.envelope)
        for at in range(len(data)):
            damaged = data[:at] + bytes([data[at] ^ (1 << (at % 8))]) + data[at + 1 :]
            try:
                read = read_stored_entry(stopped.space, damaged)
            except MalformedError:
                continue
            flips += 1
            assert read.id != entry.id or not signature_verifies(read), at
    assert flips


def test_a_bit_flipped_anywhere_in_the_database_is_reported_or_changes_nothing_that_is_read(
    stopped: Stopped, tmp_path: Path
) -> None:
    dice = Dice("flips")
    whole = stopped.database.read_bytes()
    store = SqliteStore(stopped.database, stopped.space, bytes(16))
    expected = seen(store)
    store.close()
    # Most of a small database is room: what is not zero is live, by and large.
    live = [at for at, byte in enumerate(whole) if byte]
    path = tmp_path / "space.db"
    reported = 0
    for _ in range(FLIPS):
        at = dice.pick(live)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.below(8)
        path.write_bytes(damaged)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if problems_of(stopped, path):
            reported += 1
            continue
        store = SqliteStore(path, stopped.space, bytes(16))
        assert seen(store) == expected, f"byte {at} of {len(whole)}"
        store.rows()
        store.close()
    assert reported > FLIPS // 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET prev=zeroblob(32) WHERE i=3",
        "UPDATE entry SET deps=zeroblob(32) WHERE i=3",
        "UPDATE entry SET deps=zeroblob(31) WHERE i=3",
        "UPDATE entry SET signature=zeroblob(64) WHERE i=3",
        "UPDATE entry SET payload=zeroblob(64) WHERE i=3",
        "UPDATE entry SET payload=NULL WHERE i=3",
        "UPDATE entry SET absent=zeroblob(36), payload=NULL WHERE i=3",
        "UPDATE entry SET seq=seq+1 WHERE i=3",
        "UPDATE entry SET hlc=hlc+1 WHERE i=3",
        "UPDATE entry SET lane=9 WHERE i=3",
        "UPDATE entry SET log=77 WHERE i=3",
        "UPDATE entry SET id=zeroblob(32) WHERE i=3",
        "UPDATE entry SET i=99 WHERE i=3",
        "DELETE FROM entry WHERE i=3",
        "UPDATE log SET key=zeroblob(32)",
        "UPDATE proof SET seq=seq+1",
        "UPDATE proof SET log=zeroblob(32)",
        "UPDATE proof SET proof=substr(proof, 1, 40)",
        "UPDATE base SET checkpoint=zeroblob(32)",
        "UPDATE base SET snapshot=zeroblob(99)",
        "UPDATE base SET checkpoint=(SELECT id FROM entry WHERE i=2)",
    ],
)
def test_what_does_not_fit_together_is_found(stopped: Stopped, tmp_path: Path, change: str) -> None:
    path = tmp_path / "space.db"
    shutil.copy(stopped.database, path)
    connection = apsw.Connection(str(path))
    connection.execute(change)
    connection.close()
    assert problems_of(stopped, path)


async def test_a_node_on_a_damaged_database_lives_and_verify_says_so(stopped: Stopped, tmp_path: Path) -> None:
    device = Device("one", tmp_path, 0, [])
    shutil.copytree(stopped.home, device.home.root, ignore=shutil.ignore_patterns("control.sock", "lock"))
    await device.start()
    good = await device.lattice("--json", "verify")
    assert good.returncode == 0, good.stderr
    await device.stop()
    _damage(device.database, lambda data: data.index(SIGNERS[0].public) + 5)
    await device.start()
    bad = await device.lattice("--json", "verify")
    assert bad.returncode == 22, bad.stdout
    assert "integrity" in bad.stdout or "damaged" in bad.stdout
    device.must_live()
    await device.stop()


def _damage(database: Path, where: Callable[[bytes], int]) -> None:
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(database.read_bytes())
    data[where(bytes(data))] ^= 1
    database.write_bytes(data)


def test_a_row_of_the_folder_that_makes_no_sense_is_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "space.db"
    SqliteStore(path, SpaceId(bytes(32)), bytes(16)).close()
    connection = apsw.Connection(str(path))
    connection.execute(
        "INSERT INTO disk VALUES(1, ?, 'q', 0, 0, 0, zeroblob(8), 0, zeroblob(32), ?)", (b"path", b"\x80")
    )
    connection.close()
    store = SqliteStore(path, SpaceId(bytes(32)), bytes(16))
    with pytest.raises(StoreCorruptError):
        store.rows()
    assert store.check()
    store.close()


async def test_what_an_entry_says_is_told_without_raw_bytes(stopped: Stopped, tmp_path: Path) -> None:
    device = Device("one", tmp_path, 0, [])
    shutil.copytree(stopped.home, device.home.root, ignore=shutil.ignore_patterns("control.sock", "lock"))

    async def listed() -> list[Item] | None:
        try:
            return items(cast("Item", await device.ask("log"))["entries"])
        except CommandFailedError:
            return None  # the space is being opened

    told: list[str] = []
    await device.start()
    try:
        for item in await until(listed, "the log"):
            shown = cast("Item", await device.ask("inspect", entry=str(item["entry"])[:16]))
            assert shown["entry"] == item["entry"]
            told += cast("list[str]", shown["operations"])
    finally:
        await device.stop()
    assert any(line.startswith("LogOpen(device=") and "(3373 bytes)" in line for line in told)
    assert len(told) > 2
    assert not [line for line in told if "\\x" in line]
