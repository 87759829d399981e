"""What honest nodes are given to do: entries in a shared document, at a rate."""

from functools import partial
from typing import Final

import trio

from latticework.crdt import DocOperations, DocumentEditor, Documents
from latticework.crdt.params import MAX_SCALAR_BYTES
from latticework.wire import LocalError, LogId, StoreError

from ..draws import choose, key_from
from ..scenario import Publish
from .fleet import Member
from .simulation import Simulation

DOCUMENT: Final = "load"


def publishers(simulation: Simulation, load: Publish, number: int) -> list[int]:
    """The nodes that publish in turn, drawn by (seed, number of the load)."""
    members = simulation.scenario.members(load.source)
    wanted = min(load.sources or len(members), len(members))
    key = key_from(simulation.rng.child(f"sources of load {number}"))
    return [members[at] for at in choose(key, len(members), wanted)]


async def publish(simulation: Simulation, load: Publish, number: int) -> None:
    """Publish at the load's rate; messages are the entries that a node writes, so each is signed, stored and kept."""
    scenario = simulation.scenario
    sources = publishers(simulation, load, number)
    until_us = scenario.until_us if load.until_us is None else load.until_us
    async with trio.open_nursery() as nursery:
        count = 0
        while (at_us := load.from_us + round(count * 1_000_000 / load.rate_per_s)) < until_us:
            await trio.sleep_until((scenario.warmup_us + at_us) / 1e6)
            member = simulation.members[sources[count % len(sources)]]
            key = f"{number}-{count}"
            nursery.start_soon(_say, simulation, member, key, load.size_bytes)
            count += 1


async def _say(simulation: Simulation, member: Member, key: str, size_bytes: int) -> None:
    space = None if member.node is None else member.node.spaces.get(simulation.space)
    if space is None:
        simulation.counters["unsent"] += 1
        return
    at_us = simulation.now_us
    try:
        entry = await space.edit(partial(_line, space.own_log, key, size_bytes))
    except (LocalError, StoreError):
        simulation.counters["unsent"] += 1
        return
    if entry is not None:
        simulation.record.published(entry, member.number, at_us)


def _line(log: LogId, key: str, size_bytes: int, documents: Documents) -> DocOperations:
    editor = DocumentEditor(documents, DOCUMENT, log)
    # A value, as long as it may be one: a text is a container of its own on every node.
    editor.put((key,), bytes(size_bytes) if size_bytes <= MAX_SCALAR_BYTES else "." * size_bytes)
    return editor.operations()
