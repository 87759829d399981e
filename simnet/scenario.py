"""A scenario: who takes part, over which links, what is sent, what goes wrong, and what must hold.

The same scenario runs on every tier: `F` runs whole nodes, `C` the same protocol machines called directly, `V` numpy
alone. All fields have units; `scenario_file` reads them from TOML. Times of loads, faults and late joiners count from
the end of `warmup_us`, when the mesh stands, and the run goes on for `until_us` after it.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from latticework.wire import LocalError

from .amounts import Span

type Tier = Literal["F", "C", "V"]
type Crypto = Literal["real", "memo", "model"]

TIERS: Final[tuple[Tier, ...]] = ("F", "C", "V")
CRYPTO_MODES: Final[tuple[Crypto, ...]] = ("real", "memo", "model")
HONEST: Final = "honest"
PROTOCOLS: Final = ("gossip", "flood", "sync", "kademlia")
ON_TIER_C: Final = frozenset({"sync", "kademlia"})
"""Protocols that run by themselves on tier C only."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that are alike. `options` is what their role is told.

    `dial` is how many connections each opens, to nodes of `dial_to` (empty: of every group) drawn by chance, so that an
    honest node has about twice as many. `region` is one of the links' regions, or empty for one by population. `nat` is
    a NAT preset or mix. Bandwidths are bytes per second; None is unlimited. `cpu` multiplies what computing costs;
    0 makes it free. The wall clock is ahead by `skew_us` and gains `drift_ppm`.
    """

    name: str
    count: int
    role: str = HONEST
    dial: int = 8
    dial_to: tuple[str, ...] = ()
    region: str = ""
    nat: str = "open"
    up: int | None = None
    down: int | None = None
    cpu: float = 0.0
    skew_us: int = 0
    drift_ppm: float = 0.0
    joins_at_us: int = 0
    options: tuple[tuple[str, str | int | float], ...] = ()


@dataclass(frozen=True, slots=True)
class Links:
    """What every link is like; shares are between 0 and 1, per frame.

    `regions` is `"internet"` (the eight-region matrix), `"lan"`, or the path of a CSV file. With `uniform_us`, each
    directed pair has one latency drawn from that range and no region counts. `jitter` is the share by which a latency
    may grow, anew for each frame, `jitter_us` a fixed part. `burst_enter`, `burst_leave` and `burst_loss` are the
    Gilbert-Elliott chances. Lost and corrupt frames of a stream (tier F; `sync` and `kademlia` on C) arrive late, as
    after a retransmission, and are neither reordered nor doubled; datagrams and tier C's other messages are lost.
    """

    regions: str = "internet"
    uniform_us: tuple[int, int] | None = None
    jitter: float = 0.0
    jitter_us: int = 5_000
    loss: float = 0.0
    burst_enter: float = 0.0
    burst_leave: float = 1.0
    burst_loss: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    queue_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Mesh:
    """The gossipsub parameters that a scenario may set; names are those of the v1.1 specification."""

    d: int = 6
    d_lo: int = 5
    d_hi: int = 12
    d_lazy: int = 6
    d_out: int = 2
    d_score: int = 4
    gossip_factor: float = 0.25
    flood_publish: bool = True
    heartbeat_us: int = 1_000_000
    history_gossip: int = 3
    history_length: int = 5
    version: Literal["1.0", "1.1", "1.2"] = "1.1"


@dataclass(frozen=True, slots=True)
class Kademlia:
    """The parameters of protocol `kademlia` that a scenario may set; see `discovery.KadParams`."""

    k: int = 20
    alpha: int = 10
    paths: int = 1


@dataclass(frozen=True, slots=True)
class Publish:
    """Messages of `size_bytes`, `rate_per_s` of them from `from_us` to `until_us`, in turn from drawn members.

    `sources` bounds how many different nodes of group `source` publish; 0 is all of them.
    """

    source: str
    rate_per_s: float = 1.0
    size_bytes: int = 300
    from_us: int = 0
    until_us: int | None = None
    sources: int = 0


@dataclass(frozen=True, slots=True)
class ShareFile:
    """One node of `source` puts a file of `size_bytes` into the shared folder at `at_us`; everybody fetches it."""

    source: str
    size_bytes: int
    at_us: int = 0


@dataclass(frozen=True, slots=True)
class Lookup:
    """Lookups of random keys (tier C, `kademlia`), `rate_per_s` of them, in turn from drawn members as in `Publish`."""

    source: str
    rate_per_s: float = 1.0
    from_us: int = 0
    until_us: int | None = None
    sources: int = 0


type Load = Publish | ShareFile | Lookup


@dataclass(frozen=True, slots=True)
class Partition:
    """From `at_us` for `for_us`, nothing gets from `side` to the other nodes, nor back unless `one_way`.

    `side` names groups or regions; with `share`, that share of all nodes is drawn instead.
    """

    at_us: int
    for_us: int
    side: tuple[str, ...] = ()
    share: float = 0.0
    one_way: bool = False


@dataclass(frozen=True, slots=True)
class Churn:
    """Nodes of `group` stay for a `session` and come back after `rejoin`, from `at_us` to `until_us`."""

    group: str
    session: Span
    rejoin: Span
    at_us: int = 0
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Crash:
    """`share` of the nodes of `group` stop without a word at `at_us`; they come back after `for_us`, if that is given.

    With `lose_disk` they come back as new devices of the same person would: with their keys and nothing else.
    """

    group: str
    at_us: int
    for_us: int | None = None
    share: float = 1.0
    lose_disk: bool = False


@dataclass(frozen=True, slots=True)
class FullDisk:
    """`share` of the nodes of `group` can store nothing from `at_us` for `for_us`."""

    group: str
    at_us: int
    for_us: int
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class SlowCpu:
    """Computing costs `share` of the nodes of `group` `factor` times as much from `at_us` for `for_us`."""

    group: str
    at_us: int
    for_us: int
    factor: float = 10.0
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class FaultPoints:
    """From `at_us` for `for_us`, each of these points in the code (none named: all) fails with a `chance` (tier F).

    See `wire.fault_points`; there are `spread.lose`, `space.commit`, `peers.dial` and `link.serve`.
    """

    at_us: int
    for_us: int
    chance: float = 0.01
    points: tuple[str, ...] = ()


type Fault = Partition | Churn | Crash | FullDisk | SlowCpu | FaultPoints


@dataclass(frozen=True, slots=True)
class Coverage:
    """At least `least` of all (message, honest node that was up all along) pairs are delivered within `within_us`."""

    least: float = 1.0
    within_us: int | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """The `percentile` (0 to 100) of delivery latencies is at most `most_us`."""

    most_us: int
    percentile: float = 99.0


@dataclass(frozen=True, slots=True)
class Converged:
    """All honest nodes that are up hold the same state at the end (tier F)."""


@dataclass(frozen=True, slots=True)
class Detected:
    """Every equivocation is proven at every honest node that is up, `within_us` after it was first told (tier F)."""

    within_us: int


type Check = Coverage | Latency | Converged | Detected


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides a run, besides its seed. Build it here or read it with `scenario_file.read_scenario`.

    Raises:
        LocalError: it contradicts itself.
    """

    name: str
    groups: tuple[Group, ...]
    until_us: int
    title: str = ""
    seed: int = 1
    tier: Tier = "F"
    crypto: Crypto = "memo"
    protocol: str = "gossip"
    warmup_us: int = 10_000_000
    links: Links = field(default_factory=Links)
    mesh: Mesh = field(default_factory=Mesh)
    load: tuple[Load, ...] = ()
    faults: tuple[Fault, ...] = ()
    checks: tuple[Check, ...] = ()
    kademlia: Kademlia = field(default_factory=Kademlia)

    def __post_init__(self) -> None:
        if refusal := _refusal(self):
            raise LocalError(f"scenario {self.name!r}: {refusal}")

    @property
    def node_count(self) -> int:
        """Nodes of all groups; a node's number counts through the groups in order."""
        return sum(group.count for group in self.groups)

    def members(self, name: str) -> range:
        """The numbers of the nodes of a group."""
        first = 0
        for group in self.groups:
            if group.name == name:
                return range(first, first + group.count)
            first += group.count
        raise LocalError(f"scenario {self.name!r} has no group {name!r}")

    def group_of(self, node: int) -> Group:
        """The group of a node."""
        first = 0
        for group in self.groups:
            if node < first + group.count:
                return group
            first += group.count
        raise LocalError(f"scenario {self.name!r} has no node {node}")

    @property
    def honest(self) -> tuple[int, ...]:
        """The numbers of the nodes that follow the protocol."""
        return tuple(n for group in self.groups if group.role == HONEST for n in self.members(group.name))


def _refusal(scenario: Scenario) -> str:
    names = [group.name for group in scenario.groups]
    known = set(names)
    if not names or len(known) != len(names):
        return "it needs groups of nodes, each with its own name"
    if any(group.count < 1 or group.dial < 0 or group.cpu < 0 for group in scenario.groups):
        return "a group has at least one node, and neither connections nor costs below 0"
    if not any(group.role == HONEST for group in scenario.groups):
        return "nobody is honest"
    if scenario.protocol not in PROTOCOLS:
        return f"protocol is one of {', '.join(PROTOCOLS)}"
    if scenario.until_us <= 0 or scenario.warmup_us < 0:
        return "it ends before it begins"
    unknown = sorted(_groups_named(scenario) - known)
    if unknown:
        return f"there is no group {unknown[0]!r}; there is: {', '.join(names)}"
    return _refusal_of_shares(scenario)


def _groups_named(scenario: Scenario) -> set[str]:
    named = {load.source for load in scenario.load}
    named |= {fault.group for fault in scenario.faults if not isinstance(fault, Partition | FaultPoints)}
    return named | {name for group in scenario.groups for name in group.dial_to}


def _refusal_of_shares(scenario: Scenario) -> str:
    links = scenario.links
    shares = [links.loss, links.burst_enter, links.burst_leave, links.burst_loss]
    shares += [links.reorder, links.duplicate, links.corrupt]
    shares += [fault.share for fault in scenario.faults if not isinstance(fault, Churn | FaultPoints)]
    shares += [fault.chance for fault in scenario.faults if isinstance(fault, FaultPoints)]
    shares += [check.least for check in scenario.checks if isinstance(check, Coverage)]
    if not all(0 <= share <= 1 for share in shares):
        return "a share is between 0 and 1"
    if any(isinstance(load, Publish | Lookup) and load.rate_per_s <= 0 for load in scenario.load):
        return "a rate is above 0"
    mesh = scenario.mesh
    if not 0 <= mesh.d_out < mesh.d_lo <= mesh.d <= mesh.d_hi or mesh.history_gossip > mesh.history_length:
        return "the mesh needs d_out < d_lo <= d <= d_hi and history_gossip <= history_length"
    table = scenario.kademlia
    if min(table.k, table.alpha, table.paths) < 1 or table.paths > table.k:
        return "kademlia needs k, alpha and paths of at least 1, and no more paths than k"
    return ""
