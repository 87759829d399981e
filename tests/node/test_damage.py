"""Damaged and restored homes: the status says so, nothing is lost, no number is used twice."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from .devices import Device, Pair, assert_no_number_twice, assert_same, contents, entries_of, items, tree, until
from .test_disks import some_files

pytestmark = pytest.mark.wire


def without_journal(database: Path) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def fold(database: Path) -> None:
    import apsw  # noqa: PLC0415

    connection = apsw.Connection(str(database))
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()


def random_bytes_in_the_middle(database: Path) -> None:
    fold(database)
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size // 3)
        file.write(os.urandom(size // 3))


def every_other_page(database: Path) -> None:
    fold(database)
    size = database.stat().st_size
    with database.open("r+b") as file:
        for offset in range(8192, size, 8192):
            file.seek(offset)
            file.write(os.urandom(2048))


def truncated(database: Path) -> None:
    fold(database)
    os.truncate(database, database.stat().st_size // 2)


def emptied(database: Path) -> None:
    without_journal(database)
    os.truncate(database, 0)


def garbage(database: Path) -> None:
    without_journal(database)
    database.write_bytes(os.urandom(40_000))


def damaged_journal(database: Path) -> None:
    journal = database.with_name(database.name + "-wal")
    data = bytearray(journal.read_bytes())
    data[-8192:-4096] = os.urandom(4096)
    journal.write_bytes(data)


def one_byte_of_a_payload(database: Path) -> None:
    """Bit rot that leaves the database itself intact."""
    import apsw  # noqa: PLC0415

    fold(database)
    connection = apsw.Connection(str(database))
    (payload,) = cast("tuple[bytes]", connection.execute("SELECT payload FROM entry WHERE seq=1 LIMIT 1").fetchone())
    connection.close()
    data = database.read_bytes()
    tail = payload[-16:]
    places = [at for at in range(len(data)) if data.startswith(tail, at)]
    assert places
    with database.open("r+b") as file:
        # SQLite may have moved the row within its page and left a copy that nobody reads.
        for place in places:
            file.seek(place + 12)
            file.write(bytes([data[place + 12] ^ 0xFF]))


def later(*slow: Callable[..., None]) -> list[object]:
    """The same trial with other damage: left to the long run."""
    return [pytest.param(item, marks=pytest.mark.long) for item in slow]


DAMAGES = [
    one_byte_of_a_payload,
    truncated,
    garbage,
    damaged_journal,
    *later(random_bytes_in_the_middle, every_other_page, emptied),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_a_damaged_database_is_rebuilt_from_peer_and_folder(
    running: Pair, damage: Callable[[Path], None]
) -> None:
    one, two = running.both
    some_files(one.folder, 120)
    (two.folder / "two's").write_text("written by two")
    await running.in_step()
    (one.folder / "f1-second").write_text("an own entry after the exchange")
    await running.in_step()
    await one.stop()
    known = entries_of(one.database)
    damage(one.database)
    (one.folder / "while stopped").write_text("written while the database was damaged")
    (two.folder / "two's").write_text("changed meanwhile")
    before = contents(one.folder, two.folder) - {b"written by two"}
    await one.start()
    await running.in_step()
    assert_same(running)
    assert before <= contents(one.folder)
    assert (await one.folder_status())["forked_logs"] == 0
    for device in running.both:
        await device.stop()
    assert_no_number_twice(one.database, two.database)
    seen = {(log, seq): identifier for log, seq, identifier in entries_of(two.database)}
    assert all(seen.get((log, seq), identifier) == identifier for log, seq, identifier in known)


async def test_a_database_damaged_on_both_sides_at_once_keeps_every_file(running: Pair) -> None:
    some_files(running.one.folder, 60)
    await running.in_step()
    before = tree(running.one.folder, times=False)
    for device in running.both:
        await device.stop()
        garbage(device.database)
    await running.start()
    await running.in_step()
    assert_same(running)
    assert tree(running.one.folder, times=False) == before


def damaged_pack(packs: Path) -> None:
    for pack in packs.glob("*.pack"):
        pack.write_bytes(os.urandom(pack.stat().st_size))


def damaged_index(packs: Path) -> None:
    without_journal(packs / "index.db")
    (packs / "index.db").write_bytes(os.urandom(20_000))


def damaged_index_page(packs: Path) -> None:
    fold(packs / "index.db")
    size = (packs / "index.db").stat().st_size
    with (packs / "index.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def no_packs(packs: Path) -> None:
    shutil.rmtree(packs)


@pytest.mark.parametrize(
    "damage", [no_packs, *later(damaged_pack, damaged_index, damaged_index_page)], ids=lambda damage: damage.__name__
)
async def test_damaged_packs_do_not_hold_up_files(running: Pair, damage: Callable[[Path], None]) -> None:
    one, two = running.both
    for number in range(3):
        (one.folder / f"large{number}").write_bytes(os.urandom(9 << 20))
    await running.in_step()
    for device in running.both:
        await device.stop()
    damage(one.database.parent / "packs")
    shutil.rmtree(two.folder)
    two.folder.mkdir()
    # two has lost its folder and its packs: all of it comes from one, whose packs are damaged.
    shutil.rmtree(two.home.root / "spaces")
    (two.folder / ".lattice").mkdir()
    shutil.copy(one.folder / ".lattice" / "folder", two.folder / ".lattice" / "folder")
    (one.folder / "another").write_bytes(os.urandom(9 << 20))
    await running.start()
    await running.in_step(8)
    assert_same(running)
    assert len(list(two.folder.iterdir())) == 5


@pytest.mark.parametrize("name", ["state", "keys"])
@pytest.mark.parametrize("how", ["garbage", "empty"])
async def test_a_damaged_state_or_vault_is_a_clear_error(pair: Pair, name: str, how: str) -> None:
    path = pair.one.home.root / name
    data = path.read_bytes()
    path.write_bytes({"garbage": os.urandom(len(data)), "truncated": data[: len(data) // 2], "empty": b""}[how])
    ended = await pair.one.lattice("--json", "up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0")
    assert ended.returncode == 22, ended
    assert "damaged" in ended.stderr or "not" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert '"exit": 22' in ended.stdout


def copied_over(device: Device, older: Path) -> None:
    import subprocess  # noqa: PLC0415

    subprocess.run(["cp", "-a", f"{older}/.", f"{device.home.root}/"], check=True)


def moved_into_place(device: Device, older: Path) -> None:
    device.home.root.rename(device.base / "newer")
    shutil.copytree(older, device.home.root, symlinks=True)


def renamed_into_place(device: Device, older: Path) -> None:
    device.home.root.rename(device.base / "newer")
    older.rename(device.home.root)


@pytest.mark.parametrize(
    "restore", [copied_over, *later(renamed_into_place, moved_into_place)], ids=lambda restore: restore.__name__
)
@pytest.mark.parametrize("alone", [False, True])
async def test_an_older_copy_of_a_home_opens_a_new_log(
    running: Pair,
    restore: Callable[[Device, Path], None],
    alone: bool,  # noqa: FBT001
) -> None:
    one, two = running.both
    some_files(one.folder, 30)
    await running.in_step()
    await one.stop()
    older = one.base / "older"
    shutil.copytree(one.home.root, older, symlinks=True)
    await one.start()
    for number in range(5):
        (one.folder / f"newer{number}").write_text(f"newer {number}")
        await running.in_step()
    (one.folder / "d0" / "f0").unlink()
    await running.in_step()
    await one.stop()
    known = entries_of(two.database)
    if alone:
        await two.stop()
    restore(one, older)
    (one.folder / "first after the restore").write_text("first")
    await one.start()
    if alone:
        # It writes before anybody can tell it what it had written once.
        async def written() -> bool | None:
            return (await one.folder_status())["state"] == "in step" or None

        await until(written, "one to publish alone", 20)
        await two.start()
    await running.in_step()
    assert_same(running)
    names = {path.name for path in two.folder.iterdir()}
    assert {f"newer{number}" for number in range(5)} | {"first after the restore"} <= names
    assert not (two.folder / "d0" / "f0").exists()
    status = await one.folder_status()
    assert status["forked_logs"] == 0
    assert items(status["peers"])[0]["in_step"]
    for device in running.both:
        await device.stop()
    assert_no_number_twice(one.database, two.database)
    logs = {log for log, _, _ in entries_of(one.database)} - {log for log, _, _ in known}
    assert len(logs) == 1
