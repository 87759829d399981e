from collections.abc import Sequence

import pytest

from latticework.simnet.core.gossip import GossipWorld
from latticework.simnet.core.links import MessageLinks
from latticework.simnet.draws import choose
from latticework.simnet.rng import KeyedRng
from latticework.simnet.roles.gossip_roles import GOSSIP_ROLES, gossip_role
from latticework.simnet.scenario import Group, Links
from latticework.transport import GossipParams
from latticework.transport.gossip_params import MESHSUB_11
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

SECOND = 1_000_000
HONEST = 30
TARGET = 0


def members(group: str) -> Sequence[int]:
    return {"honest": range(HONEST), "target": [TARGET], "victim": [1]}[group]


def world_with(role: str, count: int, **options: str | int) -> GossipWorld:
    """Thirty honest nodes with six dials each, and so many of a role, ten seconds old."""
    total, rng = HONEST + count, KeyedRng(b"roles")
    links = MessageLinks(Links(uniform_us=(10_000, 60_000)), [Group("all", total)] * total, rng.child("links"))
    world = GossipWorld(total, links, GossipParams(), MESHSUB_11, rng)
    for number in range(HONEST, total):
        world.assign(number, GOSSIP_ROLES[role], options, members)
    for number in range(total):
        world.start(number)
    for number in range(total):
        for far in choose(number, HONEST, 6, (number,)):
            world.connections.connect(number, far)
    world.scheduler.run(10 * SECOND)
    return world


def publish(world: GossipWorld, source: int, seconds: int = 4) -> list[int]:
    """A message, and the latencies with which it reached honest nodes."""
    before = len(world.deliveries.latency_us)
    world.publish(source, 300)
    world.scheduler.run(world.scheduler.now_us + seconds * SECOND)
    return list(world.deliveries.latency_us)[before:]


def forwarded(world: GossipWorld, number: int) -> int:
    """Bytes of a message or more: RPCs that only keep a mesh are short."""
    return world.sent(number)[0]


def test_silent_nodes_stay_in_meshes_and_pass_nothing_on() -> None:
    world = world_with("silent", 5)
    before = [forwarded(world, number) for number in range(HONEST + 5)]
    assert len(publish(world, 2)) == HONEST - 1
    grown = [forwarded(world, number) - size for number, size in enumerate(before)]
    assert max(grown[HONEST:]) < 300 < sum(grown[:HONEST]) / HONEST
    assert all(world.nodes[number].neighbours("simnet") for number in range(HONEST, HONEST + 5))


def test_censors_drop_their_victims_messages_only() -> None:
    world = world_with("censor", 5, victims="victim")
    before = [world.sent(number)[0] for number in range(HONEST, HONEST + 5)]
    assert len(publish(world, 1)) == HONEST - 1
    between = [world.sent(number)[0] for number in range(HONEST, HONEST + 5)]
    assert len(publish(world, 2)) == HONEST - 1
    after = [world.sent(number)[0] for number in range(HONEST, HONEST + 5)]
    assert max(b - a for a, b in zip(before, between, strict=True)) < 300
    assert min(b - a for a, b in zip(between, after, strict=True)) > 300


def test_delayers_pass_on_late() -> None:
    world = world_with("delayer", 1, delay="2s")
    world.publish(2, 300)
    sizes: list[int] = []
    for _ in range(4):
        world.scheduler.run(world.scheduler.now_us + SECOND)
        sizes.append(world.sent(HONEST)[0])
    assert sizes[0] == sizes[1]
    assert sizes[3] > sizes[1] + 300


def test_spam_is_rejected_and_its_sender_cut_off() -> None:
    world = world_with("spammer", 2, rate=3)
    assert world.log.reports["report_rejected"] > 0
    assert not world.connections.neighbours(HONEST)
    assert len(publish(world, 2)) == HONEST - 1
    assert world.log.redelivered == 0


def test_a_replayed_message_comes_again_only_after_routers_have_forgotten_it() -> None:
    early = world_with("replayer", 2, after="20s")
    publish(early, 2, 60)
    assert early.log.redelivered == 0
    late = world_with("replayer", 2, after="130s")
    publish(late, 2, 140)
    assert late.log.redelivered > 0


def test_a_join_flood_of_sybils_does_not_keep_messages_away() -> None:
    world = world_with("sybil", 60)
    assert world.log.counters.graft > 60 * 10
    assert world.log.reports["report_graft_in_backoff"] > 0
    assert len(publish(world, 2)) == HONEST - 1


def test_eclipse_nodes_all_dial_their_target() -> None:
    world = world_with("eclipse", 40, target="target")
    here = world.connections.neighbours(TARGET)
    assert set(range(HONEST, HONEST + 40)) <= set(here)
    inside = world.nodes[TARGET].neighbours("simnet")
    assert sum(number >= HONEST for number in inside) >= 2
    assert len(publish(world, 2)) == HONEST - 1


def test_a_covert_flash_begins_when_it_was_told_to() -> None:
    world = world_with("covert-flash", 3, honest_for_us=15 * SECOND)
    before = world.sent(HONEST)[0]
    publish(world, 2)
    between = world.sent(HONEST)[0]
    assert between > before + 300
    world.scheduler.run(20 * SECOND)
    between = world.sent(HONEST)[0]
    publish(world, 3)
    assert world.sent(HONEST)[0] < between + 300


def test_poisoned_peer_exchange_is_refused_and_nobody_dialled() -> None:
    world = world_with("px-poisoner", 3)
    assert world.log.reports["report_px_refused"] > 0
    assert world.log.counters.prune >= 3 * 9 * 6
    assert len(publish(world, 2)) == HONEST - 1


def test_every_role_is_named_with_its_tiers() -> None:
    assert sorted(GOSSIP_ROLES) == [
        "censor", "covert-flash", "delayer", "eclipse", "px-poisoner", "replayer", "silent", "spammer", "sybil",
    ]  # fmt: skip
    assert all("C" in kind.tiers for kind in GOSSIP_ROLES.values())
    assert gossip_role("honest", {}, "C") is None


def test_an_unknown_role_or_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(LocalError, match=r"no role 'silen' on tier C; there is: honest, censor, .*, sybil"):
        gossip_role("silen", {}, "C")
    with pytest.raises(LocalError, match="no option 'delai'; it has: delay, delay_us"):
        gossip_role("delayer", {"delai": 1}, "C")
    with pytest.raises(LocalError, match="no role 'silent' on tier V"):
        gossip_role("silent", {}, "V")
