import os
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import trio

from .devices import Device, Pair, copy_homes, items, receive, send, until
from .mesh import Mesh, copy_mesh, launch

FIRST_PORT, PORTS = 10_240, 22_000
"""Below what systems give to outgoing connections, so that none of them takes a port before its node does."""
_next_port = count(os.getpid() * 997)


def free_ports(wanted: int) -> list[int]:
    """Ports that nobody listens at; each process of tests goes through a stretch of its own."""
    ports: list[int] = []
    while len(ports) < wanted:
        port = FIRST_PORT + next(_next_port) % PORTS
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


@pytest.fixture(scope="session")
def paired_homes(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two homes that were paired once; tests work on copies."""
    base = tmp_path_factory.mktemp("paired")
    ports = free_ports(2)
    one, two = Device("one", base / "one", ports[0]), Device("two", base / "two", ports[1])
    pair = Pair(one, two)
    trio.run(_make_pair, pair)
    return pair


async def _make_pair(pair: Pair) -> None:
    for device in pair.both:
        device.base.mkdir()
        device.init()
    try:
        await pair.start()
        await join(pair.one, pair.two)
        await pair.connected()
    finally:
        for device in pair.both:
            if device.alive:
                await device.stop()


async def join(sponsor: Device, joiner: Device) -> None:
    """Pair through the control sockets, the sponsor saying yes."""
    stream = await trio.open_unix_socket(str(sponsor.home.socket))
    async with stream, trio.open_nursery() as nursery:
        await send(stream, {"do": "pair"})
        code = (await receive(stream))["code"]

        async def sponsor_side() -> None:
            while True:
                frame = await receive(stream)
                if frame.get("event") == "confirm":
                    await send(stream, {"answer": True})
                if "ok" in frame or "error" in frame:
                    assert "ok" in frame, frame
                    return

        nursery.start_soon(sponsor_side)
        await joiner.ask("pair with", code=code, peers=[sponsor.address])


@pytest.fixture
async def pair(paired_homes: Pair, tmp_path: Path) -> AsyncGenerator[Pair]:
    """Two paired devices, not running, with empty folders."""
    first, second = free_ports(2)
    made = copy_homes(paired_homes, tmp_path, (first, second))
    for device in made.both:
        device.folder.mkdir()
    yield made
    for device in made.both:
        if device.alive:
            device.kill()


@pytest.fixture
async def running(pair: Pair) -> Pair:
    """Two running devices that keep one empty folder in step."""
    await pair.start()
    await pair.share()
    await pair.in_step()
    return pair


@pytest.fixture(scope="session")
def three_homes(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """Three homes of one account; tests work on copies."""
    base = tmp_path_factory.mktemp("three")
    names = ("one", "two", "three")
    mesh = Mesh([Device(name, base / name, port) for name, port in zip(names, free_ports(3), strict=True)])
    trio.run(_make_mesh, mesh)
    return mesh


async def _make_mesh(mesh: Mesh) -> None:
    for device in mesh.devices:
        device.base.mkdir()
        device.init()
    sponsor, *others = mesh.devices
    try:
        await launch(*mesh.devices)
        for device in others:
            await join(sponsor, device)
        for device in mesh.devices:
            await until(lambda device=device: _knows(device, len(mesh.devices)), f"{device.name} to know all")
            await device.stop()
    finally:
        mesh.kill()


async def _knows(device: Device, count: int) -> bool | None:
    return len(items((await device.status())["devices"])) == count or None


@pytest.fixture
async def mesh(three_homes: Mesh, tmp_path: Path) -> AsyncGenerator[Mesh]:
    """Three paired devices, not running, with empty folders."""
    made = copy_mesh(three_homes, tmp_path, free_ports(3))
    yield made
    made.kill()
