import pytest
import trio
import trio.testing

from latticework.node.owner import Owner
from latticework.node.params import INBOX_COMMANDS

pytestmark = pytest.mark.unit


async def test_posted_work_is_done_once_and_before_what_waits_even_where_the_inbox_is_full() -> None:
    done: list[str] = []
    failures: list[Exception] = []
    owner = Owner(failures.append)

    async def job() -> None:
        done.append("job")

    async def posted() -> None:
        done.append("posted")

    async def idle() -> None:
        done.append("idle")

    async with trio.open_nursery() as nursery:
        for _ in range(INBOX_COMMANDS):
            nursery.start_soon(owner.ask, job)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            owner.post(posted)
        nursery.start_soon(owner.run, idle, lambda: 3600.0)
        await trio.testing.wait_all_tasks_blocked()
        assert done == ["posted", *["job"] * INBOX_COMMANDS]
        owner.post(posted)
        await trio.testing.wait_all_tasks_blocked()
        assert done[-1] == "posted", "an owner that waits is woken"
        assert done.count("posted") == 2
        nursery.cancel_scope.cancel()
    assert failures == []
