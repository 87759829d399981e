"""A small Kademlia world whose nodes have joined by themselves, for tests."""

from latticework.discovery import KadParams
from latticework.simnet import KeyedRng
from latticework.simnet.core.kademlia import KademliaWorld
from latticework.simnet.core.links import MessageLinks
from latticework.simnet.draws import choose
from latticework.simnet.scenario import Group, Links

SECOND = 1_000_000
STILL = Links(uniform_us=(10_000, 50_000), jitter_us=0)


def world_of(
    count: int,
    links: Links = STILL,
    params: KadParams | None = None,
    liars: int = 0,
    absent: int = 0,
    joined_s: int = 8,
    seed: bytes = b"kademlia",
) -> KademliaWorld:
    """Everybody joins at once through three others each; the last `liars` lie, the last `absent` are down."""
    rng = KeyedRng(seed)
    model = MessageLinks(links, [Group("all", count)] * count, rng.child("links"))
    world = KademliaWorld(count, model, rng, params, range(count - liars, count))
    for number in range(count - absent):
        world.start(number)
    for number in range(count - absent):
        world.join(number, choose(number, count, 3, (number,)))
    world.scheduler.run(joined_s * SECOND)
    return world


def look_up(world: KademliaWorld, lookups: int, among: int, drain_s: int = 15) -> None:
    """Lookups of different keys by the first `among` nodes in turn, ten a second."""
    for count in range(lookups):
        world.look_up(count % among, b"%032d" % count)
        world.scheduler.run(world.scheduler.now_us + SECOND // 10)
    world.scheduler.run(world.scheduler.now_us + drain_s * SECOND)


def mean_hops(world: KademliaWorld) -> float:
    counters = world.counters()
    return counters["hops_total"] / counters["found"]
