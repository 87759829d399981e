# ruff: noqa: ASYNC221  # the test is the only task; seeds and figures are printed
"""Disks that go away, fill up, turn read-only or forbid: the state says so, nothing is deleted, it goes on."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .devices import Device, Item, Pair, assert_no_number_twice, assert_same, items, tree, until

pytestmark = [pytest.mark.wire, pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")]


@contextmanager
def mounted(path: Path, options: str) -> Generator[None]:
    path.mkdir(exist_ok=True)
    mount(path, options)
    try:
        yield
    finally:
        while os.path.ismount(path) and subprocess.run(["umount", "-l", path], check=False).returncode == 0:
            pass


def mount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lattice-test", path], check=True)


def fill(path: Path) -> Path:
    """Leave no byte free on the disk of `path`."""
    filler = path / ".lattice-filler.tmp"
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


async def reaches(device: Device, state: str, patience_s: float = 20) -> Item:
    async def there() -> Item | None:
        device.must_live()
        status = await device.folder_status()
        return status if status["state"] == state else None

    return await until(there, f"{device.name} to be {state}", patience_s)


async def pends(device: Device, reason: str, patience_s: float = 20) -> Item:
    async def there() -> Item | None:
        device.must_live()
        for item in items((await device.folder_status())["pending_paths"]):
            if item["reason"] == reason:
                return item
        return None

    return await until(there, f"{device.name} to say {reason}", patience_s)


def some_files(folder: Path, count: int = 50) -> None:
    for number in range(count):
        path = folder / f"d{number % 5}" / f"f{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content {number}\n" * 20)


@pytest.mark.parametrize("lazily", [False, True])
async def test_an_unmounted_folder_is_stopped_deletes_nothing_and_comes_back(
    pair: Pair,
    lazily: bool,  # noqa: FBT001
) -> None:
    one, two = pair.both
    disk = one.base / "disk"
    with mounted(disk, "size=64m"):
        one.__dict__["folder"] = one.base / "mounted"
        one.folder.mkdir()
        subprocess.run(["mount", "--bind", disk, one.folder], check=True)
        try:
            some_files(one.folder)
            await pair.start()
            await pair.share()
            await pair.in_step()
            before = tree(two.folder)

            async def unmounted() -> bool | None:
                command = ["umount", *(["-l"] if lazily else []), str(one.folder)]
                return subprocess.run(command, check=False, capture_output=True).returncode == 0 or None

            await until(unmounted, "the disk to be idle", 20)
            (two.folder / "meanwhile").write_text("written while the disk was away")
            await one.ask("rescan")
            await reaches(one, "stopped")
            why = await one.why(one.folder / "d0")
            assert why["reason"] == "folder-stopped"
            assert not list(one.folder.iterdir())
            after = tree(two.folder)
            after.pop(b"meanwhile")
            assert after == before
            subprocess.run(["mount", "--bind", disk, one.folder], check=True)
            await pair.in_step(30, rescan=False)
            assert_same(pair)
            (one.folder / "after").write_text("written after the disk came back")

            async def arrived() -> bool | None:
                return (two.folder / "after").exists() or None

            await until(arrived, "an edit after the remount to be seen", 20)
        finally:
            subprocess.run(["umount", "-l", one.folder], check=False)


async def test_a_disk_that_is_mounted_again_is_watched_again(pair: Pair) -> None:
    """A file system that was really gone: what the old watch held on to never speaks again."""
    one, two = pair.both
    image = one.base / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    attach = ["mount", "-o", "loop", str(image), str(one.folder)]
    subprocess.run(attach, check=True)
    try:
        some_files(one.folder)
        await pair.start()
        await pair.share()
        await pair.in_step()
        before = tree(two.folder)

        async def unmounted() -> bool | None:
            command = ["umount", str(one.folder)]
            return subprocess.run(command, check=False, capture_output=True).returncode == 0 or None

        await until(unmounted, "the disk to be idle", 20)
        await reaches(one, "stopped", 8)
        assert {path: item for path, item in tree(two.folder).items() if path != b"lost+found"} == {
            path: item for path, item in before.items() if path != b"lost+found"
        }
        subprocess.run(attach, check=True)
        await pair.in_step(30, rescan=False)
        (one.folder / "after").write_text("written after the disk came back")

        async def arrived() -> bool | None:
            return (two.folder / "after").exists() or None

        await until(arrived, "an edit after the remount to be seen", 20)
    finally:
        subprocess.run(["umount", "-l", one.folder], check=False)


async def test_an_unmount_in_the_middle_of_a_download_ends_nothing(pair: Pair) -> None:
    one, two = pair.both
    for number in range(4):
        (one.folder / f"large{number}").write_bytes(os.urandom(24 << 20))
    with mounted(two.folder, "size=256m"):
        await pair.start()
        await pair.share()
        await pends(two, "downloading")
        subprocess.run(["umount", "-l", two.folder], check=True)
        await reaches(two, "stopped")
        two.must_live()
        assert len(list(one.folder.glob("large*"))) == 4


async def test_a_folder_that_is_moved_away_stops_and_goes_on_when_it_is_back(running: Pair) -> None:
    one, two = running.both
    some_files(one.folder)
    await running.in_step()
    before = tree(two.folder)
    away = one.base / "away"
    one.folder.rename(away)
    await one.ask("rescan")
    await reaches(one, "stopped")
    assert tree(two.folder) == before
    away.rename(one.folder)
    await running.in_step(20, rescan=False)
    (one.folder / "later").write_text("later")

    async def arrived() -> bool | None:
        return (two.folder / "later").exists() or None

    await until(arrived, "an edit after the return to be seen", 20)
    assert_same(running)


async def test_a_folder_without_its_marker_stops_and_deletes_nothing(running: Pair) -> None:
    one, two = running.both
    some_files(one.folder)
    await running.in_step()
    before = tree(two.folder)
    (one.folder / ".lattice").rename(one.base / "marker")
    shutil.rmtree(one.folder / "d0")
    await one.ask("rescan")
    status = await reaches(one, "stopped")
    assert "marker" in str(status["problem"])
    assert tree(two.folder) == before
    (one.base / "marker").rename(one.folder / ".lattice")
    await running.in_step(20, rescan=False)
    assert_same(running)


async def test_a_full_folder_says_so_and_goes_on_when_there_is_room(pair: Pair) -> None:
    one, two = pair.both
    with mounted(two.folder, "size=4m"):
        await pair.start()
        await pair.share()
        await pair.in_step()
        filler = fill(two.folder)
        content = os.urandom(1 << 20)
        (one.folder / "large").write_bytes(content)
        await pends(two, "disk-full")
        assert (await two.why(two.folder / "large"))["reason"] == "disk-full"
        filler.unlink()
        await pair.in_step(30)
        assert (two.folder / "large").read_bytes() == content
        assert_same(pair)


@pytest.mark.long
async def test_a_full_home_loses_nothing_and_goes_on_when_there_is_room(pair: Pair) -> None:
    one, two = pair.both
    kept = one.base / "kept"
    one.home.root.rename(kept)
    with mounted(one.home.root, "size=3m"):
        shutil.copytree(kept, one.home.root, dirs_exist_ok=True)
        await pair.start()
        await pair.share()
        await pair.in_step()
        filler = fill(one.home.root)
        some_files(one.folder, 300)
        (one.folder / "large").write_bytes(os.urandom(12 << 20))
        some_files(two.folder / "d0" if (two.folder / "d0").exists() else two.folder, 3)
        (two.folder / "from two").write_bytes(os.urandom(12 << 20))

        async def told() -> bool | None:
            one.must_live()
            status = await one.folder_status()
            return status["state"] in {"stopped", "problem", "pending"} or None

        await until(told, "the state to say that the home is full", 20)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=200m", one.home.root], check=True)
        await pair.in_step(60)
        assert_same(pair)
        assert len(list(one.folder.glob("d*/f*"))) >= 300
        await one.stop()
        await two.stop()
        assert_no_number_twice(one.database, two.database)
        await pair.start()
        await pair.in_step()
        await one.stop()


async def test_a_read_only_folder_says_so_and_goes_on_when_it_is_writable(pair: Pair) -> None:
    one, two = pair.both
    with mounted(two.folder, "size=16m"):
        await pair.start()
        await pair.share()
        some_files(one.folder)
        await pair.in_step()
        subprocess.run(["mount", "-o", "remount,ro", two.folder], check=True)
        (one.folder / "new").write_text("new")
        (one.folder / "d0" / "f0").unlink()
        await pends(two, "permission")
        subprocess.run(["mount", "-o", "remount,rw", two.folder], check=True)
        await pair.in_step(30)
        assert_same(pair)


async def test_a_directory_that_may_not_be_read_deletes_nothing(pair: Pair) -> None:
    """As root without the right to override permissions."""
    one, two = pair.both
    some_files(one.folder)
    one.wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    await pair.start()
    await pair.share()
    await pair.in_step()
    before = tree(two.folder)
    (one.folder / "d0").chmod(0)
    (one.folder / "d1" / "f1").chmod(0)
    await one.ask("rescan")
    (two.folder / "from two").write_text("from two")

    async def arrived() -> bool | None:
        one.must_live()
        return (one.folder / "from two").exists() or None

    await until(arrived, "other files to go on", 20)
    await one.ask("rescan")
    one.must_live()
    after = tree(two.folder)
    after.pop(b"from two")
    assert after == before
    (one.folder / "d0").chmod(0o755)
    (one.folder / "d1" / "f1").chmod(0o644)
    await pair.in_step(30)
    assert_same(pair)
