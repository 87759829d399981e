"""The commands about documents, as a person types them, on two devices."""

import json
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import cast

import pytest
import trio

from .devices import LATTICE, Device, Item, Pair, clean_environment, until

pytestmark = pytest.mark.wire
HOSTILE = "evil\x1b[31m\u202e"


async def told(device: Device, *arguments: str, code: int = 0) -> Item:
    """What a command prints with --json."""
    done = await device.lattice("--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    shown = cast("Item", json.loads(done.stdout))
    return cast("Item", shown["error"]) if code else shown


async def value(device: Device, path: str = "/") -> object:
    return (await told(device, "doc", "get", "notes", path))["value"]


async def becomes(device: Device, path: str, wanted: object) -> None:
    async def is_so() -> bool | None:
        done = await device.lattice("--json", "doc", "get", "notes", path)
        return (done.returncode == 0 and json.loads(done.stdout)["value"] == wanted) or None

    await until(is_so, f"{path} to be {wanted!r} on {device.name}")


@pytest.fixture
async def up(pair: Pair) -> Pair:
    await pair.start()
    await pair.connected()
    return pair


async def test_a_second_device_joins_by_itself_and_sees_the_document_at_the_first_word(up: Pair) -> None:
    one, two = up.both
    await told(one, "doc", "new", "notes", '{"items": ["milk"], "title": "List"}')
    assert await value(two) == {"items": ["milk"], "title": "List"}
    await told(two, "doc", "set", "notes", "/items/-", '{"n": 2}')
    await told(two, "doc", "set", "notes", "/title", "in plain words")
    await becomes(one, "/items/1/n", 2)
    await becomes(one, "/title", "in plain words")
    await told(one, "doc", "delete", "notes", "/items/0")
    await becomes(two, "/items", [{"n": 2}])
    listed = await two.lattice("--json", "doc", "list")
    assert json.loads(listed.stdout) == [{"document": "notes", "space": "home", "conflicts": 0}]


async def test_undo_and_redo_from_the_command_line(up: Pair) -> None:
    one = up.one
    await told(one, "doc", "new", "notes", '{"a": 1}')
    await told(one, "doc", "set", "notes", "/a", "2")
    await told(one, "doc", "undo", "notes")
    assert await value(one) == {"a": 1}
    await told(one, "doc", "redo", "notes")
    assert await value(one) == {"a": 2}
    await told(one, "doc", "undo", "notes")
    await told(one, "doc", "undo", "notes")
    assert (await told(one, "doc", "get", "notes", code=1))["code"] == "error"
    await told(one, "doc", "undo", "notes", code=1)
    await told(one, "doc", "redo", "notes")
    assert await value(one) == {"a": 1}


async def test_an_editor_that_takes_its_time_merges_with_what_others_write(up: Pair, tmp_path: Path) -> None:
    one, two = up.both
    await told(one, "doc", "new", "notes", '{"text": "middle"}')
    assert await value(two) == {"text": "middle"}
    editor = tmp_path / "editor"
    other = " ".join([*LATTICE, "--home", str(one.home.root), "doc", "set", "notes", "/meanwhile", "yes"])
    editor.write_text(f'#!/bin/sh\n{other}\nprintf "%s end\\n" "$(cat "$1")" > "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    environment = clean_environment() | {"EDITOR": str(editor), "VISUAL": ""}
    command = [*LATTICE, "--home", str(one.home.root), "--json", "doc", "edit", "notes"]
    done = await trio.run_process(command, env=environment, capture_stdout=True)
    assert json.loads(done.stdout) == {"document": "notes", "changed": True}
    assert await value(one) == {"text": "middle end", "meanwhile": "yes"}
    failed = await trio.run_process(
        command, env=environment | {"EDITOR": "false"}, capture_stdout=True, capture_stderr=True, check=False
    )
    assert failed.returncode == 1
    await becomes(two, "/", {"text": "middle end", "meanwhile": "yes"})


@pytest.mark.parametrize("end", ["interrupt", "node"])
async def test_watching_ends_cleanly(up: Pair, end: str) -> None:
    one, two = up.both
    await told(one, "doc", "new", "notes", '{"a": 1}')
    assert await value(two) == {"a": 1}
    command = [*LATTICE, "--home", str(one.home.root), "--json", "doc", "watch", "notes"]
    watching = await trio.lowlevel.open_process(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        # Where the tests run in the background, Ctrl-C is ignored by what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    with trio.fail_after(30):
        shown = b""
        while b"\n" not in shown:
            shown += await watching.stdout.receive_some()
        assert json.loads(shown.splitlines()[0]) == {"paths": [], "value": {"a": 1}}
        await told(two, "doc", "set", "notes", "/b", "2")
        while not (lines := shown.splitlines()) or json.loads(lines[-1])["value"] != {"a": 1, "b": 2}:
            shown += await watching.stdout.receive_some()
        assert "/b" in json.loads(lines[-1])["paths"]
        if end == "interrupt":
            watching.send_signal(signal.SIGINT)
        else:
            await one.stop()
        assert await watching.wait() == (130 if end == "interrupt" else 10)
        assert b"Traceback" not in await watching.stderr.receive_some()
    if end == "interrupt":
        assert await value(one) == {"a": 1, "b": 2}


async def test_what_makes_no_sense_is_told_with_its_exit_code(up: Pair) -> None:
    one = up.one
    await told(one, "doc", "new", "notes", '{"a": [1], "t": "text"}')
    for arguments, code in (
        (["get", "nowhere"], 1),
        (["get", "notes", "/nowhere"], 1),
        (["get", "notes", "nowhere"], 2),
        (["get", "notes", "/a/99999999999999999999"], 1),
        (["set", "notes", "/", "1"], 2),
        (["set", "notes", "/a/7", "1"], 1),
        (["set", "notes", "/n", "NaN"], 2),
        (["set", "notes", "/n", "123456789012345678901234567890"], 1),
        (["set", "notes", "/n", "[" * 50_000 + "]" * 50_000], 2),
        (["set", "notes", "/n", "[" * 40 + "]" * 40], 1),
        (["set", "notes", "/n/m/o", "1"], 1),
        (["delete", "notes", "/nowhere"], 1),
        (["edit", "notes", "/a"], 1),
        (["new", "notes"], 23),
        (["new", "other", "[1]"], 2),
        (["new", "other", "{}"], 2),
        (["new", "x" * 300], 1),
        (["list", "--space", "nowhere"], 1),
        (["get", "notes", "--space", "nowhere"], 1),
    ):
        done = await one.lattice("--json", "doc", *arguments)
        assert done.returncode == code, (arguments[:3], done.stderr)
        assert json.loads(done.stdout)["error"]["exit"] == code
    assert await value(one) == {"a": [1], "t": "text"}
    up.one.must_live()


async def test_keys_of_any_kind_are_reached_by_their_pointer(up: Pair) -> None:
    one = up.one
    await told(one, "doc", "new", "notes", '{"0": "zero", "a/b": 1, "~": 2, "-": 3}')
    for path, wanted in (("/0", "zero"), ("/a~1b", 1), ("/~0", 2), ("/-", 3)):
        assert await value(one, path) == wanted


async def test_a_terminal_sees_no_control_characters_of_others(up: Pair) -> None:
    one = up.one
    await told(one, "doc", "new", HOSTILE, json.dumps({HOSTILE: HOSTILE, "text": HOSTILE}))
    for arguments in (["doc", "list"], ["doc", "get", HOSTILE], ["log"], ["space", "list"], ["checkout", "--at", "0s"]):
        done = await one.lattice(*arguments)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr
    shown = await one.lattice("doc", "get", HOSTILE)
    assert json.loads(shown.stdout) == {HOSTILE: HOSTILE, "text": HOSTILE}
    seen = await trio.to_thread.run_sync(_on_terminal, one, "/text")  # noqa: TID251  # a test's own thread
    assert seen == "evil\\u001b[31m\\u202e"


def _on_terminal(device: Device, path: str) -> str:
    own, theirs = os.openpty()
    command = [*LATTICE, "--home", str(device.home.root), "doc", "get", HOSTILE, path]
    subprocess.run(command, env=clean_environment(), stdout=theirs, check=True)
    os.close(theirs)
    text = os.read(own, 4096).decode().strip()
    os.close(own)
    return text
