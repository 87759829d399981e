import time
from itertools import product

import pytest

from latticework.simnet.nat import Dependence, IpProtocol, Ports
from latticework.simnet.validate.nat import (
    EXPECTED,
    FIELD_SUCCESS,
    FIELD_TOLERANCE,
    TYPES,
    field_success,
    punch_matrix,
)
from latticework.wire import LocalError

type Type = tuple[Dependence, Dependence]
EI, AD, APD = Dependence
NINE: list[Type] = [(mapping, filtering) for mapping, filtering in product(Dependence, repeat=2)]


def probe_is_let_in(sender: Type, receiver: Type) -> bool:
    """Whether the sender's probe passes the mapping that the receiver made towards the observer.

    RFC 4787 section 5: without a filter, always. Otherwise that mapping must have been used towards the sender, which
    it is only if the receiver maps independently (section 4.1; RFC 5128 section 3.3). It then knows the sender's
    address, and its port only if the sender's is the one that the observer saw.
    """
    mapping, filtering = receiver
    if filtering is EI:
        return True
    return mapping is EI and (filtering is AD or sender[0] is EI)


def answer_is_let_in(sender: Type, receiver: Type) -> bool:
    """Whether the receiver's answer gets back: the sender's hole is for the endpoint that it sent to.

    A receiver that maps independently answers from just there; another from a new port of the same address.
    """
    return receiver[0] is EI or sender[1] is not APD


def punchable(a: Type, b: Type) -> bool:
    """The closed rule: in one of the two directions a probe gets through and is answered."""
    return any(probe_is_let_in(x, y) and answer_is_let_in(x, y) for x, y in ((a, b), (b, a)))


def name(kind: Type) -> str:
    return f"{kind[0].name}/{kind[1].name}"


@pytest.mark.unit
def test_the_published_matrix_is_the_closed_rule() -> None:
    assert {(name(a), name(b)): punchable(a, b) for a, b in product(NINE, repeat=2)} == EXPECTED


@pytest.mark.unit
def test_the_published_matrix_has_81_entries_is_symmetric_and_decides_both_ways() -> None:
    assert list(EXPECTED) == list(product(TYPES, repeat=2))
    assert all(EXPECTED[a, b] == EXPECTED[b, a] for a, b in EXPECTED)
    assert sum(EXPECTED.values()) == 45


@pytest.mark.sim
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("ports", Ports)
def test_all_81_pairs_open_exactly_where_they_should_whatever_the_choice_of_ports(
    ports: Ports, protocol: IpProtocol
) -> None:
    assert punch_matrix(b"V14", ports, protocol) == EXPECTED


@pytest.mark.sim
def test_the_matrix_does_not_depend_on_the_seed() -> None:
    assert all(punch_matrix(bytes([seed])) == EXPECTED for seed in range(10))


@pytest.mark.sim
def test_the_field_mix_succeeds_as_often_as_the_field_for_each_of_many_seeds() -> None:
    shares = [field_success(2_500, bytes([seed])) for seed in range(4)]
    assert [share for share in shares if abs(share - FIELD_SUCCESS) > FIELD_TOLERANCE] == []
    # 10,000 pairs: three standard deviations are 1.4 points.
    assert sum(shares) / len(shares) == pytest.approx(FIELD_SUCCESS, abs=0.014)


@pytest.mark.sim
def test_the_share_tells_mixes_apart_and_one_seed_gives_one_figure() -> None:
    assert field_success(50, b"s", "open") == 1
    assert field_success(50, b"s", "symmetric") == 0
    assert field_success(50, b"s", "no-udp") == 0
    assert field_success(1_000, b"s", "mix:ipfs") > field_success(1_000, b"s") == field_success(1_000, b"s")
    with pytest.raises(LocalError):
        field_success(1, b"s", "mix:unheard-of")


@pytest.mark.sim
def test_five_thousand_pairs_take_less_than_two_seconds() -> None:
    before_s = time.process_time()
    field_success(5_000, b"speed")
    assert time.process_time() - before_s < 2
