"""The iterative lookup: ask the closest peers known for closer ones, until the k closest have answered.

Source: Kademlia section 2.3, spec "Peer routing", and S/Kademlia part 4.4 for disjoint paths: the contacts we start
with are dealt out to d paths, each path learns only from its own answers, and no peer is asked by two paths. A liar can
then mislead the one path that asks it. A path counts a peer that another path has asked as one of its k closest, and
ends when all of these have answered, so that d paths do not ask d times as many peers.

A request that fails gives the peer back: else a liar who tells a false address of an honest peer would bar every path
from it. Told of under other addresses too, it is asked once more.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import final

from latticework.transport import Multiaddr

from .kad_contact import Contact
from .kad_params import KadParams

_MAX_TRIES = 2
"""Requests of one path to one peer under different addresses."""


type _Addresses = tuple[Multiaddr, ...]


@final
class _Candidate:
    """A peer as one path knows it; `other` is what it was told of it besides."""

    __slots__ = ("contact", "hops", "is_open", "other", "tries")

    def __init__(self, contact: Contact, hops: int) -> None:
        self.contact = contact
        self.hops = hops
        self.is_open = False
        self.other: Contact | None = None
        self.tries = 0


@final
class _Path:
    """Candidates by their distance; `order` holds the distances of those that have not failed, the closest first."""

    __slots__ = ("asked", "candidates", "in_flight", "order")

    def __init__(self) -> None:
        self.candidates: dict[int, _Candidate] = {}
        self.order: list[int] = []
        self.in_flight = 0
        self.asked = 0

    def learn(self, distance: int, contact: Contact, hops: int, failures: Sequence[_Addresses]) -> None:
        known = self.candidates.get(distance)
        if known is None:
            known = self.candidates[distance] = _Candidate(contact, hops)
        elif known.contact.addresses == contact.addresses or known.tries >= _MAX_TRIES:
            return
        elif known.is_open:
            known.other = known.other or contact
            return
        if contact.addresses not in failures:
            known.contact = contact
            known.is_open = True
            insort(self.order, distance)

    def fail(self, distance: int, failures: Sequence[_Addresses]) -> None:
        """The addresses known here may have failed, on this path or another; then try others, or strike the peer."""
        known = self.candidates.get(distance)
        if known is None or not known.is_open or known.contact.addresses not in failures:
            return
        other, known.other = known.other, None
        if other is not None and other.addresses not in failures and known.tries < _MAX_TRIES:
            known.contact = other
        else:
            known.is_open = False
            del self.order[bisect_left(self.order, distance)]


@final
class Lookup:
    """One lookup of `target`, from `seeds` in order of distance; never asks `own_key`.

    `ask` says whom to send the request; each of them is to be followed by `answered` or `failed`, once.
    """

    __slots__ = ("_answered", "_asked", "_failures", "_own", "_params", "_paths", "_target")

    def __init__(self, target: int, own_key: int, seeds: Iterable[Contact], params: KadParams) -> None:
        self._target = target
        self._own = own_key ^ target
        self._params = params
        self._paths = [_Path() for _ in range(params.paths)]
        self._asked: dict[int, _Path] = {}
        self._answered: dict[int, _Candidate] = {}
        self._failures: dict[int, list[_Addresses]] = {}
        dealt = {seed.key ^ target: seed for seed in seeds}
        dealt.pop(self._own, None)
        for number, (distance, seed) in enumerate(dealt.items()):
            self._paths[number % params.paths].learn(distance, seed, 1, ())

    def ask(self) -> list[Contact]:
        """Whom to ask now: the closest of each path that nobody has asked, within the bound of requests in flight."""
        chosen: list[Contact] = []
        limit = self._params.path_alpha
        for path in self._paths:
            if path.in_flight >= limit:
                continue
            for distance in islice(path.order, self._params.k):
                if path.in_flight >= limit or path.asked >= self._params.max_path_requests:
                    break
                if distance not in self._asked:
                    self._asked[distance] = path
                    candidate = path.candidates[distance]
                    candidate.tries += 1
                    path.in_flight += 1
                    path.asked += 1
                    chosen.append(candidate.contact)
        return chosen

    def answered(self, key: int, closer: Sequence[Contact]) -> None:
        """The peer asked has told of `closer`; ourselves, repetitions and peers known already teach nothing."""
        distance = key ^ self._target
        path = self._asked[distance]
        path.in_flight -= 1
        candidate = self._answered[distance] = path.candidates[distance]
        for contact in closer:
            told = contact.key ^ self._target
            if told != self._own:
                path.learn(told, contact, candidate.hops + 1, self._failures.get(told, ()))

    def failed(self, key: int) -> None:
        """The peer asked has not answered, or not as it should."""
        distance = key ^ self._target
        path = self._asked.pop(distance)
        path.in_flight -= 1
        failures = self._failures.setdefault(distance, [])
        failures.append(path.candidates[distance].contact.addresses)
        for other in self._paths:
            other.fail(distance, failures)

    @property
    def is_finished(self) -> bool:
        """True if nobody is left to ask, and no answer that is awaited counts."""
        return all(self._is_over(path) for path in self._paths)

    @property
    def closest(self) -> tuple[Contact, ...]:
        """The k closest peers that have answered, on whichever path, the closest first."""
        return tuple(self._answered[distance].contact for distance in sorted(self._answered)[: self._params.k])

    @property
    def hops(self) -> int:
        """Answers, the last included, between us and the closest that answered; 1 for a seed, 0 if nobody answered."""
        return self._answered[min(self._answered)].hops if self._answered else 0

    @property
    def asked(self) -> int:
        """Requests until now."""
        return sum(path.asked for path in self._paths)

    @property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """For each path, the keys of the peers that it is asking or that answered it."""
        users = [(path, distance ^ self._target) for distance, path in self._asked.items()]
        return tuple(tuple(key for user, key in users if user is path) for path in self._paths)

    def _is_over(self, path: _Path) -> bool:
        if path.asked >= self._params.max_path_requests and path.in_flight == 0:
            return True
        return all(distance in self._answered for distance in islice(path.order, self._params.k))
