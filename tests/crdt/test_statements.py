"""FraudProofs: what proves is taken by anybody, what does not is refused, to the bit (I6)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import Conviction, Entry, FraudKind, FraudProof, read_proof
from latticework.crdt.params import MAX_PROOF_BYTES
from latticework.crdt.statements import prove_contradiction, prove_fork, statement_verifies
from latticework.wire import LogId, MalformedError, SpaceId, encode

from .fraud import KEY, KINDS, OTHER, entry, proof, statement
from .world import SPACE

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.lower())
STATEMENTS = pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.name.lower())


@pytest.mark.unit
@EACH_KIND
def test_a_proof_convicts_the_log_from_the_lower_number_on(kind: FraudKind) -> None:
    data = encode(proof(kind))
    assert read_proof(SPACE, data) == Conviction(LogId(KEY.public), 3, kind, data)
    assert len(data) <= 484, "the report's figure for a fork"


@pytest.mark.unit
@EACH_KIND
def test_the_same_two_sayings_make_the_same_proof_in_either_order(kind: FraudKind) -> None:
    if kind is FraudKind.FORK:
        assert prove_fork(SPACE, entry(b"other"), entry(b"one")) == prove_fork(SPACE, entry(b"one"), entry(b"other"))
    else:
        one, other = statement(kind, b"one"), statement(kind, b"other")
        assert prove_contradiction(*one, *other) == prove_contradiction(*other, *one)


@pytest.mark.unit
@EACH_KIND
def test_a_proof_with_any_bit_flipped_is_refused(kind: FraudKind) -> None:
    data = encode(proof(kind))
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MalformedError):
            read_proof(SPACE, bytes(damaged))


@pytest.mark.unit
@EACH_KIND
def test_a_proof_cut_anywhere_or_with_anything_behind_it_is_refused(kind: FraudKind) -> None:
    data = encode(proof(kind))
    for length in range(len(data)):
        with pytest.raises(MalformedError):
            read_proof(SPACE, data[:length])
    for surplus in (b"\0", b"\xf6", data):
        with pytest.raises(MalformedError):
            read_proof(SPACE, data + surplus)


@pytest.mark.unit
@EACH_KIND
def test_a_proof_is_refused_in_another_space_and_when_it_is_too_large(kind: FraudKind) -> None:
    good = proof(kind)
    other = SpaceId(b"T" * 32)
    with pytest.raises(MalformedError):
        read_proof(other, encode(good))
    with pytest.raises(MalformedError):
        read_proof(other, encode(replace(good, space=other)))
    with pytest.raises(MalformedError):
        read_proof(SPACE, encode(replace(good, first=bytes(MAX_PROOF_BYTES))))


@pytest.mark.unit
@EACH_KIND
def test_halves_that_are_swapped_or_one_are_refused(kind: FraudKind) -> None:
    good = proof(kind)
    swapped = replace(
        good,
        first=good.second,
        first_signature=good.second_signature,
        second=good.first,
        second_signature=good.first_signature,
    )
    twice = replace(good, second=good.first, second_signature=good.first_signature)
    crossed = replace(good, first_signature=good.second_signature, second_signature=good.first_signature)
    for bad in (swapped, twice, crossed):
        with pytest.raises(MalformedError):
            read_proof(SPACE, encode(bad))


@pytest.mark.unit
@EACH_KIND
@pytest.mark.parametrize("claimed", [0, *KINDS, 5])
def test_a_proof_that_claims_another_kind_is_refused(kind: FraudKind, claimed: int) -> None:
    if claimed == kind:
        return
    with pytest.raises(MalformedError):
        read_proof(SPACE, encode(replace(proof(kind), kind=claimed)))


def paired(first: tuple[bytes, bytes], second: tuple[bytes, bytes], kind: FraudKind) -> list[bytes]:
    """Both orders of two halves, so that the order is never why a proof is refused."""
    return [encode(FraudProof(1, kind, SPACE, *one, *other)) for one, other in ((first, second), (second, first))]


@pytest.mark.unit
@pytest.mark.parametrize(
    "other",
    [entry(b"other", key=OTHER), entry(b"other", seq=4), entry(b"other", space=SpaceId(b"T" * 32))],
    ids=["author", "number", "space"],
)
def test_two_entries_in_different_places_prove_nothing(other: Entry) -> None:
    one, two = entry(b"one").envelope, other.envelope
    for data in paired((one.body, one.signature), (two.body, two.signature), FraudKind.FORK):
        with pytest.raises(MalformedError):
            read_proof(SPACE, data)


@pytest.mark.unit
@STATEMENTS
@pytest.mark.parametrize("difference", ["author", "slot", "space", "kind", "nothing but the number"])
def test_two_statements_about_different_things_prove_nothing(kind: FraudKind, difference: str) -> None:
    one = statement(kind, b"one")
    match difference:
        case "author":
            other = statement(kind, b"other", key=OTHER)
        case "slot":
            other = statement(kind, b"other", slot=b"s" * 8)
        case "space":
            other = statement(kind, b"other", space=SpaceId(b"T" * 32))
        case "kind":
            other = statement(KINDS[KINDS.index(kind) - 1], b"other", slot=one[0].slot)
        case _:
            other = statement(kind, b"one", seq=8)
    for data in paired((encode(one[0]), one[1]), (encode(other[0]), other[1]), kind):
        with pytest.raises(MalformedError):
            read_proof(SPACE, data)


@pytest.mark.unit
def test_an_entry_is_no_statement_and_a_statement_no_entry() -> None:
    fork, said = proof(FraudKind.FORK), proof(FraudKind.CHECKPOINT)
    for data in paired((fork.first, fork.first_signature), (said.first, said.first_signature), FraudKind.FORK):
        with pytest.raises(MalformedError):
            read_proof(SPACE, data)


@pytest.mark.unit
def test_the_lowest_number_counts_and_the_key_tells_places_apart() -> None:
    convictions = [read_proof(SPACE, encode(proof(FraudKind.EPOCH, *seqs))) for seqs in ((3, 5), (5, 3), (4, 9))]
    assert [c.seq for c in convictions] == [3, 3, 4]
    assert convictions[0].key == convictions[1].key != convictions[2].key
    assert read_proof(SPACE, encode(proof(FraudKind.FORK))).key == convictions[0].key


@pytest.mark.unit
def test_a_statement_verifies_under_its_own_log_alone() -> None:
    said, signature = statement(FraudKind.CHECKPOINT, b"x")
    assert statement_verifies(said, signature)
    assert not statement_verifies(replace(said, log=LogId(OTHER.public)), signature)
    assert not statement_verifies(replace(said, slot=b"x" * 8), signature)


@pytest.mark.property
@given(st.binary(max_size=600))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_proof(SPACE, data)


@pytest.mark.property
@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(0, 1 << 40))
def test_any_two_halves_from_good_proofs_convict_none_but_their_signer(a: FraudKind, b: FraudKind, seq: int) -> None:
    one, other = proof(a, seq + 1), proof(b, seq + 2)
    data = encode(replace(one, second=other.second, second_signature=other.second_signature))
    try:
        assert read_proof(SPACE, data).log == KEY.public
    except MalformedError:
        return
