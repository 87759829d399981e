# ruff: noqa: T201  # seeds and figures are printed
"""Whatever an equivocator tells whom and when, honest nodes hold the proof and the same state, and convict no other."""

import os

import pytest

from .equivocator import NAMES, story

pytestmark = pytest.mark.sim


def check(seed: bytes) -> None:
    print(f"seed {seed!r}")
    outcome = story(seed)
    settled = outcome.settled != {None}
    print(f"{outcome.branches} branches, void {outcome.void}, settled {settled}, after {outcome.agreed_after_s:.1f} s")
    assert outcome.convicted == {outcome.log}
    assert len(outcome.seqs) == 1
    assert len(outcome.void) == 1
    assert len(outcome.settled) == 1
    assert len(outcome.roots) == 1
    for document in outcome.documents:
        assert document == outcome.documents[0]
    honest = {key for key in outcome.documents[0] if key.startswith(NAMES)}
    assert honest == outcome.expected, "what honest devices wrote stays"


@pytest.mark.parametrize("number", range(8))
def test_honest_nodes_agree_about_an_equivocator(number: int) -> None:
    check(b"equivocator %d" % number)


@pytest.mark.long
def test_honest_nodes_agree_about_an_equivocator_in_500_runs() -> None:
    first = int(os.environ.get("LATTICE_TEST_SEED", "1000"))
    for number in range(first, first + int(os.environ.get("LATTICE_RUNS", "500"))):
        check(b"equivocator %d" % number)
