# ruff: noqa: T201  # the test is the only task; seeds and figures are printed
"""Crashes, backups, clones and clocks: honest people write on, and no log of theirs is ever convicted."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
import trio

from .conftest import free_ports
from .devices import Device, Dice, Item, Pair, contents, items, until
from .mesh import (
    SPACE,
    assert_alike,
    assert_equal,
    assert_numbers_taken_once,
    convicted,
    document,
    entries_in,
    forks,
    halt,
    in_step,
    launch,
    put,
)
from .skewed import skewed
from .traitor import copy_of, deny_copying

pytestmark = pytest.mark.wire


def logs_of(*devices: Device) -> set[bytes]:
    return {log for device in devices for log, _, _ in entries_in(device.database)}


@pytest.fixture
def copies() -> Generator[list[Device]]:
    """Copies that a test makes; those that still run are killed."""
    made: list[Device] = []
    yield made
    for device in made:
        if device.alive:
            device.kill()


async def own_log(device: Device) -> str:
    """The log that `device` has written last."""
    log = await device.ask("log", space=SPACE)
    assert isinstance(log, dict)
    return next(str(entry["log"]) for entry in items(log["entries"]) if entry["own"])


async def have(devices: tuple[Device, ...], name: str, expected: Item, patience_s: float = 60) -> float:
    """Wait until the document is this on all devices; how long it took."""
    started = trio.current_time()

    async def same() -> bool | None:
        return all([await document(device, name) == expected for device in devices]) or None

    await until(same, f"{name} to be {expected} everywhere", patience_s)
    return trio.current_time() - started


@pytest.mark.parametrize(
    "third",
    [
        "larger",
        pytest.param(
            "smaller",
            marks=[
                pytest.mark.long,
            ],
        ),
    ],
)
async def test_two_copies_of_one_home_both_write_and_both_meet_a_third_device(
    running: Pair, copies: list[Device], third: str
) -> None:
    ids = {device.name: str((await device.status())["device"]) for device in running.both}
    two, one = sorted(running.both, key=lambda device: ids[device.name], reverse=third == "smaller")
    await put(two, "notes", before="the copy was made")
    await in_step(one, two)
    await halt(one, two)
    copy = copy_of(two, "copy", *free_ports(1))
    copies.append(copy)
    await launch(one, two)
    one.options += ["--peer", copy.address]
    await in_step(one, two)
    await launch(copy)
    expected: Item = {"before": "the copy was made"}
    for number in range(4):
        for device in (two, copy):
            await put(device, "notes", **{f"{device.base.name}{number}": number})
            (device.folder / f"{device.base.name}{number}").write_text(f"{device.base.name} {number}")
            expected[f"{device.base.name}{number}"] = number
    waited = await have((one, two, copy), "notes", expected)
    print(f"two copies and a third agree after {waited:.1f} s")
    assert await own_log(two) != await own_log(copy)

    async def all_files() -> bool | None:
        return all(len(list(device.folder.iterdir())) == 9 for device in (one, two, copy)) or None

    await until(all_files, "every file to be everywhere")
    for device in (one, two, copy):
        assert not await forks(device)
        assert not (await device.folder_status())["refused_entries"]
    await halt(one, two, copy)
    assert_numbers_taken_once(one, two, copy)
    assert len(logs_of(one)) == 2


async def test_a_log_that_was_truly_forked_is_retired_and_its_device_writes_on(
    running: Pair, copies: list[Device]
) -> None:
    one, two = running.both
    await put(two, "notes", before="the rollback")
    await in_step(one, two)
    await halt(two)
    older = copy_of(two, "older", *free_ports(1))
    copies.append(older)
    await launch(two)
    await put(two, "notes", lost="by the rollback")
    (two.folder / "kept").write_text("content of a voided entry")
    await in_step(one, two)
    await halt(two)
    # The whole machine went back: nothing tells the store that it is an older one.
    deny_copying(older)
    await put_alone(one, older)
    await convicted(one, older)
    await in_step(one, older)
    await put(older, "notes", again="and not blocked")
    (older.folder / "more").write_text("and more")
    await in_step(one, older)
    (fork,) = items(await older.ask("forks"))
    assert fork["own"]
    assert await own_log(older) != fork["log"]
    assert await document(one, "notes") == {"before": "the rollback", "again": "and not blocked"}
    assert {b"content of a voided entry", b"and more"} <= contents(one.folder)
    await assert_equal(one, older, documents=["notes"])


async def put_alone(one: Device, older: Device) -> None:
    """Have `older` write before anybody can tell it what it had written once."""
    await halt(one)
    await launch(older)
    await put(older, "notes", other="under a number that is taken")
    await launch(one)


async def test_kills_while_documents_and_files_are_written_convict_nobody(running: Pair) -> None:
    await kills(running, 2)


@pytest.mark.long
async def test_a_hundred_kills_while_documents_and_files_are_written_convict_nobody(running: Pair) -> None:
    await kills(running, 100)


async def kills(pair: Pair, rounds: int) -> None:
    dice = Dice("kills of writers")
    written: dict[str, Item] = {device.name: {} for device in pair.both}

    async def write_on(device: Device, number: int) -> None:
        try:
            for count in range(1000):
                await device.ask(
                    "doc set", space=SPACE, document=device.name, path=f"/r{number}-{count}", value=str(count)
                )
                written[device.name][f"r{number}-{count}"] = count
                (device.folder / f"{device.name}-{count % 7}").write_text(f"{number} {count}")
        except (OSError, EOFError, trio.BrokenResourceError):
            return

    for number in range(rounds):
        victim = pair.both[dice.below(2)]
        async with trio.open_nursery() as nursery:
            for device in pair.both:
                nursery.start_soon(write_on, device, number)
            await trio.sleep(0.2 + dice.seconds(0.8))
            victim.kill()
            nursery.cancel_scope.cancel()
        await launch(victim)
    await in_step(*pair.both)
    await assert_alike(*pair.both, documents=[device.name for device in pair.both])
    for name, expected in written.items():
        shown = await document(pair.one, name)
        assert expected.items() <= shown.items(), "what was acknowledged is durable"
        print(f"{name}: {len(expected)} writes acknowledged, {len(shown)} kept")
    for device in pair.both:
        assert not await forks(device)
    await halt(*pair.both)
    assert_numbers_taken_once(*pair.both)


@pytest.mark.long
async def test_a_restored_backup_goes_on_with_documents_in_a_new_log(running: Pair) -> None:
    one, two = running.both
    await put(two, "notes", before="the backup")
    await in_step(one, two)
    await halt(two)
    backup = two.base / "backup"
    shutil.copytree(two.home.root, backup, symlinks=True)
    await launch(two)
    for number in range(20):
        await put(two, "notes", **{f"after{number}": number})
    await in_step(one, two)
    before = await own_log(two)
    await halt(one, two)
    replace_home(two, backup)
    await launch(two)
    await put(two, "notes", alone="before it hears of what it wrote once")
    await launch(one)
    await in_step(one, two)
    expected: Item = {"before": "the backup", "alone": "before it hears of what it wrote once"}
    assert await document(two, "notes") == expected | {f"after{number}": number for number in range(20)}
    assert await own_log(two) != before
    await assert_equal(one, two, documents=["notes"])
    assert not await forks(one)
    await halt(one, two)
    assert_numbers_taken_once(one, two)


@pytest.mark.long
async def test_a_backup_tool_that_brings_back_only_what_differs_opens_a_new_log(running: Pair) -> None:
    """As `rsync -a` does: the database itself has not changed, all that was written since is in its journal."""
    one, two = running.both
    await put(two, "notes", before="the backup")
    await in_step(one, two)
    await halt(two)
    backup = two.base / "backup"
    shutil.copytree(two.home.root, backup, symlinks=True)
    await launch(two)
    await put(two, "notes", after="the backup")
    await in_step(one, two)
    await halt(one, two)
    bring_back(backup, two.home.root)
    await launch(two)
    await put(two, "notes", alone="before it hears of what it wrote once")
    await launch(one)
    await in_step(one, two)
    assert not await forks(one)


def bring_back(backup: Path, home: Path) -> None:
    """Replace the files of `home` whose size or time of modification is another one than in the backup."""
    for source in backup.rglob("*"):
        target = home / source.relative_to(backup)
        if source.is_file() and target.exists():
            old, new = source.stat(), target.stat()
            if (old.st_size, old.st_mtime_ns) != (new.st_size, new.st_mtime_ns):
                temporary = target.with_name(".restored")
                shutil.copy2(source, temporary)
                temporary.replace(target)


def replace_home(device: Device, backup: Path) -> None:
    shutil.rmtree(device.home.root)
    shutil.copytree(backup, device.home.root, symlinks=True)


@pytest.mark.long
async def test_a_clock_that_jumps_ahead_and_back_delays_entries_and_convicts_nobody(pair: Pair, tmp_path: Path) -> None:
    one, two = pair.both
    clocks = {device.name: tmp_path / f"clock-{device.name}" for device in pair.both}
    for device in pair.both:
        device.wrapper = skewed(clocks[device.name])
    await pair.start()
    await pair.share()
    await put(two, "notes", on="time")
    await in_step(one, two)
    for seconds, key in ((240, "little"), (-240, "behind"), (0, "right"), (3600, "far"), (-3600, "back")):
        clocks["two"].write_text(str(seconds))
        await put(two, "notes", **{key: seconds})
        if seconds < 3600 and key != "back":
            await in_step(one, two)
    # One holds back what is an hour ahead, and what was written after it; it refuses nothing.
    assert (await one.folder_status())["waiting_entries"]
    assert "far" not in await document(one, "notes")
    assert not (await one.folder_status())["refused_entries"]
    clocks["one"].write_text("3600")
    await have(
        (one, two), "notes", {"on": "time", "little": 240, "behind": -240, "right": 0, "far": 3600, "back": -3600}
    )
    await in_step(one, two)
    for device in pair.both:
        assert not await forks(device)
    await assert_equal(one, two, documents=["notes"])
