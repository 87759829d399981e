"""How many bytes a message of reconciliation would be on a stream, without encoding it: what bandwidth is charged for.

CBOR's arithmetic over `crdt/reconcile_messages` and `crdt/batch`, in the frame that a node's link puts around them
(`node.messages.AboutSpace`); tests compare with the encoder. What the secure channel adds is not counted.
"""

from collections.abc import Iterable
from typing import Final, assert_never

from latticework.crdt.reconcile_messages import (
    Compare,
    Entries,
    Hashes,
    Message,
    Probe,
    ProofHashes,
    Proofs,
    Root,
    Want,
    WantIds,
)
from latticework.wire import LogId

from .ledger import LedgerEntry

_FRAME: Final = 1 + 1 + 34
"""Around each message: an array of a tag, the space's id, and the message."""
_ID: Final = 34
_SIGNATURE: Final = 66
_LANE: Final = 1


def message_bytes(message: Message, batch_bytes: int = 0) -> int:
    """The length of `message` in its frame; of Entries, with a batch of `batch_bytes`."""
    match message:
        case Root(_, pending, salt):
            return _FRAME + 2 + _ID + _uint(pending) + (1 if salt is None else 17)
        case Compare():
            return _FRAME + _compare(message)
        case Want(ranges):
            size = sum(9 + _uint(w.first) + _uint(w.last) + (1 if w.after is None else 7) - 1 for w in ranges)
            return _FRAME + 2 + _uint(len(ranges)) + size
        case Entries():
            return _FRAME + 3 + _bytes(batch_bytes)
        case WantIds(ids):
            return _FRAME + 2 + _uint(len(ids)) + _ID * len(ids)
        case Probe(_, seqs):
            return _FRAME + 9 + _uint(len(seqs)) + sum(map(_uint, seqs))
        case Hashes(_, found):
            return _FRAME + 9 + _uint(len(found)) + sum(1 if entry is None else _ID for entry in found)
        case ProofHashes(hashes):
            return _FRAME + 2 + _uint(len(hashes)) + _ID * len(hashes)
        case Proofs(proofs):
            return _FRAME + 2 + _uint(len(proofs)) + sum(_bytes(len(proof)) for proof in proofs)
        case _:
            assert_never(message)


def batch_bytes(entries: Iterable[tuple[LogId, int, LedgerEntry]]) -> int:
    """The length of `crdt.write_batch` of these entries, as (log, number, entry) and without dependencies."""
    authors: dict[LogId, int] = {}
    last: dict[LogId, int] = {}
    size, count = 0, 0
    for log, seq, entry in entries:
        author = authors.setdefault(log, len(authors))
        place = 1 if last.get(log) == seq - 1 else 1 + _uint(seq) + (_ID if seq else 1)
        last[log] = seq
        count += 1
        size += 3 + _uint(author) + place + _uint(entry.hlc) + _LANE + _SIGNATURE + _bytes(entry.size_bytes)
    return 2 + _uint(len(authors)) + _ID * len(authors) + _uint(count) + size


def _compare(message: Compare) -> int:
    heads = message.heads
    size = 2 + _uint(message.round) + _uint(message.step) + (1 if message.proofs is None else 17)
    size += 1 + _bytes(len(heads.names)) + _uint(len(heads.seqs)) + sum(map(_uint, heads.seqs))
    size += _bytes(len(heads.checks)) + _uint(len(message.ranges))
    for told in message.ranges:
        size += 1 + _bytes(len(told.upper)) + (1 if told.told is None else _bytes(len(told.told)))
    return size


def _bytes(length: int) -> int:
    return _uint(length) + length


def _uint(value: int) -> int:
    """The head of an item of CBOR: an integer, or the length of what follows."""
    if value < 24:
        return 1
    if value < 1 << 8:
        return 2
    if value < 1 << 16:
        return 3
    return 5 if value < 1 << 32 else 9
