"""Meshes as arrays: for each node, the neighbours and the latencies of its links, one row per node.

Rows have one width, so that numpy fetches the neighbours of many nodes at once. A slot that is not used names the node
itself at latency 0: a copy sent to oneself never arrives first, so that nothing has to ask which slots are used.

A random mesh is the union of `degree / 2` cycles, each through all nodes in a random order: connected, regular but for
the few links that two cycles share, and built without any loop over nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticework.wire import LocalError

from ..regions import LIBP2P_REGIONS, Regions
from .chance import Seed, generator

_LIMIT_US: Final = 2**31 - 1
DEFAULT_DEGREE: Final = 8
"""Gossipsub's default is 6; 8 is what the other tiers' flood workload has. Chosen here."""
DEFAULT_JITTER_US: Final = 5_000
"""Links between the same two regions differ by up to 5 ms. Chosen here, as in the flood workload."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """An undirected mesh: `neighbours` and `latency_us`, both int32[node_count, slot_count] and made read-only.

    A link stands in the rows of both its ends with one latency of at least 1 us. Rows use their first slots; the rest
    name the node itself at latency 0. The order of a row is the order in which its node sends. `mesh_from_edges` and
    `random_mesh` make such rows; who fills them otherwise answers for them.

    Raises: LocalError if the arrays are of another shape or type.
    """

    neighbours: NDArray[np.int32]
    latency_us: NDArray[np.int32]

    def __post_init__(self) -> None:
        for array in (self.neighbours, self.latency_us):
            if array.dtype != np.int32 or array.ndim != 2 or array.shape != self.neighbours.shape or not array.size:
                raise LocalError(f"a mesh is two int32 arrays of one shape, not {array.dtype}{list(array.shape)}")
            array.setflags(write=False)

    @property
    def node_count(self) -> int:
        """The number of nodes: the number of rows."""
        return len(self.neighbours)

    @property
    def slot_count(self) -> int:
        """The width of the rows: the largest degree, or more."""
        return int(self.neighbours.shape[1])

    def used(self) -> NDArray[np.bool_]:
        """Which slots hold a link: bool[node_count, slot_count]."""
        used: NDArray[np.bool_] = self.neighbours != np.arange(self.node_count, dtype=np.int32)[:, None]
        return used

    def degrees(self) -> NDArray[np.int64]:
        """The number of links of each node: int64[node_count]."""
        return self.used().sum(axis=1, dtype=np.int64)


def mesh_from_edges(node_count: int, edges: Sequence[tuple[int, int, int]] | NDArray[np.int64]) -> Mesh:
    """The mesh of the links `(a, b, latency_us)`, each given once, in either direction.

    Nodes are numbered from 0. Each row stands in the order of `edges`.

    Raises: LocalError for a node out of range, a link to oneself, a link given twice, or a latency outside 1..2^31-1.
    """
    table = np.asarray(edges, dtype=np.int64)
    if node_count < 1 or (table.size and table.shape[1:] != (3,)):
        raise LocalError(f"{node_count} nodes with edges of shape {list(table.shape)}; edges are triples")
    table = table.reshape(-1, 3)
    _check_edges(node_count, table)
    # Both directions of a link, next to each other; a stable sort by sender keeps the order of the list.
    sender = table[:, :2].reshape(-1)
    order = np.argsort(sender, kind="stable")
    sender = sender[order]
    receiver = table[:, 1::-1].reshape(-1)[order]
    latency_us = np.repeat(table[:, 2], 2)[order]
    degrees = np.bincount(sender, minlength=node_count)
    slot = np.arange(sender.size) - (np.cumsum(degrees) - degrees)[sender]
    shape = (node_count, max(1, int(degrees.max())))
    neighbours = np.broadcast_to(np.arange(node_count, dtype=np.int32)[:, None], shape).copy()
    latencies = np.zeros(shape, np.int32)
    neighbours[sender, slot] = receiver
    latencies[sender, slot] = latency_us
    return Mesh(neighbours, latencies)


def random_mesh(
    seed: Seed,
    node_count: int,
    degree: int = DEFAULT_DEGREE,
    *,
    regions: Regions = LIBP2P_REGIONS,
    jitter_us: int = DEFAULT_JITTER_US,
) -> Mesh:
    """A random mesh of at least 3 nodes, for up to millions; `degree` is even and what all but a few nodes have.

    A link's latency is that of its two regions and 0 to `jitter_us - 1` us more, drawn for the link. Nodes are numbered
    region by region (`node_regions`): nodes that hear of a message together are then together in memory.

    Raises: LocalError for a degree that is odd or below 2, fewer than 3 nodes, or latencies beyond 2^31-1 us.
    """
    if node_count < 3 or degree < 2 or degree % 2:
        raise LocalError(f"{node_count} nodes of degree {degree}: at least 3 nodes, and an even degree")
    if jitter_us < 1 or max(map(max, regions.latency_us)) + jitter_us > _LIMIT_US:
        raise LocalError(f"a jitter of {jitter_us} us: at least 1, and latencies below 2^31 us")
    region = node_regions(seed, node_count, regions)
    matrix = np.array(regions.latency_us, np.int32).reshape(-1)
    neighbours = np.empty((node_count, degree), np.int32)
    latency_us = np.empty((node_count, degree), np.int32)
    for cycle in range(degree // 2):
        rng = generator(seed, "mesh", str(cycle))
        here = rng.permutation(np.arange(node_count, dtype=np.int32))
        there = np.roll(here, -1)
        way = region[here]
        way *= len(regions.names)
        way += region[there]
        link_us = matrix[way] + rng.integers(0, jitter_us, node_count, dtype=np.int32)
        neighbours[here, 2 * cycle], latency_us[here, 2 * cycle] = there, link_us
        neighbours[there, 2 * cycle + 1], latency_us[there, 2 * cycle + 1] = here, link_us
    _drop_repeated(neighbours, latency_us)
    return Mesh(neighbours, latency_us)


def node_regions(seed: Seed, node_count: int, regions: Regions = LIBP2P_REGIONS) -> NDArray[np.int32]:
    """The region of each node of `random_mesh`, as a position in `regions.names`: int32[node_count], ascending."""
    bounds = np.cumsum(regions.weights)
    drawn = generator(seed, "regions").integers(0, int(bounds[-1]), node_count)
    return np.sort(np.searchsorted(bounds, drawn, side="right").astype(np.int32))


def _check_edges(node_count: int, table: NDArray[np.int64]) -> None:
    ends, latency_us = table[:, :2], table[:, 2]
    low, high = ends.min(axis=1), ends.max(axis=1)
    _, first = np.unique(low * node_count + high, return_index=True)
    again = np.ones(len(table), np.bool_)
    again[first] = False
    for wrong, why in (
        ((low < 0) | (high >= node_count), f"not between nodes 0 and {node_count - 1}"),
        (low == high, "a link to oneself"),
        ((latency_us < 1) | (latency_us > _LIMIT_US), f"a latency outside 1..{_LIMIT_US} us"),
        (again, "given twice"),
    ):
        for number in np.flatnonzero(wrong)[:1].tolist():
            raise LocalError(f"edge {number} {tuple(table[number].tolist())}: {why}")


def _drop_repeated(neighbours: NDArray[np.int32], latency_us: NDArray[np.int32]) -> None:
    """Keep the link of the earliest cycle where several join the same two nodes; both ends then keep the same one."""
    in_order = np.sort(neighbours, axis=1)
    rows = np.flatnonzero((in_order[:, 1:] == in_order[:, :-1]).any(axis=1))
    del in_order
    near, far_us = neighbours[rows], latency_us[rows]
    same = near[:, :, None] == near[:, None, :]
    again = np.tril(same, -1).any(axis=2)
    near[again] = np.broadcast_to(rows.astype(np.int32)[:, None], near.shape)[again]
    far_us[again] = 0
    used_first = np.argsort(again, axis=1, kind="stable")
    neighbours[rows] = np.take_along_axis(near, used_first, axis=1)
    latency_us[rows] = np.take_along_axis(far_us, used_first, axis=1)
