import pytest

from latticework.simnet.core.flood import run_flood as run_on_tier_c
from latticework.simnet.whole.flood import run_flood
from latticework.simnet.workload import Workload, make_workload

from ..shortest import shortest_us

pytestmark = pytest.mark.sim

LINE = (((1, 10),), ((0, 10), (2, 7)), ((1, 7),))


@pytest.mark.parametrize(("nodes", "degree", "seed"), [(3, 2, 1), (40, 4, 2), (300, 8, 3)])
def test_every_message_arrives_along_the_shortest_path(nodes: int, degree: int, seed: int) -> None:
    workload = make_workload(nodes, degree, 3, seed)
    outcome = run_flood(workload)
    arrivals = [[0] * nodes for _ in workload.messages]
    rows = outcome.deliveries
    for message, node, latency_us in zip(rows.message, rows.node, rows.latency_us, strict=True):
        arrivals[message][node] = latency_us
    assert arrivals == [shortest_us(workload, source) for source, _ in workload.messages]
    assert len(rows.node) == len(workload.messages) * (nodes - 1)
    assert outcome.receptions == len(workload.messages) * (workload.link_ends - (nodes - 1))


@pytest.mark.parametrize(
    "workload",
    [
        make_workload(200, 8, 5, seed=4),
        Workload(LINE, ((2, 3), (0, 0), (2, 0), (0, 1_000_000))),
        Workload((((1, 0), (2, 0)), ((0, 0), (2, 0)), ((0, 0), (1, 0))), ((0, 5), (1, 5))),
        Workload((((1, 5),), ((0, 5),), ()), ((0, 0), (2, 1))),
        Workload(LINE, ()),
        Workload((), ()),
    ],
    ids=["mesh", "messages out of order", "links without latency", "an island", "no messages", "nobody"],
)
def test_the_answers_are_those_of_tier_c_in_the_same_order(workload: Workload) -> None:
    assert run_flood(workload) == run_on_tier_c(workload)


def test_the_order_of_tasks_changes_nothing() -> None:
    workload = make_workload(100, 6, 4, seed=7)
    assert run_flood(workload, b"one") == run_flood(workload, b"one") == run_flood(workload, b"another")
