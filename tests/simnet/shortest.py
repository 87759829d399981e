"""The independent judge of floods."""

from heapq import heappop, heappush

from latticework.simnet.workload import Workload


def shortest_us(workload: Workload, source: int) -> list[int]:
    """Dijkstra."""
    found: dict[int, int] = {}
    heap = [(0, source)]
    while heap:
        distance, node = heappop(heap)
        if node not in found:
            found[node] = distance
            for peer, latency_us in workload.links[node]:
                heappush(heap, (distance + latency_us, peer))
    return [found[node] for node in range(workload.node_count)]
