"""A file shared by all: one node puts it into its folder, every other one fetches it from whoever has it."""

import os
import tempfile
from pathlib import Path
from typing import Final

import trio

from latticework.wire import LocalError

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
    """
    name = f"shared-{number}"
    await trio.sleep(simulation.scenario.warmup_us / 2e6)
    with tempfile.TemporaryDirectory(prefix="lattice-sim-") as base:
        folders = {member.number: Path(base) / str(member.number) for member in simulation.honest_up}
        for member in simulation.honest_up:
            folders[member.number].mkdir()
            await _join(simulation, member, folders[member.number])
        await trio.sleep_until((simulation.scenario.warmup_us + load.at_us) / 1e6)
        source = simulation.members[simulation.scenario.members(load.source)[0]]
        if source.node is None:
            raise LocalError(f"{source.name} is to share a file, but it is not up")
        _write(folders[source.number] / name, load.size_bytes, simulation.rng.child(f"file {number}"))
        message = simulation.record.shared(source.number)
        _rescan(source, simulation)
        waiting = {member: folders[member] / name for member in folders if member != source.number}
        while waiting:
            await trio.sleep(_LOOK_S)
            for node in [node for node, path in waiting.items() if _is_whole(path, load.size_bytes)]:
                del waiting[node]
                simulation.record.fetched(message, node)
        await trio.sleep_forever()


async def _join(simulation: Simulation, member: Member, folder: Path) -> None:
    if member.node is None:
        return
    await member.node.holdings.join(SPACE, folder)
    runner = member.node.runners[simulation.space]
    while runner.engine is None or not runner.engine.ledger.opened:  # noqa: ASYNC110  # an engine has no event for it
        await trio.sleep(_LOOK_S)


def _write(path: Path, size_bytes: int, rng: KeyedRng) -> None:
    with path.open("wb") as file:
        for start in range(0, size_bytes, _PIECE):
            file.write(rng.random_bytes(min(_PIECE, size_bytes - start)))
    os.utime(path, ns=(_MTIME_NS, _MTIME_NS))


def _rescan(member: Member, simulation: Simulation) -> None:
    engine = None if member.node is None else member.node.runners[simulation.space].engine
    if engine is not None:
        engine.ledger.disk_changed(None)


def _is_whole(path: Path, size_bytes: int) -> bool:
    return path.exists() and path.stat().st_size == size_bytes
