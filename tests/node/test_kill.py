# ruff: noqa: T201  # the test is the only task; seeds and figures are printed
"""SIGKILL at any moment: nothing is lost, no number is used twice, both trees end the same."""

import os

import pytest
import trio

from .devices import Dice, Pair, assert_no_number_twice, assert_same, contents
from .edits import Editor

pytestmark = pytest.mark.wire


async def trial(pair: Pair, rounds: int) -> None:
    dice = Dice("kill")
    editors = [Editor(device.folder, dice, device.name) for device in pair.both]
    for number in range(rounds):
        for editor in editors:
            editor.edit(1 + dice.below(12))
        victim = pair.both[dice.below(2)]
        await trio.sleep(dice.seconds(0.6))
        for editor in editors:
            editor.edit(dice.below(4))
        print(f"round {number}: kill {victim.name}")
        victim.must_live()
        victim.kill()
        for editor in editors:
            editor.edit(dice.below(3))
        other = pair.two if victim is pair.one else pair.one
        other.must_live()
        await victim.start()
        if number % 5 == 4 or number == rounds - 1:
            await pair.in_step(25)
            assert_same(pair)
    lost = Editor.kept(editors) - contents(pair.one.folder, pair.two.folder)
    assert not lost, f"{len(lost)} contents are gone: {sorted(lost)[:5]}"
    for device in pair.both:
        await device.stop()
    count = assert_no_number_twice(pair.one.database, pair.two.database)
    print(f"{rounds} rounds, {count} entries")


async def test_ten_kills_lose_nothing(running: Pair) -> None:
    await trial(running, 10)


@pytest.mark.long
async def test_two_hundred_kills_lose_nothing(running: Pair) -> None:
    await trial(running, int(os.environ.get("LATTICE_KILLS", "200")))
