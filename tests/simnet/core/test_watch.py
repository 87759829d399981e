"""Each invariant of tier C, broken on purpose."""

from dataclasses import replace

import pytest

from latticework.discovery import RoutingTable
from latticework.simnet.amounts import Span
from latticework.simnet.core.connections import Connections
from latticework.simnet.core.gossip_log import GossipLog
from latticework.simnet.core.ledger import Ledger
from latticework.simnet.core.run import run_core
from latticework.simnet.core.stage import Stage
from latticework.simnet.rng import KeyedRng
from latticework.simnet.scenario import Churn, Group, Lookup, Publish, Scenario
from latticework.transport import GossipRouter
from latticework.transport.gossip_params import Table

pytestmark = pytest.mark.sim

SECOND = 1_000_000


def scenario(protocol: str = "gossip") -> Scenario:
    load = Lookup("people", 2.0) if protocol == "kademlia" else Publish("people", 2.0)
    return Scenario(
        name="watched",
        groups=(Group("people", 12, dial=3),),
        tier="C",
        protocol=protocol,
        warmup_us=5 * SECOND,
        until_us=10 * SECOND,
        load=(load,),
    )


def broken(made: Scenario) -> dict[str, str]:
    """What the run says was broken."""
    return {check.check: check.told for check in run_core(made, 3).checks if not check.ok}


@pytest.mark.parametrize("protocol", ["gossip", "flood", "sync", "kademlia"])
def test_a_plain_run_breaks_none(protocol: str) -> None:
    assert broken(scenario(protocol)) == {}


@pytest.mark.parametrize("protocol", ["gossip", "sync", "kademlia"])
def test_nodes_that_come_and_go_break_none(protocol: str) -> None:
    churn = Churn("people", Span("exp", 20 * SECOND), Span("exp", 5 * SECOND))
    assert broken(replace(scenario(protocol), faults=(churn,), until_us=120 * SECOND)) == {}


def test_a_message_that_is_delivered_twice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = GossipLog.deliver

    def twice(self: GossipLog, message_id: bytes, node: int, now_us: int, *, record: bool) -> None:
        deliver(self, message_id, node, now_us, record=record)
        deliver(self, message_id, node, now_us, record=record)

    monkeypatch.setattr(GossipLog, "deliver", twice)
    assert "delivered twice" in broken(scenario())["once"]


def test_a_table_beyond_its_bound_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GossipRouter, "tables", (Table("promises", 3, 2),))
    assert "3 promises, at most 2" in broken(scenario())["bounds"]


def test_a_mesh_of_others_than_neighbours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GossipRouter, "subscribers", lambda *_: ())  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert "has a mesh of others" in broken(scenario())["views"]


def test_a_connection_that_one_end_has_forgotten_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Connections.connect

    def half(self: Connections, near: int, far: int) -> None:
        connect(self, near, far)
        if (near, far) == (0, self.neighbours(0)[0]):
            self.links[far].pop(next(iter(self.links[far])))

    monkeypatch.setattr(Connections, "connect", half)
    assert "which knows of none" in broken(replace(scenario("flood"), until_us=80 * SECOND))["views"]


def test_more_of_a_log_than_was_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "length", lambda *_: 0)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert "of a log that has none" in broken(scenario("sync"))["authentic"]


def test_oneself_in_the_table_and_a_bucket_beyond_k_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(scenario("kademlia"), KeyedRng(b"watch"), None)
    monkeypatch.setattr(RoutingTable, "find", lambda *_: "somebody")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(RoutingTable, "bucket", lambda *_: range(21))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    found = dict(stage.world.broken([3]))
    assert "has itself in its table" in found["views"]
    assert "21 contacts in a bucket, at most 20" in found["bounds"]
