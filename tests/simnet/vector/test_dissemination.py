"""The vector tier against an event queue: `flood_by_events` shares nothing with it but the drawn losses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticework.simnet import KeyedRng
from latticework.simnet.vector import (
    UNREACHED,
    Dissemination,
    Loss,
    Mesh,
    Uplink,
    disseminate,
    disseminate_in_blocks,
    mesh_from_edges,
    random_mesh,
)
from latticework.wire import LocalError

UNIT = pytest.mark.unit
PROPERTY = pytest.mark.property


@dataclass(frozen=True)
class Case:
    node_count: int
    edges: list[tuple[int, int, int]]
    sources: list[int]
    forwards: list[bool] | None = None
    loss_rate: float | None = None
    copy_us: Sequence[int] | None = None

    def mesh(self) -> Mesh:
        return mesh_from_edges(self.node_count, self.edges)

    def loss(self) -> Loss | None:
        return None if self.loss_rate is None else Loss(self.loss_rate, b"loss")

    def run(self, block_states: int = 1 << 18) -> Dissemination:
        forwards = None if self.forwards is None else np.array(self.forwards)
        # One byte at a rate that divides a second takes whole microseconds.
        uplink = None if self.copy_us is None else Uplink(1, 1_000_000 // np.array(self.copy_us, np.int64))
        return disseminate(
            self.mesh(), self.sources, forwards=forwards, loss=self.loss(), uplink=uplink, block_states=block_states
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    node_count = draw(st.integers(1, 9))
    pairs = list(combinations(range(node_count), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    # Few small latencies make ties; large ones make empty buckets.
    latency_us = st.one_of(st.integers(1, 3), st.integers(1, 200_000))
    edges = [(*draw(st.permutations(pair)), draw(latency_us)) for pair in chosen]
    return Case(
        node_count,
        [(a, b, us) for a, b, us in edges],
        draw(st.lists(st.integers(0, node_count - 1), max_size=5)),
        draw(st.none() | st.lists(st.booleans(), min_size=node_count, max_size=node_count)),
        draw(st.none() | st.sampled_from((0.0, 0.1, 0.5, 1.0))),
        draw(st.none() | st.lists(st.sampled_from((1, 2, 8, 1_000, 20_000)), min_size=node_count, max_size=node_count)),
    )


def flood_by_events(case: Case, message: int) -> tuple[list[int], int, int]:
    """First arrivals, copies sent and copies received of one message, one event per copy."""
    rows: list[list[tuple[int, int]]] = [[] for _ in range(case.node_count)]
    for a, b, latency_us in case.edges:
        rows[a].append((b, latency_us))
        rows[b].append((a, latency_us))
    loss = case.loss()
    arrives = None if loss is None else loss.arrives(message, case.mesh())
    first_us = [UNREACHED] * case.node_count
    sent, received = 0, 0
    queue: list[tuple[int, int, int]] = [(0, -1, case.sources[message])]
    while queue:
        now_us, sender, node = heappop(queue)  # in the same microsecond, the lowest sender first
        received += sender >= 0
        if first_us[node] != UNREACHED:
            continue
        first_us[node] = now_us
        if sender >= 0 and case.forwards is not None and not case.forwards[node]:
            continue
        copy_us = 0 if case.copy_us is None else case.copy_us[node]
        for slot, (neighbour, latency_us) in enumerate(rows[node]):
            if neighbour == sender:
                continue
            sent += 1
            if arrives is None or arrives[node, slot]:
                heappush(queue, (now_us + latency_us + copy_us * (slot + 1), node, neighbour))
    return first_us, sent, received


def as_rows(result: Dissemination) -> list[tuple[list[int], int, int]]:
    return list(zip(result.first_us.tolist(), result.sent.tolist(), result.received.tolist(), strict=True))


@PROPERTY
@given(cases())
def test_every_message_spreads_as_in_an_event_queue(case: Case) -> None:
    assert as_rows(case.run()) == [flood_by_events(case, message) for message in range(len(case.sources))]


@PROPERTY
@given(cases(), st.integers(1, 40))
def test_blocks_of_any_size_give_the_same(case: Case, block_states: int) -> None:
    assert as_rows(case.run(block_states)) == as_rows(case.run())


@PROPERTY
@given(st.binary(max_size=4), st.integers(3, 60), st.sampled_from((2, 4, 8)), st.sampled_from((None, 0.2)))
def test_random_meshes_of_the_world_spread_as_in_an_event_queue(
    seed: bytes, node_count: int, degree: int, rate: float | None
) -> None:
    mesh = random_mesh(seed, node_count, degree)
    case = Case(node_count, edges_of(mesh), [0, node_count - 1, 1], loss_rate=rate)
    # `edges_of` lists the links by their lower end: their slots, and so their losses, are others than in `mesh`.
    assert as_rows(case.run()) == [flood_by_events(case, message) for message in range(3)]
    if rate is None:
        assert as_rows(disseminate(mesh, case.sources)) == as_rows(case.run())


def edges_of(mesh: Mesh) -> list[tuple[int, int, int]]:
    used = mesh.used() & (mesh.neighbours > np.arange(mesh.node_count)[:, None])
    nodes, slots = np.nonzero(used)
    ends = (nodes, mesh.neighbours[nodes, slots], mesh.latency_us[nodes, slots])
    return list(zip(*(end.tolist() for end in ends), strict=True))


@UNIT
def test_a_chunked_sweep_gives_the_same_as_small_ones() -> None:
    """20,000 nodes fill several sweeps of one bucket."""
    mesh = random_mesh(b"seed", 20_000)
    alone = disseminate(mesh, [5])
    assert np.array_equal(disseminate(mesh, [7, 5, 19_999]).first_us[1], alone.first_us[0])
    assert alone.sent[0] == alone.received[0] == mesh.degrees().sum() - (mesh.node_count - 1)
    assert alone.reached()[0] == mesh.node_count


@UNIT
def test_a_chain_adds_up_its_latencies_and_sends_nothing_back() -> None:
    result = Case(4, [(0, 1, 5), (1, 2, 7), (2, 3, 11)], [0, 2]).run()
    assert result.first_us.tolist() == [[0, 5, 12, 23], [12, 7, 0, 11]]
    assert result.sent.tolist() == result.received.tolist() == [3, 3]


@UNIT
def test_a_node_that_keeps_messages_hides_who_is_behind_it_but_sends_its_own() -> None:
    case = Case(3, [(0, 1, 5), (1, 2, 7)], [0, 1], forwards=[True, False, True])
    result = case.run()
    assert result.first_us.tolist() == [[0, 5, UNREACHED], [5, 0, 7]]
    assert result.sent.tolist() == [1, 2]
    assert result.reached().tolist() == [2, 3]


@UNIT
def test_the_copy_of_slot_i_leaves_after_i_plus_one_transmissions() -> None:
    """V13, first part: 128 KiB at 50 Mbit/s takes 20,972 us, rounded up."""
    star = mesh_from_edges(4, [(0, 1, 100), (0, 2, 100), (3, 0, 100)])
    result = disseminate(star, [0], uplink=Uplink(131_072, 6_250_000))
    assert result.first_us.tolist() == [[0, 21_072, 42_044, 63_016]]


@UNIT
def test_uplinks_differ_by_node() -> None:
    rates = np.array([1_000, 2_000, 4_000], np.int64)
    result = disseminate(mesh_from_edges(3, [(0, 1, 5), (1, 2, 7)]), [0], uplink=Uplink(1, rates))
    assert result.first_us.tolist() == [[0, 1_005, 1_005 + 2 * 500 + 7]]


@UNIT
def test_lost_copies_are_sent_and_not_received() -> None:
    edges = [(0, 1, 5), (1, 2, 7), (2, 0, 9)]
    assert as_rows(Case(3, edges, [0], loss_rate=1.0).run()) == [([0, UNREACHED, UNREACHED], 2, 0)]
    assert as_rows(Case(3, edges, [0], loss_rate=0.0).run()) == as_rows(Case(3, edges, [0]).run())


@UNIT
def test_copies_are_lost_at_the_rate_that_was_asked_for() -> None:
    mesh = random_mesh(b"seed", 70_000)  # more rows than are drawn at once
    arrives = Loss(0.25, b"loss").arrives(3, mesh)
    assert abs(np.count_nonzero(arrives) / arrives.size - 0.75) < 3 * (0.75 * 0.25 / arrives.size) ** 0.5
    assert np.count_nonzero(arrives != Loss(0.25, b"loss").arrives(4, mesh)) > arrives.size / 4


@UNIT
def test_the_same_seed_gives_the_same_bytes() -> None:
    def spread(seed: bytes | KeyedRng) -> bytes:
        mesh = random_mesh(seed, 500)
        result = disseminate(mesh, range(5), loss=Loss(0.1, seed), block_states=1_000)
        return result.first_us.tobytes() + result.sent.tobytes() + result.received.tobytes()

    drawn = KeyedRng(b"seed")
    drawn.random_bytes(99)
    assert spread(b"seed") == spread(drawn) != spread(b"seee")


@UNIT
def test_messages_come_out_in_blocks_of_at_least_one() -> None:
    mesh = random_mesh(b"seed", 30)
    sizes = [len(block.sent) for block in disseminate_in_blocks(mesh, range(7), block_states=95)]
    assert sizes == [3, 3, 1]
    assert len(list(disseminate_in_blocks(mesh, range(7), block_states=1))) == 7
    assert disseminate(mesh, []).first_us.shape == (0, 30)


def wrong_uses() -> list[tuple[str, object]]:
    mesh = mesh_from_edges(2, [(0, 1, 2_000_000_000)])
    chain = mesh_from_edges(3, [(0, 1, 2_000_000_000), (1, 2, 2_000_000_000)])
    flags: NDArray[np.bool_] = np.ones(3, np.bool_)
    return [
        ("sources from 2", lambda: disseminate(mesh, [2])),
        ("sources from -1", lambda: disseminate(mesh, [-1])),
        ("forwards", lambda: disseminate(mesh, [0], forwards=flags)),
        ("loss rate", lambda: Loss(1.5, b"")),
        ("bytes/s", lambda: Uplink(1, 0)),
        ("uplinks", lambda: disseminate(mesh, [0], uplink=Uplink(1, np.array([1, 2, 3])))),
        ("take", lambda: disseminate(mesh, [0], uplink=Uplink(1_000_000, 1))),
        ("times end", lambda: disseminate(chain, [0])),
        ("int32", lambda: replace(mesh, latency_us=np.zeros((2, 2), np.int32))),
    ]


@UNIT
@pytest.mark.parametrize(("message", "use"), wrong_uses())
def test_what_cannot_be_is_refused_with_a_reason(message: str, use: object) -> None:
    assert callable(use)
    with pytest.raises(LocalError, match=message):
        use()
