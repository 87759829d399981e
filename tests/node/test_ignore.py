"""`.latticeignore`: what it names is neither published nor written nor deleted anywhere."""

import pytest

from .devices import Pair, assert_same, until
from .test_disks import reaches

pytestmark = pytest.mark.wire


async def test_ignored_files_stay_where_they_are(running: Pair) -> None:
    one, two = running.both
    (one.folder / ".latticeignore").write_text("*.tmp\n/build/\n!keep.tmp\n# comment\nb[0-9].txt\n")
    for name in ("a.tmp", "keep.tmp", "b1.txt", "b.txt"):
        (one.folder / name).write_text(name)
    (one.folder / "build").mkdir()
    (one.folder / "build" / "out").write_text("out")
    (one.folder / "sub" / "build").mkdir(parents=True)
    (one.folder / "sub" / "build" / "in").write_text("in")
    await running.in_step()
    found = sorted(str(path.relative_to(two.folder)) for path in two.folder.rglob("*") if ".lattice/" not in str(path))
    assert found == [".lattice", ".latticeignore", "b.txt", "keep.tmp", "sub", "sub/build", "sub/build/in"]


async def test_newly_ignored_files_are_deleted_nowhere_and_come_back_when_they_are_not(running: Pair) -> None:
    one, two = running.both
    for name in ("data", "other"):
        (one.folder / name).write_text(name)
    (one.folder / "dir").mkdir()
    (one.folder / "dir" / "inner").write_text("inner")
    await running.in_step()
    (one.folder / ".latticeignore").write_text("data\ndir\n.latticeignore\n")
    await running.in_step()
    assert (two.folder / "data").read_text() == "data"
    assert (two.folder / "dir" / "inner").exists()
    (one.folder / "data").unlink()
    (one.folder / "dir" / "inner").unlink()
    (two.folder / "other").write_text("changed")
    await running.in_step()
    assert (two.folder / "data").read_text() == "data"
    assert (one.folder / "other").read_text() == "changed"
    (one.folder / ".latticeignore").unlink()
    await running.in_step()
    assert (one.folder / "data").read_text() == "data"
    assert (one.folder / "dir" / "inner").read_text() == "inner"


async def test_ignored_remote_files_are_not_written_even_after_a_restart(running: Pair) -> None:
    one, two = running.both
    (two.folder / ".latticeignore").write_text("big*\n.latticeignore\n")
    await running.in_step()
    for number in range(20):
        (one.folder / f"big{number}").write_text("big")
    (one.folder / "small").write_text("small")
    await running.in_step()
    assert not list(two.folder.glob("big*"))
    for _ in range(3):
        await two.stop()
        await two.start()
        await running.in_step()
        assert not list(two.folder.glob("big*"))
    assert (two.folder / "small").exists()
    assert (await two.why(two.folder / "big1"))["reason"] == "ignored"


@pytest.mark.parametrize("text", [b"\xff\xfe bad", b"x" * (1 << 20) + b"\n"], ids=["no UTF-8", "too long"])
async def test_an_invalid_ignore_file_stops_the_folder_and_it_recovers(running: Pair, text: bytes) -> None:
    one, two = running.both
    (one.folder / ".latticeignore").write_text("private\n")
    await running.in_step()
    (one.folder / ".latticeignore").write_bytes(text)
    await one.ask("rescan")
    status = await reaches(one, "stopped")
    assert ".latticeignore" in str(status["problem"])
    (one.folder / "private").write_text("must not leave")
    (one.folder / "public").write_text("public")
    await one.ask("rescan")
    await one.stop()
    await one.start()
    await reaches(one, "stopped")
    assert not (two.folder / "private").exists()
    (one.folder / ".latticeignore").write_text("private\n")
    await running.in_step(20)

    async def arrived() -> bool | None:
        return (two.folder / "public").exists() or None

    await until(arrived, "what is public", 20)
    assert not (two.folder / "private").exists()
    (one.folder / "private").unlink()
    await running.in_step()
    assert_same(running)
