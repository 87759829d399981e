"""A workload that every tier and foreign engine reads alike: links with their latencies, and who sends when.

The file is text: a line `nodes messages`; for each node a line `degree` and `neighbour latency_us` as often; for each
message a line `source at_us` (simnet report, "Shared workload"). With it, engines must give identical answers, to the
microsecond.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from latticework.transport.gossip_chance import Chance
from latticework.wire import LocalError

from .regions import LIBP2P_REGIONS
from .rng import KeyedRng

_JITTER_US: Final = 5_000
"""Up to so much is added to the latency of a link, once; that of the report's workload."""
_SPACING_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Workload:
    """`links[n]` are node n's (neighbour, one-way latency in us), in order; `messages` are (source, time in us).

    Raises:
        LocalError: a number names no node, a latency or time is negative, or a node is its own neighbour.
    """

    links: tuple[tuple[tuple[int, int], ...], ...]
    messages: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        count = len(self.links)
        for node, links in enumerate(self.links):
            peers = [peer for peer, _ in links]
            wrong = any(not 0 <= peer < count or peer == node or latency_us < 0 for peer, latency_us in links)
            if wrong or len(set(peers)) < len(peers):
                raise LocalError(f"workload: the links of node {node} do not lead to other nodes, once each")
        for source, at_us in self.messages:
            if not 0 <= source < count or at_us < 0:
                raise LocalError(f"workload: there is no message of node {source} at {at_us} us among {count} nodes")

    @property
    def node_count(self) -> int:
        """Nodes are numbered from 0."""
        return len(self.links)

    @property
    def link_ends(self) -> int:
        """The sum of all degrees."""
        return sum(map(len, self.links))


def make_workload(node_count: int, degree: int, message_count: int, seed: int) -> Workload:
    """A connected random mesh of about `degree` (even) links per node, and one message a second from drawn nodes.

    The mesh is the union of `degree / 2` random cycles through all nodes. Latencies are those between eight regions of
    the world (`LIBP2P_REGIONS`), where nodes are drawn by population, with up to 5 ms more per link; both directions
    of a link have the same.

    Raises:
        LocalError: fewer than 3 nodes, or a degree that is odd or below 2.
    """
    if node_count < 3 or degree < 2 or degree % 2:
        raise LocalError("a workload has at least 3 nodes, and a degree that is even and at least 2")
    rng = KeyedRng(seed.to_bytes(8, "big", signed=True), "workload")
    region, chance = _drawn_regions(node_count, Chance(rng.child("regions"))), Chance(rng.child("links"))
    adjacent: list[dict[int, int]] = [{} for _ in range(node_count)]
    for _ in range(degree // 2):
        cycle = chance.shuffled(range(node_count))
        for near, far in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            if far not in adjacent[near]:
                latency_us = LIBP2P_REGIONS.latency_us[region[near]][region[far]] + chance.below(_JITTER_US)
                adjacent[near][far] = adjacent[far][near] = latency_us
    sources = Chance(rng.child("sources"))
    messages = tuple((sources.below(node_count), number * _SPACING_US) for number in range(message_count))
    return Workload(tuple(tuple(links.items()) for links in adjacent), messages)


def _drawn_regions(node_count: int, chance: Chance) -> list[int]:
    lots = [place for place, weight in enumerate(LIBP2P_REGIONS.weights) for _ in range(weight)]
    return [lots[chance.below(len(lots))] for _ in range(node_count)]


def write_workload(workload: Workload, path: Path) -> None:
    """Write the file; raises LocalError if it cannot be written."""
    lines = [f"{workload.node_count} {len(workload.messages)}"]
    lines += [
        " ".join([str(len(links)), *(f"{peer} {latency_us}" for peer, latency_us in links)]) for links in workload.links
    ]
    lines += [f"{source} {at_us}" for source, at_us in workload.messages]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
    except OSError as error:
        raise LocalError(f"{path}: {error}") from error


def read_workload(path: Path) -> Workload:
    """Read the file; raises LocalError, with the line, if it cannot be read or is none."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: {error}") from error
    rows = [_numbers(line, f"{path}, line {place}") for place, line in enumerate(lines, 1)]
    if not rows or len(rows[0]) != 2 or len(rows) != 1 + sum(rows[0]):
        raise LocalError(f"{path}: the first line is not the number of nodes and of messages that follow, a line each")
    nodes, messages = rows[1 : 1 + rows[0][0]], rows[1 + rows[0][0] :]
    for place, row in enumerate(nodes, 2):
        if not row or len(row) != 1 + 2 * row[0]:
            raise LocalError(f"{path}, line {place}: not a degree and as many neighbours and latencies")
    if any(len(row) != 2 for row in messages):
        raise LocalError(f"{path}: a message is a source and a time")
    links = tuple(tuple(zip(row[1::2], row[2::2], strict=True)) for row in nodes)
    return Workload(links, tuple((source, at_us) for source, at_us in messages))


def _numbers(line: str, where: str) -> list[int]:
    try:
        return [int(word) for word in line.split()]
    except ValueError:
        raise LocalError(f"{where}: only whole numbers stand in a workload") from None
