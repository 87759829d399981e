import pytest
import trio

from latticework.discovery import Sighting
from latticework.discovery.inbox import SightingInbox
from latticework.transport import Multiaddr

pytestmark = pytest.mark.unit


def sighting(peer_id: str, port: int = 1) -> Sighting:
    return Sighting((Multiaddr.tcp("10.0.0.1", port),), peer_id, "mdns")


async def test_a_newer_sighting_of_a_peer_replaces_the_unread_one() -> None:
    inbox = SightingInbox(8)
    for item in (sighting("a"), sighting("b"), sighting("a", 2)):
        inbox.put(item)
    assert [await anext(inbox), await anext(inbox)] == [sighting("b"), sighting("a", 2)]
    assert inbox.dropped_count == 0


async def test_a_full_inbox_drops_and_counts_further_peers() -> None:
    inbox = SightingInbox(2)
    for name in "abcd":
        inbox.put(sighting(name))
    inbox.put(sighting("a", 2))
    assert inbox.dropped_count == 2
    assert [await anext(inbox), await anext(inbox)] == [sighting("b"), sighting("a", 2)]


async def test_a_reader_is_woken_from_a_foreign_thread() -> None:
    inbox = SightingInbox(2)
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            assert await anext(inbox) == sighting("a")

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(inbox.put, sighting("a"))  # noqa: TID251  # a real thread is the point


async def test_closing_ends_the_iteration_of_a_waiting_reader() -> None:
    inbox = SightingInbox(2)
    seen: list[Sighting] = []
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            seen.extend([item async for item in inbox])

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        inbox.close()
    assert seen == []


async def test_a_cancelled_reader_loses_no_sighting() -> None:
    inbox = SightingInbox(2)
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(inbox)
    inbox.put(sighting("a"))
    assert await anext(inbox) == sighting("a")


def test_putting_after_trio_has_ended_is_harmless() -> None:
    async def make() -> SightingInbox:
        return SightingInbox(2)

    trio.run(make).put(sighting("a"))
