"""Equivocators: whatever they do, honest replicas converge, and what was settled keeps its effect (I6, I7)."""

from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from latticework.crdt import (
    LANE_FILES,
    Conviction,
    Directory,
    Entry,
    Make,
    Move,
    Operation,
    Ref,
    Refused,
    Remove,
    Write,
    certificate_hash,
)
from latticework.crdt.params import PENDING_ENTRIES_PER_SENDER
from latticework.crdt.statements import prove_fork
from latticework.wire import EntryId, LogId, encode
from latticework.wire.signing import Ed25519Signer

from .byzantine import Forger, pull, settle
from .tree_world import text
from .world import NOW_US, SPACE, Account, Replica, device, effective, tree, visible

INDEX: Final = st.integers(0, 1 << 16)
INDICES: Final = st.lists(INDEX, max_size=3)
PATHS: Final = st.sampled_from([b"a", b"b", b"a/a", b"a/b", b"b/a", b"a/a/a"])
NAMES: Final = (b"a", b"b")


class Equivocation(RuleBasedStateMachine):
    """Honest replicas that write, checkpoint, gossip and crash, among one or two logs that fork as they like."""

    @initialize(
        devices=st.integers(2, 5),
        forgers=st.integers(1, 2),
        key=st.sampled_from(["own", "stolen", "shared"]),
        together=st.booleans(),
    )
    def start(self, devices: int, forgers: int, *, key: str, together: bool) -> None:
        self.account = Account(*(f"d{number}" for number in range(devices)))
        roster = self.account.roster()
        honest = self.account.devices[: max(1, devices - forgers)]
        self.forgers = [Forger(bad, roster) for bad in self.account.devices[len(honest) :]]
        self.replicas = [Replica(good, roster) for good in honest]
        if len(self.replicas) == 1:
            self.replicas.append(Replica(honest[0], roster, log=Ed25519Signer(b"second".ljust(32))))
        if key == "stolen":
            self.forgers[-1] = Forger(honest[0], roster, honest[0].log)
        elif key == "shared":
            self.forgers[-1] = Forger(self.forgers[-1].device, roster, self.forgers[0].key)
        self.said = 0
        self.settled: set[EntryId] = set()
        self.firm = together and len(self.forgers) == 1 and len(honest) > 1
        if together:
            for replica in self.replicas:
                replica.say(self.words())
            settle(self.replicas)
        for forger in self.forgers:
            if forger.key is not honest[0].log:
                forger.open()

    def replica(self, index: int) -> Replica:
        return self.replicas[index % len(self.replicas)]

    def forger(self, index: int) -> Forger:
        return self.forgers[index % len(self.forgers)]

    def words(self) -> bytes:
        self.said += 1
        return b"%d" % self.said

    def known(self) -> list[Entry]:
        entries = {e.id: e for replica in self.replicas for e in replica.entries}
        entries |= {e.id: e for forger in self.forgers for e in forger.made}
        return sorted(entries.values(), key=lambda e: (e.body.hlc, e.id))

    def ready(self, replica: Replica) -> None:
        if replica.writer.log in replica.space.logs.convictions:
            replica.open_new_log()

    @rule(at=INDEX)
    def write(self, at: int) -> None:
        replica = self.replica(at)
        self.ready(replica)
        replica.say(self.words())
        self.notice()

    @rule(at=INDEX, path=PATHS, new=PATHS, kind=st.sampled_from(["write", "write", "directory", "move", "remove"]))
    def change(self, at: int, path: bytes, new: bytes, kind: str) -> None:
        """What people do in a folder."""
        replica = self.replica(at)
        self.ready(replica)
        match kind:
            case "move":
                replica.move((path, new))
            case "remove":
                replica.change((path, None))
            case _:
                replica.change((path, text(self.words()) if kind == "write" else Directory()))
        self.notice()

    @rule(at=INDEX)
    def checkpoint(self, at: int) -> None:
        replica = self.replica(at)
        self.ready(replica)
        replica.checkpoint()
        self.notice()

    @rule(
        who=INDEX,
        prev=INDEX,
        deps=INDICES,
        kind=st.sampled_from(["say", "tree", "tree", "merge", "attest"]),
        number=st.integers(0, 1),
    )
    def forge(self, who: int, prev: int, deps: list[int], kind: str, number: int) -> None:
        forger = self.forger(who)
        known = self.known()
        forger.learn(known)
        names = [known[dep % len(known)] for dep in deps] if known else []
        if prev % 16 == 15 or not forger.made:
            forger.open(names)
        elif kind == "attest":
            forger.attest(forger.made[prev % len(forger.made)], names, number, names)
        elif kind == "tree":
            forger.operate(forger.made[prev % len(forger.made)], self.operations(deps, known), names)
        elif kind == "merge":
            forger.merge(forger.made[prev % len(forger.made)], names)
        else:
            forger.say(forger.made[prev % len(forger.made)], self.words(), names)

    def operations(self, picks: list[int], known: list[Entry]) -> list[Operation]:
        """Operations of the tree on whatever nodes there are, known to their author or not."""
        made = [Ref(e.id, 0) for e in known if e.body.lane == LANE_FILES]
        found: list[Operation] = [Make(None, NAMES[len(made) % 2], text(self.words()))]
        for pick in picks if made else ():
            node, other = made[pick % len(made)], made[pick // 16 % len(made)]
            place, name = (None, node, other, Ref(None, 0))[pick % 4], NAMES[pick % 2]
            found.append(
                (
                    Make(place, name, Directory()),
                    Make(place, name, text(self.words())),
                    Move(node, place, name, (other,)),
                    Move(node, place, name, ()),
                    Write(node, text(self.words()), (other, node)),
                    Write(node, text(self.words()), ()),
                    Remove(node, (node,)),
                    Remove(node, (other, node)),
                )[pick // 4 % 8]
            )
        return found

    @rule(who=INDEX, top=INDEX, to=INDEX, whole=st.booleans())
    def slip(self, who: int, top: int, to: int, *, whole: bool) -> None:
        """A forged entry goes to one replica, alone or with the branch below it."""
        forger = self.forger(who)
        if forger.made:
            entry = forger.made[top % len(forger.made)]
            self.replica(to).take(forger.branch(entry) if whole else [entry], b"forger")
            self.notice()

    @rule(source=INDEX, to=INDEX, picks=st.lists(INDEX, max_size=8))
    def gossip(self, source: int, to: int, picks: list[int]) -> None:
        """Any entries in any order, some of them twice."""
        entries = self.replica(source).entries
        if entries:
            self.replica(to).take([entries[pick % len(entries)] for pick in picks], b"gossip")
            self.notice()

    @rule(source=INDEX, to=INDEX)
    def sync(self, source: int, to: int) -> None:
        if self.replica(source) is not self.replica(to):
            pull(self.replica(to), self.replica(source))
            self.notice()

    @rule(who=INDEX, which=INDEX, to=INDEX)
    def prove(self, who: int, which: int, to: int) -> None:
        proofs = self.forger(who).proofs()
        if proofs:
            self.replica(to).take_proof(proofs[which % len(proofs)])
            self.notice()

    @rule(at=INDEX)
    def restart(self, at: int) -> None:
        replica = self.replica(at)
        before = (dict(replica.space.frontier), visible(replica), replica.space.state_root())
        replica.restart()
        assert (replica.space.frontier, visible(replica), replica.space.state_root()) == before

    def notice(self) -> None:
        """What counts as settled somewhere.

        It stays so if every device had opened its log before, says one thing, and is not convicted itself.
        """
        for replica in self.replicas if self.firm else ():
            for log, judged in replica.space.attestations.judgements.items():
                self.settled |= replica.space.logs.contested[log].keys() - judged.void

    def teardown(self) -> None:
        if not hasattr(self, "replicas"):
            return
        settle(self.replicas)
        for replica in self.replicas:
            assert visible(replica) == visible(self.replicas[0])
        for replica in self.replicas:
            self.ready(replica)
            replica.say(self.words())
        settle(self.replicas)
        first = self.replicas[0]
        forged = {forger.log for forger in self.forgers}
        for replica in self.replicas:
            assert replica.space.frontier == first.space.frontier
            assert [c.key for c in replica.space.logs.convictions] == [c.key for c in first.space.logs.convictions]
            assert visible(replica) == visible(first)
            assert {c.log for c in replica.space.logs.convictions} <= forged, "an honest log is convicted"
            assert replica.space.state_root() == first.space.state_root()
            assert not (replica.space.colluders() & {r.device.id for r in self.replicas})
            self.holds_proofs(replica)
            assert not any(replica.space.is_void(entry) for entry in self.settled), "settled history changed"
            before = visible(replica), replica.space.state_root()
            replica.restart()
            assert (visible(replica), replica.space.state_root()) == before

    def holds_proofs(self, replica: Replica) -> None:
        seen: dict[tuple[LogId, int], EntryId] = {}
        for entry in replica.entries:
            if seen.setdefault(place_of(entry), entry.id) != entry.id:
                assert replica.space.logs.convictions.contests(*place_of(entry)), "both branches and no proof"


def place_of(entry: Entry) -> tuple[LogId, int]:
    return entry.body.author, entry.body.seq


TestEquivocation = Equivocation.TestCase
TestEquivocation.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestEquivocation = pytest.mark.property(TestEquivocation)


def together(size: int) -> list[Replica]:
    """Replicas of all devices of an account, each with an open log."""
    account = Account(*(f"d{number}" for number in range(size)))
    roster = account.roster()
    replicas = [Replica(one, roster) for one in account.devices]
    for number, replica in enumerate(replicas):
        replica.say(b"hello %d" % number)
    settle(replicas)
    return replicas


def thief_of(replica: Replica) -> Forger:
    forger = Forger(replica.device, replica.roster, replica.device.log)
    forger.learn(replica.entries)
    return forger


@pytest.mark.property
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_fork_at_the_first_entry_years_later_takes_nothing_back_that_was_settled(size: int) -> None:
    replicas = together(size)
    victim = replicas[0]
    for number in range(80):
        victim.say(b"%d" % number)
    settle(replicas)
    # The majority that counts: all but the author, and one alone for itself.
    for replica in replicas[1 : 1 + (size - 1) // 2 + 1] if size > 1 else replicas:
        replica.checkpoint()
    settle(replicas)
    settled = [e for e in victim.entries if e.body.author == victim.device.log_id and e.body.lane == 3]
    unsettled = victim.say(b"not seen by anybody else") if size > 1 else victim.say(b"after the checkpoint")
    thief = thief_of(victim)
    forged = thief.say(thief.open(), b"forged")
    for replica in replicas:
        replica.take(thief.branch(forged), b"thief")
        replica.take_proof(thief.proofs()[0])
    for again in (False, True):
        for replica in replicas:
            if again:
                replica.restart()
            assert [c.seq for c in replica.space.logs.convictions] == [0]
            assert all(effective(replica, entry) for entry in settled)
            assert not effective(replica, forged)
            assert not effective(replica, unsettled[-1])
            assert replica.space.is_void(unsettled[-1].id) == (replica is victim)
    victim.open_new_log()
    victim.say(b"I am back")
    settle(replicas)
    assert all(visible(replica) == visible(victim) for replica in replicas)
    assert all(effective(victim, entry) for entry in settled)


@pytest.mark.unit
@pytest.mark.parametrize("size", [4, 6])
def test_colluders_below_a_majority_settle_nothing_and_unsettle_nothing(size: int) -> None:
    replicas = together(size)
    victim, electors = replicas[0], replicas[1:]
    victim.say(b"true")
    settle(replicas)
    majority = len(electors) // 2 + 1
    for replica in electors[:majority]:
        replica.checkpoint()
    settle(replicas)
    thief = thief_of(victim)
    forged = thief.say(thief.open(), b"forged")
    for replica in electors[majority:]:
        colluder = Forger(replica.device, replica.roster, replica.device.log)
        colluder.learn(replica.entries)
        head = replica.space.frontier[replica.device.log_id].id
        word = colluder.attest(replica.positions.by_id[head], [forged], 0, [forged])
        victim.take([*thief.branch(forged), word], b"colluder")
        assert word.id in victim.positions.by_id
    settle([victim, *electors[:majority]])
    for replica in (victim, *electors[:majority]):
        assert not effective(replica, forged)
        assert {c.log for c in replica.space.logs.convictions} == {victim.device.log_id}
        assert visible(replica) == visible(victim)
        assert any(e.body.author == victim.device.log_id and effective(replica, e) for e in replica.entries)


@pytest.mark.unit
def test_a_device_that_joins_after_a_conviction_takes_nothing_back() -> None:
    replicas = together(2)
    victim, other = replicas
    said = victim.say(b"settled by the other")
    settle(replicas)
    other.checkpoint()
    settle(replicas)
    thief = thief_of(victim)
    other.take([thief.open()])
    settle(replicas)
    victim.open_new_log()
    victim.say(b"back")
    settle(replicas)
    assert effective(other, said[-1])
    for number in range(3):
        late = device(f"late {number}", 60 + number)
        account = Account("d0", "d1")
        record = account.introduce(account.devices[0], late, certificate_hash(account.records[0]))
        for replica in replicas:
            assert replica.roster.add(record) is None
        joined = Replica(late, replicas[0].roster, replicas[0].now_us)
        replicas.append(joined)
        settle(replicas)
        joined.say(b"joined")
        settle(replicas)
        joined.checkpoint()
        settle(replicas)
        for replica in replicas:
            assert effective(replica, said[-1])
            assert visible(replica) == visible(victim)


@pytest.mark.unit
def test_a_device_that_builds_on_both_branches_is_shown_and_never_blocked() -> None:
    replicas = together(3)
    victim, honest, partner = replicas
    thief = thief_of(victim)
    top = thief.made[-1]
    left, right = thief.say(top, b"left"), thief.say(top, b"right")
    colluder = Forger(partner.device, partner.roster, partner.device.log)
    colluder.learn(partner.entries)
    head = partner.positions.by_id[partner.space.frontier[partner.device.log_id].id]
    one = colluder.say(head, b"one", [left])
    both = colluder.say(one, b"both", [right])
    honest.take([left, right, one, both])
    assert honest.space.colluders() == {partner.device.id}
    assert effective(honest, one)
    assert effective(honest, both)
    assert {c.log for c in honest.space.logs.convictions} == {victim.device.log_id}


@pytest.mark.unit
def test_what_an_equivocator_floods_is_bounded_in_memory_and_never_stored() -> None:
    replicas = together(2)
    victim, honest = replicas
    thief = thief_of(victim)
    honest.take(thief.branch(thief.say(thief.open(), b"forged")), b"thief")
    stored = len(honest.entries)
    tip = thief.made[-1]
    flood: list[Entry] = []
    for number in range(PENDING_ENTRIES_PER_SENDER + 100):
        tip = thief.say(tip, b"%d" % number)
        flood.append(tip)
    bait = Forger(device("stranger", 70), victim.roster, Ed25519Signer(b"bait".ljust(32)))
    flood.append(bait.merge(bait.say(flood[0], b""), [flood[-1]]))
    for part in (flood, flood[::-1]):
        events = honest.take(part, b"thief")
        assert all(isinstance(event, Refused) or not isinstance(event, Conviction) for event in events)
        assert honest.space.logs.waiting_count() <= PENDING_ENTRIES_PER_SENDER
    assert len(honest.entries) == stored
    honest.space.logs.forget_sender(b"thief")
    assert honest.space.logs.waiting_count() == 0


@pytest.mark.unit
def test_who_forked_at_the_opening_is_no_elector_whether_or_not_it_was_admitted_before() -> None:
    victim, elector, second = together(3)
    said = victim.say(b"named by one of two")
    settle([victim, elector, second])
    elector.checkpoint()
    settle([victim, elector, second])
    thief, other_thief = thief_of(victim), thief_of(second)
    elector.take([thief.open()])
    assert not effective(elector, said[-1])
    other_thief.open()
    elector.take_proof(other_thief.proofs()[0])
    assert effective(elector, said[-1])
    late = Replica(elector.device, elector.roster, elector.now_us, log=Ed25519Signer(b"late".ljust(32)))
    late.take_proof(other_thief.proofs()[0])
    settle([elector, late])
    assert late.space.authors.keys() <= elector.space.authors.keys()
    assert visible(late) == visible(elector)
    assert effective(late, said[-1])


@pytest.mark.unit
def test_what_was_void_at_a_checkpoint_and_is_settled_since_has_its_effect_after_a_start() -> None:
    replicas = together(3)
    victim, one, other = replicas
    said = victim.say(b"x")
    settle(replicas)
    for elector in (one, other):
        elector.checkpoint()
    keeper = Replica(victim.device, victim.roster, victim.now_us, log=Ed25519Signer(b"keeper".ljust(32)))
    settle([keeper, one])
    keeper.take([thief_of(victim).open()])
    assert not effective(keeper, said[-1])
    _, base = keeper.checkpoint()
    settle([keeper, other])
    assert effective(keeper, said[-1])
    state = keeper.space.state_root()
    for keeper.base in (base, None):
        keeper.restart()
        assert effective(keeper, said[-1])
        assert keeper.space.state_root() == state


@pytest.mark.unit
def test_a_word_about_an_entry_that_its_author_cannot_have_seen_is_nothing() -> None:
    replicas = together(3)
    victim, honest, partner = replicas
    thief, colluder = thief_of(victim), thief_of(partner)
    forged = thief.say(thief.made[-1], b"forged")
    honest.take([forged])
    head = partner.positions.by_id[partner.space.frontier[partner.device.log_id].id]
    word = colluder.attest(head, [forged], 0)
    other_word = thief_of(honest).attest(
        honest.positions.by_id[honest.space.frontier[honest.device.log_id].id], [forged], 0
    )
    honest.take([word, other_word, thief.say(thief.made[1], b"the other branch")])
    assert not effective(honest, forged)
    settle([honest, victim])
    assert visible(honest) == visible(victim)


@pytest.mark.unit
def test_what_is_left_of_a_forked_log_is_named_with_a_clock_that_is_ahead_of_it() -> None:
    victim, honest = together(2)
    thief = thief_of(victim)
    ahead = thief.say(thief.made[-1], b"ahead")
    for number in range(5):
        ahead = thief.say(ahead, b"%d" % number)
    honest.now_us = NOW_US - 1_000_000
    honest.take([*thief.branch(ahead), thief.say(thief.made[0], b"fork")])
    honest.say(b"after")
    settle([victim, honest])
    assert visible(victim) == visible(honest)
    assert honest.space.frontier == victim.space.frontier


@pytest.mark.unit
def test_a_void_entry_that_comes_because_it_is_needed_has_no_effect() -> None:
    victim, honest = together(2)
    thief = thief_of(victim)
    left, right = (thief.say(thief.made[1], words) for words in (b"left", b"right"))
    honest.take([left])
    needs = honest.say(b"builds on the left")
    victim.take_proof(thief.proofs()[0])
    victim.take([left, *needs])
    assert effective(victim, needs[-1])
    assert victim.space.is_void(left.id)
    assert not effective(victim, left)
    assert right.id not in victim.positions.by_id


@pytest.mark.unit
def test_a_log_that_two_devices_opened_is_named_after_the_branch_that_is_settled() -> None:
    one, other, elector, second = together(4)
    key = Ed25519Signer(b"shared".ljust(32))
    mine, theirs = Forger(one.device, one.roster, key), Forger(other.device, other.roster, key)
    tops = [forger.say(forger.open(), forger.device.name.encode()) for forger in (mine, theirs)]
    for replica in (elector, second):
        replica.take(mine.made)
        replica.checkpoint()
    settle([elector, second])
    for replica, first in ((one, mine), (other, theirs)):
        replica.take(first.made)
        replica.take(theirs.made if first is mine else mine.made)
    settle([one, other, elector, second])
    for replica in (one, other, elector, second):
        assert visible(replica) == visible(one)
        kept = [effective(replica, top) for top in tops]
        assert kept == [True, False]
        assert replica.space.author_name(mine.log) == one.device.name
        assert replica.space.authors[mine.log] == one.device.id


def sharing(one: Replica, other: Replica) -> tuple[Forger, Forger]:
    """Two devices that write one log: it has an opening of each of them."""
    key = Ed25519Signer(b"shared".ljust(32))
    return Forger(one.device, one.roster, key), Forger(other.device, other.roster, key)


@pytest.mark.unit
def test_a_copy_is_named_after_the_branch_that_is_settled_whatever_was_thought_before() -> None:
    replicas = together(4)
    one, other, elector, second = replicas
    forgers = sharing(one, other)
    first = elector.change((b"f", text(b"first")))
    settle(replicas)
    for forger in forgers:
        forger.operate(forger.open(), [Make(None, b"f", text(forger.device.name.encode()))], [first[-1]])
    for replica in (elector, second):
        replica.take(forgers[0].made)
        replica.checkpoint()
    other.take(forgers[1].made)
    assert b"f (d1, 2027-01-15 08-00-02)" in tree(other)
    settle(replicas)
    for forger in forgers:
        other.take(forger.made)
    settle(replicas)
    for replica in replicas:
        assert tree(replica) == {b"f": b"first", b"f (d0, 2027-01-15 08-00-02)": b"d0"}
        assert visible(replica) == visible(one)


@pytest.mark.unit
def test_a_copy_is_never_named_after_a_log_of_which_nothing_is_settled() -> None:
    """Then replicas know different openings of it: here one of them has the other branch too."""
    replicas = together(3)
    one, other, partner = replicas
    mine, theirs = sharing(one, other)
    partner.change((b"f", text(b"first")))
    settle(replicas)
    for number in range(3):
        one.say(b"later %d" % number)
    made = mine.operate(mine.open(), [Make(None, b"f", text(b"void"))], [one.entries[-1]])
    traitor = thief_of(partner)
    write = Write(Ref(made.id, 0), text(b"kept"), ())
    written = traitor.operate(partner.entries[-1], [write])
    assert written.body.hlc < made.body.hlc
    partner.take([written, *one.entries, *mine.made])
    partner.say(b"needs what it names")
    other.take([theirs.open()])
    partner.take_proof(encode(prove_fork(SPACE, mine.made[0], theirs.made[0])))
    settle(replicas)
    assert len({replica.space.author_name(mine.log) for replica in replicas}) == 2, "or this tests nothing"
    for replica in replicas:
        assert not effective(replica, made)
        assert sorted(tree(replica).values()) == [b"first", b"kept"]
        assert visible(replica) == visible(one)


@pytest.mark.unit
def test_what_honest_devices_put_into_a_directory_that_became_void_stays_where_everyone_saw_it() -> None:
    replicas = together(3)
    victim, honest, _ = replicas
    made = victim.change((b"d", Directory()))
    victim.move((b"d", b"e"))
    settle(replicas)
    honest.change((b"e/f", text(b"kept")))
    honest.move((b"e", b"g"))
    settle(replicas)
    thief = thief_of(victim)
    thief.say(next(e for e in thief.made if e.id == made[0].body.prev), b"fork")
    honest.take_proof(thief.proofs()[0])
    settle(replicas)
    for replica in replicas:
        assert not effective(replica, made[-1])
        assert tree(replica)[b"g/f"] == b"kept"
        assert visible(replica) == visible(victim)
        before = visible(replica)
        replica.restart()
        assert visible(replica) == before
