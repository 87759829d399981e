"""Each invariant, broken on purpose: what cannot fail proves nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Never

import pytest
import trio

from latticework.crdt import Entry
from latticework.node.peers import Peers
from latticework.simnet.listener import SimListener
from latticework.simnet.scenario import Crash, FaultPoints, Group, Scenario
from latticework.simnet.whole.run import run_whole
from latticework.simnet.whole.simulation import Simulation
from latticework.transport import GossipRouter
from latticework.transport.gossip_params import Table
from latticework.wire import EntryId, PeerError

from .small import SECOND, played, small

pytestmark = pytest.mark.sim

type Script = Callable[[Simulation], None]


def few(until_us: int = 8 * SECOND) -> Scenario:
    return replace(small(), groups=(Group("people", 4, dial=2),), until_us=until_us, warmup_us=SECOND, checks=())


def broken(scenario: Scenario, script: Script | None = None) -> dict[str, str]:
    """What the run says was broken."""
    result = run_whole(scenario, 3, script=script)
    return {check.check: check.told for check in result.checks if not check.ok}


def test_a_plain_run_breaks_none() -> None:
    played(replace(few(80 * SECOND), faults=(Crash("people", SECOND, 5 * SECOND, share=0.5),)))


def test_a_message_that_is_delivered_twice_is_told() -> None:
    def script(simulation: Simulation) -> None:
        def again() -> None:
            record = simulation.record
            record.fetched(record.deliveries.message[0], record.deliveries.node[0])

        simulation.when(lambda: bool(simulation.record.deliveries.node), again)

    assert broken(few(), script).keys() == {"once"}


def test_an_entry_that_its_author_never_wrote_is_told() -> None:
    def script(simulation: Simulation) -> None:
        def forge() -> None:
            space = simulation.space_of(simulation.members[0])
            assert space is not None
            entry: Entry = next(entry for entry in space.store.entries() if entry.body.author == space.own_log)
            forged = Entry(EntryId(bytes(32)), entry.body, entry.envelope)
            simulation.invariants.admitted(1, [forged])

        simulation.at(4 * SECOND, forge)

    assert "never wrote" in broken(few(), script)["authentic"]


def test_bytes_that_vanish_are_told() -> None:
    def script(simulation: Simulation) -> None:
        lane = simulation.net.topology.lane("people-0", "people-1")

        def vanish() -> None:
            lane.heard_bytes -= 7

        simulation.at(4 * SECOND, vanish)

    assert broken(few(), script)["bytes"].startswith("7 bytes")


def test_a_table_beyond_its_bound_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GossipRouter, "tables", (Table("seen messages", 3, 2),))
    assert "3 seen messages, at most 2" in broken(few())["bounds"]


def test_a_link_that_one_end_has_forgotten_is_told() -> None:
    def script(simulation: Simulation) -> None:
        def forget() -> None:
            node = simulation.members[0].node
            assert node is not None
            node.peers.links.popitem()

        simulation.at(4 * SECOND, forget)

    assert "which knows of none" in broken(few(40 * SECOND), script)["views"]


def test_a_link_to_oneself_is_told() -> None:
    def script(simulation: Simulation) -> None:
        def look_in_the_mirror() -> None:
            node = simulation.members[0].node
            assert node is not None
            links = node.peers.links
            links[node.device] = next(iter(links.values()))

        simulation.at(4 * SECOND, look_in_the_mirror)

    assert "a link to itself" in broken(few(), script)["views"]


def test_nodes_that_could_connect_and_do_not_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> Never:
        raise PeerError("unreachable", "by order of the test")

    monkeypatch.setattr(Peers, "_dial_once", fail)
    assert "in vain" in broken(few(70 * SECOND))["connected"]


def test_what_a_fault_point_keeps_apart_is_no_failure() -> None:
    scenario = replace(few(70 * SECOND), faults=(FaultPoints(0, 70 * SECOND, 1.0, ("peers.dial",)),))
    assert "connected" not in broken(replace(scenario, warmup_us=0))


def test_a_listener_that_outlives_its_node_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave_open(self: SimListener) -> None:
        del self

    monkeypatch.setattr(SimListener, "aclose", leave_open)
    scenario = replace(few(), faults=(Crash("people", SECOND, share=0.25),))
    assert "left 1 listeners" in broken(scenario)["leaks"]


def test_a_task_that_outlives_the_nodes_is_told() -> None:
    def script(simulation: Simulation) -> None:
        async def linger() -> None:
            await trio.sleep(1000)

        def leave() -> None:
            trio.lowlevel.spawn_system_task(linger)

        simulation.when(lambda: True, leave)

    assert "1 tasks outlived" in broken(few(), script)["leaks"]
