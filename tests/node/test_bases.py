"""The transfer of a kept state: what an honest device sends is taken, anything else is refused."""

from dataclasses import dataclass, field
from typing import cast

import pytest
import trio

from latticework.crdt import Base
from latticework.node.bases import BaseExchange
from latticework.node.messages import BasePart, BaseRequest
from latticework.node.params import BASE_PART_BYTES
from latticework.node.space import Space
from latticework.simnet import InlineThreads
from latticework.wire import DeviceId, EntryId, MalformedError, PeerError, SpaceId, StoreError, Threads

pytestmark = pytest.mark.unit
SPACE = SpaceId(b"s" * 32)
US, THEM, OTHERS = DeviceId(b"u" * 32), DeviceId(b"t" * 32), DeviceId(b"o" * 32)
CHECKPOINT = EntryId(b"c" * 32)
STATE = bytes(range(256)) * (BASE_PART_BYTES // 100)


@dataclass
class Replica:
    """As much of a replica as a transfer looks at."""

    is_complete: bool = False
    entry_count: int = 7


@dataclass
class FakeSpace:
    id: SpaceId = SPACE
    replica: Replica = field(default_factory=Replica)
    base_source: DeviceId | None = None
    kept: Base | None = None
    broken: bool = False

    @property
    def store(self) -> "FakeSpace":
        return self

    def base(self) -> Base | None:
        if self.broken:
            raise StoreError("the disk does not answer")
        return self.kept


async def adopt(space: Space, threads: Threads, base: Base) -> None:
    """Takes the state `STATE` below `CHECKPOINT` and no other."""
    del threads
    if base != Base(CHECKPOINT, STATE):
        raise MalformedError("the snapshot is not the state of the checkpoint")
    fake = cast("FakeSpace", space)
    fake.kept, fake.replica.is_complete = base, True


def exchange(device: DeviceId) -> BaseExchange:
    return BaseExchange(device, InlineThreads(), adopt)


def begun(space: FakeSpace) -> tuple[BaseExchange, BaseRequest]:
    ours = exchange(THEM)
    request = ours.want(cast("Space", space))
    assert request is not None
    assert request == BaseRequest(SPACE, None, 0)
    assert space.base_source == THEM
    return ours, request


async def answered(theirs: BaseExchange, request: BaseRequest, space: FakeSpace) -> BasePart:
    theirs.ask(request)
    return await theirs.answer({SPACE: cast("Space", space)})


async def test_a_long_state_comes_in_parts_and_is_taken_whole() -> None:
    needy, rich = FakeSpace(), FakeSpace(kept=Base(CHECKPOINT, STATE))
    ours, request = begun(needy)
    theirs = exchange(US)
    parts = 0
    following: BaseRequest | None = request
    while following is not None:
        part = await answered(theirs, following, rich)
        assert len(part.data) <= BASE_PART_BYTES
        following = await ours.take(part)
        parts += 1
    assert parts == 3
    assert needy.kept == Base(CHECKPOINT, STATE)
    assert needy.replica.is_complete
    assert needy.base_source is None
    assert ours.want(cast("Space", needy)) is None


async def test_a_state_that_is_replaced_during_the_transfer_is_still_sent_whole() -> None:
    rich = FakeSpace(kept=Base(CHECKPOINT, STATE))
    needy = FakeSpace()
    ours, request = begun(needy)
    theirs = exchange(US)
    following = await ours.take(await answered(theirs, request, rich))
    rich.kept = Base(EntryId(b"n" * 32), b"newer")
    while following is not None:
        following = await ours.take(await answered(theirs, following, rich))
    assert needy.kept == Base(CHECKPOINT, STATE)


async def test_who_has_nothing_says_so_and_is_asked_again_only_about_more_entries() -> None:
    needy = FakeSpace()
    ours, request = begun(needy)
    for poor in (FakeSpace(), FakeSpace(broken=True), None):
        theirs = exchange(US)
        theirs.ask(request)
        part = await theirs.answer({} if poor is None else {SPACE: cast("Space", poor)})
        assert part == BasePart(SPACE, None, 0, 0, b"")
    assert await ours.take(part) is None
    assert needy.base_source is None
    assert ours.want(cast("Space", needy)) is None
    assert exchange(OTHERS).want(cast("Space", needy)) is not None
    needy.base_source = None
    needy.replica.entry_count += 1
    assert ours.want(cast("Space", needy)) is not None


async def test_only_one_device_is_asked_at_a_time_and_another_when_its_link_breaks() -> None:
    needy = FakeSpace()
    ours, _ = begun(needy)
    assert ours.want(cast("Space", needy)) is None
    assert exchange(OTHERS).want(cast("Space", needy)) is None
    assert ours.close() == [SPACE]
    assert exchange(OTHERS).want(cast("Space", needy)) is not None


@pytest.mark.parametrize(
    "part",
    [
        BasePart(SPACE, CHECKPOINT, len(STATE), 1, STATE[:9]),
        BasePart(SPACE, CHECKPOINT, len(STATE), 0, b""),
        BasePart(SPACE, CHECKPOINT, 3, 0, b"four"),
        BasePart(SPACE, CHECKPOINT, 0, 0, b"x"),
        BasePart(SPACE, CHECKPOINT, 4, 0, b"fake"),
        BasePart(SPACE, EntryId(b"f" * 32), len(STATE), 0, STATE),
        BasePart(SpaceId(b"x" * 32), CHECKPOINT, 4, 0, b"fake"),
    ],
)
async def test_what_was_not_asked_for_or_does_not_fit_ends_the_link(part: BasePart) -> None:
    needy = FakeSpace()
    ours, _ = begun(needy)
    with pytest.raises(PeerError):
        await ours.take(part)
    assert needy.kept is None
    ours.close()
    assert needy.base_source is None


async def test_a_part_that_changes_its_story_ends_the_link() -> None:
    for second in (
        BasePart(SPACE, EntryId(b"f" * 32), len(STATE), BASE_PART_BYTES, b"x"),
        BasePart(SPACE, CHECKPOINT, len(STATE) + 1, BASE_PART_BYTES, b"x"),
        BasePart(SPACE, CHECKPOINT, len(STATE), 0, STATE[:BASE_PART_BYTES]),
    ):
        ours, _ = begun(FakeSpace())
        await ours.take(BasePart(SPACE, CHECKPOINT, len(STATE), 0, STATE[:BASE_PART_BYTES]))
        with pytest.raises(PeerError):
            await ours.take(second)


async def test_a_peer_cannot_pile_up_requests() -> None:
    theirs = exchange(US)
    with pytest.raises(PeerError):  # noqa: PT012  # it is one of many
        for _ in range(1000):
            theirs.ask(BaseRequest(SPACE, None, 0))
            await trio.lowlevel.checkpoint()


async def test_a_request_beyond_the_end_or_for_another_state_is_answered_with_nothing() -> None:
    rich = FakeSpace(kept=Base(CHECKPOINT, STATE))
    for request in (
        BaseRequest(SPACE, CHECKPOINT, len(STATE)),
        BaseRequest(SPACE, EntryId(b"f" * 32), 0),
    ):
        assert (await answered(exchange(US), request, rich)).checkpoint is None
