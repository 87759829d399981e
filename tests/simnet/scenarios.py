"""Scenarios drawn at random, of every shape that a file can hold."""

from hypothesis import strategies as st

from latticework.simnet.amounts import Span
from latticework.simnet.scenario import (
    HONEST,
    Check,
    Churn,
    Converged,
    Coverage,
    Crash,
    Detected,
    Fault,
    FullDisk,
    Group,
    Latency,
    Links,
    Load,
    Lookup,
    Mesh,
    Partition,
    Publish,
    Scenario,
    ShareFile,
    SlowCpu,
)

TIMES = st.integers(0, 1 << 50)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
SHARES = st.floats(0, 1)
AMOUNTS = st.floats(0, 1e9)
RATES = st.floats(1e-6, 1e9)
BANDWIDTHS = st.none() | st.integers(1, 10**12)
SPANS = st.one_of(
    st.builds(Span, st.sampled_from(["fixed", "exp"]), TIMES),
    st.lists(TIMES, min_size=2, max_size=2).map(sorted).map(lambda pair: Span("uniform", *pair)),
    st.builds(Span, st.just("weibull"), TIMES, st.just(0), st.floats(1e-3, 1e3)),
)
RANGES = st.lists(TIMES, min_size=2, max_size=2).map(sorted).map(lambda pair: (pair[0], pair[1]))
CHECKS: st.SearchStrategy[Check] = st.one_of(
    st.builds(Coverage, SHARES, st.none() | TIMES),
    st.builds(Latency, TIMES, AMOUNTS),
    st.just(Converged()),
    st.builds(Detected, TIMES),
)
LINKS = st.builds(
    Links,
    regions=TEXTS,
    uniform_us=st.none() | RANGES,
    jitter=AMOUNTS,
    jitter_us=TIMES,
    loss=SHARES,
    burst_enter=SHARES,
    burst_leave=SHARES,
    burst_loss=SHARES,
    reorder=SHARES,
    duplicate=SHARES,
    corrupt=SHARES,
    queue_bytes=st.integers(0, 1 << 50),
)


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    d_out, *bounds = sorted(draw(st.lists(st.integers(0, 60), min_size=4, max_size=4)))
    known = sorted(draw(st.lists(st.integers(0, 30), min_size=2, max_size=2)))
    return Mesh(
        *(bounds[1] + 1, bounds[0] + 1, bounds[2] + 1),
        d_lazy=draw(st.integers(0, 30)),
        d_out=d_out,
        d_score=draw(st.integers(0, 30)),
        gossip_factor=draw(AMOUNTS),
        flood_publish=draw(st.booleans()),
        heartbeat_us=draw(TIMES),
        history_gossip=known[0],
        history_length=known[1],
        version=draw(st.sampled_from(["1.0", "1.1", "1.2"])),
    )


@st.composite
def groups(draw: st.DrawFn, name: str, names: list[str]) -> Group:
    role = HONEST if name == names[0] else draw(st.sampled_from([HONEST, "silent", "delayer"]))
    value = st.integers() | st.floats(allow_nan=False) | TEXTS
    options = {} if role == HONEST else draw(st.dictionaries(TEXTS.map(lambda text: f"x{text}"), value, max_size=3))
    return Group(
        name,
        draw(st.integers(1, 10**6)),
        role,
        draw(st.integers(0, 100)),
        tuple(draw(st.lists(st.sampled_from(names), max_size=2))),
        draw(TEXTS),
        draw(TEXTS),
        draw(BANDWIDTHS),
        draw(BANDWIDTHS),
        draw(AMOUNTS),
        draw(st.integers(-(1 << 50), 1 << 50)),
        draw(st.floats(-1e6, 1e6)) + 0.0,
        draw(TIMES),
        tuple(options.items()),
    )


def loads(names: list[str]) -> st.SearchStrategy[Load]:
    group, size = st.sampled_from(names), st.integers(0, 1 << 50)
    return st.one_of(
        st.builds(Publish, group, RATES, size, TIMES, st.none() | TIMES, st.integers(0, 100)),
        st.builds(ShareFile, group, size, TIMES),
        st.builds(Lookup, group, RATES, TIMES, st.none() | TIMES, st.integers(0, 100)),
    )


def faults(names: list[str]) -> st.SearchStrategy[Fault]:
    group = st.sampled_from(names)
    return st.one_of(
        st.builds(Partition, TIMES, TIMES, st.lists(TEXTS, max_size=3).map(tuple), SHARES, st.booleans()),
        st.builds(Churn, group, SPANS, SPANS, TIMES, st.none() | TIMES),
        st.builds(Crash, group, TIMES, st.none() | TIMES, SHARES, st.booleans()),
        st.builds(FullDisk, group, TIMES, TIMES, SHARES),
        st.builds(SlowCpu, group, TIMES, TIMES, AMOUNTS, SHARES),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    names = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    return Scenario(
        draw(TEXTS),
        tuple(draw(groups(name, names)) for name in names),
        draw(st.integers(1, 1 << 50)),
        draw(TEXTS),
        draw(st.integers(0, 1 << 60)),
        draw(st.sampled_from(["F", "C", "V"])),
        draw(st.sampled_from(["real", "memo", "model"])),
        draw(st.sampled_from(["gossip", "flood", "sync", "kademlia"])),
        draw(TIMES),
        draw(LINKS),
        draw(meshes()),
        tuple(draw(st.lists(loads(names), max_size=2))),
        tuple(draw(st.lists(faults(names), max_size=2))),
        tuple(draw(st.lists(CHECKS, max_size=2))),
    )
