from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.discovery import Contact, KadParams, Lookup

from .kad_kit import SMALL, US, contact, nearest

TARGET = contact(7777).key


def some(how_many: int, first: int = 1) -> list[Contact]:
    """Peers in order of their distance from the target."""
    return nearest([contact(number) for number in range(first, first + how_many)], TARGET, how_many)


def fresh(seeds: Sequence[Contact], params: KadParams = SMALL) -> Lookup:
    return Lookup(TARGET, US.key, seeds, params)


@pytest.mark.unit
def test_nobody_to_ask_is_an_end() -> None:
    lookup = fresh([])
    assert lookup.ask() == []
    assert lookup.is_finished
    assert (lookup.closest, lookup.hops, lookup.asked) == ((), 0, 0)


@pytest.mark.unit
def test_we_never_ask_ourselves_whoever_tells_of_us() -> None:
    lookup = fresh([US, contact(1)])
    assert lookup.ask() == [contact(1)]
    lookup.answered(contact(1).key, [US])
    assert lookup.ask() == []
    assert lookup.is_finished


@pytest.mark.unit
def test_repetitions_are_asked_once() -> None:
    near, far = some(2)
    lookup = fresh([far])
    lookup.ask()
    lookup.answered(far.key, [near, near, far, near])
    assert lookup.ask() == [near]
    lookup.answered(near.key, [near, far])
    assert lookup.ask() == []
    assert lookup.closest == (near, far)


@pytest.mark.unit
def test_no_more_requests_than_alpha_are_in_flight() -> None:
    peers = some(4)
    lookup = fresh(peers)
    assert lookup.ask() == peers[:2]
    assert lookup.ask() == []
    lookup.failed(peers[0].key)
    assert lookup.ask() == [peers[2]]


@pytest.mark.unit
def test_it_ends_when_the_k_closest_have_answered() -> None:
    peers = some(7)
    lookup = fresh(peers[3:])
    assert lookup.ask() == peers[3:5]
    lookup.answered(peers[3].key, peers[:3])
    assert lookup.ask() == [peers[0]]
    for answering, then in ((0, [peers[1]]), (1, [peers[2]]), (2, [])):
        assert not lookup.is_finished
        lookup.answered(peers[answering].key, [])
        assert lookup.ask() == then
    assert lookup.is_finished, "the answer of the fifth does not count any more"
    assert lookup.closest == tuple(peers[:4])
    lookup.answered(peers[4].key, [])
    assert lookup.closest == tuple(peers[:4])
    assert (lookup.hops, lookup.asked) == (2, 5)


@pytest.mark.unit
def test_a_peer_that_never_answers_is_no_result() -> None:
    peers = some(2)
    lookup = fresh(peers)
    lookup.ask()
    lookup.failed(peers[0].key)
    lookup.answered(peers[1].key, [peers[0]])
    assert lookup.ask() == []
    assert lookup.is_finished
    assert lookup.closest == (peers[1],)


@pytest.mark.unit
def test_a_false_address_does_not_hide_a_peer_from_those_who_know_better() -> None:
    near, liar, honest = some(3)
    lie = Contact(near.peer, contact(0, address=666).addresses)
    for told_first in (True, False):
        lookup = fresh([liar, honest])
        lookup.ask()
        lookup.answered(liar.key, [lie])
        if told_first:
            lookup.answered(honest.key, [near])
        assert lookup.ask() == [lie]
        lookup.failed(near.key)
        if not told_first:
            lookup.answered(honest.key, [near])
        assert lookup.ask() == [near]
        lookup.answered(near.key, [])
        assert lookup.is_finished
        assert lookup.closest[0] is near


@pytest.mark.unit
def test_ever_new_addresses_of_a_silent_peer_are_tried_twice() -> None:
    near, *tellers = some(9)
    lookup = fresh(tellers, replace(SMALL, k=9, alpha=9))
    lookup.ask()
    tries = 0
    for number, teller in enumerate(tellers):
        lookup.answered(teller.key, [contact(0, address=number), Contact(near.peer, contact(0, number).addresses)])
        asked = lookup.ask()
        tries += len(asked)
        for peer in asked:
            lookup.failed(peer.key)
    assert tries == 2


@pytest.mark.unit
def test_invented_peers_that_come_ever_closer_do_not_keep_a_lookup_alive() -> None:
    invented = some(500)
    params = replace(SMALL, max_path_requests=30)
    lookup = fresh(invented[-1:], params)
    answers = 0
    while not lookup.is_finished:
        for peer in lookup.ask():
            place = invented.index(peer)
            answers += 1
            lookup.answered(peer.key, invented[max(0, place - 4) : place])
    assert answers == lookup.asked == 30


@pytest.mark.unit
def test_a_path_learns_from_its_own_answers_only() -> None:
    params = replace(SMALL, paths=2)
    lies, honest = some(4, first=1), some(4, first=100)
    seeds = nearest([contact(1000), contact(1001)], TARGET, 2)
    lookup = fresh(seeds, params)
    assert lookup.ask() == seeds
    lookup.answered(seeds[0].key, lies)
    lookup.answered(seeds[1].key, honest)
    assert lookup.ask() == [lies[0], honest[0]]
    assert lookup.paths == ((seeds[0].key, lies[0].key), (seeds[1].key, honest[0].key))


@pytest.mark.unit
def test_a_peer_that_fails_one_path_is_left_to_the_other_unless_under_the_same_address() -> None:
    params = replace(SMALL, paths=2)
    near, *seeds = some(3)
    lie = Contact(near.peer, contact(0, address=666).addresses)
    for told, again in ((near, [near]), (lie, [])):
        lookup = fresh(seeds, params)
        lookup.ask()
        lookup.answered(seeds[0].key, [lie])
        lookup.answered(seeds[1].key, [told])
        assert lookup.ask() == [lie], "two paths never ask the same peer at once"
        lookup.failed(near.key)
        assert lookup.ask() == again


type Answers = dict[int, list[Contact]]


def carry_out(lookup: Lookup, answers: Answers, silent: set[int], order: st.DataObject, alpha: int) -> list[Contact]:
    """Answer in an order that Hypothesis draws; gives everybody who was asked."""
    open_requests: list[Contact] = []
    asked: list[Contact] = []
    while True:
        new = lookup.ask()
        asked += new
        open_requests += new
        assert len(open_requests) <= alpha
        if lookup.is_finished:
            return asked
        assert open_requests, "a lookup that is not finished waits for somebody"
        peer = open_requests.pop(order.draw(st.integers(0, len(open_requests) - 1)))
        if peer.key in silent:
            lookup.failed(peer.key)
        else:
            lookup.answered(peer.key, answers[peer.key])
        used = [key for path in lookup.paths for key in path]
        assert len(used) == len(set(used)), "no peer is used by two paths"


@pytest.mark.property
@given(st.data())
def test_every_lookup_ends_whatever_is_answered(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    paths = data.draw(st.integers(1, 4))
    peers = [contact(number) for number in range(size + 1)]
    lists = st.lists(st.sampled_from(peers), max_size=8)
    answers = {peer.key: data.draw(lists) for peer in peers}
    silent = {peer.key for peer in data.draw(st.sets(st.sampled_from(peers)))}
    params = KadParams(k=4, alpha=3, paths=paths, max_path_requests=data.draw(st.integers(1, 50)))
    lookup = fresh(data.draw(lists), params)
    asked = carry_out(lookup, answers, silent, data, params.path_alpha * paths)
    assert len(lookup.closest) <= params.k
    assert set(lookup.closest) <= set(asked) - {US}
    assert not silent & {peer.key for peer in lookup.closest}
    assert len(asked) == lookup.asked <= paths * params.max_path_requests


@pytest.mark.property
@given(st.data())
def test_the_true_closest_are_found_where_everybody_knows_its_surroundings(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    paths = data.draw(st.integers(1, 4))
    peers = [contact(number) for number in range(1, size + 1)]
    answers = {peer.key: nearest(peers, TARGET, 5) for peer in peers}
    silent = {peer.key for peer in data.draw(st.sets(st.sampled_from(peers), max_size=4))}
    alive = [peer for peer in peers if peer.key not in silent]
    # Contacts that are silent have left the answers of their neighbours, but not the asker's table.
    answers = {key: [peer for peer in told if peer in alive] for key, told in answers.items()}
    seeds = nearest(data.draw(st.lists(st.sampled_from(alive), min_size=1, max_size=5)) if alive else [], TARGET, 5)
    lookup = fresh([*seeds, *(peer for peer in peers if peer.key in silent)], KadParams(k=5, alpha=4, paths=paths))
    carry_out(lookup, answers, silent, data, max(4, paths))
    assert lookup.closest[:1] == tuple(nearest(alive, TARGET, 1))
