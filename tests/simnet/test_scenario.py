"""The model of a scenario: how nodes are numbered, and which contradictions it refuses."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given

from latticework.simnet.amounts import Span
from latticework.simnet.scenario import (
    Churn,
    Coverage,
    Crash,
    FullDisk,
    Group,
    Links,
    Lookup,
    Mesh,
    Partition,
    Publish,
    Scenario,
    ShareFile,
    SlowCpu,
)
from latticework.wire import LocalError

from .scenarios import scenarios

BASE: Final = Scenario("base", (Group("a", 3), Group("bad", 2, "silent"), Group("b", 1)), 1_000_000)


@pytest.mark.unit
def test_a_nodes_number_counts_through_the_groups() -> None:
    assert BASE.node_count == 6
    assert [BASE.members(name) for name in ("a", "bad", "b")] == [range(3), range(3, 5), range(5, 6)]
    assert [BASE.group_of(node).name for node in range(6)] == ["a", "a", "a", "bad", "bad", "b"]
    assert BASE.honest == (0, 1, 2, 5)


@pytest.mark.property
@given(scenario=scenarios())
def test_every_node_is_in_the_group_that_has_it_as_member(scenario: Scenario) -> None:
    for group in scenario.groups:
        members = scenario.members(group.name)
        assert len(members) == group.count
        assert scenario.group_of(members[0]) is group
        assert scenario.group_of(members[-1]) is group


@pytest.mark.unit
def test_nobody_is_in_a_group_that_is_not_there() -> None:
    with pytest.raises(LocalError, match="scenario 'base' has no group 'c'"):
        BASE.members("c")
    with pytest.raises(LocalError, match="scenario 'base' has no node 6"):
        BASE.group_of(6)


REFUSED: Final = [
    ({"groups": ()}, "it needs groups of nodes, each with its own name"),
    ({"groups": (Group("a", 1), Group("a", 1))}, "it needs groups of nodes, each with its own name"),
    ({"groups": (Group("a", 0),)}, "a group has at least one node"),
    ({"groups": (Group("a", 1, dial=-1),)}, "a group has at least one node"),
    ({"groups": (Group("a", 1, cpu=-0.5),)}, "a group has at least one node"),
    ({"groups": (Group("a", 1, "silent"),)}, "nobody is honest"),
    ({"protocol": "telepathy"}, "protocol is one of gossip, flood, sync, kademlia"),
    ({"until_us": 0}, "it ends before it begins"),
    ({"warmup_us": -1}, "it ends before it begins"),
    ({"load": (Publish("c"),)}, "there is no group 'c'; there is: a, bad, b"),
    ({"load": (ShareFile("c", 1),)}, "there is no group 'c'; there is: a, bad, b"),
    ({"groups": (Group("a", 1, dial_to=("c",)),)}, "there is no group 'c'"),
    ({"faults": (Churn("c", Span("fixed", 1), Span("fixed", 1)),)}, "there is no group 'c'"),
    ({"faults": (Crash("c", 0),)}, "there is no group 'c'"),
    ({"links": Links(loss=1.5)}, "a share is between 0 and 1"),
    ({"links": Links(corrupt=-0.1)}, "a share is between 0 and 1"),
    ({"faults": (Partition(0, 1, share=2),)}, "a share is between 0 and 1"),
    ({"faults": (FullDisk("a", 0, 1, share=2),)}, "a share is between 0 and 1"),
    ({"faults": (SlowCpu("a", 0, 1, share=-1),)}, "a share is between 0 and 1"),
    ({"checks": (Coverage(1.1),)}, "a share is between 0 and 1"),
    ({"load": (Publish("a", 0),)}, "a rate is above 0"),
    ({"load": (Lookup("a", 0),)}, "a rate is above 0"),
    ({"load": (Lookup("c"),)}, "there is no group 'c'; there is: a, bad, b"),
    ({"mesh": Mesh(d=4)}, "the mesh needs d_out < d_lo <= d <= d_hi"),
    ({"mesh": Mesh(d=13)}, "the mesh needs d_out < d_lo <= d <= d_hi"),
    ({"mesh": Mesh(d_out=5)}, "the mesh needs d_out < d_lo <= d <= d_hi"),
    ({"mesh": Mesh(history_gossip=6)}, "the mesh needs d_out < d_lo <= d <= d_hi"),
]


@pytest.mark.unit
@pytest.mark.parametrize(("changes", "told"), REFUSED)
def test_a_contradiction_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(LocalError) as caught:
        replace(BASE, **changes)
    assert str(caught.value).startswith(f"scenario 'base': {told}")
