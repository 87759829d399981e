import pytest
import trio

from latticework.simnet import VirtualClock, play
from latticework.simnet.clocks import OwnClock

pytestmark = pytest.mark.unit


def test_a_clock_that_is_ahead_and_gains_shows_it_on_the_wall_alone() -> None:
    world = VirtualClock()
    own = OwnClock(world, skew_us=-5_000_000, drift_ppm=100)

    async def main() -> None:
        await trio.sleep(10_000)
        assert own.now_us() - world.now_us() == -5_000_000 + 1_000_000
        assert own.monotonic_us() == world.monotonic_us()

    play(main, b"clocks", world)
