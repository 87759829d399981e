import pytest
import trio
from trio.testing import MockClock

from latticework.node.announcing import Announcer
from latticework.node.params import ANNOUNCE_AT_ONCE_LINKS, ANNOUNCE_EVERY_S, ANNOUNCE_SETTLE_S
from latticework.wire import DeviceId, SpaceId

pytestmark = pytest.mark.unit

SPACE = SpaceId(bytes(32))


class Told:
    def __init__(self) -> None:
        self.words: list[tuple[float, bool]] = []

    def space_changed(self, space: SpaceId, *, carried: bool = False) -> None:
        assert space == SPACE
        self.words.append((trio.current_time(), carried))


def links(count: int) -> dict[DeviceId, Told]:
    return {DeviceId(bytes([number]) * 32): Told() for number in range(count)}


def test_few_links_are_told_of_everything_at_once() -> None:
    few = links(ANNOUNCE_AT_ONCE_LINKS)
    announcer = Announcer(few)

    async def main() -> None:
        for carried in (True, False):
            announcer.changed(SPACE, carried=carried)
        assert all(len(told.words) == 2 for told in few.values())

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_many_links_are_told_now_and_then_of_what_gossip_carries_and_at_once_of_the_rest() -> None:
    many = links(ANNOUNCE_AT_ONCE_LINKS + 1)
    announcer = Announcer(many)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(announcer.run)
            start = trio.current_time()
            for _ in range(25):
                announcer.changed(SPACE, carried=True)
                await trio.sleep(1)
            announcer.changed(SPACE, carried=False)
            at_s = [round(time - start, 3) for time, _ in many[DeviceId(bytes(32))].words]
            assert at_s == [
                ANNOUNCE_SETTLE_S,
                ANNOUNCE_SETTLE_S + ANNOUNCE_EVERY_S,
                ANNOUNCE_SETTLE_S + 2 * ANNOUNCE_EVERY_S,
                25,
            ]
            assert [carried for _, carried in many[DeviceId(bytes(32))].words] == [True, True, True, False]
            await trio.sleep(60)
            assert len(many[DeviceId(bytes(32))].words) == 4, "nothing waits any more"
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_what_was_told_at_once_meanwhile_is_no_reason_for_a_pause() -> None:
    many = links(ANNOUNCE_AT_ONCE_LINKS + 1)
    announcer = Announcer(many)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(announcer.run)
            start = trio.current_time()
            announcer.changed(SPACE, carried=True)
            announcer.changed(SPACE, carried=False)
            await trio.sleep(1)
            announcer.changed(SPACE, carried=True)
            await trio.sleep(1)
            assert [round(time - start, 3) for time, _ in many[DeviceId(bytes(32))].words] == [0, 1 + ANNOUNCE_SETTLE_S]
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
