"""Tier F: a scenario run with whole nodes."""

import hashlib
import time
from array import array
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from typing import assert_never

from latticework.transport import GossipRouter, Router
from latticework.wire import LocalError

from ..progress import Progress, ProgressHook
from ..result import NodeFigures, Result, run_id
from ..scenario import HONEST, ON_TIER_C, Lookup, Publish, Scenario, ShareFile
from .faults import happen
from .files import share_file
from .load import publish
from .roles import check_roles, play_role, wrapped
from .simulation import Script, Simulation
from .verdicts import invariants, judge


def _ignore(_: Progress) -> None:
    """Nobody waits."""


def run_whole(scenario: Scenario, seed: int, progress: ProgressHook = _ignore, script: Script | None = None) -> Result:
    """Run `scenario` with whole nodes; `script` may steer it (`Simulation`).

    Raises:
        LocalError: it asks for what tier F cannot do.
        DeadlockError: every task waits; it names them.
    """
    cpu_s = time.process_time()
    if scenario.protocol in ON_TIER_C:
        raise LocalError(
            f"scenario {scenario.name!r}: protocol {scenario.protocol!r} is for tier C, not for whole nodes"
        )
    check_roles(scenario)
    simulation = Simulation(scenario, seed, progress, _wrap)
    tasks: list[Callable[[], Awaitable[None]]] = []
    for number, load in enumerate(scenario.load):
        match load:
            case Publish():
                tasks.append(partial(publish, simulation, load, number))
            case ShareFile():
                tasks.append(partial(share_file, simulation, load, number))
            case Lookup():
                raise LocalError(
                    f"scenario {scenario.name!r}: load Lookup is for protocol kademlia, which is on tier C"
                )
            case _:
                assert_never(load)
    tasks += [partial(happen, simulation, fault, number) for number, fault in enumerate(scenario.faults)]
    tasks += [partial(play_role, simulation, group) for group in scenario.groups if group.role != HONEST]
    simulation.play(tasks, script)
    return _result(simulation, seed, time.process_time() - cpu_s)


def _wrap(simulation: Simulation, number: int, router: GossipRouter) -> Router:
    return wrapped(simulation, simulation.members[number], router)


def _result(simulation: Simulation, seed: int, cpu_s: float) -> Result:
    scenario, record = simulation.scenario, simulation.record
    expected = record.expected(scenario.honest)
    latencies = record.latencies()
    checks = [judge(simulation, check) for check in scenario.checks] + invariants(simulation)
    return Result(
        scenario=scenario.name,
        seed=seed,
        tier="F",
        crypto=scenario.crypto,
        run_id=run_id(scenario, seed, version("latticework")),
        nodes=scenario.node_count,
        virtual_us=simulation.end_us,
        cpu_s=cpu_s,
        delivered=sum(pair in latencies for pair in expected),
        expected=len(expected),
        digest=_digest(simulation),
        checks=tuple(checks),
        counters={"entries": record.entries, "frames": simulation.transcript.frame_count, **simulation.counters},
        deliveries=record.deliveries,
        node_figures=_node_figures(simulation),
        timeline=simulation.timeline,
    )


def _digest(simulation: Simulation) -> str:
    """Over every byte sent; where keys and ciphertexts are the system's chance (`real`), over the deliveries alone."""
    rows = simulation.record.deliveries
    digest = hashlib.blake2b(digest_size=32)
    if simulation.scenario.crypto != "real":
        digest.update(simulation.transcript.digest)
    for column in (rows.source, rows.published_us, rows.message, rows.node, rows.latency_us):
        digest.update(column.tobytes())
    return digest.hexdigest()


def _node_figures(simulation: Simulation) -> NodeFigures:
    members = simulation.members
    sent = [simulation.net.topology.sent_by(member.name) for member in members]
    return NodeFigures(
        group=tuple(member.group.name for member in members),
        role=tuple(member.group.role for member in members),
        degree=array("i", simulation.ending.degree),
        sent_bytes=array("q", [size for size, _ in sent]),
        sent_frames=array("q", [frames for _, frames in sent]),
        duplicates=array("q", simulation.ending.duplicates),
    )
