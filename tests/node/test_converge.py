"""Both sides edit at once while connected, or meet with folders of their own: the same tree, and nothing lost."""

import pytest
import trio

from .devices import Dice, Pair, assert_same, contents, items, tree, until
from .edits import Editor

pytestmark = pytest.mark.wire


async def edit_both(pair: Pair, rounds: int) -> None:
    dice = Dice("converge")
    editors = [Editor(device.folder, dice, device.name) for device in pair.both]
    for number in range(rounds):
        for editor in editors:
            editor.edit(1 + dice.below(6))
        await trio.sleep(dice.seconds(0.3))
        if number % 25 == 24 or number == rounds - 1:
            await pair.in_step(30)
            assert_same(pair)
            lost = Editor.kept(editors) - contents(pair.one.folder, pair.two.folder)
            assert not lost, f"round {number}: {len(lost)} contents are gone: {sorted(lost)[:5]}"


async def test_concurrent_edits_of_both_folders_converge(running: Pair) -> None:
    await edit_both(running, 25)


@pytest.mark.long
async def test_a_thousand_rounds_of_concurrent_edits_converge(running: Pair) -> None:
    await edit_both(running, 1000)


async def test_joining_two_full_folders_deletes_nothing_and_conflicts_only_where_bytes_differ(pair: Pair) -> None:
    equal, differing, only = range(1000), range(1000, 1400), range(1400, 2000)
    for device in pair.both:
        for number in [*equal, *differing, *only]:
            path = device.folder / f"d{number % 20}" / f"file-{number}"
            if number in only:
                path = path.with_name(f"{device.name}-{number}")
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{number} " + ("same" if number in equal else device.name))
    before = [tree(device.folder, times=False) for device in pair.both]
    await pair.start()
    await pair.share()
    await pair.in_step(90)
    assert_same(pair)
    after = tree(pair.one.folder, times=False)
    for old in before:
        missing = [path for path in old if path not in after]
        assert not missing, missing[:5]
        gone = {item[1] for item in old.values() if item[0] == "file"} - contents(pair.one.folder)
        assert not gone, sorted(map(str, gone))[:5]
    status = await pair.two.folder_status()
    assert status["conflicts"] == len(differing)
    found = items(await pair.one.ask("conflicts"))
    assert {str(item["path"]) for item in found} == {f"d{n % 20}/file-{n}" for n in differing}
    files = sum(item[0] == "file" for item in after.values())
    assert files == len(equal) + 2 * len(differing) + 2 * len(only)


async def test_a_directory_moved_over_another_brings_its_content(running: Pair) -> None:
    """`rm -rf a; mv b a` tells the watcher nothing about what is in b."""
    one, two = running.both
    (one.folder / "a").mkdir()
    (one.folder / "a" / "old").write_text("old")
    outside = one.base / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "new").write_text("new")
    await running.in_step()
    (one.folder / "a" / "old").unlink()
    (one.folder / "a").rmdir()
    outside.rename(one.folder / "a")

    async def arrived() -> bool | None:
        return (two.folder / "a" / "deep" / "new").exists() or None

    await until(arrived, "what is in the moved directory", 15)
    await running.in_step(rescan=False)
    assert_same(running)


async def test_a_file_replaced_by_a_directory_moved_in_brings_its_content(running: Pair) -> None:
    one, two = running.both
    (one.folder / "a").write_text("a file")
    await running.in_step()
    outside = one.base / "outside"
    outside.mkdir()
    (outside / "inside").write_text("inside")
    (one.folder / "a").unlink()
    outside.rename(one.folder / "a")

    async def arrived() -> bool | None:
        return ((two.folder / "a").is_dir() and (two.folder / "a" / "inside").exists()) or None

    await until(arrived, "what is in the moved directory", 15)
    await running.in_step(rescan=False)
    assert_same(running)


async def test_a_file_that_vanishes_while_it_cannot_be_read_is_not_pending_for_ever(running: Pair) -> None:
    """A download that is written, torn again and again, and renamed when it is done."""
    one = running.one
    partial = one.folder / "video.part"
    with partial.open("wb", buffering=0) as file:
        for _ in range(60):
            file.write(bytes(1 << 20))
            await trio.sleep(0.02)
        partial.rename(one.folder / "video")

    async def arrived() -> bool | None:
        return await trio.Path(running.two.folder / "video").exists() or None

    # Until the watcher has told of the rename, both are in step about what was there before.
    await until(arrived, "the finished download on the other device", 20)
    await running.in_step(20, rescan=False)
    assert_same(running)
