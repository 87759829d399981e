"""Registers, sets and counters by themselves: the laws hold for every order and every choice of undone operations."""

from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Final

import pytest

from latticework.crdt.counter import Counter
from latticework.crdt.orset import OrSet
from latticework.crdt.registers import Register, newest_first

pytestmark = pytest.mark.unit


@dataclass
class Write:
    id: str
    hlc: int = 0
    replaces: tuple[str, ...] = ()
    lww: bool = False
    active: bool = True
    amount: int = field(default=0, kw_only=True)

    @property
    def order(self) -> tuple[int, bytes, int]:
        return (self.hlc, self.id.encode(), 0)


def heads(*writes: Write) -> list[str]:
    register = Register[Write]()
    for write in writes:
        register.add(write)
    return sorted(write.id for write in register.heads())


HISTORY: Final = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("c",), "f": ("unknown",)}


def counted_heads(active: frozenset[str]) -> list[str]:
    """By definition: active, and no active write replaced it, directly or through inactive ones."""

    def replacers(name: str) -> set[str]:
        direct = {other for other, replaced in HISTORY.items() if name in replaced}
        return {w for other in direct for w in ({other} if other in active else replacers(other))}

    return sorted(name for name in active if not replacers(name))


@pytest.mark.parametrize("mask", range(64))
def test_the_heads_of_a_register_are_those_of_the_definition(mask: int) -> None:
    active = frozenset(name for at, name in enumerate(HISTORY) if mask >> at & 1)
    writes = [Write(name, replaces=replaced, active=name in active) for name, replaced in HISTORY.items()]
    for order in list(permutations(writes))[:: 720 // 24]:
        assert heads(*order) == counted_heads(active)


def test_a_register_follows_what_is_undone_and_a_copy_goes_its_own_way() -> None:
    register, second = Register[Write](), Write("b", replaces=("a",))
    register.add(Write("a"))
    register.add(second)
    copy = register.copy()
    copy.add(Write("c", replaces=("b",)))
    assert [write.id for write in register.heads()] == ["b"]
    assert [write.id for write in copy.heads()] == ["c"]
    second.active = False
    register.toggled()
    assert [write.id for write in register.heads()] == ["a"]
    assert sorted(write.id for write in register.writes) == ["a", "b"]


class Looked:
    """A write that counts how often somebody asked whether it is active."""

    lww = False

    def __init__(self, number: int, replaces: tuple[int, ...]) -> None:
        self.id, self.replaces, self.order, self.looks = number, replaces, (number, b"", 0), 0

    @property
    def active(self) -> bool:
        self.looks += 1
        return True


def test_writes_that_replace_what_is_there_cost_the_same_however_many_came_before() -> None:
    register, writes = Register[Looked](), [Looked(number, (number - 1,) if number else ()) for number in range(50)]
    for write in writes:
        register.add(write)
        assert list(register.heads()) == [write]
    assert [write.looks for write in writes] == [1] * 50
    late = Looked(50, (48,))
    register.add(late)
    assert {write.id for write in register.heads()} == {49, 50}
    assert max(write.looks for write in writes) <= 4


def test_a_write_that_was_replaced_before_it_came_is_no_head() -> None:
    assert heads(Write("b", replaces=("a",)), Write("a")) == ["b"]
    assert heads(Write("c", replaces=("b", "a")), Write("a"), Write("b", replaces=("a",))) == ["c"]
    assert heads(Write("b", replaces=("a",)), Write("x"), Write("a")) == ["b", "x"]


def test_of_last_writer_wins_writes_the_newest_counts() -> None:
    writes = [Write("a", 3, lww=True), Write("b", 5), Write("c", 4, lww=True), Write("d", 4)]
    for order in permutations(writes):
        assert [write.id for write in newest_first(order)] == ["b", "d", "c"]
    assert [write.id for write in newest_first([Write("a", 1, lww=True), Write("b", 1, lww=True)])] == ["b"]


def test_a_set_keeps_what_was_added_beside_its_removal() -> None:
    for first_active, second_active, removal_active in product([True, False], repeat=3):
        for late in (True, False):
            members, removal = OrSet[Write](), Write("r", active=removal_active)
            if late:
                members.remove("a", removal)
            members.add(Write("a", active=first_active))
            members.add(Write("b", active=second_active))
            if not late:
                members.remove("a", removal)
            expected = [*(["a"] if first_active and not removal_active else []), *(["b"] if second_active else [])]
            assert [addition.id for addition in members.standing()] == expected
            assert [addition.id for addition in members.copy().standing()] == expected


def test_a_counter_counts_active_increments() -> None:
    counter, undone = Counter[Write](), Write("b", amount=5)
    counter.add(Write("a", amount=-2))
    counter.add(undone)
    copy = counter.copy()
    copy.add(Write("c", amount=1))
    assert [sum(i.amount for i in c.standing()) for c in (counter, copy)] == [3, 4]
    undone.active = False
    assert [sum(i.amount for i in c.standing()) for c in (counter, copy)] == [-2, -1]
