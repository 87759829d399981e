import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from random import Random  # noqa: TID251  # trio's own generator is looked at
from typing import cast

import pytest
import trio

from latticework.simnet import play
from latticework.simnet.trio_private import PRIVATE, SUPPORTED_TRIO

pytestmark = pytest.mark.sim

SCENARIO = Path(__file__).parent / "scenario.py"


def test_the_installed_trio_is_the_one_whose_private_names_were_read() -> None:
    assert version("trio").startswith(SUPPORTED_TRIO + ".")
    for name in ("GLOBAL_RUN_CONTEXT", "_ALLOW_DETERMINISTIC_SCHEDULING", "_r"):
        assert name in PRIVATE


def _order(seed: bytes) -> list[int]:
    seen: list[int] = []

    async def task(number: int) -> None:
        for _ in range(4):
            await trio.lowlevel.checkpoint()
            seen.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(task, number)

    play(main, seed)
    return seen


def test_the_seed_decides_the_order_of_tasks() -> None:
    assert _order(b"one") == _order(b"one")
    assert _order(b"one") != _order(b"two")


def test_trio_is_left_as_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRIVATE, "_ALLOW_DETERMINISTIC_SCHEDULING", False)
    generator = cast("Random", PRIVATE["_r"])
    before = generator.getstate()

    async def main() -> None:
        assert PRIVATE["_ALLOW_DETERMINISTIC_SCHEDULING"] is True
        raise KeyError("out")

    with pytest.raises(KeyError):
        play(main, b"restore")
    assert PRIVATE["_ALLOW_DETERMINISTIC_SCHEDULING"] is False
    assert generator.getstate() == before


def _digest(seed: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, str(SCENARIO), seed]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_replays_in_other_processes_under_other_hash_seeds() -> None:
    first = _digest("7", "0")
    assert len(first.split()) == 2
    assert first == _digest("7", "1234")
    assert first != _digest("8", "0")
