"""The control socket and the command line: exit codes, bad codes, garbage, a second node, a clean stop."""

import json
import os
import socket
import stat
from contextlib import suppress
from typing import cast

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latticework.node.requests import receive_frame
from latticework.wire import MalformedError

from .conftest import free_ports
from .devices import Device, Item, Pair, items, receive, send, until

pytestmark = pytest.mark.wire


async def test_without_a_node_commands_end_with_10(pair: Pair) -> None:
    for command in (["status"], ["down"], ["folder", "list"], ["pair"], ["why", "/"], ["sync", "--once"]):
        ended = await pair.one.lattice("--json", *command)
        assert ended.returncode == 10, (command, ended)
        assert json.loads(ended.stdout)["error"]["code"] == "no-node"


async def test_a_second_node_in_one_home_is_refused_with_11(running: Pair) -> None:
    ended = await running.one.lattice("--json", "up", "--no-mdns")
    assert ended.returncode == 11
    assert json.loads(ended.stdout)["error"] == {
        "code": "locked",
        "message": f"a node already runs in {running.one.home.root}",
        "exit": 11,
    }
    assert (await running.one.status())["in_step"]


async def test_a_second_init_keeps_the_identity(pair: Pair) -> None:
    before = pair.one.home.keys.read_bytes()
    ended = await pair.one.lattice("--json", "init")
    assert ended.returncode == 1
    assert pair.one.home.keys.read_bytes() == before


async def test_sigterm_and_down_end_cleanly(running: Pair) -> None:
    assert await running.one.stop() == 0
    assert (await running.two.lattice("--json", "down")).returncode == 0
    assert await running.two.ended() == 0
    for device in running.both:
        assert not device.home.socket.exists()
        assert "Traceback" not in device.log
        assert device.run("status").returncode == 10


async def test_a_wrong_code_is_refused_with_12_and_burns_the_code(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("burn")
    sponsor, joiner = (Device(n, base / n, p) for n, p in zip(("s", "j"), free_ports(2), strict=True))
    for device in (sponsor, joiner):
        device.base.mkdir()
        device.init()
        await device.start()
    try:
        stream = await trio.open_unix_socket(str(sponsor.home.socket))
        async with stream:
            await send(stream, {"do": "pair"})
            code = str((await receive(stream))["code"])
            nameplate, _, secret = code.partition("-")
            other = nameplate + "-" + "-".join(reversed(secret.split("-")))
            assert other != code
            wrong = await joiner.lattice("--json", "pair", other, "--peer", sponsor.address, "--yes")
            assert wrong.returncode == 12, wrong
            burned = await joiner.lattice("--json", "pair", code, "--peer", sponsor.address, "--yes")
            assert burned.returncode == 12, burned
        nowhere = await joiner.lattice("--json", "pair", code, "--peer", "/ip4/127.0.0.1/tcp/1", "--yes")
        assert nowhere.returncode == 20, nowhere
        assert len(items((await sponsor.status())["devices"])) == 1
        for device in (sponsor, joiner):
            device.must_live()
    finally:
        for device in (sponsor, joiner):
            if device.alive:
                await device.stop()


async def test_sync_without_the_other_device_ends_with_20(running: Pair) -> None:
    running.two.kill()
    ended = await running.one.lattice("--json", "sync", "--once", "--timeout", "2")
    assert ended.returncode == 20, ended


async def test_the_socket_and_the_home_are_for_their_owner_only(running: Pair) -> None:
    home = running.one.home
    assert stat.S_IMODE(home.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    for path in (home.keys, home.state, running.one.database):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


GARBAGE = [
    b"",
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x00\x00\x00\x01\xc1",
    b"\x00\x00\x00\x01\x80",
    b"\x00\x00\x00\x05hello",
    b"\x00\x00\x10\x00short",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x00\x00\x00\x01\x90",
    b"\x00\x00\x00\x03\x81\x01\x02",
    b"\x00\x00\x00\x05\xdf\xff\xff\xff\xff",
    b"\x00\x00\x40\x00" + b"\x91" * 0x4000,
]


async def test_garbage_on_the_socket_ends_that_connection_only(running: Pair) -> None:
    for data in GARBAGE:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(5)
            raw.connect(str(running.one.home.socket))
            with suppress(ConnectionError, OSError):
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
    for request in (
        {"do": None}, {"do": 5}, {"do": "nothing"}, {"do": ["status"]}, {"do": "why"}, {"do": "why", "path": "\x00"},
        {"do": "folder add", "path": "\x00", "name": "x"}, {"do": "folder add", "path": "/proc/1/x", "name": "x"},
        {"do": "folder join", "name": "x", "path": 7},
        {"do": "pair with", "code": "x" * 100_000}, {"do": "pair with", "code": "1-2", "peers": [["a"]]},
        {"do": "pair with", "code": "1-2-3", "peers": 5}, {"do": "sync", "timeout_s": -1}, {},
    ):  # fmt: skip
        stream = await trio.open_unix_socket(str(running.one.home.socket))
        async with stream:
            await send(stream, cast("Item", request))
            with trio.fail_after(20):
                frame = await receive(stream)
                while "event" in frame:
                    frame = await receive(stream)
                assert "error" in frame, (request, frame)
    running.one.must_live()
    await running.in_step()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_frame_is_a_map_or_malformed(body: bytes) -> None:
    async def feed() -> None:
        left, right = trio.socket.socketpair()
        near, far = trio.SocketStream(left), trio.SocketStream(right)
        await near.send_all(len(body).to_bytes(4, "big") + body)
        await near.send_eof()
        with suppress(MalformedError):
            assert isinstance(await receive_frame(far), dict)
        await near.aclose()
        await far.aclose()

    trio.run(feed)


async def test_why_says_what_is_the_matter(running: Pair) -> None:
    one, two = running.both
    (one.folder / "file").write_text("x")
    os.mkfifo(one.folder / "pipe")
    (one.folder / ".latticeignore").write_text("secret*\n")
    (one.folder / "secret").write_text("x")
    await running.in_step()

    async def reason(path: str) -> str:
        return str((await one.why(one.folder / path))["reason"])

    assert await reason("file") == "in-step"
    assert await reason("pipe") == "unsupported"
    assert await reason("secret") == "ignored"
    for path in ("nowhere", "../elsewhere"):
        ended = await one.lattice("--json", "why", str(one.folder / path))
        assert ended.returncode == 1, ended
    two.suspend()
    (one.folder / "new").write_text("new")
    await one.ask("rescan")

    async def behind() -> bool | None:
        return await reason("new") == "peer-behind" or None

    await until(behind, "why to name the peer that is behind", 15)
    two.resume()
    await running.in_step()
