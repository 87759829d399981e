"""A thousand seeds, each under two hash seeds in processes of their own: no digest may differ."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sim, pytest.mark.long]

SEEDS = int(os.environ.get("LATTICE_SEEDS", "1000"))
CHUNK = 50


def digests(first: int, count: int, hash_seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simnet.whole.small", "tiny", *map(str, range(first, first + count))],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_digest_hangs_on_the_process_it_was_made_in(first: int) -> None:
    one, other = digests(first, CHUNK, "1"), digests(first, CHUNK, "random")
    assert len(one) == CHUNK
    differing = [first + at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right]
    assert not differing, f"seeds {differing}"
    assert len(set(one)) == CHUNK, "every seed is a run of its own"
