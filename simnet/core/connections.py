"""Who is up and who is connected to whom on tier C, whatever the nodes speak.

A connection takes one round trip, and has two ends that may learn of its end at different times: a node that crashes
is noticed later. What a protocol keeps of a connection is its target (`scheduler.target_of`), under a key of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

from .links import Cut, MessageLinks
from .scheduler import NUMBER_BITS, NUMBER_MASK, BucketScheduler, target_of


@dataclass(frozen=True, slots=True)
class Told:
    """What a protocol hears: (node, other end, whether the node dialled), and (node, the other end that is gone)."""

    connected: Callable[[int, int, bool], None]
    disconnected: Callable[[int, int], None]


@final
class Connections:
    """The connections of all nodes; nobody is up at first.

    `links[n]` are node n's: targets by the key of the other end, `keys[m]`. `dialled[n]` are those that n opened
    itself, by number. `life[n]` counts how often n came up, so that what was meant for an earlier life is void.
    """

    def __init__(self, scheduler: BucketScheduler, links: MessageLinks, keys: Sequence[int], told: Told) -> None:
        count = len(keys)
        self.up: Final = bytearray(count)
        self.life: Final = [0] * count
        self.links: Final[list[dict[int, int]]] = [{} for _ in range(count)]
        self.dialled: Final[list[tuple[int, ...]]] = [()] * count
        self.lost: Callable[[int], None] = _ignore
        """Called with a node that has lost a connection it had dialled, or could not make one."""
        self.healed: Callable[[], None] = _nothing
        """Called when a partition has ended."""
        self.quick = links.quick
        """`MessageLinks.quick`, kept here since it is asked for with each message."""
        self._on_answer = self._answered
        self._scheduler = scheduler
        self._model = links
        self._keys = keys
        self._told = told

    def start(self, number: int) -> None:
        """The node comes up and knows nobody."""
        self.life[number] += 1
        self.up[number] = 1

    def stop(self, number: int, noticed_us: int) -> None:
        """The node goes down; the others notice so long after the word would have reached them."""
        self.up[number] = 0
        here = [target & NUMBER_MASK for target in self.links[number].values()]
        self.links[number].clear()
        self.dialled[number] = ()
        for far in here:
            link = self.links[far].get(self._keys[number])
            at_us = self._scheduler.now_us + noticed_us + self._model.latency_us(number, far)
            self._scheduler.at(at_us, self._notice, far, number, link)

    def _notice(self, number: int, gone: int, link: int | None) -> None:
        # By identity: a connection that was made since has a target of its own, though an equal one.
        if link is not None and self.links[number].get(self._keys[gone]) is link:
            self._drop(number, gone)

    def connect(self, near: int, far: int) -> None:
        """Open a connection at once, dialled by `near`; nothing happens if there is one, or a node is down."""
        one, two = self.links[near], self.links[far]
        known = self._keys[far] in one, self._keys[near] in two
        if near == far or not self.up[near] or not self.up[far] or known == (True, True):
            return
        if known[0]:
            self._drop(near, far)
        if known[1]:
            self._drop(far, near)
        one[self._keys[far]] = target_of(self._model.latency_us(near, far), far)
        two[self._keys[near]] = target_of(self._model.latency_us(far, near), near)
        self.dialled[near] += (far,)
        self._told.connected(near, far, True)
        self._told.connected(far, near, False)

    def disconnect(self, near: int, far: int) -> None:
        """Close a connection; each end is told at once."""
        self._drop(near, far)
        self._drop(far, near)

    def _drop(self, number: int, gone: int) -> None:
        if self.links[number].pop(self._keys[gone], None) is None:
            return
        self._told.disconnected(number, gone)
        if gone in self.dialled[number]:
            self.dialled[number] = tuple(far for far in self.dialled[number] if far != gone)
            self.lost(number)

    def dial(self, near: int, far: int) -> None:
        """Connect after one round trip; it fails if the other is down or out of reach by then."""
        trip_us = self._model.latency_us(near, far) + self._model.latency_us(far, near)
        # At the start of a run all dials wait at once, so one is a bare event, without a timer or objects of its own.
        life = self.life[near]
        self._scheduler.post(self._scheduler.now_us + trip_us, self._on_answer, life << NUMBER_BITS | near, far)

    def _answered(self, _now_us: int, dialler: int, far: int) -> None:
        near = dialler & NUMBER_MASK
        if not self.up[near] or self.life[near] != dialler >> NUMBER_BITS:
            return
        if self.up[far] and self._model.reachable(near, far) and self._model.reachable(far, near):
            self.connect(near, far)
        else:
            self.lost(near)

    def cut(self, cut: Cut) -> None:
        """Begin a partition."""
        self._model.cut(cut)
        self.quick = self._model.quick

    def heal(self, cut: Cut) -> None:
        """End a partition."""
        self._model.heal(cut)
        self.quick = self._model.quick
        self.healed()

    def knows(self, number: int, far: int) -> bool:
        """Whether a node has a connection to another."""
        return self._keys[far] in self.links[number]

    def neighbours(self, number: int) -> list[int]:
        """The other ends of a node's connections."""
        return [target & NUMBER_MASK for target in self.links[number].values()]


def _ignore(_: int) -> None:
    """Nobody replaces connections."""


def _nothing() -> None:
    """Nothing was held back."""
