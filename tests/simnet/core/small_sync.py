"""A small sync world whose nodes are connected in a ring with chords, for tests."""

from collections.abc import Sequence

from latticework.simnet import KeyedRng
from latticework.simnet.core.links import MessageLinks
from latticework.simnet.core.sync import SyncWorld
from latticework.simnet.core.sync_node import Announcing
from latticework.simnet.scenario import Group, Links

SECOND = 1_000_000
STILL = Links(uniform_us=(10_000, 50_000), jitter_us=0)
AT_ONCE = Announcing(at_once_links=100)


def world_of(
    count: int,
    links: Links = STILL,
    announcing: Announcing = AT_ONCE,
    chords: Sequence[int] = (1,),
    rate: int | None = None,
) -> SyncWorld:
    """Node n is connected to n + c for each chord c; `rate` is that of all lines, in bytes per second."""
    rng = KeyedRng(b"sync")
    model = MessageLinks(links, [Group("all", count, up=rate, down=rate)] * count, rng.child("links"))
    world = SyncWorld(count, model, rng, announcing)
    for number in range(count):
        world.start(number)
    for number in range(count):
        for chord in chords:
            world.connections.connect(number, (number + chord) % count)
    world.scheduler.run(SECOND)
    return world


def run_for(world: SyncWorld, span_us: int) -> None:
    world.scheduler.run(world.scheduler.now_us + span_us)


def reached(world: SyncWorld, message: int) -> dict[int, int]:
    """Latency by node."""
    rows = world.deliveries
    found = [
        (node, us) for told, node, us in zip(rows.message, rows.node, rows.latency_us, strict=True) if told == message
    ]
    assert len(found) == len(dict(found)), "delivered twice"
    return dict(found)
