from typing import override

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from latticework.discovery import KadParams, RoutingTable
from latticework.discovery.kad_contact import shared_prefix

from .kad_kit import SECOND, SMALL, US, contact, nearest

pytestmark = pytest.mark.property

numbers = st.integers(0, 60)


class TableLaws(RuleBasedStateMachine):
    """A table against what it may be; number 0 is ourselves."""

    @override
    def __init__(self) -> None:
        super().__init__()
        self.table = RoutingTable(US.key, SMALL)
        self.now_us = 0
        self.heard: set[int] = set()

    @rule(number=numbers)
    def hears(self, number: int) -> None:
        to_ping = self.table.seen(contact(number), self.now_us)
        self.heard.add(number)
        bucket = self.table.bucket(shared_prefix(US.key, contact(number).key))
        if to_ping is not None:
            assert to_ping is bucket[0]
            assert contact(number) not in bucket
        elif contact(number) in bucket:
            assert bucket[-1] is contact(number)

    @rule(number=numbers)
    def gets_no_answer(self, number: int) -> None:
        before = len(self.table)
        self.table.failed(contact(number).key)
        assert before - 1 <= len(self.table) <= before

    @rule(number=numbers)
    def is_wronged(self, number: int) -> None:
        self.table.remove(contact(number).key)
        assert self.table.find(contact(number).key) is None

    @rule(seconds=st.integers(0, 100))
    def waits(self, seconds: int) -> None:
        self.now_us += seconds * SECOND

    @invariant()
    def keeps_its_bounds(self) -> None:
        everybody = list(self.table)
        assert len(everybody) == len(self.table) == len({peer.key for peer in everybody})
        assert US.key not in {peer.key for peer in everybody}
        for bucket in range(20):
            inside, waiting = self.table.bucket(bucket), self.table.replacements(bucket)
            assert len(inside) <= SMALL.k
            assert len(waiting) <= SMALL.replacements
            assert not waiting or len(inside) == SMALL.k, "nobody waits beside a free place"
            assert len({peer.key for peer in (*inside, *waiting)}) == len(inside) + len(waiting)
            assert all(shared_prefix(US.key, peer.key) == bucket for peer in (*inside, *waiting))
            assert all(peer in map(contact, self.heard) for peer in (*inside, *waiting))

    @invariant()
    def finds_whom_it_holds(self) -> None:
        assert all(self.table.find(peer.key) is peer for peer in self.table)


TestTableLaws = TableLaws.TestCase


@given(st.sets(st.integers(1, 500), max_size=80), st.integers(0, 2**256 - 1), st.integers(1, 30))
def test_the_closest_are_those_that_sorting_everybody_gives(peers: set[int], target: int, count: int) -> None:
    table = RoutingTable(US.key, KadParams(k=6))
    for number in sorted(peers):
        table.seen(contact(number), 0)
    for near in (target, US.key, contact(3).key):
        assert table.closest(near, count) == nearest(list(table), near, count)
