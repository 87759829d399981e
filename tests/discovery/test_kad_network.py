"""Whole networks of machines in virtual time; a failing seed is in the World."""

import pytest

from latticework.discovery import Contact, Found, Got, KadParams, KadReason, Placed
from latticework.discovery.kad_events import FindClosest, GetRecord, Join, PeerFault, PutRecord
from latticework.discovery.kad_messages import Answer, FindNode, GetValue, Nodes, Ping, Pong, PutResult, Request, Value
from latticework.transport import PeerId

from .kad_kit import HOUR, KEY, SECOND, World, contact

pytestmark = pytest.mark.sim

PARAMS = KadParams(k=6, alpha=3)


def joined(size: int = 60, params: KadParams = PARAMS) -> World:
    world = World(size, params)
    world.join_all()
    return world


def test_whoever_joins_through_one_peer_finds_everybody() -> None:
    world = joined()
    for number in range(60):
        name = b"name %d" % number
        found = world.ask(number, FindClosest(1, name))
        assert isinstance(found, Found)
        assert list(found.contacts) == world.true_closest(name, PARAMS.k, without=number)


def test_a_node_is_found_by_its_own_name() -> None:
    world = joined()
    found = world.ask(3, FindClosest(1, world.contacts[41].peer.multihash))
    assert isinstance(found, Found)
    assert found.contacts[0] == world.contacts[41]


def test_a_record_is_found_by_others_with_the_best_value_everywhere() -> None:
    world = joined()
    assert world.ask(5, PutRecord(1, KEY, b"1", once=True)) == Placed(1, KEY, PARAMS.k)
    assert world.ask(17, PutRecord(1, KEY, b"2", once=True)) == Placed(1, KEY, PARAMS.k)
    got = world.ask(30, GetRecord(1, KEY))
    assert isinstance(got, Got)
    assert got.value == b"2"
    assert got.copies >= PARAMS.k - 1
    assert world.ask(31, GetRecord(1, b"/test/nothing")) == Got(1, b"/test/nothing", None, 0)


def test_the_network_heals_when_a_third_of_it_falls_silent() -> None:
    world = joined()
    world.silent = set(range(1, 60, 3))
    world.run(3 * HOUR)
    wrong = 0
    for number in range(0, 60, 3):
        found = world.ask(number, FindClosest(1, b"name %d" % number), seconds=300)
        assert isinstance(found, Found)
        assert not set(found.contacts) & {world.contacts[silent] for silent in world.silent}
        wrong += list(found.contacts) != world.true_closest(b"name %d" % number, PARAMS.k, without=number)
    assert wrong == 0


def test_a_record_outlives_its_holders_as_long_as_its_publisher_comes_again() -> None:
    world = joined(size=40)
    world.ask(5, PutRecord(1, KEY, b"1"))
    holders = {world.numbers[peer.peer] for peer in world.true_closest(KEY, PARAMS.k, without=5)}
    world.silent = holders
    # Twice: the first time dead contacts are only found out.
    world.run(45 * HOUR)
    got = world.ask(next(n for n in range(40) if n not in holders | {5}), GetRecord(1, KEY), seconds=600)
    assert isinstance(got, Got)
    assert got.value == b"1"
    assert got.copies >= PARAMS.k


def test_a_record_that_nobody_stores_again_is_gone_everywhere() -> None:
    world = joined(size=30)
    world.ask(5, PutRecord(1, KEY, b"1", once=True))
    assert sum(machine.records for machine in world.machines) == PARAMS.k
    world.run(PARAMS.expiry_us + SECOND)
    assert sum(machine.records for machine in world.machines) == 0


def test_a_node_that_comes_back_has_its_records_stored_again() -> None:
    world = joined(size=30)
    world.ask(5, PutRecord(1, KEY, b"1"))
    world.silent = {5}
    world.run(PARAMS.expiry_us)
    assert sum(machine.records for machine in world.machines) == 0
    world.silent = set()
    world.ask(5, Join(1, (world.contacts[0],)))
    assert sum(machine.records for machine in world.machines) == PARAMS.k


def test_one_seed_gives_one_history() -> None:
    histories: list[list[list[PeerId]]] = []
    for _ in range(2):
        world = joined(size=25)
        world.run(2 * HOUR)
        histories.append([[peer.peer for peer in machine.table] for machine in world.machines])
    assert histories[0] == histories[1]


def liar(world: World, invented: tuple[Contact, ...]) -> None:
    """Every fourth node answers with those of its kind, with invented values, and never keeps anything."""
    gang = [world.contacts[number] for number in range(1, world.size, 4)]

    def lie(_asker: Contact, request: Request) -> Answer | None:
        match request:
            case FindNode():
                return Nodes((*gang[: PARAMS.k - len(invented)], *invented))
            case GetValue():
                return Value(b"lie", tuple(gang[: PARAMS.k]))
            case Ping():
                return Pong()
            case _:
                return PutResult(accepted=True)

    world.outlaws = {world.numbers[peer.peer]: lie for peer in gang}


@pytest.mark.parametrize("invented", [(), (contact(70001), contact(70002))], ids=["gang", "invented"])
def test_liars_neither_hide_the_closest_nor_spoil_a_record(invented: tuple[Contact, ...]) -> None:
    params = KadParams(k=6, alpha=6, paths=3)
    world = joined(params=params)
    liar(world, invented)
    honest = [number for number in range(60) if number not in world.outlaws]
    assert world.ask(honest[0], PutRecord(1, KEY, b"1", once=True), seconds=600) == Placed(1, KEY, params.k)
    for number in honest[1:10]:
        found = world.ask(number, FindClosest(1, b"name %d" % number), seconds=600)
        assert isinstance(found, Found)
        (closest,) = world.true_closest(b"name %d" % number, 1, without=number)
        assert closest in found.contacts
        got = world.ask(number, GetRecord(2, KEY), seconds=600)
        assert isinstance(got, Got)
        assert got.value == b"1"
        faults = {fault.reason for _, fault in world.results if isinstance(fault, PeerFault)}
        assert faults <= {KadReason.INVALID_VALUE}
