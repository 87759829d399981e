"""Fugue alone: positions against a plain list, order against a naive tree, and runs that stay whole (I15)."""

import os
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.fugue import END, START, Fugue, Origin, Rank
from latticework.crdt.spans import Spans

MODEST: Final = settings(max_examples=int(os.environ.get("LATTICE_EXAMPLES", "100")), deadline=None)


def shown(spans: Spans) -> list[int]:
    return [e for span in spans if span.hides <= 0 for e in range(span.start, span.start + span.length)]


def everything(spans: Spans) -> list[int]:
    return [e for span in spans for e in range(span.start, span.start + span.length)]


@dataclass
class Replica:
    """A sequence whose elements are known by ids; runs of one element, so that every origin can be said."""

    fugue: Fugue = field(init=False)
    ids: list[Rank] = field(default_factory=list[Rank])

    def __post_init__(self) -> None:
        self.fugue = Fugue(lambda element: self.ids[element])

    def number(self, identity: Rank | None, missing: int) -> int:
        return missing if identity is None else self.ids.index(identity)

    def name(self, element: int) -> Rank | None:
        return None if element < 0 else self.ids[element]

    def type(self, index: int, identity: Rank) -> "Node":
        self.ids.append(identity)
        parent, left_side, right = self.fugue.insert_at(index, 1)
        return Node(identity, self.name(parent), left_side, self.name(right))

    def receive(self, node: "Node") -> None:
        self.ids.append(node.id)
        origin = Origin(self.number(node.parent, START), node.left_side, self.number(node.right, END))
        self.fugue.integrate(origin, 1)

    @property
    def order(self) -> list[Rank]:
        return [self.ids[element] for element in everything(self.fugue.spans)]


@dataclass(frozen=True)
class Node:
    """An element as an operation says it."""

    id: Rank
    parent: Rank | None
    left_side: bool
    right: Rank | None


def naive(nodes: list[Node]) -> list[Rank]:
    """The order by its definition: traverse the tree, siblings sorted when they are inserted."""
    left: dict[Rank | None, list[Node]] = {}
    right: dict[Rank | None, list[Node]] = {}

    def walk(identity: Rank | None) -> list[Rank]:
        before = [i for kid in left.get(identity, []) for i in walk(kid.id)]
        after = [i for kid in right.get(identity, []) for i in walk(kid.id)]
        return [*before, *([] if identity is None else [identity]), *after]

    for node in nodes:
        order = walk(None)
        place = {identity: -at for at, identity in enumerate(order)}
        kids = (left if node.left_side else right).setdefault(node.parent, [])
        kids.append(node)
        if node.left_side:
            kids.sort(key=lambda kid: kid.id)
        else:
            kids.sort(key=lambda kid: (-len(order) if kid.right is None else place[kid.right], kid.id))
    return walk(None)


def name(number: int) -> Rank:
    """Ids that are in no relation to the order in which they are made."""
    return (bytes([number * 97 % 251]), number, 0)


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    """Any tree, honest or not."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 16))):
        ids: list[Rank | None] = [None, *(node.id for node in nodes)]
        parent = draw(st.sampled_from(ids))
        left_side = parent is not None and draw(st.booleans())
        nodes.append(Node(name(number), parent, left_side, None if left_side else draw(st.sampled_from(ids))))
    return nodes


@pytest.mark.property
@MODEST
@given(trees(), st.data())
def test_every_order_of_arrival_gives_the_order_of_the_tree(nodes: list[Node], data: st.DataObject) -> None:
    expected = naive(nodes)
    for _ in range(3):
        replica, waiting = Replica(), list(nodes)
        while waiting:
            ready = [n for n in waiting if all(ref is None or ref in replica.ids for ref in (n.parent, n.right))]
            node = data.draw(st.sampled_from(ready))
            waiting.remove(node)
            replica.receive(node)
        assert replica.order == expected


@pytest.mark.unit
@pytest.mark.parametrize("base", [0, 2])
def test_concurrent_runs_stay_whole_typed_forward_or_backward(base: int) -> None:
    """Up to three people type at one place, each in either direction, with all ids and all orders of merging."""
    for backward in product([False, True], repeat=3):
        for ids in permutations(range(3)):
            start = Replica()
            history = [start.type(at, (b"\0", at, 0)) for at in range(base)]
            runs: list[list[Node]] = []
            for person, back in zip(ids, backward, strict=True):
                writer = Replica()
                for node in history:
                    writer.receive(node)
                at = base // 2
                runs.append([writer.type(at if back else at + n, (bytes([1 + person]), n, 0)) for n in range(3)])
            orders: list[list[Rank]] = []
            for merge in permutations(runs):
                reader = Replica()
                for node in [*history, *(node for run in merge for node in run)]:
                    reader.receive(node)
                orders.append(reader.order)
            assert all(order == orders[0] for order in orders)
            typed = [identity for identity in orders[0] if identity[0] != b"\0"]
            for at in range(0, 9, 3):
                whole = typed[at : at + 3]
                back = dict(zip(ids, backward, strict=True))[whole[0][0][0] - 1]
                assert whole == [(whole[0][0], n, 0) for n in (range(2, -1, -1) if back else range(3))]


@pytest.mark.unit
def test_what_is_typed_before_the_same_neighbour_stays_beside_it() -> None:
    """FugueMax: right siblings are ordered by their right origins, so that both are next to what they were typed at."""
    base = Replica()
    history = [base.type(0, (b"m", 0, 0)), base.type(1, (b"m", 1, 0))]
    left, right = Replica(), Replica()
    for replica in (left, right):
        for node in history:
            replica.receive(node)
    at_end = left.type(2, (b"a", 0, 0))
    inside = right.type(1, (b"z", 0, 0))
    left.receive(inside)
    right.receive(at_end)
    assert left.order == right.order == [(b"m", 0, 0), (b"z", 0, 0), (b"m", 1, 0), (b"a", 0, 0)]


EDITS: Final = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3), st.integers(0, 4)), max_size=60)


@pytest.mark.property
@MODEST
@given(EDITS, EDITS)
def test_positions_are_those_of_a_plain_list(
    edits: list[tuple[int, int, int]], more: list[tuple[int, int, int]]
) -> None:
    fugue = Fugue(lambda element: (b"", element, 0))
    visible: list[int] = []

    def replay(fugue: Fugue, visible: list[int], edits: list[tuple[int, int, int]]) -> None:
        for where, gone, new in edits:
            at = where % (len(visible) + 1)
            gone = min(gone, len(visible) - at)  # noqa: PLW2901 - as many as there are
            runs = fugue.spans.shown_runs(at, gone)
            assert [e for first, count in runs for e in range(first, first + count)] == visible[at : at + gone]
            for first, count in runs:
                fugue.spans.hide(first, count, 1)
            del visible[at : at + gone]
            if new:
                first = fugue.total
                fugue.insert_at(at, new)
                visible[at:at] = range(first, first + new)
            assert fugue.shown == len(visible)
        assert shown(fugue.spans) == visible
        for index, element in enumerate(visible):
            assert fugue.spans.index_of(element) == index
            assert fugue.spans.element_at(fugue.spans.find(index)) == element

    replay(fugue, visible, edits)
    twin, copied = fugue.copy(lambda element: (b"", element, 0)), visible.copy()
    replay(twin, copied, more)
    assert shown(fugue.spans) == visible, "the copy shares something"
    replay(fugue, visible, more)
    assert shown(fugue.spans) == copied


@pytest.mark.unit
def test_hiding_twice_takes_showing_twice() -> None:
    fugue = Fugue(lambda element: (b"", element, 0))
    fugue.insert_at(0, 10)
    fugue.spans.hide(2, 5, 1)
    fugue.spans.hide(4, 5, 1)
    assert shown(fugue.spans) == [0, 1, 9]
    fugue.spans.hide(2, 5, -1)
    assert shown(fugue.spans) == [0, 1, 2, 3, 9]
    fugue.spans.hide(4, 5, -1)
    assert shown(fugue.spans) == list(range(10))
    assert len(list(fugue.spans)) == 1, "equal neighbours are one span again"


@pytest.mark.unit
def test_a_large_sequence_is_found_from_either_end() -> None:
    fugue = Fugue(lambda element: (b"", element, 0))
    for _ in range(30_000):
        fugue.insert_at(0, 1)
    for index in (0, 29_999, 15_000, 7, 29_000, 1):
        assert fugue.spans.element_at(fugue.spans.find(index)) == 29_999 - index
