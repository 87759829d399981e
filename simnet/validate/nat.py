"""V14: which pairs of boxes can be punched through, all nine types against all nine, and how often in the field.

A type is a mapping and a filtering behaviour of RFC 4787, written "mapping/filtering". `EXPECTED` was derived by hand
from sections 4.1 and 5 and the hole punching of RFC 5128, section 3.3, with filter rules per mapping and no port
prediction; the tests derive it a second time as a closed rule. Its shape in words: a box that maps independently and
filters no ports (rows 1 and 2) is reached by all, one that filters ports (row 3) only from boxes with predictable
ports, and between two boxes that map dependently a path opens only if one filters nothing and the other no ports.
"""

from collections.abc import Iterable
from itertools import product
from typing import Final

from ..nat import Dependence, Endpoint, IpProtocol, NatType, Ports
from ..nat_mix import PRESETS, Layers, named_mix
from ..nat_punch import Chain, punch
from ..rng import KeyedRng

FIELD_SUCCESS: Final = 0.70
"""Share of hole punches that succeed: 4.4 million attempts of DCUtR (arXiv 2604.12484, abstract)."""
FIELD_TOLERANCE: Final = 0.03
"""Chosen in the simnet report (V14); the source's own spread is 0.071."""

TYPES: Final = tuple(f"{mapping.name}/{filtering.name}" for mapping, filtering in product(Dependence, repeat=2))
"""The nine types, in the order of the rows and columns below."""

_ROWS: Final = """
EI/EI    + + +  + + +  + + +
EI/AD    + + +  + + +  + + +
EI/APD   + + +  - - -  - - -
AD/EI    + + -  + + -  + + -
AD/AD    + + -  + - -  + - -
AD/APD   + + -  - - -  - - -
APD/EI   + + -  + + -  + + -
APD/AD   + + -  + - -  + - -
APD/APD  + + -  - - -  - - -
"""

_OBSERVER: Final = Endpoint("192.0.2.1", 3_478)
_IP_A: Final = "198.51.100.1"
_IP_B: Final = "203.0.113.1"


def _parse(rows: Iterable[str]) -> dict[tuple[str, str], bool]:
    cells = [row.split() for row in rows]
    return {(row, column): cell == "+" for row, *marks in cells for column, cell in zip(TYPES, marks, strict=True)}


EXPECTED: Final = _parse(_ROWS.strip().splitlines())
"""(type of a, type of b) -> whether a path opens; 81 entries."""


def punch_matrix(seed: bytes, ports: Ports = Ports.RANDOM, protocol: IpProtocol = "udp") -> dict[tuple[str, str], bool]:
    """Punch between all 81 pairs of types, with fresh boxes each time; compare with `EXPECTED`."""
    behaviours = zip(TYPES, product(Dependence, repeat=2), strict=True)
    kinds = {name: NatType(mapping, filtering, ports) for name, (mapping, filtering) in behaviours}
    rng = KeyedRng(seed, "punch matrix")
    return {(a, b): _opens((kinds[a],), (kinds[b],), rng, protocol) for a, b in product(TYPES, repeat=2)}


def field_success(pairs: int, seed: bytes, mix: str = "mix:field") -> float:
    """The share of `pairs` random pairs of hosts of `mix` between which a UDP path opens.

    Raises:
        LocalError: there is no such mix.
    """
    population, rng = named_mix(mix), KeyedRng(seed, "field")
    drawn = ((PRESETS[population.draw(rng)], PRESETS[population.draw(rng)]) for _ in range(pairs))
    return sum(_opens(a, b, rng, "udp") for a, b in drawn) / pairs


def _opens(a: Layers, b: Layers, rng: KeyedRng, protocol: IpProtocol) -> bool:
    return punch(Chain.behind(a, _IP_A, rng), Chain.behind(b, _IP_B, rng), _OBSERVER, protocol=protocol)
