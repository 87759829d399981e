"""A file shared by all: one node puts it into its folder, every other one fetches it from whoever has it."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

import trio

from ..rng import KeyedRng
from ..scenario import ShareFile
from .fleet import SPACE, Member
from .simulation import Simulation

_MTIME_NS: Final = 1_700_000_000_000_000_000
_LOOK_S: Final = 0.1
_PIECE: Final = 1 << 20


async def share_file(simulation: Simulation, load: ShareFile, number: int) -> None:
    """Give every honest node a folder, put the file into one, and note who has all of it when.

    Folders are real directories, deleted at the end; the simulation looks for the file every 100 ms of virtual time.
    A source that is down then shares nothing, which is counted as unsent.
    """
    name = f"shared-{number}"
    with tempfile.TemporaryDirectory(prefix="lattice-sim-") as base:
        folders: dict[int, Path] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_give_folders, simulation, Path(base), folders)
            await trio.sleep_until((simulation.scenario.warmup_us + load.at_us) / 1e6)
            source = simulation.members[simulation.scenario.members(load.source)[0]]
            if source.number not in folders or not _has_folder(simulation, source):
                simulation.counters["unsent"] += 1
                return
            digest = _write(folders[source.number] / name, load.size_bytes, simulation.rng.child(f"file {number}"))
            message = simulation.record.shared(source.number)
            _rescan(source, simulation)
            await _watch(simulation, message, folders, name, digest, load.size_bytes)


async def _watch(
    simulation: Simulation, message: int, folders: dict[int, Path], name: str, digest: bytes, size_bytes: int
) -> None:
    done = {simulation.record.deliveries.source[message]}
    while True:
        await trio.sleep(_LOOK_S)
        for node, folder in folders.items():
            path = folder / name
            if node in done or not path.exists() or path.stat().st_size != size_bytes:
                continue
            done.add(node)
            if _digest(path) == digest:
                simulation.record.fetched(message, node)
            else:
                simulation.invariants.broken(
                    "files", f"{simulation.members[node].name} has another file than was shared"
                )


async def _give_folders(simulation: Simulation, base: Path, folders: dict[int, Path]) -> None:
    """A folder for each honest node as soon as it is up, also for those that come later or come again."""
    while True:
        for member in simulation.honest_up:
            if member.number not in folders:
                folder = base / str(member.number)
                folder.mkdir()
                folders[member.number] = folder
                await _join(member, folder)
        await trio.sleep(_LOOK_S)


def _has_folder(simulation: Simulation, member: Member) -> bool:
    runner = None if member.node is None else member.node.runners.get(simulation.space)
    return runner is not None and runner.engine is not None


async def _join(member: Member, folder: Path) -> None:
    if member.node is None:
        return
    await member.node.holdings.join(SPACE, folder)


def _write(path: Path, size_bytes: int, rng: KeyedRng) -> bytes:
    """The digest of the file that it makes."""
    with path.open("wb") as file:
        for start in range(0, size_bytes, _PIECE):
            file.write(rng.random_bytes(min(_PIECE, size_bytes - start)))
    os.utime(path, ns=(_MTIME_NS, _MTIME_NS))
    return _digest(path)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _rescan(member: Member, simulation: Simulation) -> None:
    engine = None if member.node is None else member.node.runners[simulation.space].engine
    if engine is not None:
        engine.ledger.disk_changed(None)
