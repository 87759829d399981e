"""A small gossip world whose nodes are all connected and warm, for tests."""

from latticework.simnet import KeyedRng
from latticework.simnet.core.gossip import GossipWorld
from latticework.simnet.core.links import MessageLinks
from latticework.simnet.draws import choose
from latticework.simnet.scenario import Group, Links
from latticework.transport import GossipParams
from latticework.transport.gossip_params import MESHSUB_11

SECOND = 1_000_000
STILL = Links(uniform_us=(10_000, 150_000), jitter_us=0)


def world_of(
    count: int,
    links: Links = STILL,
    params: GossipParams | None = None,
    *,
    seed: bytes = b"gossip",
    shortcut: bool = True,
    group: Group | None = None,
) -> GossipWorld:
    rng = KeyedRng(seed)
    model = MessageLinks(links, [group or Group("all", count)] * count, rng.child("links"))
    return GossipWorld(count, model, params or GossipParams(), MESHSUB_11, rng, shortcut=shortcut)


def bring_up(world: GossipWorld, dials: int = 6, seconds: int = 6) -> GossipWorld:
    """Start everybody, connect them by chance, and let the mesh settle."""
    count = len(world.nodes)
    for number in range(count):
        world.start(number)
    for number in range(count):
        for far in choose(number, count, dials, (number,)):
            world.connections.connect(number, far)
    world.scheduler.run(seconds * SECOND)
    return world


def publish(world: GossipWorld, *sources: int, apart_us: int = SECOND // 2, drain_s: int = 5) -> None:
    for source in sources:
        world.publish(source, 300)
        world.scheduler.run(world.scheduler.now_us + apart_us)
    world.scheduler.run(world.scheduler.now_us + drain_s * SECOND)
