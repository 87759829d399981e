"""Who dials whom in a scenario of whole nodes, drawn so that a node more or less changes nothing between the others."""

from heapq import nsmallest

from .draws import draw, key_from
from .rng import KeyedRng
from .scenario import Group, Scenario


def names(scenario: Scenario) -> list[str]:
    """The name of each node: its group's and its number there."""
    return [f"{group.name}-{index}" for group in scenario.groups for index in range(group.count)]


def dials(scenario: Scenario, rng: KeyedRng) -> list[tuple[int, ...]]:
    """For each node, whom it dials: `dial` different nodes of the groups its group dials to, never itself.

    Each takes the targets to which chance gives the lowest numbers (rendezvous hashing): the number of a pair hangs on
    the two names and the seed alone.
    """
    known = names(scenario)
    marks = [key_from(rng.child(name)) for name in known]
    found: list[tuple[int, ...]] = []
    for group in scenario.groups:
        targets = [n for name in group.dial_to or _all(scenario) for n in scenario.members(name)]
        found += [_closest(node, group, targets, known, marks, rng) for node in scenario.members(group.name)]
    return found


def _closest(
    node: int, group: Group, targets: list[int], known: list[str], marks: list[int], rng: KeyedRng
) -> tuple[int, ...]:
    key = key_from(rng.child(f"{known[node]} dials"))
    numbered = ((draw(key, marks[target]), target) for target in targets if target != node)
    return tuple(target for _, target in nsmallest(group.dial, numbered))


def _all(scenario: Scenario) -> tuple[str, ...]:
    return tuple(group.name for group in scenario.groups)
