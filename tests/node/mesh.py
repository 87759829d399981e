"""Several real nodes of one account that share one space, and what must be equal on all of them."""

import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apsw
import trio

from .devices import PATIENCE_S, Device, Item, items, receive, send, tree, until

SPACE = "shared"


@dataclass
class Mesh:
    """Devices of one account; each is told where all the others listen."""

    devices: list[Device]

    def kill(self) -> None:
        """End whatever still runs."""
        for device in self.devices:
            if device.alive:
                device.kill()

    async def share(self) -> None:
        """Keep one space on all devices, with a folder each; the first one makes it."""
        first, *others = self.devices
        await first.ask("folder add", path=str(first.folder), name=SPACE)
        for device in others:
            await offered(device)
            await device.ask("folder join", name=SPACE, path=str(device.folder))


async def launch(*devices: Device) -> None:
    """Start devices side by side."""
    for device in devices:
        device.launch()
    for device in devices:
        await device.answering()


async def halt(*devices: Device) -> None:
    """Stop devices in order."""
    for device in devices:
        await device.stop()


async def offered(device: Device) -> None:
    """Wait until `device` has heard of the space."""

    async def known() -> bool | None:
        return any(item["name"] == SPACE for item in items((await device.status())["offered"])) or None

    await until(known, f"{device.name} to hear of the space")


async def put(device: Device, document: str, **values: object) -> None:
    """Write into a document, one entry per value."""
    for key, value in values.items():
        await device.ask("doc set", space=SPACE, document=document, path=f"/{key}", value=json.dumps(value))


async def document(device: Device, name: str) -> Item:
    """A whole document, empty if there is none."""
    known = items(await device.ask("doc list", space=SPACE))
    if all(item["document"] != name for item in known):
        return {}
    answer = cast("Item", await device.ask("doc get", space=SPACE, document=name))
    return cast("Item", answer["value"])


async def retype(device: Device, name: str, path: str, change: Callable[[str], str]) -> None:
    """Edit a text as `lattice doc edit` does with an editor."""
    with trio.fail_after(PATIENCE_S):
        stream = await trio.open_unix_socket(str(device.home.socket))
        async with stream:
            await send(stream, {"do": "doc edit", "space": SPACE, "document": name, "path": path})
            event = await receive(stream)
            assert "text" in event, event
            await send(stream, {"text": change(str(event["text"]))})
            assert "ok" in await receive(stream)


async def forks(device: Device) -> list[Item]:
    """What `lattice forks` shows, without what is told differently on each device."""
    return [
        {key: value for key, value in fork.items() if key not in {"own", "proof"}}
        for fork in items(await device.ask("forks"))
    ]


async def convicted(*devices: Device, count: int = 1) -> None:
    """Wait until all of them hold the proof against so many logs."""

    async def proven() -> bool | None:
        found = [len(items(await device.ask("forks"))) for device in devices]
        assert max(found) <= count, found
        return min(found) == count or None

    await until(proven, f"{count} convictions")


async def in_step(*devices: Device, patience_s: float = PATIENCE_S) -> None:
    """Wait until each of them shows every tree and all have said the same to each other."""
    statuses: list[Item] = []

    async def agreed() -> bool | None:
        statuses.clear()
        for device in devices:
            device.must_live()
            statuses.append(await device.status())
        names = {str(status["name"]) for status in statuses}
        return all(_settled(status, names - {str(status["name"])}) for status in statuses) or None

    for device in devices:
        await device.ask("rescan")
    try:
        await until(agreed, "all to be in step", patience_s)
    except AssertionError as error:
        shown = "\n".join(str({k: s[k] for k in ("name", "folders", "in_step")}) for s in statuses)
        logs = "\n".join(f"--- {device.name}\n{device.log[-2500:]}" for device in devices)
        raise AssertionError(f"{error}\n{shown}\n{logs}") from error


def _settled(status: Item, others: set[str]) -> bool:
    (folder,) = items(status["folders"])
    peers = {str(peer["name"]) for peer in items(folder["peers"]) if peer["in_step"]}
    return bool(status["in_step"]) and others <= peers


async def assert_alike(*devices: Device, documents: Sequence[str] = ()) -> None:
    """Folders and documents are the same on all devices."""
    await _assert_same(devices, lambda device: _seen(device, documents))


async def assert_equal(*devices: Device, documents: Sequence[str] = ()) -> None:
    """What is stored is the same too: equal state roots, and the same judgement about every fork."""
    await assert_alike(*devices, documents=documents)
    await _assert_same(devices, _stored)


async def _assert_same(devices: Sequence[Device], look: Callable[[Device], Awaitable[dict[str, object]]]) -> None:
    first, *others = devices
    expected = await look(first)
    for device in others:
        for part, seen in (await look(device)).items():
            assert seen == expected[part], f"{first.name} and {device.name} differ in {part}"


async def _seen(device: Device, documents: Sequence[str]) -> dict[str, object]:
    return {"folder": tree(device.folder), **{name: await document(device, name) for name in documents}}


async def _stored(device: Device) -> dict[str, object]:
    verified = cast("Item", await device.ask("verify"))
    return {"forks": await forks(device), "state root": verified["state_root"], "entries": verified["entries"]}


def entries_in(database: Path) -> list[tuple[bytes, int, bytes]]:
    """Log, number and id of every entry, read from a copy: opening the original could fold its journal."""
    with tempfile.TemporaryDirectory() as scratch:
        for suffix in ("", "-wal"):
            if (part := database.with_name(database.name + suffix)).exists():
                shutil.copy(part, scratch)
        connection = apsw.Connection(str(Path(scratch) / database.name))
        query = "SELECT log.key, entry.seq, entry.id FROM entry JOIN log ON log.n=entry.log"
        rows = cast("list[tuple[bytes, int, bytes]]", connection.execute(query).fetchall())
        connection.close()
    return rows


def assert_numbers_taken_once(*devices: Device) -> None:
    """No number of any log stands for two entries on these devices, which must be stopped."""
    seen: dict[tuple[bytes, int], bytes] = {}
    for device in devices:
        for log, seq, identifier in entries_in(device.database):
            assert seen.setdefault((log, seq), identifier) == identifier, f"{log.hex()[:8]} has two entries {seq}"


def copy_mesh(template: Mesh, base: Path, ports: Sequence[int]) -> Mesh:
    """Fresh devices that are paired already: homes without a space may be copied."""
    made: list[Device] = []
    for device, port in zip(template.devices, ports, strict=True):
        mine = base / device.name
        mine.mkdir()
        shutil.copytree(device.home.root, mine / "home", ignore=shutil.ignore_patterns("control.sock", "lock"))
        made.append(Device(device.name, mine, port))
        made[-1].folder.mkdir()
    for device in made:
        device.options = [word for other in made if other is not device for word in ("--peer", other.address)]
    return Mesh(made)
