# ruff: noqa: ASYNC221, ASYNC230, ASYNC240  # the test is the only task; seeds and figures are printed
"""Names: whatever the file system allows travels, and what a malicious member writes never leads outside."""

import os
import subprocess
from pathlib import Path

import pytest
import trio

from latticework.crdt import Directory, File, Inline, Make, Operation, Ref, Symlink, Value, shown_name

from .devices import Pair, assert_same, tree, until
from .traitor import write_as

pytestmark = pytest.mark.wire

NAMES = [
    b"bad \xff\xfe utf-8",
    b"new\nline",
    b"escape \x1b[31mred\x1b[0m",
    "bidi \u202e gnp.exe".encode(),
    b"n" * 255,
    "\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
    b"e\xcc\x81",
    b"Case",
    b"case",
    b"back\\slash",
    b" leading and trailing ",
    b"con.",
    b"*?<>|:",
    b"-rf",
    b"$(reboot)",
    b"quote'\"",
    b"\x01\x7f",
    b".hidden",
    b"...",
    b".. ",
    b"..a",
]


async def test_every_name_that_the_file_system_allows_arrives(running: Pair) -> None:
    one = os.fsencode(running.one.folder)
    for name in NAMES:
        with open(one + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(b"file " + name)
        os.mkdir(one + b"/d-" + name[:253])  # noqa: PTH102
        with open(one + b"/d-" + name[:253] + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(b"nested " + name)
    await running.in_step(30)
    assert_same(running)
    assert len(tree(running.two.folder)) == 3 * len(NAMES)
    for name in NAMES:
        with open(one + b"/" + name, "ab") as file:  # noqa: PTH123
            file.write(b" changed")

    async def all_changed() -> bool | None:
        here, there = tree(running.one.folder), tree(running.two.folder)
        return here == there or None

    await until(all_changed, "changes of every name to be seen without a rescan", 15)


async def test_a_status_with_such_names_is_escaped(running: Pair) -> None:
    two = running.two
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lattice-test", two.folder], check=True)
    try:
        for name in NAMES[:4]:
            with open(os.fsencode(running.one.folder) + b"/" + name, "wb") as file:  # noqa: PTH123
                file.write(b"x")
        await running.one.ask("rescan")
        for arguments in (["status"], ["doctor"], ["why", str(two.folder)], ["--json", "status"]):
            shown = await two.lattice(*arguments)
            assert "Traceback" not in shown.stderr
            assert shown.stdout.replace("\n", "").isprintable(), arguments
        why = await running.one.lattice("why", os.fsdecode(os.fsencode(running.one.folder) + b"/" + NAMES[2]))
        assert "\\x1b" in why.stdout
        assert "\x1b" not in why.stdout
    finally:
        subprocess.run(["umount", "-l", two.folder], check=True)


async def test_why_takes_a_name_that_is_no_utf_8(running: Pair) -> None:
    path = os.fsencode(running.one.folder) + b"/bad \xff"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"x")
    await running.in_step()
    shown = await running.one.lattice("why", os.fsdecode(path))
    assert shown.returncode == 0, shown.stderr[-500:]
    assert "bad \\xff" in shown.stdout


HOSTILE = [
    b"../escaped",
    b"/tmp/lattice-escaped",
    b"a/../../escaped",
    b"a/./b",
    b"a//b",
    b"nul\x00byte",
    b"x" * 256,
    b".lattice/folder",
    b".LATTICE/folder",
    b".Lattice",
    b".lattice/tmp/x",
    b"..",
    b".",
    b"a/..",
    b"",
]


async def test_hostile_names_of_a_certified_device_touch_nothing_outside(running: Pair) -> None:
    one, two = running.both
    outside = one.base / "outside"
    outside.mkdir()
    (outside / "tripwire").write_text("untouched")
    (one.folder / "harmless").write_text("harmless")
    await running.in_step()
    await two.stop()
    empty = File(0, 0, executable=False, content=Inline(()))
    operations: list[Operation] = [Make(None, path, empty) for path in HOSTILE]

    def make(name: bytes, value: Value, parent: Ref | None = None) -> Ref:
        operations.append(Make(parent, name, value))
        return Ref(None, len(operations) - 1)

    for above in (make(b"way out", Symlink(os.fsencode(outside))), make(b"way out", Directory())):
        make(b"stolen", empty, above)
        make(b"stolen", empty, make(b"deep", Directory(), above))
        make(b"tripwire", empty, above)
        make(b"../escaped", empty, above)
    make(b"stolen", Directory(), make(b"up", Symlink(b"../..")))
    make(b"stolen", empty, make(b"..", Directory()))
    make(b"esc\x1b[2J", empty)
    make("rtl \u202e".encode(), empty)
    make(b"good", empty)
    write_as(two, operations)
    await two.start()

    async def arrived() -> bool | None:
        one.must_live()
        return (one.folder / "good").exists() or None

    await until(arrived, "what is harmless", 20)
    await one.ask("rescan")
    with trio.move_on_after(3):
        await running.in_step(30)
    one.must_live()
    assert {path.name for path in outside.iterdir()} == {"tripwire"}
    assert (outside / "tripwire").read_text() == "untouched"
    assert not Path("/tmp/lattice-escaped").exists()
    assert {path.name for path in one.base.iterdir()} == {"folder", "home", "log", "outside"}
    assert (one.folder / ".lattice" / "folder").read_bytes() == (two.folder / ".lattice" / "folder").read_bytes()
    shown = await one.lattice("status")
    assert shown.stdout.replace("\n", "").isprintable()


async def test_a_symlink_swapped_in_for_a_directory_is_never_followed(running: Pair) -> None:
    """A local process swaps a directory for a link to the outside, all the time, while a peer writes below it."""
    one, two = running.both
    outside = two.base / "outside"
    outside.mkdir()
    (one.folder / "d").mkdir()
    await running.in_step()
    for number in range(60):
        (one.folder / "d" / f"f{number}").write_text(f"{number}")
        directory = two.folder / "d"
        aside = two.base / "aside"
        try:
            directory.rename(aside)
            directory.symlink_to(outside)
            await trio.sleep(0.01)
            directory.unlink()
            aside.rename(directory)
        except OSError:
            if aside.exists() and not directory.exists():
                aside.rename(directory)
        assert not list(outside.iterdir())
        await trio.sleep(0.01)
    two.must_live()
    one.must_live()
    assert not list(outside.iterdir())


async def test_a_path_of_two_thousand_directories_ends_no_node(running: Pair) -> None:
    one, two = running.both
    (one.folder / "harmless").write_text("harmless")
    await running.in_step()
    await two.stop()
    empty = File(0, 0, executable=False, content=Inline(()))
    chain: list[Operation] = [Make(None if n == 0 else Ref(None, n - 1), b"y", Directory()) for n in range(2040)]
    write_as(two, [*chain, Make(Ref(None, 2039), b"z" * 10, empty), Make(None, b"good", empty)])
    await two.start()

    async def arrived() -> bool | None:
        one.must_live()
        return (one.folder / "good").exists() or None

    await until(arrived, "what is harmless", 20)
    for device in running.both:
        await device.ask("rescan")
    await running.in_step(20)
    one.must_live()
    two.must_live()


def test_names_are_escaped_for_people() -> None:
    assert shown_name(b"a\x1b[31m\xff\n\\") == "a\\x1b[31m\\xff\\x0a\\\\"
    assert shown_name("\u202e".encode()) == "\\u202e"
