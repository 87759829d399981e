"""The library: every scenario reads, says what it shows, and is of a size that a person waits for."""

import pytest

from latticework.simnet.library import load, names, text
from latticework.simnet.scenario_file import scenario_of, write_scenario
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

PROMISED = (
    *("churn", "covert-flash", "eclipse", "equivocator", "flash-crowd", "flood"),
    *("kademlia-churn", "lan-300", "nat-mix", "partition-heal", "sleepers", "sybil-flood", "wan-2000"),
)


def test_the_library_holds_what_was_promised() -> None:
    assert names() == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_a_scenario_says_what_it_shows_and_checks_it(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert 20 < len(scenario.title) < 100
    assert "." not in scenario.title
    assert scenario.checks
    assert scenario.load
    assert text(name).startswith("# ")
    assert scenario_of(write_scenario(scenario), "x") == scenario


@pytest.mark.parametrize("name", PROMISED)
def test_whole_nodes_are_at_most_three_hundred(name: str) -> None:
    scenario = load(name)
    assert scenario.tier != "F" or scenario.node_count <= 300
    assert scenario.tier != "C" or scenario.node_count <= 2_000


@pytest.mark.parametrize("name", PROMISED)
def test_messages_have_time_to_arrive(name: str) -> None:
    scenario = load(name)
    for load_ in scenario.load:
        until_us = getattr(load_, "until_us", 0)
        assert until_us is not None
        assert until_us <= scenario.until_us - 5_000_000


def test_a_scenario_that_is_not_there_is_named_with_what_is_meant() -> None:
    with pytest.raises(LocalError, match=r"no scenario 'equivocater'; did you mean 'equivocator'\?"):
        load("equivocater")
    with pytest.raises(LocalError, match=r"no scenario '\.\./x'; there is: churn, "):
        load("../x")
