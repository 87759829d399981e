"""What a sync run of tier C replicates: logs of entries without signatures and payloads, and what a node has of them.

Nobody equivocates, so a log is one chain for everybody, kept once in the `Ledger`; a node's `Store` holds the first
entries of each log up to its head. That is what a `Reconciler` needs of a store, in a fraction of a node's memory.
A batch of entries travels as ranges of the ledger; links are charged for the batch that it stands for (`sync_size`).
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from latticework.crdt import Head
from latticework.crdt.hlc import next_hlc
from latticework.crdt.reconcile_events import Range
from latticework.wire import EntryId, LogId

from ..clock import DEFAULT_EPOCH_US

_RANGE: Final = struct.Struct(">32sQQ")


class LedgerEntry(NamedTuple):
    """One entry; `message` is its number among the run's."""

    id: EntryId
    hlc: int
    size_bytes: int
    message: int


@final
class Ledger:
    """Every log of a run."""

    def __init__(self) -> None:
        self._logs: dict[LogId, list[LedgerEntry]] = {}

    def write(self, log: LogId, clock: int, now_us: int, size_bytes: int, message: int) -> None:
        """Add an entry to a log, whose author's clock is past `clock`."""
        entries = self._logs.setdefault(log, [])
        number = len(entries)
        identifier = EntryId(hashlib.sha256(log + number.to_bytes(8, "big")).digest())
        entries.append(LedgerEntry(identifier, next_hlc(clock, DEFAULT_EPOCH_US + now_us), size_bytes, message))

    def length(self, log: LogId) -> int:
        """How many entries its author has written."""
        return len(self._logs.get(log, ()))

    def at(self, log: LogId, seq: int) -> LedgerEntry:
        """The entry of that number, which somebody has written."""
        return self._logs[log][seq]


def write_ranges(ranges: Iterable[Range]) -> bytes:
    """What stands for a batch of these entries; empty for none."""
    return b"".join(_RANGE.pack(told.log, told.first, told.last) for told in ranges)


def read_ranges(batch: bytes) -> Iterator[Range]:
    """What `write_ranges` has written."""
    for log, first, last in _RANGE.iter_unpack(batch):
        yield Range(LogId(log), first, last)


@final
@dataclass(slots=True)
class Store:
    """What one node holds; also what its reconcilers ask (`crdt.reconcile_fork.Chains`).

    `lost` is what it held before it lost its disk, so that nothing is delivered to it twice.
    """

    ledger: Ledger
    own_log: LogId
    heads: dict[LogId, Head] = field(default_factory=dict[LogId, Head])
    clock: int = 0
    lost: dict[LogId, int] = field(default_factory=dict[LogId, int])

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        """The entry of `log` with this number, if it is here."""
        head = self.heads.get(log)
        return self.ledger.at(log, seq).id if head is not None and seq <= head.seq else None

    def next_seq(self, log: LogId) -> int:
        """The number of the first entry of `log` that is not here."""
        head = self.heads.get(log)
        return 0 if head is None else head.seq + 1

    def take(self, log: LogId, last: int) -> None:
        """Everything of `log` up to `last` is here."""
        entry = self.ledger.at(log, last)
        self.heads[log] = Head(last, entry.id, entry.hlc)
        self.clock = max(self.clock, entry.hlc)

    def lose(self, own_log: LogId) -> None:
        """Nothing is here any more; what this node writes from now on is in another log."""
        for log, head in self.heads.items():
            self.lost[log] = max(head.seq, self.lost.get(log, -1))
        self.heads.clear()
        self.own_log = own_log
        self.clock = 0
