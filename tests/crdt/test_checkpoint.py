"""Checkpoints: a device's word on everything it has seen; two words under one number convict."""

from dataclasses import replace
from typing import Final

import pytest

from latticework.crdt import (
    LANE_CHECKPOINT,
    Base,
    Checkpoint,
    CheckpointHead,
    Conviction,
    Entry,
    FraudKind,
    Refused,
    SignedCheckpoint,
    Stored,
    read_proof,
    stable_frontier,
    state_root,
    write_entry,
)
from latticework.crdt.checkpoint import check_root, checkpoint_refusal, sign_checkpoint, statement_of
from latticework.wire import EntryId, Label, LogId, MalformedError, SpaceId, decode, encode

from .world import SIGNATURES, SPACE, Account, Replica, exchange, visible

ACCOUNT: Final = Account("alpha", "beta")
ALPHA, BETA = ACCOUNT.devices
LOG: Final = ALPHA.log_id
HEADS: Final = tuple(CheckpointHead(LogId(bytes([n]) * 32), n, EntryId(bytes([n + 9]) * 32)) for n in (1, 2, 3))
SAID: Final = Checkpoint(1, 4, b"p" * 32, HEADS, b"r" * 32, 17)
SIGNED: Final = sign_checkpoint(SPACE, ALPHA.log, ALPHA.signer, 9, SAID)


def refusal(signed: SignedCheckpoint, *, seq: int = 9, log: LogId = LOG, space: SpaceId = SPACE) -> str | None:
    return checkpoint_refusal(SIGNATURES, ALPHA.signer.public, space, log, seq, signed)


@pytest.mark.unit
def test_what_log_and_device_signed_is_taken() -> None:
    assert refusal(SIGNED) is None
    assert decode(SignedCheckpoint, encode(SIGNED), 10_000) == SIGNED


@pytest.mark.unit
@pytest.mark.parametrize(
    "changed",
    [
        replace(SAID, number=5),
        replace(SAID, prev=None),
        replace(SAID, heads=HEADS[:2]),
        replace(SAID, state_root=bytes(32)),
        replace(SAID, entry_count=18),
    ],
    ids=["number", "prev", "heads", "root", "count"],
)
def test_a_checkpoint_that_says_anything_else_is_refused(changed: Checkpoint) -> None:
    reason = refusal(replace(SIGNED, checkpoint=changed))
    assert reason is not None
    assert "signature" in reason


@pytest.mark.unit
def test_a_checkpoint_in_another_place_or_signed_by_one_of_the_two_alone_is_refused() -> None:
    assert refusal(SIGNED, seq=10) is not None
    assert refusal(SIGNED, log=BETA.log_id) is not None
    assert refusal(SIGNED, space=SpaceId(b"T" * 32)) is not None
    thief = sign_checkpoint(SPACE, ALPHA.log, BETA.signer, 9, SAID)
    assert refusal(thief) == "the device's signature on its checkpoint does not verify"
    other_log = sign_checkpoint(SPACE, BETA.log, ALPHA.signer, 9, SAID)
    assert refusal(other_log) == "the log's signature on its checkpoint does not verify"
    statement = statement_of(SPACE, LOG, 9, SAID)
    relabelled = replace(SIGNED, device_signature=ALPHA.signer.sign(encode(statement), Label.LOG_OPEN))
    assert refusal(relabelled) is not None


@pytest.mark.unit
@pytest.mark.parametrize("heads", [HEADS[::-1], (HEADS[0], HEADS[0])], ids=["unsorted", "twice"])
def test_heads_that_are_not_sorted_and_distinct_are_refused(heads: tuple[CheckpointHead, ...]) -> None:
    signed = sign_checkpoint(SPACE, ALPHA.log, ALPHA.signer, 9, replace(SAID, heads=heads))
    assert refusal(signed) == "the heads of its checkpoint are not sorted and distinct"


@pytest.mark.unit
def test_a_checkpoint_covers_what_stands_at_or_below_its_heads() -> None:
    assert [SAID.covers(HEADS[1].log, seq) for seq in (0, 2, 3)] == [True, True, False]
    assert not SAID.covers(LOG, 0)


@pytest.mark.unit
def test_the_stable_frontier_is_what_everyone_has() -> None:
    a, b = HEADS[0].log, HEADS[1].log
    assert stable_frontier([]) == {}
    assert stable_frontier([{a: 5, b: 2}]) == {a: 5, b: 2}
    assert stable_frontier([{a: 5, b: 2}, {a: 3}]) == {a: 3}
    assert stable_frontier([{a: 5}, {b: 3}]) == {}


@pytest.mark.unit
def test_the_root_is_that_of_exactly_this_state() -> None:
    said = replace(SAID, state_root=state_root(b"state"))
    check_root(said, b"state")
    with pytest.raises(MalformedError):
        check_root(said, b"other")


def pair() -> tuple[Replica, Replica]:
    roster = ACCOUNT.roster()
    return Replica(ALPHA, roster), Replica(BETA, roster)


def checkpoint_of(replica: Replica, entry: Entry) -> Checkpoint:
    payload = replica.space.payload(entry)
    assert isinstance(payload, SignedCheckpoint)
    return payload.checkpoint


@pytest.mark.unit
def test_a_replica_says_what_it_has_and_counts_its_checkpoints() -> None:
    one, two = pair()
    one.say(b"a")
    exchange(one, two)
    two.say(b"b")
    exchange(two, one)
    entries, base = one.checkpoint()
    said = checkpoint_of(one, entries[-1])
    assert (said.number, said.prev, said.entry_count) == (0, None, 4)
    assert {head.log: head.seq for head in said.heads} == {ALPHA.log_id: 1, BETA.log_id: 1}
    assert said.state_root == state_root(base.snapshot) == one.space.state_root()
    assert one.space.heads_below(entries[-1].id) == {ALPHA.log_id: 1, BETA.log_id: 1}
    one.restart()
    later, _ = one.checkpoint()
    again = checkpoint_of(one, later[-1])
    assert (again.number, again.prev, again.entry_count) == (1, said.content, 5)


@pytest.mark.unit
def test_replicas_with_the_same_entries_have_the_same_root() -> None:
    one, two = pair()
    one.say(b"a")
    two.say(b"b")
    exchange(one, two)
    exchange(two, one)
    assert one.space.state_root() == two.space.state_root()
    said = checkpoint_of(one, one.checkpoint()[0][-1])
    assert said.state_root == two.space.state_root()


def contradicting(number: int) -> tuple[Replica, Entry, Entry]:
    """A log that says two things under one checkpoint number, without a fork."""
    one, _ = pair()
    first, _ = one.checkpoint()
    prev = first[-1]
    made = [prev]
    for seq in (2, 3):
        said = replace(SAID, number=number, heads=(), entry_count=seq)
        signed = sign_checkpoint(SPACE, ALPHA.log, ALPHA.signer, seq, said)
        prev = write_entry(
            SPACE,
            ALPHA.log,
            seq=seq,
            prev=prev.id,
            deps=(),
            hlc=prev.body.hlc + 1,
            lane=LANE_CHECKPOINT,
            payload=encode(signed),
        )
        made.append(prev)
    return one, made[1], made[2]


@pytest.mark.unit
@pytest.mark.parametrize(("number", "convicted_at"), [(0, 1), (5, 2)])
def test_checkpoints_that_contradict_each_other_convict_their_log(number: int, convicted_at: int) -> None:
    one, second, third = contradicting(number)
    _, two = pair()
    two.take(one.entries)
    events = two.take([second, third])
    (conviction,) = [event for event in events if isinstance(event, Conviction)]
    assert (conviction.log, conviction.seq, conviction.kind) == (LOG, convicted_at, FraudKind.CHECKPOINT)
    assert read_proof(SPACE, conviction.proof) == conviction
    assert two.space.frontier[LOG].seq == convicted_at - 1
    last = two.space.attestations.last.get(LOG)
    assert (None if last is None else last.seq) == (None if convicted_at == 1 else 1)
    two.restart()
    assert [c.key for c in two.space.logs.convictions] == [conviction.key]


@pytest.mark.unit
def test_a_store_that_lost_the_proof_finds_the_contradiction_again() -> None:
    one, second, third = contradicting(5)
    _, two = pair()
    two.take([*one.entries, second, third])
    two.proofs.clear()
    two.restart()
    assert len(two.proofs) == 1


@pytest.mark.unit
def test_a_checkpoint_of_another_device_is_refused_by_the_replica() -> None:
    one, two = pair()
    one.say(b"a")
    two.take(one.entries)
    head = one.entries[-1]
    said = sign_checkpoint(SPACE, ALPHA.log, BETA.signer, 2, SAID)
    entry = write_entry(
        SPACE,
        ALPHA.log,
        seq=2,
        prev=head.id,
        deps=(),
        hlc=head.body.hlc + 1,
        lane=LANE_CHECKPOINT,
        payload=encode(said),
    )
    assert isinstance(two.receive(entry)[0], Refused)


@pytest.mark.unit
def test_a_base_that_no_checkpoint_speaks_of_is_refused() -> None:
    one, _ = pair()
    one.say(b"a")
    entries, base = one.checkpoint()
    bad = [
        Base(entries[-1].id, base.snapshot[:-1] + b"x"),
        Base(one.entries[0].id, base.snapshot),
        Base(EntryId(bytes(32)), base.snapshot),
    ]
    for wrong in bad:
        one.base = wrong
        with pytest.raises(MalformedError):
            one.restart()


@pytest.mark.unit
def test_late_entries_below_a_checkpoint_in_time_are_admitted_all_the_same() -> None:
    """A checkpoint contradicts forks alone, or nobody could write offline."""
    one, two = pair()
    two.say(b"written long ago")
    one.now_us += 1 << 40
    one.say(b"a")
    entries, _ = one.checkpoint()
    events = one.take(two.entries)
    assert [type(event) for event in events[:2]] == [Stored, Stored]
    two.now_us = one.now_us
    two.take([*one.entries])
    assert visible(one) == visible(two)
    assert entries


@pytest.mark.unit
def test_what_a_checkpoint_reaches_ends_below_a_fork() -> None:
    """Payloads are pruned by number up to there, and the other branch has the same numbers."""
    one, two = pair()
    said = [*two.say(b"a"), *two.say(b"b"), *two.say(b"c")]
    one.take(two.entries)
    entries, _ = one.checkpoint()
    assert one.space.heads_below(entries[-1].id) == {BETA.log_id: 3, ALPHA.log_id: 0}
    was = said[2].body
    other = write_entry(SPACE, BETA.log, seq=2, prev=was.prev, deps=(), hlc=was.hlc, lane=was.lane, payload=b"other")
    one.receive(other)
    assert one.space.heads_below(entries[-1].id) == {BETA.log_id: 1, ALPHA.log_id: 0}
    assert one.space.heads_below(said[0].id) == {}
