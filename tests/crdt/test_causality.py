"""The happened-before relation equals a naive transitive closure, branches included."""

from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.causality import Causality, Spot
from latticework.wire import EntryId, LogId

LOGS = [LogId(bytes([number]) * 32) for number in range(4)]


@dataclass(frozen=True)
class Node:
    entry: EntryId
    log: LogId
    seq: int
    prev: "Node | None"
    deps: tuple["Node", ...]
    builds: bool = True

    @property
    def past(self) -> frozenset["Node"]:
        below = [*self.deps, *([] if self.prev is None else [self.prev])]
        return frozenset([self]).union(*(node.past for node in below))

    @property
    def branch(self) -> frozenset["Node"]:
        return frozenset([self]).union(() if self.prev is None else self.prev.branch)


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Entries of a few logs in an order of admission; a log goes on from any entry of its own, or starts again."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 14))):
        log = draw(st.sampled_from(LOGS))
        own = [node for node in nodes if node.log == log]
        newest = max(own, key=lambda node: node.seq, default=None)
        prev = draw(st.sampled_from([newest, newest, newest, None, *own]))
        others = [node for node in nodes if node.log != log]
        deps = draw(st.lists(st.sampled_from(others), max_size=3, unique_by=id)) if others else []
        seq = 0 if prev is None else prev.seq + 1
        entry = EntryId(number.to_bytes(32))
        nodes.append(Node(entry, log, seq, prev, tuple(deps), builds=draw(st.booleans())))
    return nodes


def fed(nodes: list[Node]) -> Causality:
    causality = Causality()
    for node in nodes:
        spots = [causality.spot(dep.entry, dep.log, dep.seq) for dep in node.deps]
        prev = None if node.prev is None else node.prev.entry
        causality.admit(node.entry, node.log, node.seq, prev, spots, builds=node.builds)
    return causality


def spot(causality: Causality, node: Node) -> Spot:
    return causality.spot(node.entry, node.log, node.seq)


@pytest.mark.property
@settings(max_examples=50)
@given(graphs())
def test_what_covers_what_equals_the_transitive_closure(nodes: list[Node]) -> None:
    causality = fed(nodes)
    for later in nodes:
        for earlier in nodes:
            covers = causality.covers(spot(causality, later), spot(causality, earlier))
            assert covers == (earlier in later.past), (later, earlier)


@pytest.mark.property
@settings(max_examples=50)
@given(graphs())
def test_the_past_per_log_is_the_highest_number_of_any_branch_seen(nodes: list[Node]) -> None:
    causality = fed(nodes)
    for node in nodes:
        expected: dict[LogId, int] = {}
        for below in node.past - {node}:
            expected[below.log] = max(expected.get(below.log, -1), below.seq)
        assert causality.past(spot(causality, node)) == expected


@pytest.mark.property
@settings(max_examples=50)
@given(graphs(), st.sampled_from(LOGS), st.data())
def test_what_is_uncovered_are_the_last_entries_of_chains_outside_the_past(
    nodes: list[Node], but: LogId, data: st.DataObject
) -> None:
    causality = fed(nodes)
    by = data.draw(st.sampled_from([None, *nodes]))
    past = frozenset[Node]() if by is None else by.past
    uncovered = set(causality.uncovered(None if by is None else spot(causality, by), but=but))
    outside = {node for node in nodes if node.log != but and node not in past}
    tips = {node for node in outside if not any(other.prev == node for other in outside)}
    assert {node.entry for node in tips} <= uncovered, "nothing may be left out"
    assert uncovered <= {node.entry for node in outside}
    closure = frozenset[Node]().union(*(node.past for node in nodes if node.entry in uncovered), past)
    assert outside <= closure, "to depend on them is to depend on everything"


@pytest.mark.property
@settings(max_examples=50)
@given(graphs(), st.sampled_from(LOGS), st.integers(0, 3))
def test_who_built_on_two_branches_is_found_and_no_other(nodes: list[Node], log: LogId, fork: int) -> None:
    causality = fed(nodes)
    expected: set[LogId] = set()
    for one, other in combinations_with_replacement([n for n in nodes if n.log != log and n.builds], 2):
        same = spot(causality, one).chain == spot(causality, other).chain
        for a, b in product(one.deps, other.deps):
            if same and a.log == b.log == log and min(a.seq, b.seq) >= fork and a not in b.branch and b not in a.branch:
                expected.add(one.log)
    assert causality.built_on_both(log, fork) == expected


@pytest.mark.unit
def test_nothing_is_below_an_entry_that_depends_on_nothing() -> None:
    causality = Causality()
    causality.admit(EntryId(bytes(32)), LOGS[0], 0, None, [])
    assert causality.past(Spot(0, 0)) == {}
    assert causality.uncovered(None, but=LOGS[0]) == []
    assert causality.uncovered(None, but=LOGS[1]) == [EntryId(bytes(32))]


@pytest.mark.unit
def test_to_build_on_a_branch_and_on_what_is_below_it_is_no_collusion() -> None:
    a0 = Node(EntryId(b"a0".ljust(32)), LOGS[0], 0, None, ())
    a1, a1b = (Node(EntryId(name.ljust(32)), LOGS[0], 1, a0, ()) for name in (b"a1", b"a1b"))
    b0 = Node(EntryId(b"b0".ljust(32)), LOGS[1], 0, None, (a0,))
    b1 = Node(EntryId(b"b1".ljust(32)), LOGS[1], 1, b0, (a1b,))
    b2 = Node(EntryId(b"b2".ljust(32)), LOGS[1], 2, b1, (a1,))
    assert fed([a0, a1, a1b, b0, b1]).built_on_both(LOGS[0], 0) == set()
    assert fed([a0, a1, a1b, b0, b1, b2]).built_on_both(LOGS[0], 0) == {LOGS[1]}
    assert fed([a0, a1, a1b, b0, b1, b2]).built_on_both(LOGS[0], 2) == set()
