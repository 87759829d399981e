import pytest

from latticework.crdt import Roster, certificate_hash
from latticework.handshake import KeyVault, MemoryVault
from latticework.node.identity import create_identity
from latticework.node.messages import RosterHashes, RosterRecords, RosterRoot
from latticework.node.roster_exchange import RosterExchange
from latticework.simnet import KeyedRng, ModelKem, ModelSignatures, VirtualClock
from latticework.simnet.accounts import found_fleet

pytestmark = pytest.mark.unit

SIGNATURES = ModelSignatures()


def records(count: int) -> tuple[bytes, ...]:
    clock, rng = VirtualClock(), KeyedRng(b"roster exchange")
    vaults: list[tuple[str, KeyVault]] = []
    for number in range(count):
        vault = MemoryVault()
        create_identity(vault, f"device {number}", rng.child(str(number)), clock)
        vaults.append((f"device {number}", vault))
    return found_fleet(vaults, "home", rng, clock, ModelKem(), SIGNATURES).state.roster


RECORDS = records(5)


def roster(*numbers: int) -> Roster:
    made = Roster.found(SIGNATURES, RECORDS[0])
    made.add_all([RECORDS[number] for number in numbers])
    return made


class Side:
    def __init__(self, held: Roster) -> None:
        self.roster = held
        self.exchange = RosterExchange()
        self.said: list[str] = []

    def hear(self, message: RosterRoot | RosterHashes | RosterRecords) -> None:
        match message:
            case RosterRoot(root):
                self.exchange.take_root(root, self.roster)
            case RosterHashes(hashes):
                self.exchange.take_hashes(hashes, self.roster)
            case RosterRecords(given):
                before = len(self.roster.records)
                self.roster.add_all(list(given))
                if len(self.roster.records) != before:
                    self.exchange.changed()


def talk(one: Side, other: Side, most: int = 100) -> int:
    """Both say what is due, in turns; how many messages that took."""
    count = 0
    while one.exchange.is_due or other.exchange.is_due:
        for speaker, listener in ((one, other), (other, one)):
            if (message := speaker.exchange.next(speaker.roster)) is not None:
                count += 1
                assert count < most, "it never ends"
                speaker.said.append(type(message).__name__)
                listener.hear(message)
    return count


def test_equal_rosters_need_a_root_each() -> None:
    assert talk(Side(roster(1, 2)), Side(roster(1, 2))) == 2


@pytest.mark.parametrize(("left", "right"), [((1,), (1, 2, 3)), ((1, 2), (3, 4)), ((), (1, 2, 3, 4))])
def test_different_rosters_become_one(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    one, other = Side(roster(*left)), Side(roster(*right))
    talk(one, other)
    assert one.roster.root() == other.roster.root()
    assert set(one.roster.records) == {certificate_hash(RECORDS[number]) for number in {0, *left, *right}}


def test_a_roster_that_grows_on_a_standing_link_is_told() -> None:
    one, other = Side(roster(1)), Side(roster(1))
    talk(one, other)
    one.roster.add(RECORDS[2])
    one.exchange.changed()
    talk(one, other)
    assert one.roster.root() == other.roster.root()


class Deaf(Side):
    """It refuses every record."""

    def hear(self, message: RosterRoot | RosterHashes | RosterRecords) -> None:
        if not isinstance(message, RosterRecords):
            super().hear(message)


def test_rosters_that_refuse_each_others_records_are_compared_once() -> None:
    one, other = Deaf(roster(1, 2)), Deaf(roster(3))
    assert talk(one, other) <= 8
    assert one.said.count("RosterHashes") == other.said.count("RosterHashes") == 1


def test_hashes_of_nothing_again_and_again_bring_each_record_out_once() -> None:
    side = Side(roster(1, 2, 3, 4))
    given = 0
    for _ in range(50):
        side.exchange.take_hashes((), side.roster)
        while (message := side.exchange.next(side.roster)) is not None:
            given += len(message.records) if isinstance(message, RosterRecords) else 0
    assert given == 5


def test_roots_that_we_have_answered_are_not_answered_again() -> None:
    side = Side(roster(1))
    answers = 0
    for _ in range(50):
        side.exchange.take_root(bytes(32), side.roster)
        while (message := side.exchange.next(side.roster)) is not None:
            answers += isinstance(message, RosterHashes)
    assert answers == 1
