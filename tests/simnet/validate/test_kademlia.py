"""V8 and V9 of the simnet report at a small scale; the full one is `kademlia_hops` at 1,000, 4,000 and 16,000 nodes."""

import pytest

from latticework.simnet.validate.kademlia import disjoint_success, kademlia_hops
from latticework.wire import LocalError

pytestmark = pytest.mark.sim

SEED = b"validation of kademlia"


@pytest.mark.parametrize(("n", "share"), [(1, 0.0), (0, 0.0), (100, 1.0), (100, -0.1)])
def test_a_network_that_cannot_be_is_refused(n: int, share: float) -> None:
    with pytest.raises(LocalError, match="a network has"):
        disjoint_success(n, 8, 2, share, 1, SEED)


@pytest.mark.parametrize(("k", "hops", "queried"), [(8, 2.22, 10.9), (20, 1.87, 21.5)])
def test_a_lookup_among_a_thousand_takes_as_many_hops_as_the_exact_model_says(
    k: int, hops: float, queried: float
) -> None:
    figures = kademlia_hops(1000, k, 150, SEED)
    assert figures.success == 1.0
    assert figures.mean_hops == pytest.approx(hops, abs=0.15)
    assert figures.queried == pytest.approx(queried, abs=1)
    assert figures.max_hops <= 4


def test_one_seed_gives_the_same_figures() -> None:
    assert kademlia_hops(200, 8, 20, SEED) == kademlia_hops(200, 8, 20, SEED)


def test_disjoint_paths_get_past_a_fifth_of_adversaries() -> None:
    assert disjoint_success(2000, 16, 8, 0.2, 60, SEED) >= 0.97


def test_more_paths_get_past_more_adversaries() -> None:
    one, eight = (disjoint_success(2000, 16, d, 0.5, 60, SEED) for d in (1, 8))
    assert one < eight
