"""The replay of moves against the plainest one there is: sort everything, do everything (I2, I11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt.moves import MAX_DEPTH, Moves, Placing

type Plain = Placing[int]


def naive(placings: list[Plain]) -> dict[int, tuple[int, bytes]]:
    tree: dict[int, tuple[int, bytes]] = {}
    for _, node, parent, name in sorted(placings):
        above, seen = parent, [parent]
        while above in tree:
            above = tree[above][0]
            seen.append(above)
        if node not in seen:
            tree[node] = (parent, name)
    return tree


def state(moves: Moves[int]) -> dict[int, tuple[int, bytes]]:
    inverse: dict[int, set[int]] = {}
    for node, position in moves.positions.items():
        inverse.setdefault(position.parent, set()).add(node)
    assert inverse == {parent: set(nodes) for parent, nodes in moves.children.items()}
    return {node: (position.parent, position.name) for node, position in moves.positions.items()}


orders = st.tuples(st.integers(0, 6), st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 3))
placings = st.lists(
    st.builds(Placing[int], orders, st.integers(1, 6), st.integers(0, 6), st.sampled_from([b"x", b"y"])),
    max_size=30,
    unique_by=lambda placing: placing.order,
)


@pytest.mark.property
@given(placings, st.data())
def test_every_batching_in_every_order_gives_what_sorting_gives(history: list[Plain], data: st.DataObject) -> None:
    moves: Moves[int] = Moves()
    rest = list(data.draw(st.permutations(history)))
    known: list[Plain] = []
    for _ in range(data.draw(st.integers(1, 6))):
        leaving = known[: data.draw(st.integers(0, len(known)))]
        arriving = rest[: data.draw(st.integers(0, len(rest)))]
        before = state(moves)
        changed = moves.merge(arriving, [placing.order for placing in leaving])
        known, rest = known[len(leaving) :] + arriving, rest[len(arriving) :] + leaving
        after = state(moves)
        assert after == naive(known)
        assert set(changed) >= {node for node in before.keys() | after.keys() if before.get(node) != after.get(node)}


@pytest.mark.property
@given(placings)
def test_the_result_is_a_forest(history: list[Plain]) -> None:
    moves: Moves[int] = Moves()
    moves.merge(history)
    for node in moves.positions:
        seen, above = {node}, moves.positions[node].parent
        while above in moves.positions:
            assert above not in seen
            seen.add(above)
            above = moves.positions[above].parent


@pytest.mark.unit
def test_a_move_beneath_what_is_deeper_than_any_path_has_no_effect() -> None:
    moves: Moves[int] = Moves()
    depth = MAX_DEPTH + 10
    moves.merge(Placing((number, b"", 0), number, number - 1, b"x") for number in range(1, depth))
    moves.merge([Placing((depth, b"", 0), -1, 0, b"a"), Placing((depth, b"", 1), -2, -1, b"b")])
    moves.merge([Placing((depth, b"", 2), -1, depth - 1, b"a")])
    assert state(moves)[-1] == (0, b"a")
    moves.merge([Placing((depth, b"", 3), -2, depth - 1, b"b")])
    assert state(moves)[-2] == (depth - 1, b"b"), "without children there is nothing to check"


@pytest.mark.unit
def test_nothing_is_moved_by_what_changes_nothing() -> None:
    moves: Moves[int] = Moves()
    moves.merge([Placing((1, b"", 0), 1, 0, b"a"), Placing((5, b"", 0), 1, 0, b"b")])
    assert moves.merge([Placing((3, b"", 0), 1, 0, b"c")]) == {}
    assert moves.merge([], [(3, b"", 0)]) == {}
    assert moves.merge([]) == {}
    assert list(moves.merge([], [(5, b"", 0)])) == [1]
    assert state(moves) == {1: (0, b"a")}
