"""Reconciliation of a set of entries that are no chains: pruned holes, blind storage, a guest's window.

The core is that of `ranges`, with salted digests; items are ordered by clock and entry id. The initiator learns which
entries each side lacks. Whoever knows both salts makes the key with `session_key`.
"""

from collections.abc import Iterable
from typing import final

from latticework.wire import EntryId, MalformedError

from .params import SYNC_MAX_KEYS, SYNC_MAX_RANGES
from .ranges import Fingerprinted, Listed, RangeIndex, RangeReconciler, Rules, Skipped, Told, ToldRange, salted_digest
from .reconcile_messages import SetRange, SetRanges

_CLOCK_BYTES = 8


def entry_index(key: bytes, entries: Iterable[tuple[int, EntryId]]) -> RangeIndex:
    """An index of (clock, id) under a session's key of 32 bytes."""
    items = (clock.to_bytes(_CLOCK_BYTES) + entry for clock, entry in entries)
    return RangeIndex((item, salted_digest(key, item)) for item in items)


@final
class SetReconciler:
    """One side. `have` and `need` are complete at the initiator once `answer` has returned None."""

    def __init__(self, index: RangeIndex, *, initiator: bool) -> None:
        self._ranges = RangeReconciler(index, Rules(), initiator=initiator)
        self._initiator = initiator

    @property
    def have(self) -> set[EntryId]:
        """Entries that the other side lacks."""
        return {EntryId(key[_CLOCK_BYTES:]) for key in self._ranges.have}

    @property
    def need(self) -> set[EntryId]:
        """Entries that we lack."""
        return {EntryId(key[_CLOCK_BYTES:]) for key in self._ranges.need}

    def start(self) -> SetRanges:
        """The first message."""
        return self._bounded([(b"", self._ranges.start())])

    def answer(self, message: SetRanges) -> SetRanges | None:
        """The answer; None at the initiator when all is known.

        Raises:
            MalformedError: bounds that do not ascend, or a range that tells two things.
        """
        answer = self._bounded(self._ranges.answer(_read(message)))
        return answer if answer.ranges or not self._initiator else None

    def _bounded(self, answers: Iterable[tuple[bytes, list[ToldRange]]]) -> SetRanges:
        """As many answers as fit, and one fingerprint of the rest."""
        ranges: list[SetRange] = []
        at, room = b"", SYNC_MAX_KEYS
        for lower, told_ranges in answers:
            if lower != at:
                ranges.append(_write(lower, Skipped()))
                at = lower
            for told_range in told_ranges:
                told = told_range.told
                count = len(told.keys) if isinstance(told, Listed) else 0
                if len(ranges) < SYNC_MAX_RANGES - 2 and count <= room:
                    ranges.append(_write(told_range.upper, told))
                    at, room = told_range.upper or at, room - count
                    continue
                if isinstance(told, Listed) and 0 < room < count:
                    at = told.keys[room]
                    ranges.append(_write(at, Listed(told.keys[:room])))
                return SetRanges((*ranges, _write(None, Fingerprinted(self._ranges.fingerprint(at, None)))))
        return SetRanges(tuple(ranges))


def _write(upper: bytes | None, told: Told) -> SetRange:
    match told:
        case Skipped():
            return SetRange(upper or b"", None, None)
        case Fingerprinted(fingerprint):
            return SetRange(upper or b"", fingerprint, None)
        case Listed(keys):
            return SetRange(upper or b"", None, keys)


def _read(message: SetRanges) -> list[ToldRange]:
    ranges: list[ToldRange] = []
    lower = b""
    for at, told_range in enumerate(message.ranges):
        upper = told_range.upper
        if (upper and upper <= lower) or (not upper and at != len(message.ranges) - 1):
            raise MalformedError("ranges do not ascend")
        if told_range.fingerprint is not None and told_range.keys is not None:
            raise MalformedError("a range tells two things")
        told: Told = Skipped()
        if told_range.fingerprint is not None:
            told = Fingerprinted(told_range.fingerprint)
        elif told_range.keys is not None:
            told = Listed(told_range.keys)
        ranges.append(ToldRange(upper or None, told))
        lower = upper
    return ranges
