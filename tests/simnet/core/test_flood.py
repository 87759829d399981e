import pytest

from latticework.simnet.core.flood import run_flood
from latticework.simnet.workload import Workload, make_workload

from ..shortest import shortest_us

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("nodes", "degree", "seed"), [(3, 2, 1), (40, 4, 2), (300, 8, 3)])
def test_every_message_arrives_along_the_shortest_path(nodes: int, degree: int, seed: int) -> None:
    workload = make_workload(nodes, degree, 3, seed)
    log = run_flood(workload)
    arrivals = [[0] * nodes for _ in workload.messages]
    found = log.deliveries
    for message, node, latency_us in zip(found.message, found.node, found.latency_us, strict=True):
        arrivals[message][node] = latency_us
    assert arrivals == [shortest_us(workload, source) for source, _ in workload.messages]
    assert len(found.node) == len(workload.messages) * (nodes - 1)
    assert log.receptions == len(workload.messages) * (workload.link_ends - (nodes - 1))


def test_messages_on_the_way_together_do_not_disturb_each_other() -> None:
    line = (((1, 10),), ((0, 10), (2, 7)), ((1, 7),))
    log = run_flood(Workload(line, ((0, 0), (2, 0), (0, 3))))
    found = sorted(zip(log.deliveries.message, log.deliveries.node, log.deliveries.latency_us, strict=True))
    assert found == [(0, 1, 10), (0, 2, 17), (1, 0, 17), (1, 1, 7), (2, 1, 10), (2, 2, 17)]
    assert list(log.deliveries.source) == [0, 2, 0]
    assert log.receptions == 6
