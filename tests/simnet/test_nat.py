"""Boxes, their presets, and punching through them; any sequence of packets is checked against a plain table."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from latticework.simnet import KeyedRng
from latticework.simnet.nat import Dependence, Endpoint, IpProtocol, NatBox, NatType, Ports
from latticework.simnet.nat_mix import MIXES, PRESETS, NatMix, named_mix
from latticework.simnet.nat_punch import Chain, Transit, observed, punch
from latticework.wire import LocalError

EI, AD, APD = Dependence
S = 1_000_000
OUTSIDE = "203.0.113.1"
OBSERVER = Endpoint("192.0.2.1", 3_478)
X = Endpoint("192.168.1.2", 4_001)
Z = Endpoint("192.168.1.3", 4_001)
Y = Endpoint("198.51.100.1", 7)
Y_PORT = Endpoint("198.51.100.1", 8)
Y_HOST = Endpoint("198.51.100.2", 7)


def box(kind: NatType | None = None, seed: bytes = b"box", ip: str = OUTSIDE) -> NatBox:
    return NatBox(kind or NatType(), ip, KeyedRng(seed))


def port(endpoint: Endpoint | None) -> int:
    assert endpoint is not None
    return endpoint.port


def lone(name: str, ip: str = OUTSIDE) -> Chain:
    return Chain.behind(PRESETS[name], ip, KeyedRng(name.encode()))


@pytest.mark.unit
@pytest.mark.parametrize("ports", Ports)
@pytest.mark.parametrize(("mapping", "shared"), [(EI, 1), (AD, 2), (APD, 3)])
def test_a_mapping_depends_on_what_its_type_says(mapping: Dependence, ports: Ports, shared: int) -> None:
    nat = box(NatType(mapping, APD, ports))
    outside = [nat.outbound(0, X, remote, "udp") for remote in (Y, Y_PORT, Y_HOST)]
    assert len(set(outside)) == nat.mapping_count == shared
    assert [nat.outbound(1, X, remote, "udp") for remote in (Y, Y_PORT, Y_HOST)] == outside
    assert nat.session_count == 3


@pytest.mark.unit
@pytest.mark.parametrize(
    ("filtering", "expected"), [(EI, [X, X, X]), (AD, [X, X, None]), (APD, [X, None, None])], ids=str
)
def test_a_filter_lets_in_what_its_type_says(filtering: Dependence, expected: list[Endpoint | None]) -> None:
    nat = box(NatType(filtering=filtering))
    outside = port(nat.outbound(0, X, Y, "udp"))
    assert [nat.inbound(0, outside, remote, "udp") for remote in (Y, Y_PORT, Y_HOST)] == expected
    assert nat.inbound(0, outside + 1, Y, "udp") is None
    assert nat.inbound(0, outside, Y, "tcp") is None


@pytest.mark.unit
def test_a_hole_belongs_to_the_mapping_that_it_was_opened_through() -> None:
    nat = box(NatType(AD, AD))
    towards_y, towards_host = (port(nat.outbound(0, X, remote, "udp")) for remote in (Y, Y_HOST))
    assert nat.inbound(0, towards_y, Y, "udp") == X
    assert nat.inbound(0, towards_y, Y_HOST, "udp") is None
    assert nat.inbound(0, towards_host, Y_HOST, "udp") == X


@pytest.mark.unit
def test_an_inside_port_is_kept_if_it_can_be_and_each_protocol_has_its_own() -> None:
    nat = box()
    assert nat.outbound(0, X, Y, "udp") == Endpoint(OUTSIDE, X.port)
    assert nat.outbound(0, Z, Y, "udp") != Endpoint(OUTSIDE, X.port)
    assert nat.outbound(0, Z, Y, "tcp") == Endpoint(OUTSIDE, X.port)
    assert port(nat.outbound(0, Endpoint(X.ip, 53), Y, "udp")) >= 1_024


@pytest.mark.unit
def test_contiguous_ports_go_up_and_start_again_at_the_first_free_one() -> None:
    nat = box(NatType(ports=Ports.CONTIGUOUS, first_port=5_000, last_port=5_003, timeout_us=10))
    insides = [Endpoint(X.ip, number) for number in range(8)]
    assert [port(nat.outbound(0, inside, Y, "udp")) for inside in insides[:2]] == [5_000, 5_001]
    assert [port(nat.outbound(5, inside, Y, "udp")) for inside in insides[2:4]] == [5_002, 5_003]
    assert [port(nat.outbound(10, inside, Y, "udp")) for inside in insides[4:6]] == [5_000, 5_001]
    assert port(nat.outbound(30, insides[6], Y, "udp")) == 5_002, "not again what was free first"


@pytest.mark.unit
def test_random_ports_spread_over_the_range_and_the_seed_decides() -> None:
    def ports(seed: bytes) -> list[int]:
        nat = box(NatType(ports=Ports.RANDOM, first_port=1_024, last_port=2_047), seed)
        return [port(nat.outbound(0, Endpoint(X.ip, number), Y, "udp")) for number in range(256)]

    drawn = ports(b"1")
    assert drawn == ports(b"1") != ports(b"2")
    assert len(set(drawn)) == 256
    assert 1_024 <= min(drawn) < 1_100
    assert 1_970 < max(drawn) <= 2_047
    assert sum(after == before + 1 for before, after in pairwise(drawn)) < 8


@pytest.mark.unit
def test_udp_lives_for_120_s_after_the_last_packet_out_and_packets_in_do_not_count() -> None:
    nat = box(NatType(filtering=EI))
    outside = port(nat.outbound(0, X, Y, "udp"))
    nat.outbound(100 * S, X, Y, "udp")
    assert nat.inbound(220 * S - 1, outside, Y, "udp") == X
    assert nat.inbound(220 * S, outside, Y, "udp") is None
    assert nat.mapping_count == nat.session_count == 0


@pytest.mark.unit
def test_a_hole_closes_by_itself_while_its_mapping_lives_on() -> None:
    nat = box(NatType(EI, APD))
    outside = port(nat.outbound(0, X, Y, "udp"))
    assert port(nat.outbound(60 * S, X, Y_HOST, "udp")) == outside
    assert nat.inbound(120 * S, outside, Y, "udp") is None
    assert nat.inbound(120 * S, outside, Y_HOST, "udp") == X


@pytest.mark.unit
@pytest.mark.parametrize(("filtering", "shared"), [(EI, Y_HOST), (AD, Y_PORT)])
def test_a_hole_that_two_sessions_hold_open_closes_with_the_last(filtering: Dependence, shared: Endpoint) -> None:
    nat = box(NatType(EI, filtering))
    outside = port(nat.outbound(0, X, Y, "udp"))
    nat.outbound(60 * S, X, shared, "udp")
    assert nat.inbound(120 * S, outside, Y, "udp") == X
    assert nat.inbound(180 * S, outside, Y, "udp") is None
    assert nat.mapping_count == 0


@pytest.mark.unit
def test_tcp_lives_for_240_s_until_it_was_seen_in_both_directions_and_then_for_7440_s() -> None:
    nat = box()
    silent, talking = port(nat.outbound(0, X, Y, "tcp")), port(nat.outbound(0, Z, Y, "tcp"))
    assert nat.inbound(240 * S - 1, talking, Y, "tcp") == Z
    assert nat.inbound(240 * S, silent, Y, "tcp") is None
    assert nat.inbound(240 * S - 1 + 7_440 * S - 1, talking, Y, "tcp") == Z
    nat.outbound(12_000 * S, Z, Y, "tcp")
    assert nat.inbound(19_440 * S - 1, talking, Y, "tcp") == Z
    assert nat.inbound(26_880 * S - 1, talking, Y, "tcp") is None


@pytest.mark.unit
def test_a_stranger_cannot_keep_a_tcp_mapping_alive() -> None:
    nat = box(NatType(filtering=EI))
    outside = port(nat.outbound(0, X, Y, "tcp"))
    assert nat.inbound(239 * S, outside, Y_HOST, "tcp") == X
    assert nat.inbound(240 * S, outside, Y_HOST, "tcp") is None


@pytest.mark.unit
def test_a_hairpinned_packet_bears_the_outside_source_and_meets_the_filter() -> None:
    nat = box(NatType(EI, APD))
    x_outside, z_outside = (nat.outbound(0, inside, Y, "udp") for inside in (X, Z))
    assert x_outside is not None
    assert z_outside is not None
    assert nat.outbound(0, X, z_outside, "udp") == x_outside
    assert nat.inbound(0, z_outside.port, x_outside, "udp") is None
    assert nat.outbound(0, Z, x_outside, "udp") == z_outside
    assert nat.inbound(0, z_outside.port, x_outside, "udp") == Z


@pytest.mark.unit
def test_without_hairpinning_a_packet_to_the_box_itself_leaves_no_trace() -> None:
    nat = box(NatType(hairpin=False))
    assert nat.outbound(0, X, Endpoint(OUTSIDE, 9), "udp") is None
    assert (nat.session_count, nat.refused_count) == (0, 0)


@pytest.mark.unit
def test_a_firewall_without_udp_drops_it_both_ways_and_lets_tcp_pass() -> None:
    (kind,) = PRESETS["no-udp"]
    nat = box(kind)
    assert nat.outbound(0, X, Y, "udp") is None
    assert nat.inbound(0, X.port, Y, "udp") is None
    assert nat.inbound(0, port(nat.outbound(0, X, Y, "tcp")), Y, "tcp") == X


@pytest.mark.unit
@pytest.mark.parametrize("ports", Ports)
def test_when_ports_run_out_newcomers_are_refused_and_counted_and_nobody_loses_a_mapping(ports: Ports) -> None:
    nat = box(NatType(ports=ports, first_port=4_000, last_port=4_003))
    insides = [Endpoint(f"192.168.1.{number}", 4_001) for number in range(10)]
    outside = [port(nat.outbound(at_us, inside, Y, "udp")) for at_us, inside in enumerate(insides[:4])]
    assert sorted(outside) == [4_000, 4_001, 4_002, 4_003]
    assert [nat.outbound(10, inside, Y, "udp") for inside in insides[4:]] == [None] * 6
    assert nat.refused_count == 6
    assert [nat.inbound(10, number, Y, "udp") for number in outside] == insides[:4]
    assert [port(nat.outbound(20, inside, Y, "udp")) for inside in insides[:2]] == outside[:2]
    assert nat.outbound(120 * S + 2, insides[4], Y, "udp") == Endpoint(OUTSIDE, outside[2])
    assert nat.refused_count == 6


@pytest.mark.unit
def test_when_sessions_run_out_a_full_table_refuses_new_remotes_and_serves_old_ones() -> None:
    nat = box(NatType(max_sessions=100))
    remotes = [Endpoint("198.51.100.9", number) for number in range(1_000)]
    sent = [nat.outbound(number, X, remote, "udp") for number, remote in enumerate(remotes)]
    assert sent == [Endpoint(OUTSIDE, X.port)] * 100 + [None] * 900
    assert (nat.session_count, nat.mapping_count, nat.refused_count) == (100, 1, 900)
    assert all(nat.outbound(1_000, X, remote, "udp") for remote in remotes[:50])
    assert nat.outbound(120 * S + 50, Z, Y, "udp") is not None
    assert nat.session_count == 100
    assert nat.inbound(120 * S + 50, X.port, remotes[50], "udp") is None
    assert nat.inbound(120 * S + 50, X.port, remotes[49], "udp") == X


@pytest.mark.unit
def test_a_flood_of_new_insides_leaves_a_bounded_table_behind() -> None:
    nat = box(NatType(ports=Ports.RANDOM, max_sessions=64))
    for number in range(5_000):
        nat.outbound(number * S, Endpoint("192.168.1.9", number), Y, "udp")
    assert nat.session_count == nat.mapping_count == 64
    assert nat.outbound(10_000 * S, X, Y, "udp") is not None
    assert nat.mapping_count == 1


@pytest.mark.unit
def test_time_does_not_step_back() -> None:
    nat = box()
    nat.outbound(5, X, Y, "udp")
    with pytest.raises(LocalError):
        nat.outbound(4, X, Y, "udp")
    with pytest.raises(LocalError):
        nat.inbound(4, 1, Y, "udp")


IMPOSSIBLE: dict[str, Callable[[], object]] = {
    "no time": lambda: NatType(timeout_us=0),
    "no time for TCP to open": lambda: NatType(tcp_transitory_us=0),
    "no time for TCP": lambda: NatType(tcp_established_us=-1),
    "no port": lambda: NatType(first_port=2, last_port=1),
    "port 0": lambda: NatType(first_port=0),
    "port 65,536": lambda: NatType(last_port=1 << 16),
    "no session": lambda: NatType(max_sessions=0),
    "nothing to draw": lambda: NatMix(()),
    "no weight": lambda: NatMix((("open", 0),)),
    "negative weight": lambda: NatMix((("open", 2), ("cgnat", -1))),
    "unknown preset": lambda: NatMix((("a wall", 1),)),
    "unknown mix": lambda: named_mix("a wall"),
}


@pytest.mark.unit
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_impossible_types_and_mixes_are_refused(what: str) -> None:
    with pytest.raises(LocalError):
        IMPOSSIBLE[what]()


@pytest.mark.unit
def test_every_preset_and_every_mix_has_a_name_and_draws_follow_the_weights() -> None:
    assert list(PRESETS) == ["open", "full-cone", "restricted", "port-restricted", "symmetric", "cgnat", "no-udp"]
    rng = KeyedRng(b"draws")
    for name in PRESETS:
        assert named_mix(name).draw(rng) == name
    for name, mix in MIXES.items():
        assert named_mix(name) is mix
        drawn = [mix.draw(rng) for _ in range(4_000)]
        shares = {preset: weight / mix.total for preset, weight in mix.weights}
        assert {preset: drawn.count(preset) / 4_000 for preset in shares} == pytest.approx(shares, abs=0.03)


@pytest.mark.unit
def test_a_preset_without_weight_is_never_drawn_and_two_of_equal_weight_both_are() -> None:
    rng = KeyedRng(b"edges")
    mix = NatMix((("symmetric", 0), ("open", 1), ("cgnat", 1), ("no-udp", 0)))
    assert {mix.draw(rng) for _ in range(100)} == {"open", "cgnat"}


PUNCHABLE = """
                open  full-cone  restricted  port-restricted  symmetric  cgnat  no-udp
open             +        +          +              +             +        +      -
full-cone        +        +          +              +             +        +      -
restricted       +        +          +              +             +        +      -
port-restricted  +        +          +              +             -        +      -
symmetric        +        +          +              -             -        -      -
cgnat            +        +          +              +             -        +      -
no-udp           -        -          -              -             -        -      -
"""


@pytest.mark.unit
def test_presets_open_towards_each_other_as_the_folklore_says() -> None:
    heading, *rows = PUNCHABLE.strip().splitlines()
    for row in rows:
        name, *marks = row.split()
        for other, mark in zip(heading.split(), marks, strict=True):
            opens = punch(lone(name), lone(other, "198.51.100.7"), OBSERVER)
            assert (name, other, opens) == (name, other, mark == "+")


@pytest.mark.unit
def test_over_tcp_a_firewall_without_udp_is_a_port_restricted_box() -> None:
    assert punch(lone("no-udp"), lone("port-restricted", "198.51.100.7"), OBSERVER, protocol="tcp")
    assert not punch(lone("no-udp"), lone("symmetric", "198.51.100.7"), OBSERVER, protocol="tcp")


@pytest.mark.unit
def test_a_packet_passes_every_box_of_a_nest_in_both_directions() -> None:
    chain = lone("cgnat")
    home, carrier = chain.boxes
    packet = chain.send(0, Y, "udp")
    assert packet is not None
    assert (packet.source.ip, packet.target, packet.turned) == (OUTSIDE, Y, None)
    assert home.mapping_count == carrier.mapping_count == 1
    assert chain.receive(0, Transit(Y, packet.source), "udp")
    assert not chain.receive(0, Transit(Y_PORT, packet.source), "udp"), "the home filters what the carrier lets in"
    assert not chain.receive(0, Transit(Y, Endpoint("192.0.2.77", packet.source.port)), "udp")
    assert observed([chain, lone("no-udp")], OBSERVER, 0, 5, "udp") == [packet.source, None]


@pytest.mark.unit
@pytest.mark.parametrize("hairpin", [True, False])
def test_two_homes_behind_one_carrier_meet_at_its_hairpin(hairpin: bool) -> None:  # noqa: FBT001  # a parameter
    carrier = box(NatType(EI, EI, Ports.RANDOM, hairpin))
    a, b = (Chain(X, (box(ip=ip), carrier)) for ip in ("100.64.0.2", "100.64.0.3"))
    assert punch(a, b, OBSERVER) is hairpin


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kind", "opens"),
    [
        (NatType(EI, APD), True),
        (NatType(EI, APD, hairpin=False), False),
        (NatType(APD, APD), False),
    ],
    ids=str,
)
def test_two_hosts_behind_one_box_meet_at_its_hairpin(kind: NatType, opens: bool) -> None:  # noqa: FBT001  # a parameter
    home = box(kind)
    assert punch(Chain(X, (home,)), Chain(Z, (home,)), OBSERVER) is opens


@pytest.mark.unit
def test_a_hairpinned_packet_does_not_reach_a_host_elsewhere() -> None:
    a, b = lone("full-cone"), lone("full-cone")
    packet = a.send(0, Endpoint(OUTSIDE, X.port), "udp")
    assert packet is not None
    assert packet.turned is a.boxes[0]
    assert a.receive(0, packet, "udp")
    assert not b.receive(0, packet, "udp")


@pytest.mark.unit
def test_a_packet_for_one_host_does_not_reach_another_behind_the_same_box() -> None:
    home = box()
    a, b = Chain(X, (home,)), Chain(Z, (home,))
    packet = a.send(0, Y, "udp")
    assert packet is not None
    answer = Transit(Y, packet.source)
    assert (a.receive(0, answer, "udp"), b.receive(0, answer, "udp")) == (True, False)


@pytest.mark.unit
def test_what_an_inner_box_hairpins_does_not_pass_the_outer_one() -> None:
    chain = lone("cgnat")
    home, carrier = chain.boxes
    own = chain.send(0, Endpoint(home.outside_ip, X.port), "udp")
    assert own is not None
    assert (own.turned, carrier.session_count) == (home, 0)
    assert chain.receive(0, own, "udp")


@pytest.mark.unit
def test_where_one_probe_must_come_second_a_retry_opens_what_the_first_attempt_did_not() -> None:
    def opens(skew_us: int, attempts: int) -> bool:
        late = lone("restricted", "198.51.100.7")
        return punch(lone("symmetric"), late, OBSERVER, attempts=attempts, skew_us=skew_us)

    assert opens(0, 1)
    assert not opens(60_000, 1)
    assert opens(60_000, 2)
    assert opens(-60_000, 1)
    assert not opens(0, 0)


@pytest.mark.unit
def test_a_box_that_forgets_within_a_round_trip_cannot_be_punched() -> None:
    def opens(timeout_us: int) -> bool:
        kind = NatType(timeout_us=timeout_us)
        a, b = (Chain.behind([kind], ip, KeyedRng(b"")) for ip in (OUTSIDE, "198.51.100.7"))
        return punch(a, b, OBSERVER)

    assert not opens(99_999)
    assert opens(150_000)


@pytest.mark.unit
def test_a_second_punch_through_the_same_boxes_goes_on_where_the_first_ended() -> None:
    a, b, c = lone("cgnat"), lone("port-restricted", "198.51.100.7"), lone("restricted", "198.51.100.8")
    assert punch(a, b, OBSERVER)
    assert punch(a, c, OBSERVER, start_us=10 * S)
    with pytest.raises(LocalError):
        punch(b, c, OBSERVER)


INSIDES = [Endpoint(f"192.168.1.{host}", number) for host in (2, 3) for number in (4_001, 4_002)]
REMOTES = [Endpoint(f"198.51.100.{host}", number) for host in (1, 2) for number in (7, 8)]
protocols = st.sampled_from(["udp", "tcp"])
kinds = st.builds(
    NatType,
    mapping=st.sampled_from(Dependence),
    filtering=st.sampled_from(Dependence),
    ports=st.sampled_from(Ports),
    timeout_us=st.integers(1, 12),
    tcp_transitory_us=st.integers(1, 12),
    tcp_established_us=st.integers(1, 30),
    first_port=st.just(4_001),
    last_port=st.integers(4_001, 4_012),
    max_sessions=st.integers(1, 12),
)


@dataclass
class Row:
    """One session, as a plain table remembers it."""

    protocol: IpProtocol
    inside: Endpoint
    remote: Endpoint
    port: int
    expires_us: int
    both_ways: bool = False


class BoxAgainstTable(RuleBasedStateMachine):
    """A box does what a list of everything that was sent says, read from the start each time."""

    @initialize(kind=kinds)
    def start(self, kind: NatType) -> None:
        self.kind = kind
        self.box = box(kind)
        self.rows: list[Row] = []
        self.now_us = 0
        self.refused = 0

    def alive(self, protocol: IpProtocol) -> list[Row]:
        return [row for row in self.rows if row.protocol == protocol and row.expires_us > self.now_us]

    def lifetime_us(self, row: Row) -> int:
        if row.protocol == "udp":
            return self.kind.timeout_us
        return self.kind.tcp_established_us if row.both_ways else self.kind.tcp_transitory_us

    @rule(by_us=st.integers(0, 9))
    def wait(self, by_us: int) -> None:
        self.now_us += by_us

    @rule(inside=st.sampled_from(INSIDES), remote=st.sampled_from(REMOTES), protocol=protocols)
    def send(self, inside: Endpoint, remote: Endpoint, protocol: IpProtocol) -> None:
        outside = self.box.outbound(self.now_us, inside, remote, protocol)
        alive, scope = self.alive(protocol), self.kind.mapping.scope
        same = [row for row in alive if row.inside == inside and scope(row.remote) == scope(remote)]
        known = [row for row in same if row.remote == remote]
        full = len(self.alive("udp")) + len(self.alive("tcp")) >= self.kind.max_sessions
        lent = {row.port for row in alive}
        range_is_used_up = len(lent) > self.kind.last_port - self.kind.first_port
        if not known and (full or (not same and range_is_used_up)):
            self.refused += 1
            assert outside is None
            return
        assert outside is not None
        assert outside.ip == OUTSIDE
        if same:
            assert {row.port for row in same} == {outside.port}, "a mapping is stable while it lives"
        else:
            assert outside.port not in lent, "two mappings share a port"
            assert self.kind.first_port <= outside.port <= self.kind.last_port
            wanted = inside.port
            if self.kind.ports is Ports.PRESERVE and wanted not in lent and wanted <= self.kind.last_port:
                assert outside.port == wanted
        row = known[0] if known else Row(protocol, inside, remote, outside.port, 0)
        row.expires_us = self.now_us + self.lifetime_us(row)
        if not known:
            self.rows.append(row)

    @rule(pick=st.integers(0, 11), remote=st.sampled_from(REMOTES), protocol=protocols)
    def arrive(self, pick: int, remote: Endpoint, protocol: IpProtocol) -> None:
        used = [row.port for row in self.rows[-12:]]
        number = used[pick] if pick < len(used) else self.kind.first_port + pick
        inside = self.box.inbound(self.now_us, number, remote, protocol)
        scope = self.kind.filtering.scope
        there = [row for row in self.alive(protocol) if row.port == number]
        opened = {row.inside for row in there if scope(row.remote) == scope(remote)}
        assert len(opened) <= 1
        assert inside == (opened.pop() if opened else None)
        for row in there:
            if protocol == "tcp" and row.remote == remote:
                row.both_ways = True
                row.expires_us = self.now_us + self.lifetime_us(row)

    @invariant()
    def nothing_is_kept_beyond_the_table(self) -> None:
        if hasattr(self, "box"):
            assert self.box.session_count <= self.kind.max_sessions
            assert self.box.mapping_count <= self.box.session_count
            assert self.box.refused_count == self.refused


BoxAgainstTable.TestCase.settings = settings(stateful_step_count=60, deadline=None)


@pytest.mark.property
class TestBoxAgainstTable(BoxAgainstTable.TestCase):
    pass


@pytest.mark.property
@given(kinds, st.lists(st.sampled_from(REMOTES)), st.sampled_from(REMOTES), st.integers(4_001, 4_012))
def test_nobody_gets_in_through_a_box_that_only_others_were_told_of(
    kind: NatType, told: list[Endpoint], stranger: Endpoint, number: int
) -> None:
    nat = box(kind)
    scope = kind.filtering.scope
    for remote in told:
        if scope(remote) != scope(stranger):
            nat.outbound(0, X, remote, "udp")
    assert nat.inbound(0, number, stranger, "udp") is None


@pytest.mark.property
@given(st.sampled_from(list(PRESETS)), st.sampled_from(list(PRESETS)), st.binary(max_size=4), st.integers(0, 90_000))
def test_a_punch_does_not_depend_on_who_is_called_a_nor_on_ports_nor_on_a_small_skew(
    one: str, other: str, seed: bytes, skew_us: int
) -> None:
    def opens(first: str, second: str) -> bool:
        rng = KeyedRng(seed)
        a, b = Chain.behind(PRESETS[first], OUTSIDE, rng), Chain.behind(PRESETS[second], "198.51.100.7", rng)
        return punch(a, b, OBSERVER, skew_us=skew_us)

    assert opens(one, other) == opens(other, one) == punch(lone(one), lone(other, "198.51.100.7"), OBSERVER)
