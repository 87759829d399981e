"""Laws of a whole replica: order, batches and crashes do not matter, and a pruned history is the history (I1, I13)."""

from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt import Base, Directory, Entry, write_entry
from latticework.crdt.entry import STATE_LANES
from latticework.wire import EntryId

from .byzantine import settle
from .tree_world import text
from .world import SPACE, Account, Replica, visible

ACCOUNT: Final = Account("a", "b", "c")


@dataclass
class History:
    """What three devices did, and the checkpoints they took on the way."""

    replicas: list[Replica]
    bases: list[Base] = field(default_factory=list[Base])

    @property
    def entries(self) -> list[Entry]:
        return self.replicas[0].entries


PATHS: Final = st.sampled_from([b"a", b"b", b"a/a", b"a/b", b"b/a"])
STEP: Final = st.one_of(
    st.tuples(st.sampled_from(["say", "say", "checkpoint", "fork"]), st.integers(0, 2)),
    st.tuples(st.sampled_from(["write", "make", "move", "move", "remove"]), st.integers(0, 2), PATHS, PATHS),
    st.tuples(st.just("pull"), st.permutations([0, 1, 2])),
)


@st.composite
def histories(draw: st.DrawFn, *, forks: bool = True) -> History:
    roster = ACCOUNT.roster()
    history = History([Replica(one, roster) for one in ACCOUNT.devices])
    for number, step in enumerate(draw(st.lists(STEP, min_size=1, max_size=16))):
        match step:
            case ("say", int(at)):
                _ready(history.replicas[at]).say(b"%d" % number)
            case ("write", int(at), bytes(path), _):
                _ready(history.replicas[at]).change((path, text(b"%d" % number)))
            case ("make", int(at), bytes(path), _):
                _ready(history.replicas[at]).change((path, Directory()))
            case ("move", int(at), bytes(path), bytes(new)):
                _ready(history.replicas[at]).move((path, new))
            case ("remove", int(at), bytes(path), _):
                _ready(history.replicas[at]).change((path, None))
            case ("checkpoint", int(at)):
                history.bases.append(_ready(history.replicas[at]).checkpoint()[1])
            case ("pull", [source, target, _]):
                history.replicas[target].now_us = max(r.now_us for r in history.replicas)
                history.replicas[target].take(history.replicas[source].entries)
            case ("fork", int(at)) if forks:
                _fork(history.replicas[at], draw(st.integers(0, 8)))
            case _:
                pass
    settle(history.replicas)
    for replica in history.replicas:
        _ready(replica).say(b"end")
    settle(history.replicas)
    return history


def _ready(replica: Replica) -> Replica:
    if replica.writer.log in replica.space.logs.convictions:
        replica.open_new_log()
    return replica


def _fork(replica: Replica, seq: int) -> None:
    """A thief with the key of the replica's log says something else under one of its numbers."""
    own = [e for e in replica.entries if e.body.author == replica.device.log_id and e.body.seq > 0]
    if own:
        was = own[seq % len(own)].body
        thief = write_entry(
            SPACE,
            replica.device.log,
            seq=was.seq,
            prev=was.prev,
            deps=was.deps,
            hlc=was.hlc,
            lane=was.lane,
            payload=b"forged",
        )
        replica.take([thief])


def fresh(history: History) -> Replica:
    replica = Replica(ACCOUNT.devices[0], ACCOUNT.roster(), history.replicas[0].now_us)
    for proof in history.replicas[0].proofs:
        replica.take_proof(proof)
    return replica


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_any_order_any_batches_and_any_crashes_end_with_the_same_state(history: History, data: st.DataObject) -> None:
    replica = fresh(history)
    order = data.draw(st.permutations(history.entries))
    again = data.draw(st.lists(st.sampled_from(history.entries), max_size=4))
    queue = [*order, *again]
    while queue:
        size = data.draw(st.integers(1, len(queue)))
        replica.take(queue[:size])
        queue = queue[size:]
        if data.draw(st.booleans()):
            replica.restart()
            # What waited was in memory alone; peers send it again.
            queue += [e for e in order if e.id not in replica.positions.by_id and e not in queue]
    while len(replica.entries) < len(order):
        before = len(replica.entries)
        replica.take(order)
        assert len(replica.entries) > before, "nothing may be pending for ever"
    assert replica.space.projection.snapshot() == history.replicas[0].space.projection.snapshot()
    assert visible(replica) == visible(history.replicas[0])
    assert replica.space.frontier == history.replicas[0].space.frontier
    assert replica.space.entry_count == history.replicas[0].space.entry_count
    assert replica.space.attestations.last == history.replicas[0].space.attestations.last


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_a_checkpoint_and_what_is_not_below_it_are_the_whole_history(history: History, data: st.DataObject) -> None:
    """Payloads below the checkpoint are erased; what was written beside it comes late and counts all the same."""
    if not history.bases:
        return
    base = data.draw(st.sampled_from(history.bases))
    full = history.replicas[0]
    pruned = Replica(ACCOUNT.devices[0], full.roster, full.now_us, proofs=list(full.proofs), base=base)
    below = {e.id for e in full.entries if full.space.logs.is_below(base.checkpoint, e.id)}
    late = data.draw(st.sets(st.sampled_from([e for e in full.entries if e.id not in below] or full.entries)))
    held_back: set[EntryId] = {e.id for e in late} - below
    for entry in full.entries:
        if entry.id in held_back or {entry.body.prev, *entry.body.deps} & held_back:
            held_back.add(entry.id)
            continue
        erased = entry.id in below and entry.body.lane in STATE_LANES
        pruned.positions.remember(entry.without_payload() if erased else entry)
    pruned.restart()
    assert pruned.space.is_complete
    pruned.take([e for e in full.entries if e.id in held_back])
    assert visible(pruned) == visible(full)
    assert pruned.space.state_root() == full.space.state_root()
    assert pruned.space.entry_count == full.space.entry_count
    pruned.restart()
    assert pruned.space.state_root() == full.space.state_root()
    assert _ready(pruned).say(b"goes on")


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(histories(forks=False), st.data())
def test_holes_freeze_the_state_until_the_last_is_filled(history: History, data: st.DataObject) -> None:
    full = history.replicas[0]
    replica = fresh(history)
    stateful = [e for e in full.entries if e.body.lane in STATE_LANES]
    holes = data.draw(st.lists(st.sampled_from(stateful), min_size=1, unique_by=lambda e: e.id))
    replica.take([e.without_payload() if e in holes else e for e in full.entries])
    assert replica.space.frontier == full.space.frontier, "admission does not wait for payloads"
    for hole in holes:
        assert not replica.space.is_complete
        if data.draw(st.booleans()):
            replica.restart()
        before = visible(replica)
        assert before != visible(full)
        replica.take([hole])
    assert replica.space.is_complete
    assert replica.space.state_root() == full.space.state_root()
