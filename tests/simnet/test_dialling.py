import pytest

from latticework.simnet import Group, KeyedRng, Scenario
from latticework.simnet.dialling import dials, names

pytestmark = pytest.mark.unit


def drawn(*groups: Group, seed: bytes = b"seed") -> dict[str, set[str]]:
    scenario = Scenario("dials", groups, until_us=1)
    known = names(scenario)
    return {known[node]: {known[t] for t in targets} for node, targets in enumerate(dials(scenario, KeyedRng(seed)))}


def test_everybody_dials_as_many_different_others_as_the_group_says() -> None:
    for node, targets in drawn(Group("a", 20, dial=4), Group("b", 3, dial=2)).items():
        assert len(targets) == (4 if node.startswith("a") else 2)
        assert node not in targets


def test_groups_dial_into_the_groups_they_name() -> None:
    found = drawn(Group("a", 5, dial=2, dial_to=("b",)), Group("b", 3, dial=9))
    assert all(target.startswith("b") for n in range(5) for target in found[f"a-{n}"])
    assert all(len(found[f"b-{n}"]) == 7 for n in range(3)), "there are no more"


def test_a_node_less_changes_only_what_led_to_it() -> None:
    more, fewer = drawn(Group("a", 20, dial=4)), drawn(Group("a", 19, dial=4))
    for node, targets in fewer.items():
        kept = more[node] - {"a-19"}
        assert kept <= targets
        assert len(targets - kept) <= 1


def test_another_seed_draws_others() -> None:
    assert drawn(Group("a", 20, dial=4)) != drawn(Group("a", 20, dial=4), seed=b"other")
