import numpy as np
import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.vector import Seed, infect_and_die, push_pull_rounds, push_rounds
from latticework.wire import LocalError

pytestmark = pytest.mark.unit


def test_nobody_tells_with_a_fanout_of_none_and_all_hear_with_a_large_one() -> None:
    assert infect_and_die(b"seed", 50, 0, 3).tolist() == [1, 1, 1]
    assert infect_and_die(b"seed", 50, 60, 3).tolist() == [50, 50, 50]


def test_one_call_each_reaches_a_chain_that_ends_at_the_first_repetition() -> None:
    """A fanout of 1 is a random walk until it meets itself: sqrt(pi n / 2) nodes on average (the birthday problem)."""
    reached = infect_and_die(b"seed", 1_000, 1, 3_000)
    assert abs(reached.mean() - (np.pi * 1_000 / 2) ** 0.5) < 2
    assert reached.min() >= 1


def test_a_world_of_one_is_told_before_it_starts_and_of_two_by_a_coin() -> None:
    assert push_rounds(b"seed", 1, 2).tolist() == push_pull_rounds(b"seed", 1, 2).tolist() == [0, 0]
    # Push: one caller of two hits the other with 1/2. Push-pull: either of two callers does, with 3/4.
    assert abs(push_rounds(b"seed", 2, 20_000).mean() - 2) < 0.05
    assert abs(push_pull_rounds(b"seed", 2, 20_000).mean() - 4 / 3) < 0.03


def test_a_rumour_at_most_doubles_by_push() -> None:
    assert push_rounds(b"seed", 1_000, 200).min() >= 10


def test_the_same_seed_gives_the_same_runs_and_runs_differ() -> None:
    def run(seed: Seed) -> list[list[int]]:
        return [
            made.tolist()
            for made in (infect_and_die(seed, 300, 2, 50), push_rounds(seed, 300, 50), push_pull_rounds(seed, 300, 50))
        ]

    assert run(b"seed") == run(KeyedRng(b"seed")) != run(b"seee")
    assert all(len(set(made)) > 1 for made in run(b"seed"))


def test_more_runs_than_one_block_holds_are_all_made() -> None:
    assert len(push_pull_rounds(b"seed", 400_000, 3)) == 3


def test_what_cannot_be_is_refused() -> None:
    for node_count, run_count in ((0, 1), (1, 0)):
        with pytest.raises(LocalError):
            infect_and_die(b"seed", node_count, 2, run_count)
        with pytest.raises(LocalError):
            push_rounds(b"seed", node_count, run_count)
    with pytest.raises(LocalError):
        infect_and_die(b"seed", 3, -1, 1)
