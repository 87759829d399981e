"""Gossipsub with the product's own router against figures that others published: V1, V1b, V1c, V2, V3.

V1 and V2 are vyzo's runs of gerbil-simsub (gists of August 2022): 60 messages, one a second, from 5 nodes; 20 dials per
node, D=6, Dlo=4, Dhi=12, IHAVE to 6 peers over a window of 3 heartbeats, heartbeats of 1 s of which the first comes
after 1 to 2 s; latency uniform in 10 to 150 ms per direction, with up to 10 % jitter per message. Scores,
outbound quotas and opportunistic grafting are off, as in gerbil-simsub.

V2's IHAVE is 11 to 16 % below the published figure, for two known reasons. Our router gossips to the whole part of
factor * candidates, as go-libp2p-pubsub does: 7.7 peers of 32 candidates on average. gerbil-simsub (`gossip/adaptive!`
in gossipsub-v1_1.ss) draws each candidate with the probability of the factor and adds up to 6 where those are fewer:
8.4. And its runs had peer exchange, so that nodes knew more others (20,665 connections where 20,000 were dialled),
which is off here: 8.6. So the figure is checked twice, as it is and with that taken into account; the latter is within
1 % for 250, 500 and 1,000 nodes.

The report asks for the mean of 20 seeds; with the real router that takes minutes. So V1 is the mean of two seeds and
the rest is one seed each; copies per delivery were seen to differ by 2 % between seeds, which leaves little of their
3 %. The shares of latencies hang on which 5 nodes publish: up to 8 points with one seed, says the report.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Final

from latticework.transport import GossipParams, ScoreParams
from latticework.transport.gossip_params import MESHSUB_10, MESHSUB_11

from ..core.gossip import TOPIC, GossipWorld
from ..core.links import MessageLinks
from ..draws import below, choose, key_from
from ..rng import KeyedRng
from ..roles.gossip_roles import GOSSIP_ROLES
from ..scenario import Group, Links
from .check import Check, check

_SECOND_US: Final = 1_000_000
_DIALS: Final = 20
_MESSAGES: Final = 60
_SOURCES: Final = 5
_BIN_US: Final = 100_000
_WARMUP_US: Final = 10 * _SECOND_US
_DRAIN_US: Final = 5 * _SECOND_US
"""IHAVE goes on for three heartbeats after the last message; nothing else does."""
_SIZE_BYTES: Final = 100
_LINKS: Final = Links(uniform_us=(10_000, 150_000), jitter=0.1, jitter_us=0)
_SIMSUB: Final = "vyzo, gerbil-simsub runs of gossipsub {}, gists of August 2022"
_LEAST_GROWTH: Final = 10.0
"""Per cent."""
_IHAVE_SHARE: Final = 0.05
_PUBLISHED_V11: Final = {
    1_000: (381_920, 538_202, 20_665),
    500: (193_171, 262_444, 10_211),
    250: (100_112, 136_173, 5_387),
}
"""By nodes: messages, IHAVE, and connections, which peer exchange made."""
_KNEE: Final = 0.99
_JVM: Final = "Nashatyrev, jvm-libp2p simulator, 10,000 nodes, as the simnet report reads it"

V10: Final = GossipParams(
    d=6,
    d_lo=4,
    d_hi=12,
    d_out=0,
    d_score=0,
    d_lazy=6,
    gossip_factor=0.0,
    flood_publish=False,
    heartbeat_initial_us=_SECOND_US,
    heartbeat_jitter=0.0,
    opportunistic_graft_ticks=1 << 40,
    score=ScoreParams(other_topics=None, behaviour_penalty_weight=0),
)
V11: Final = replace(V10, gossip_factor=0.25, flood_publish=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One run's figures: counts, and percent of deliveries within 100, 200, 300 and 400 ms, the source's included.

    `candidates` are, of each node at the end, the connected peers outside its mesh, whom it may send IHAVE to.
    """

    messages: float
    ihave: float
    iwant: float
    graft: float
    prune: float
    bins: tuple[float, ...]
    coverage: float
    per_delivery: float
    candidates: tuple[int, ...]


def simulate(
    count: int,
    params: GossipParams,
    protocol: str,
    rng: KeyedRng,
    *,
    messages: int = _MESSAGES,
    first_beats_us: int | None = None,
    silent: float = 0.0,
) -> Run:
    """A run of `count` nodes of which the share `silent` passes nothing on; coverage is that of the others."""
    links = MessageLinks(_LINKS, [Group("all", count)] * count, rng.child("links"))
    world = GossipWorld(count, links, params, protocol, rng.child("world"), first_beats_us=first_beats_us)
    bad = choose(key_from(rng.child("silent")), count, round(silent * count))
    for number in bad:
        world.assign(number, GOSSIP_ROLES["silent"], {}, lambda _: ())
    for number in range(count):
        world.start(number)
    for number in range(count):
        for far in choose(key_from(rng.child(f"dials {number}")), count, _DIALS, (number,)):
            world.connections.connect(number, far)
    world.scheduler.run(_WARMUP_US)
    marked = dict.fromkeys(bad)
    good = [number for number in range(count) if number not in marked]
    sources = [good[at] for at in choose(key_from(rng.child("sources")), len(good), _SOURCES)]
    turns = key_from(rng.child("turns"))
    for turn in range(messages):
        world.publish(sources[below(turns, turn, len(sources))], _SIZE_BYTES)
        world.scheduler.run(world.scheduler.now_us + _SECOND_US)
    world.scheduler.run(world.scheduler.now_us + _DRAIN_US)
    return _figures(world, len(good), messages)


def _figures(world: GossipWorld, honest: int, messages: int) -> Run:
    counted, latencies = world.log.counters, world.deliveries.latency_us
    delivered = len(latencies) + messages
    within = [sum(latency_us // _BIN_US == place for latency_us in latencies) for place in range(4)]
    within[0] += messages
    return Run(
        messages=counted.messages,
        ihave=counted.ihave,
        iwant=counted.iwant,
        graft=counted.graft,
        prune=counted.prune,
        bins=tuple(100 * found / delivered for found in within),
        coverage=delivered / (honest * messages),
        per_delivery=counted.messages / delivered,
        candidates=tuple(
            len(world.connections.links[node.number]) - len(node.router.mesh(TOPIC)) for node in world.nodes
        ),
    )


def ihave_by_chance(run: Run, params: GossipParams, more: float) -> float:
    """The IHAVE that the nodes of a run would have sent by gerbil-simsub's rule, with `more` candidates each."""
    ours = sum(max(params.d_lazy, int(params.gossip_factor * count)) for count in run.candidates)
    theirs = sum(_drawn(count + more, params) for count in run.candidates)
    return run.ihave * theirs / ours


def _drawn(candidates: float, params: GossipParams) -> float:
    """How many are drawn with the probability of the factor on average, `d_lazy` at least; linear between integers."""
    whole = int(candidates)
    part = candidates - whole
    return (1 - part) * _drawn_of(whole, params) + (part and part * _drawn_of(whole + 1, params))


def _drawn_of(candidates: int, params: GossipParams) -> float:
    share, least = params.gossip_factor, min(params.d_lazy, candidates)
    return sum(
        comb(candidates, count) * share**count * (1 - share) ** (candidates - count) * max(count, least)
        for count in range(candidates + 1)
    )


def _mean(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return sum(map(figure, runs)) / len(runs)


def _runs(name: str, seed: bytes, seeds: int, count: int, params: GossipParams, protocol: str) -> list[Run]:
    return [simulate(count, params, protocol, KeyedRng(seed, name, str(count), str(turn))) for turn in range(seeds)]


def published_v10(seed: bytes) -> list[Check]:
    """V1: gossipsub v1.0 with 1,000 nodes, two seeds."""
    source = _SIMSUB.format("v1.0")
    runs = _runs("V1", seed, 2, 1_000, V10, MESHSUB_10)
    counts: tuple[tuple[str, float, float, Callable[[Run], float]], ...] = (
        ("messages received", 377_370, 0.03, lambda run: run.messages),
        ("IHAVE sent", 372_006, 0.03, lambda run: run.ihave),
        ("IWANT sent", 2_143, 0.25, lambda run: run.iwant),
        ("GRAFT sent", 3_695, 0.03, lambda run: run.graft),
        ("PRUNE sent", 43, 0.5, lambda run: run.prune),
    )
    found = [
        check("V1", f"{what}, v1.0, 1,000 nodes, 60 messages", expected, _mean(runs, figure), share * expected, source)
        for what, expected, share, figure in counts
    ]
    for place, expected in enumerate((2.2, 34.7, 60.9, 2.1)):
        got = sum(run.bins[place] for run in runs) / len(runs)
        what = f"% of deliveries in {place * 100} to {place * 100 + 100} ms, v1.0, 1,000 nodes"
        found.append(check("V1", what, expected, got, 5, source))
    return found


def smaller_v10(seed: bytes) -> list[Check]:
    """V1b: as V1 with 500 and 250 nodes."""
    source = _SIMSUB.format("v1.0")
    found: list[Check] = []
    for count, per_delivery, ihave in ((500, 6.315, 185_892), (250, 6.421, 93_108)):
        runs = _runs("V1b", seed, 1, count, V10, MESHSUB_10)
        got = _mean(runs, lambda run: run.per_delivery)
        what = f"messages received per delivery, v1.0, {count} nodes"
        found.append(check("V1b", what, per_delivery, got, 0.03 * per_delivery, source))
        what = f"IHAVE sent, v1.0, {count} nodes"
        found.append(check("V1b", what, ihave, _mean(runs, lambda run: run.ihave), 0.03 * ihave, source))
    return found


def early_heartbeats(seed: bytes) -> list[Check]:
    """V1c: that V1 looks: first heartbeats within 0.1 s instead of 1 s must make a denser mesh, by 10 % at least."""
    rng = KeyedRng(seed, "V1c")
    usual = simulate(250, V10, MESHSUB_10, rng, messages=10)
    early = simulate(250, V10, MESHSUB_10, rng, messages=10, first_beats_us=_SECOND_US // 10)
    grown = 100 * (early.per_delivery / usual.per_delivery - 1)
    what = "% more copies per delivery, first heartbeats within 0.1 s, v1.0, 250 nodes; at least"
    return [Check("V1c", what, _LEAST_GROWTH, grown, 0, "simnet report, V1c: above 10 %", ok=grown > _LEAST_GROWTH)]


def published_v11(seed: bytes) -> list[Check]:
    """V2: gossipsub v1.1 with flood publishing and adaptive gossip, one seed of each size."""
    source = _SIMSUB.format("v1.1")
    found: list[Check] = []
    for count, (messages, ihave, connects) in _PUBLISHED_V11.items():
        (run,) = _runs("V2", seed, 1, count, V11, MESHSUB_11)
        what = f"messages received, v1.1, {count:,} nodes, 60 messages"
        found.append(check("V2", what, messages, run.messages, 0.03 * messages, source))
        found += _ihave(run, count, ihave, 2 * (connects / count - _DIALS))
        if count == 1_000:
            found.append(check("V2", "IWANT sent, v1.1, 1,000 nodes", 2_645, run.iwant, 0.25 * 2_645, source))
            found.append(check("V2", "% of deliveries within 100 ms, v1.1", 9, run.bins[0], 2, source))
    return found


def _ihave(run: Run, count: int, expected: float, more: float) -> list[Check]:
    """IHAVE as it is, with the tolerance that the known difference leaves, and corrected for that difference."""
    corrected = ihave_by_chance(run, V11, more)
    known = 1 - run.ihave / corrected
    what, source = f"IHAVE sent, v1.1, {count:,} nodes", _SIMSUB.format("v1.1")
    by_rule = f"{what}, had each peer been drawn with p = 0.25 and peer exchange been on"
    return [
        check(
            "V2", f"{what}; {known:.0%} fewer by rule", expected, run.ihave, (known + _IHAVE_SHARE) * expected, source
        ),
        check("V2", by_rule, expected, corrected, _IHAVE_SHARE * expected, f"{source}; its gossipsub-v1_1.ss"),
    ]


def non_forwarding(seed: bytes) -> list[Check]:
    """V3: nodes that pass nothing on, 500 nodes, default parameters, 10 messages: all is well up to 80 % of them.

    The knee is where coverage falls below 99 %, between the shares that were run, in a straight line.
    """
    runs = {share: _run_with_silent(seed, share) for share in (60, 75, 90)}
    knee = 90.0
    for low, high in ((75, 90), (60, 75)):
        if runs[high] < _KNEE <= runs[low]:
            knee = low + (runs[low] - _KNEE) / (runs[low] - runs[high]) * (high - low)
    what = "coverage with 60 % non-forwarding nodes, v1.1, 500 nodes"
    return [
        check("V3", what, 1, runs[60], 0, _JVM),
        check("V3", "% of non-forwarding nodes where coverage falls below 0.99", 80, knee, 5, _JVM),
    ]


def _run_with_silent(seed: bytes, share: int) -> float:
    rng = KeyedRng(seed, "V3", str(share))
    return simulate(500, GossipParams(), MESHSUB_11, rng, messages=10, silent=share / 100).coverage


GOSSIPSUB: Final = (published_v10, smaller_v10, early_heartbeats, published_v11, non_forwarding)
"""V1, V1b, V1c, V2 and V3, each from a seed: together 40 s of CPU."""
