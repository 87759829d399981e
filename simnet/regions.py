"""Where nodes live: how many in each region of the world, and how far the regions are from each other.

`LIBP2P_REGIONS` is the matrix that libp2p runs its gossipsub clients on (test-plans, `gossipsub-interop/
network_graph.py`): eight regions, their populations, and one-way latencies in whole milliseconds. There, South America
to South Africa takes 195 ms and the way back 190; we take 190 for both, so that a link is the same from either end.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from latticework.wire import LocalError

_US_PER_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions by position: `latency_us[a][b]` is one-way, at least 1, and the same both ways.

    `weights` are in proportion to the nodes of each region, not shares of 1. Raises: LocalError for anything else.
    """

    names: tuple[str, ...]
    weights: tuple[int, ...]
    latency_us: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        count = len(self.names)
        if not count or len(set(self.names)) < count or not all(self.names):
            raise LocalError(f"regions need names, each its own: {self.names}")
        if len(self.weights) != count or min(self.weights) < 0 or not sum(self.weights):
            raise LocalError(f"{count} regions need as many weights, none negative and not all 0: {self.weights}")
        if len(self.latency_us) != count or any(len(row) != count for row in self.latency_us):
            raise LocalError(f"{count} regions need a latency from each to each")
        for a, row in enumerate(self.latency_us):
            for b, latency_us in enumerate(row):
                pair = f"{self.names[a]} to {self.names[b]}"
                if latency_us < 1:
                    raise LocalError(f"{pair}: a latency of {latency_us} us; at least 1")
                if latency_us != self.latency_us[b][a]:
                    raise LocalError(f"{pair}: {latency_us} us, but {self.latency_us[b][a]} us on the way back")


def read_regions(path: Path) -> Regions:
    """Regions from a CSV file: the header `region,weight,<name>,...`, then `<name>,<weight>,<ms>,...` for each.

    The file is UTF-8; the rows stand in the order of the header. Latencies are one-way milliseconds and may have three
    decimals.

    Raises: LocalError if the file cannot be read or says anything else, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: {error}") from error
    rows = [(number, row) for number, row in enumerate(csv.reader(text.splitlines()), 1) if row]
    if not rows or rows[0][1][:2] != ["region", "weight"]:
        raise LocalError(f"{path}: the header is not region,weight,<name>,...")
    names = tuple(rows[0][1][2:])
    if tuple(row[0] for _, row in rows[1:]) != names:
        raise LocalError(f"{path}: the rows are not the regions of the header, in its order")
    weights: list[int] = []
    latency_us: list[tuple[int, ...]] = []
    for number, row in rows[1:]:
        where = f"{path}, line {number}"
        if len(row) != len(names) + 2:
            raise LocalError(f"{where}: {len(row)} fields instead of {len(names) + 2}")
        weights.append(_integer(row[1], where))
        latency_us.append(tuple(_microseconds(field, where) for field in row[2:]))
    try:
        return Regions(names, tuple(weights), tuple(latency_us))
    except LocalError as error:
        raise LocalError(f"{path}: {error}") from error


def _integer(field: str, where: str) -> int:
    if not (field.isascii() and field.isdigit()):
        raise LocalError(f"{where}: {field!r} is not a weight; a weight is a whole number")
    return int(field)


def _microseconds(field: str, where: str) -> int:
    whole, _, decimals = field.partition(".")
    if not (f"0{whole}{decimals}".isascii() and f"0{whole}{decimals}".isdigit()) or len(decimals) > 3:
        raise LocalError(f"{where}: {field!r} is not a latency in milliseconds")
    return int(whole or "0") * _US_PER_MS + int(decimals.ljust(3, "0"))


def _in_microseconds(latency_ms: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(value * _US_PER_MS for value in row) for row in latency_ms)


LIBP2P_REGIONS: Final = Regions(
    names=("australia", "east_asia", "europe", "na_east", "na_west", "south_africa", "south_america", "west_asia"),
    weights=(290, 1_059, 5_599, 2_894, 1_240, 47, 36, 161),
    latency_us=_in_microseconds(
        (
            (2, 110, 165, 150, 110, 220, 190, 180),
            (110, 4, 125, 140, 100, 175, 175, 110),
            (165, 125, 2, 70, 110, 95, 140, 60),
            (150, 140, 70, 2, 60, 130, 100, 110),
            (110, 100, 110, 60, 2, 160, 100, 150),
            (220, 175, 95, 130, 160, 7, 190, 110),
            (190, 175, 140, 100, 100, 190, 7, 145),
            (180, 110, 60, 110, 150, 110, 145, 5),
        ),
    ),
)
"""One-way latencies of 2 to 220 ms between eight regions, and the populations of a network of 11,326 nodes."""
