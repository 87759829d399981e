"""Records held for others: valid ones only, within bounds, until they expire.

What a value may be, and which of two is better, is said by the validator of its namespace: `/ipns/...` is in the
namespace `ipns` (spec, "Entry validation"). Where the store is full, the record farthest from us goes, if the newcomer
is closer: others answer for it. Whoever brought a key first is charged for it, so a peer spends its own share only.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol, final

from latticework.transport import PeerId

from .kad_contact import key_of
from .kad_params import KadParams


class Validator(Protocol):
    """What a namespace means; both are pure, and neither raises whatever a peer wrote."""

    def validate(self, key: bytes, value: bytes) -> bool:
        """True if `value` may stand at `key`."""
        ...

    def select(self, key: bytes, values: Sequence[bytes]) -> int:
        """The index of the best of one or more different valid values; the same for every order of them."""
        ...


class Verdict(Enum):
    """What became of a record."""

    KEPT = "kept, or held already: its time begins anew"
    TOO_LARGE = "a key or value that is empty or beyond its bound"
    NO_VALIDATOR = "a namespace that nobody here knows"
    INVALID = "refused by its validator"
    WORSE = "a better value is held"
    PEER_FULL = "the peer has brought as many records as it may"
    FULL = "the store is full of records closer to us"


@final
class Validators:
    """The validators of a node, by namespace, and the bounds of what they are asked."""

    __slots__ = ("_by_namespace", "_params")

    def __init__(self, by_namespace: Mapping[str, Validator], params: KadParams) -> None:
        self._by_namespace = by_namespace
        self._params = params

    def judge(self, key: bytes, value: bytes) -> Verdict:
        """KEPT if the record is fit to be kept; else TOO_LARGE, NO_VALIDATOR or INVALID."""
        if not 0 < len(key) <= self._params.max_name_bytes or not 0 < len(value) <= self._params.max_value_bytes:
            return Verdict.TOO_LARGE
        validator = self._of(key)
        if validator is None:
            return Verdict.NO_VALIDATOR
        return Verdict.KEPT if validator.validate(key, value) else Verdict.INVALID

    def knows(self, key: bytes) -> bool:
        """True if the namespace of `key` has a validator."""
        return self._of(key) is not None

    def best(self, key: bytes, values: Sequence[bytes]) -> bytes:
        """The best of one or more values that were judged fit."""
        different = list(dict.fromkeys(values))
        validator = self._of(key)
        if len(different) == 1 or validator is None:
            return different[0]
        return different[validator.select(key, different)]

    def _of(self, key: bytes) -> Validator | None:
        root, _, rest = key.partition(b"/")
        namespace, slash, _ = rest.partition(b"/")
        return None if root or not slash else self._by_namespace.get(namespace.decode("ascii", "replace"))


@final
class _Record:
    __slots__ = ("distance", "expires_us", "owner", "value")

    def __init__(self, value: bytes, owner: PeerId, distance: int, expires_us: int) -> None:
        self.value = value
        self.owner = owner
        self.distance = distance
        self.expires_us = expires_us


@final
class RecordStore:
    """At most `max_records` records, in order of their end."""

    __slots__ = ("_counts", "_own", "_params", "_records", "_validators")

    def __init__(self, own_key: int, validators: Validators, params: KadParams) -> None:
        self._own = own_key
        self._validators = validators
        self._params = params
        self._records: dict[bytes, _Record] = {}
        self._counts: dict[PeerId, int] = {}

    def put(self, key: bytes, value: bytes, peer: PeerId, now_us: int) -> Verdict:
        """Keep a record that `peer` brought, if it is fit and better than what is held."""
        verdict = self._validators.judge(key, value)
        if verdict is not Verdict.KEPT:
            return verdict
        self.expire(now_us)
        expires_us = now_us + self._params.expiry_us
        held = self._records.get(key)
        if held is not None:
            if self._validators.best(key, (held.value, value)) != value:
                return Verdict.WORSE
            held.value, held.expires_us = value, expires_us
            self._records[key] = self._records.pop(key)
            return Verdict.KEPT
        if self._counts.get(peer, 0) >= self._params.max_records_per_peer:
            return Verdict.PEER_FULL
        distance = key_of(key) ^ self._own
        if not self._make_room(distance):
            return Verdict.FULL
        self._records[key] = _Record(value, peer, distance, expires_us)
        self._counts[peer] = self._counts.get(peer, 0) + 1
        return Verdict.KEPT

    def get(self, key: bytes, now_us: int) -> bytes | None:
        """The value held at `key`."""
        held = self._records.get(key)
        return held.value if held is not None and held.expires_us > now_us else None

    def expire(self, now_us: int) -> None:
        """Forget what has expired."""
        while self._records:
            key, first = next(iter(self._records.items()))
            if first.expires_us > now_us:
                return
            self._forget(key)

    @property
    def next_expiry_us(self) -> int | None:
        """When the first record expires; None if there is none."""
        return next(iter(self._records.values())).expires_us if self._records else None

    def __len__(self) -> int:
        return len(self._records)

    def _make_room(self, distance: int) -> bool:
        if len(self._records) < self._params.max_records:
            return True
        farthest = max(self._records, key=lambda key: self._records[key].distance, default=None)
        if farthest is None or self._records[farthest].distance <= distance:
            return False
        self._forget(farthest)
        return True

    def _forget(self, key: bytes) -> None:
        owner = self._records.pop(key).owner
        left = self._counts[owner] - 1
        if left:
            self._counts[owner] = left
        else:
            del self._counts[owner]
