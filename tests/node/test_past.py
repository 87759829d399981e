"""Looking at what was, and bringing it back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
import trio

from latticework.node.cli.past import moment

from .devices import Device, Item, Pair, items, tree

pytestmark = pytest.mark.wire


async def now() -> str:
    """A time between what was done before and what is done after."""
    await trio.sleep(1.1)
    shown = datetime.now(UTC).isoformat(timespec="seconds")
    await trio.sleep(1.1)
    return shown


async def restored(device: Device, *arguments: str, code: int = 0) -> Item:
    done = await device.lattice("--json", "restore", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return cast("Item", json.loads(done.stdout))


def texts(root: Path) -> dict[str, str]:
    return {p.decode(): cast("bytes", item[1]).decode() for p, item in tree(root).items() if item[0] == "file"}


async def test_files_come_back_as_they_were_on_all_devices_and_what_came_later_stays(running: Pair) -> None:
    one, two = running.both
    pad = "pad " * 20_000
    before = {"kept.txt": "kept", "changed.txt": "old", "sub/gone.txt": "gone", "big.txt": "big " * 200, "pad": pad}
    for name, text in before.items():
        (one.folder / name).parent.mkdir(exist_ok=True)
        (one.folder / name).write_text(text)
    await running.in_step()
    then = await now()
    (one.folder / "changed.txt").write_text("new")
    (one.folder / "big.txt").write_text("small")
    (one.folder / "sub" / "gone.txt").unlink()
    (one.folder / "sub").rmdir()
    (one.folder / "later.txt").write_text("later")
    await running.in_step()
    await now()
    listed = await one.lattice("--json", "checkout", "--at", then)
    files = {str(item["path"]): item for item in items(cast("Item", json.loads(listed.stdout))["files"])}
    assert files.keys() == {*before, "sub"}
    assert files["changed.txt"]["size"] == 3
    # The contents are nowhere on this device any more: the other kept what it replaced and deleted.
    only = await restored(one, "--at", then, str(one.folder / "sub"))
    assert "sub/gone.txt" in cast("list[str]", only["restored"])
    assert (one.folder / "changed.txt").read_text() == "new"
    done = await restored(one, "--at", then)
    assert sorted(cast("list[str]", done["restored"])) == ["big.txt", "changed.txt"]
    assert done["later"] == 1
    await running.in_step()
    assert texts(one.folder) == texts(two.folder) == before | {"later.txt": "later"}
    again = await restored(one, "--at", then)
    assert again["restored"] == []
    assert again["unchanged"] == 6


async def test_what_a_restored_file_replaces_is_not_lost_even_where_it_is_too_large_to_be_kept(running: Pair) -> None:
    one, two = running.both
    (two.folder / "note.txt").write_text("first")
    await running.in_step()
    then = await now()
    (one.folder / "copy.txt").write_text("first")
    (one.folder / "note.txt").write_text("second")
    await running.in_step()
    done = await restored(one, "--at", then, str(one.folder / "note.txt"))
    assert done["restored"] == ["note.txt"]
    (beside,) = cast("dict[str, str]", done["beside"]).values()
    assert beside.startswith("note (before restore, ")
    await running.in_step()
    assert texts(one.folder) == texts(two.folder) == {"note.txt": "first", "copy.txt": "first", beside: "second"}


@pytest.mark.long
async def test_what_nobody_has_any_more_is_listed_and_nothing_is_touched_for_it(running: Pair) -> None:
    one, two = running.both
    (one.folder / "note.txt").write_text("first")
    await running.in_step()
    then = await now()
    await two.stop()
    (one.folder / "note.txt").write_text("second")
    await now()
    done = await restored(one, "--at", then, code=3)
    assert done["restored"] == []
    (failed,) = items(done["failed"])
    assert failed["path"] == "note.txt"
    assert failed["reason"] == "no-source"
    assert (one.folder / "note.txt").read_text() == "second"


async def test_times_and_paths_that_make_no_sense_are_told(running: Pair) -> None:
    one = running.one
    for arguments, code in (
        (["restore", "--at", "soon"], 2),
        (["restore", "--at", "1h"], 1),
        (["restore", "--at", "1h", "/nowhere"], 1),
        (["checkout", "--at", "soon"], 2),
        (["checkout", "--at", "00112233"], 1),
        (["checkout", "--at", "1h", "--doc", "notes"], 1),
        (["checkout", "--at", "1h", "/path/without/document"], 2),
    ):
        done = await one.lattice(*arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert done.stderr.startswith("lattice: ")


def test_a_time_is_ago_or_a_date_and_means_the_end_of_its_second() -> None:
    assert moment("2026-11-20T09:30:15Z") == 1_795_167_015_999_999
    assert moment("2026-11-20 09:30:15+00:00") == 1_795_167_015_999_999
    assert moment("2026-11-20T09:30:15.5Z") == 1_795_167_015_500_000
    hour, day = moment("1h"), moment("1d")
    assert hour is not None
    assert day is not None
    assert abs(hour - day - 23 * 3600 * 1_000_000) < 10_000_000
    for wrong in ("", "h", "1y", "deadbeef", "2026-13-01", "20261120", "-", "9999999h"):
        assert moment(wrong) is None
