"""Boxes by the names people use, and populations of them.

A preset is the boxes that a host is behind, innermost first: none for "open", two for "cgnat". The names of RFC 3489
stand for one pair of mapping and filtering each (RFC 4787, sections 4.1 and 5).

"mix:field" are the hosts that hole punching is tried between: those behind a box, because to an open one the connection
is made in reverse. Its weights are chosen here and tuned, in round numbers, so that 70 % of random pairs succeed: that
share of 4.4 million DCUtR attempts did (arXiv 2604.12484, abstract: 70 % with a spread of 7.1 points, given that relay
and address discovery work). Of many mixes with that result this one was taken because 80 % of its boxes map
endpoint-independently and pass UDP; Ford, Srisuresh and Kegel (USENIX 2005) found 82 % of NATs to support UDP hole
punching. The share of each type is otherwise a guess: do not read it as a measurement.

"mix:ipfs" is a whole network: 9 % open hosts, the rest as "mix:field". ProbeLab's study of DCUtR (rust-libp2p
discussion 6584, 2026) found about 91 % of IPFS peers behind NAT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from latticework.wire import LocalError, Rng

from .nat import Dependence, NatType, Ports

type Layers = tuple[NatType, ...]
"""The boxes that a host is behind, innermost first."""

_HOME: Final = NatType(Dependence.EI, Dependence.APD)
_CARRIER: Final = NatType(Dependence.EI, Dependence.EI, Ports.RANDOM)
"""As RFC 6888 wants it: REQ-1 asks for RFC 4787, so EI mapping and hairpinning, REQ-7 recommends EI filtering."""

PRESETS: Final[Mapping[str, Layers]] = MappingProxyType(
    {
        "open": (),
        "full-cone": (NatType(Dependence.EI, Dependence.EI),),
        "restricted": (NatType(Dependence.EI, Dependence.AD),),
        "port-restricted": (_HOME,),
        "symmetric": (NatType(Dependence.APD, Dependence.APD, Ports.RANDOM),),
        "cgnat": (_HOME, _CARRIER),
        "no-udp": (NatType(Dependence.EI, Dependence.APD, passes_udp=False),),
    }
)


@dataclass(frozen=True, slots=True)
class NatMix:
    """A population: names of presets with their weights, integers that need not add up to anything.

    Raises:
        LocalError: a name that is no preset, a weight below 0, or nothing to draw.
    """

    weights: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        unknown = [name for name, _ in self.weights if name not in PRESETS]
        if unknown or any(weight < 0 for _, weight in self.weights) or not self.total:
            raise LocalError(f"impossible {self}")

    @property
    def total(self) -> int:
        return sum(weight for _, weight in self.weights)

    def draw(self, rng: Rng) -> str:
        """The name of one preset, by chance; a bias of 2**-64 times the total weight is accepted."""
        point = int.from_bytes(rng.random_bytes(8)) % self.total
        ends = accumulate(weight for _, weight in self.weights)
        return next(name for (name, _), end in zip(self.weights, ends, strict=True) if point < end)


_FIELD: Final = (
    ("full-cone", 10),
    ("restricted", 10),
    ("port-restricted", 45),
    ("symmetric", 15),
    ("cgnat", 15),
    ("no-udp", 5),
)

MIXES: Final[Mapping[str, NatMix]] = MappingProxyType(
    {
        "mix:field": NatMix(_FIELD),
        "mix:ipfs": NatMix((("open", 900), *((name, 91 * weight) for name, weight in _FIELD))),
    }
)


def named_mix(name: str) -> NatMix:
    """The mix called `name`; the name of a preset is the mix of that alone.

    Raises:
        LocalError: there is neither.
    """
    if name in PRESETS:
        return NatMix(((name, 1),))
    if name not in MIXES:
        raise LocalError(f"no NAT preset or mix {name!r}: {', '.join((*PRESETS, *MIXES))}")
    return MIXES[name]
