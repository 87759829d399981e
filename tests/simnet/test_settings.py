"""One setting of a scenario changed by its dotted name."""

from dataclasses import replace

import pytest
from hypothesis import given

from latticework.simnet.scenario import Coverage, Group, Kademlia, Latency, Links, Mesh, Publish, Scenario
from latticework.simnet.scenario_keys import Toml
from latticework.simnet.settings import read_setting, with_setting
from latticework.wire import LocalError

from .scenarios import scenarios

GROUPS = (Group("peers", 20), Group("attackers", 4, "silent", options=(("share", 0.5),)))
BASE = Scenario("base", GROUPS, 60_000_000, load=(Publish("peers"),), checks=(Coverage(), Latency(1)))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mesh.d", 8, replace(BASE, mesh=Mesh(d=8))),
        ("kademlia.alpha", 3, replace(BASE, kademlia=Kademlia(alpha=3))),
        ("links.loss", 0.25, replace(BASE, links=Links(loss=0.25))),
        ("run.until", "20s", replace(BASE, until_us=20_000_000)),
        ("run.tier", "V", replace(BASE, tier="V")),
        ("nodes.attackers.count", 9, replace(BASE, groups=(GROUPS[0], replace(GROUPS[1], count=9)))),
        ("nodes.attackers.count", 0, replace(BASE, groups=GROUPS[:1])),
        ("nodes.attackers.share", 1, replace(BASE, groups=(GROUPS[0], replace(GROUPS[1], options=(("share", 1),))))),
        ("load.0.rate", "30/min", replace(BASE, load=(Publish("peers", 0.5),))),
        ("check.1.most", "1s", replace(BASE, checks=(Coverage(), Latency(1_000_000)))),
    ],
)
def test_a_setting_changes_one_field(name: str, value: Toml, expected: Scenario) -> None:
    assert with_setting(BASE, name, value) == expected


@pytest.mark.unit
def test_a_group_may_have_a_dot_in_its_name() -> None:
    dotted = replace(BASE, groups=(*GROUPS, Group("a.b", 1)))
    assert with_setting(dotted, "nodes.a.b.count", 3).groups[2].count == 3


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("mesh.dd", 8, "setting mesh.dd: mesh: unknown key 'dd'; did you mean 'd'?"),
        ("mesh.d", "8", "setting mesh.d: mesh: key 'd': it holds a whole number of at least 0"),
        ("kademlia.paths", 21, "setting kademlia.paths: scenario 'base': kademlia needs"),
        ("mesh.d", 99, "setting mesh.d: scenario 'base': the mesh needs"),
        ("mesh", 8, "no setting 'mesh'; settings are called run.until"),
        ("mesh.", 8, "no setting 'mesh.'; settings are called run.until"),
        ("mesh.d.e", 8, "no setting 'mesh.d.e'; settings are called run.until"),
        ("meshes.d", 8, "no setting 'meshes.d'; settings are called run.until"),
        ("nodes.count", 8, "no setting 'nodes.count'; settings are called run.until"),
        ("nodes.attacker.count", 8, "there is no 'attacker' in nodes; there is: peers, attackers"),
        ("nodes.peers.count", 0, "setting nodes.peers.count: scenario 'base': nobody is honest"),
        ("load.1.rate", 8, "there is no '1' in load; there is: 0"),
        ("fault.0.at", "8s", "there is no '0' in fault; there is: nothing"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(name: str, value: Toml, told: str) -> None:
    with pytest.raises(LocalError) as caught:
        with_setting(BASE, name, value)
    assert str(caught.value).startswith(told)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("mesh.d=8", ("mesh.d", 8)),
        ("run.until = 20s", ("run.until", "20s")),
        ('run.title="a = b"', ("run.title", "a = b")),
        ("mesh.flood_publish=false", ("mesh.flood_publish", False)),
        ('links.uniform=["1ms", "2ms"]', ("links.uniform", ["1ms", "2ms"])),
        ("nodes.peers.nat=mix:field", ("nodes.peers.nat", "mix:field")),
    ],
)
def test_a_value_is_toml_or_else_text(text: str, setting: tuple[str, Toml]) -> None:
    assert read_setting(text) == setting


@pytest.mark.unit
@pytest.mark.parametrize("text", ["mesh.d", "=8", "mesh.d=", ""])
def test_half_a_setting_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match=r"is no setting such as mesh\.d=8"):
        read_setting(text)


@pytest.mark.property
@given(scenario=scenarios())
def test_a_setting_changes_nothing_else(scenario: Scenario) -> None:
    assert with_setting(scenario, "run.seed", 77) == replace(scenario, seed=77)
