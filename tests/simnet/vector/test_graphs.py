import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet import KeyedRng
from latticework.simnet.regions import LIBP2P_REGIONS, Regions
from latticework.simnet.vector import Mesh, mesh_from_edges, node_regions, random_mesh
from latticework.wire import LocalError

UNIT = pytest.mark.unit
PROPERTY = pytest.mark.property


def links(mesh: Mesh) -> dict[tuple[int, int], int]:
    """The latency of each direction of each link; rows that are not what a mesh promises fail."""
    found: dict[tuple[int, int], int] = {}
    for node, (neighbours, latencies) in enumerate(
        zip(mesh.neighbours.tolist(), mesh.latency_us.tolist(), strict=True)
    ):
        used = [there != node for there in neighbours]
        assert used == sorted(used, reverse=True), "used slots come first"
        assert [us > 0 for us in latencies] == used, "a slot that is not used has latency 0"
        for there, latency_us in zip(neighbours[: sum(used)], latencies, strict=False):
            assert (node, there) not in found, "no neighbour twice"
            found[node, there] = latency_us
    assert all(found[b, a] == latency_us for (a, b), latency_us in found.items()), "the same from either end"
    return found


@PROPERTY
@given(st.data(), st.integers(1, 12))
def test_a_mesh_holds_the_edges_it_was_made_of_in_their_order(data: st.DataObject, node_count: int) -> None:
    pairs = list(combinations(range(node_count), 2))
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    edges = [(*data.draw(st.permutations(pair)), 1 + number) for number, pair in enumerate(chosen)]
    mesh = mesh_from_edges(node_count, [(a, b, us) for a, b, us in edges])
    assert links(mesh) == {end: us for a, b, us in edges for end in ((a, b), (b, a))}
    latencies = [[us for us in row if us] for row in mesh.latency_us.tolist()]
    assert latencies == [sorted(row) for row in latencies], "later edges stand later: here, latencies ascend"
    assert mesh.degrees().tolist() == [len(row) for row in latencies]


@PROPERTY
@given(st.binary(max_size=8), st.integers(3, 80), st.sampled_from((2, 4, 8, 14)))
def test_a_random_mesh_is_whole_and_nearly_regular(seed: bytes, node_count: int, degree: int) -> None:
    mesh = random_mesh(seed, node_count, degree)
    found = links(mesh)
    assert mesh.slot_count == degree
    assert 2 <= mesh.degrees().min() <= mesh.degrees().max() <= degree
    reached, waiting = {0}, [0]
    neighbours: dict[int, list[int]] = {node: [] for node in range(node_count)}
    for a, b in found:
        neighbours[a].append(b)
    while waiting:
        new = set(neighbours[waiting.pop()]) - reached
        reached |= new
        waiting += sorted(new)
    assert len(reached) == node_count


@UNIT
def test_latencies_are_those_of_the_regions_and_some_jitter() -> None:
    mesh = random_mesh(b"seed", 2_000, jitter_us=100)
    region = node_regions(b"seed", 2_000)
    matrix = np.array(LIBP2P_REGIONS.latency_us)
    over_us = mesh.latency_us - matrix[region[:, None], region[mesh.neighbours]]
    assert set(over_us[mesh.used()].tolist()) == set(range(100))
    assert np.count_nonzero(~mesh.used()) < 2_000 * 8 * 0.02, "few links are drawn twice"


@UNIT
def test_regions_are_as_populous_as_their_weights_and_in_order() -> None:
    region = node_regions(b"seed", 100_000)
    assert (np.diff(region) >= 0).all()
    weights = np.array(LIBP2P_REGIONS.weights)
    share = weights / weights.sum()
    assert (abs(np.bincount(region, minlength=8) / 100_000 - share) < 4 * np.sqrt(share / 100_000)).all()


@UNIT
def test_a_region_without_nodes_and_other_matrices_are_served() -> None:
    one = Regions(("a", "nowhere"), (1, 0), ((3, 9), (9, 3)))
    assert set(links(random_mesh(b"seed", 30, regions=one, jitter_us=1)).values()) == {3}


@UNIT
def test_the_same_seed_gives_the_same_mesh_and_another_seed_another() -> None:
    rng = KeyedRng(b"seed")
    rng.random_bytes(10)
    mesh, again, other = (random_mesh(seed, 300) for seed in (b"seed", rng, b"seee"))
    assert mesh.neighbours.tobytes() == again.neighbours.tobytes() != other.neighbours.tobytes()
    assert mesh.latency_us.tobytes() == again.latency_us.tobytes() != other.latency_us.tobytes()


@UNIT
def test_meshes_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        random_mesh(b"seed", 10).neighbours[0, 0] = 3


WRONG_EDGES = [
    ([(0, 1, 5), (0, 3, 5)], "edge 1 (0, 3, 5): not between nodes 0 and 2"),
    ([(-1, 1, 5)], "edge 0 (-1, 1, 5): not between nodes 0 and 2"),
    ([(1, 1, 5)], "edge 0 (1, 1, 5): a link to oneself"),
    ([(0, 1, 0)], "edge 0 (0, 1, 0): a latency outside 1..2147483647 us"),
    ([(0, 1, 2**31)], "edge 0 (0, 1, 2147483648): a latency outside"),
    ([(0, 1, 5), (1, 2, 5), (1, 0, 6)], "edge 2 (1, 0, 6): given twice"),
]


@UNIT
@pytest.mark.parametrize(("edges", "message"), WRONG_EDGES, ids=[message for _, message in WRONG_EDGES])
def test_edges_that_cannot_be_are_refused_by_number(edges: list[tuple[int, int, int]], message: str) -> None:
    with pytest.raises(LocalError, match=re.escape(message)):
        mesh_from_edges(3, edges)


@UNIT
@pytest.mark.parametrize(
    ("node_count", "degree", "jitter_us"), [(2, 2, 1), (9, 3, 1), (9, 0, 1), (9, 2, 0), (9, 2, 2**31)]
)
def test_random_meshes_that_cannot_be_are_refused(node_count: int, degree: int, jitter_us: int) -> None:
    with pytest.raises(LocalError):
        random_mesh(b"seed", node_count, degree, jitter_us=jitter_us)


@UNIT
def test_edges_are_triples_and_a_mesh_has_nodes() -> None:
    for node_count, edges in ((3, np.ones((4, 2), np.int64)), (0, np.ones((0, 3), np.int64))):
        with pytest.raises(LocalError):
            mesh_from_edges(node_count, edges)
