"""All validation checks, one after the other as they finish: theory first, then the runs of gossipsub, which take long.

Seeds are fixed: a validation that fails now and then would be believed by nobody. Each part is imported when its turn
comes, since some need numpy and others the machines of a whole node.
"""

from collections.abc import Iterator
from typing import Final

from ..extras import need
from .check import Check, check

_SEED: Final = b"lattice sim validate"
_LOOKUPS: Final = 300
_HOPS: Final = {
    8: {1_000: 2.22, 4_000: 2.66, 16_000: 3.02},
    20: {1_000: 1.87, 4_000: 2.23, 16_000: 2.52},
}
"""Mean hops by bucket size and nodes."""
_HOPS_TOLERANCE: Final = 0.15
_HOPS_SOURCE: Final = "exact model of full buckets (simnet report, V8)"
_DISJOINT_LOOKUPS: Final = 500
_DISJOINT_SOURCE: Final = (
    "Baumgart and Mies, S/Kademlia, ICPADS 2007, evaluation and conclusion, read in a transcript: 10,000 nodes, k = 16,"
    " d = 1, 2, 4, 8; with 20 % of adversarial nodes still 99 % of all lookups succeed if disjoint paths are used (not"
    " said: with how many)"
)
_PUNCH_SOURCE: Final = "RFC 4787, sections 4.1 and 5; RFC 5128, section 3.3"
_FIELD_PAIRS: Final = 4_000
_FIELD_SOURCE: Final = "arXiv 2604.12484, abstract: 70 % of 4.4 million DCUtR attempts"


def checks(*, long: bool = False) -> Iterator[Check]:
    """Every check that takes seconds, and with `long` those that take minutes.

    Raises:
        LocalError: the extra `sim` is missing.
    """
    need("sim", "numpy")
    from .epidemics import EPIDEMICS  # noqa: PLC0415
    from .gossipsub import GOSSIPSUB  # noqa: PLC0415

    for part in EPIDEMICS:
        yield from part(_SEED)
    yield from _tiers()
    yield from _kademlia()
    yield from _links()
    yield from _nat()
    for simulated in GOSSIPSUB:
        yield from simulated(_SEED)
    if long:
        yield _disjoint()
        yield from _attacks()


def _tiers() -> Iterator[Check]:
    """V7, across the tiers."""
    from .tiers import same_flood  # noqa: PLC0415

    yield from same_flood(_SEED)


def _kademlia() -> Iterator[Check]:
    """V8."""
    from .kademlia import kademlia_hops  # noqa: PLC0415

    for k, expected in _HOPS.items():
        for nodes, hops in expected.items():
            figures = kademlia_hops(nodes, k, _LOOKUPS, _SEED)
            what = f"hops to the closest of {nodes} nodes, k = {k}, mean of {_LOOKUPS} lookups"
            yield check("V8", what, hops, figures.mean_hops, _HOPS_TOLERANCE, _HOPS_SOURCE)
            what = f"share of lookups that find the closest of {nodes} nodes, k = {k}"
            yield check("V8", what, 1, figures.success, 0, "no churn and no adversary: each lookup succeeds")


def _links() -> Iterator[Check]:
    """V13, first part."""
    from .links import uplink  # noqa: PLC0415

    yield from uplink(_SEED)


def _disjoint() -> Check:
    """V9."""
    from .kademlia import disjoint_success  # noqa: PLC0415

    share = disjoint_success(10_000, 16, 8, 0.2, _DISJOINT_LOOKUPS, _SEED)
    what = f"share of {_DISJOINT_LOOKUPS} lookups that succeed, 10,000 nodes, k = 16, 20 % adversarial, 8 paths"
    return check("V9", what, 0.99, share, 0.02, _DISJOINT_SOURCE)


def _attacks() -> Iterator[Check]:
    """V12."""
    from .attacks import ATTACKS, attack_checks  # noqa: PLC0415

    for attack in ATTACKS:
        yield from attack_checks(_SEED, attack)


def _nat() -> Iterator[Check]:
    """V14."""
    from .nat import EXPECTED, FIELD_SUCCESS, FIELD_TOLERANCE, field_success, punch_matrix  # noqa: PLC0415

    found = punch_matrix(_SEED)
    wrong = sum(found[pair] != opens for pair, opens in EXPECTED.items())
    yield check("V14", "of 81 pairs of NAT types, those punched against the rules", 0, wrong, 0, _PUNCH_SOURCE)
    share = field_success(_FIELD_PAIRS, _SEED)
    what = f"share of {_FIELD_PAIRS} pairs of mix:field that are punched"
    yield check("V14", what, FIELD_SUCCESS, share, FIELD_TOLERANCE, _FIELD_SOURCE)
