# ruff: noqa: ASYNC220, T201  # the test is the only task; seeds and figures are printed
"""Files that change while they are read, nodes that are suspended, folders of a gigabyte."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from .devices import Pair, assert_same, until

pytestmark = pytest.mark.wire

VERSION_BYTES = 20 << 20
WRITER = """
import os, sys, time
path, rounds = sys.argv[1], int(sys.argv[2])
with open(path, "r+b", buffering=0) as file:
    for version in range(1, rounds + 1):
        file.seek(0)
        block = version.to_bytes(8, "big") * 8192
        for _ in range(320):
            file.write(block)
        if version % 7 == 0:
            time.sleep(float(sys.argv[3]))
"""


async def torn(pair: Pair, rounds: int, pause_s: float) -> None:
    one, two = pair.both
    path = one.folder / "counter"
    path.write_bytes(bytes(VERSION_BYTES))
    await pair.in_step()
    seen: set[int] = set()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(rounds), str(pause_s)])
    try:
        while writer.poll() is None:
            check(two.folder / "counter", seen)
            await trio.sleep(0.05)
    finally:
        writer.kill()
        writer.wait()
    await pair.in_step()
    check(two.folder / "counter", seen)
    assert rounds in seen
    assert_same(pair)
    print(f"{len(seen)} versions arrived of {rounds}")


def check(path: Path, seen: set[int]) -> None:
    data = path.read_bytes()
    assert len(data) == VERSION_BYTES
    version = int.from_bytes(data[:8], "big")
    assert data == version.to_bytes(8, "big") * (VERSION_BYTES // 8), "a torn version was published"
    seen.add(version)


async def test_no_torn_version_is_ever_published(running: Pair) -> None:
    await torn(running, 40, 0.7)


@pytest.mark.long
async def test_no_torn_version_is_ever_published_in_a_thousand(running: Pair) -> None:
    await torn(running, 1000, 0.8)


async def suspended(pair: Pair, seconds: float) -> None:
    one, two = pair.both
    two.suspend()
    for number in range(50):
        (one.folder / f"f{number}").write_text(f"{number}")
    (two.folder / "from two").write_text("while suspended")
    await one.ask("rescan")
    await trio.sleep(seconds)
    one.must_live()
    two.resume()

    async def caught_up() -> bool | None:
        return (len(list(two.folder.glob("f*"))) >= 51 and (one.folder / "from two").exists()) or None

    await until(caught_up, "both to catch up by themselves", 45)
    await pair.in_step()
    assert_same(pair)


async def test_a_node_that_was_suspended_catches_up(running: Pair) -> None:
    await suspended(running, 3)


@pytest.mark.long
async def test_a_node_that_was_suspended_for_a_minute_catches_up(running: Pair) -> None:
    await suspended(running, 60)


def disk_used(path: Path) -> int:
    return sum(file.lstat().st_blocks * 512 for file in [path, *path.rglob("*")])


@pytest.mark.long
async def test_a_gigabyte_costs_little_disk_and_memory(pair: Pair) -> None:
    one, _two = pair.both
    for number in range(4):
        with (one.folder / f"large{number}").open("wb") as file:
            for _ in range(32):
                file.write(os.urandom(4 << 20))
    for number in range(2000):
        path = one.folder / f"d{number % 50}" / f"f{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(256 << 10))
    total = sum(path.lstat().st_size for path in one.folder.rglob("*") if path.is_file())
    await pair.start()
    await pair.share()
    started = trio.current_time()
    await pair.in_step(600)
    seconds = trio.current_time() - started
    assert_same(pair)
    for device in pair.both:
        beyond = disk_used(device.home.root) + disk_used(device.folder / ".lattice")
        print(
            f"{device.name}: {total / seconds / 1e6:.0f} MB/s, beyond {beyond / total:.2%},"
            f" peak {device.peak_rss / 2**20:.0f} MiB"
        )
        assert beyond <= total // 20
        assert device.peak_rss < 200 << 20
    shutil.rmtree(one.folder, ignore_errors=True)


@pytest.mark.long
async def test_a_sparse_file_of_ten_gigabytes_takes_bounded_memory(pair: Pair) -> None:
    one, two = pair.both
    if shutil.disk_usage(one.base).free < 30 << 30:
        pytest.skip("needs 30 GiB of disk")
    with (one.folder / "sparse").open("wb") as file:
        file.truncate(10 << 30)
        file.seek(5 << 30)
        file.write(os.urandom(1 << 20))
    await pair.start()
    await pair.share()
    started = trio.current_time()
    await pair.in_step(1800)
    print(f"{trio.current_time() - started:.0f} s, peaks {[device.peak_rss >> 20 for device in pair.both]} MiB")
    same = await trio.run_process(["cmp", one.folder / "sparse", two.folder / "sparse"], check=False)
    assert same.returncode == 0
    for device in pair.both:
        assert device.peak_rss < 200 << 20
        # The other device may have heard of the first deletion by now.
        (device.folder / "sparse").unlink(missing_ok=True)
