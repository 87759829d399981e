"""Golden vectors of reconciliation, in tests/vectors/crdt-reconcile.json; see test_vectors.py for how to write them."""

import hashlib
import json
import os
from pathlib import Path
from typing import Final

import pytest

from latticework.crdt.logs import Head
from latticework.crdt.negentropy import Negentropy, record_index
from latticework.crdt.ranges import Span, salted_digest, salted_fingerprint
from latticework.crdt.reconcile import session_key, sync_root
from latticework.crdt.reconcile_messages import (
    MESSAGES,
    Compare,
    Entries,
    Hashes,
    HeadRange,
    Heads,
    Message,
    Probe,
    ProofHashes,
    Proofs,
    Root,
    SetRange,
    SetRanges,
    Want,
    WantIds,
    WantRange,
)
from latticework.crdt.reconcile_round import HeadNames
from latticework.crdt.reconcile_set import SetReconciler, entry_index
from latticework.wire import EntryId, LogId, decode_one_of, encode

from .reconcile_world import history, log_id, pair

pytestmark = pytest.mark.unit

VECTORS: Final = Path(__file__).parent.parent / "vectors" / "crdt-reconcile.json"
SALTS: Final = (bytes(range(16)), bytes(range(16, 32)))
KEY: Final = session_key(*SALTS)
LOG: Final = LogId(bytes(range(32)))
ENTRY: Final = EntryId(bytes(range(32, 64)))

type Json = str | int | bool | list[Json] | dict[str, Json]


def golden(actual: dict[str, Json]) -> dict[str, Json]:
    """What the file holds under these names; `actual` is written first if asked for."""
    stored: dict[str, Json] = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
    if os.environ.get("LATTICE_WRITE_VECTORS"):
        stored |= actual
        VECTORS.write_text(json.dumps(stored, indent=2) + "\n")
    return {name: stored[name] for name in actual}


def test_keys_names_and_fingerprints() -> None:
    names = HeadNames(KEY)
    names.refresh({LOG: Head(300, ENTRY, 1_800_000_000_000 << 16)})
    (head,) = names.all()
    actual: dict[str, Json] = {
        "salts": [salt.hex() for salt in SALTS],
        "key": KEY.hex(),
        "log": LOG.hex(),
        "seq": 300,
        "entry": ENTRY.hex(),
        "clock": 1_800_000_000_000 << 16,
        "name": head.name.hex(),
        "check": head.check.hex(),
        "order": head.key.hex(),
        "digest": f"{head.digest:064x}",
        "digest_of_abc": f"{salted_digest(KEY, b'abc'):064x}",
        "fingerprint_of_nothing": salted_fingerprint(Span(0, 0)).hex(),
        "fingerprint": salted_fingerprint(Span(head.digest, 1)).hex(),
        "root_of_nothing": sync_root({}, []).hex(),
        "root": sync_root({LOG: Head(300, ENTRY, 1)}, [b"p" * 32, b"o" * 32]).hex(),
    }
    assert golden(actual) == actual


def test_every_message() -> None:
    name = HeadNames(KEY).name(LOG)
    nothing = Heads(b"", (), b"")
    messages: list[Message] = [
        Root(bytes(32), 0, SALTS[0]),
        Root(bytes(32), 7, None),
        Compare(1, 0, bytes(16), Heads(name * 2, (0, 1 << 48), bytes(12)), (HeadRange(b"\x01\x02", b""),)),
        Compare(1 << 32, 63, None, nothing, (HeadRange(b"\x01", None), HeadRange(b"", bytes(16)))),
        Compare(2, 2, None, nothing, ()),
        Want((WantRange(name, 0, 5, None), WantRange(bytes(6), 7, 1 << 48, bytes(6)))),
        WantIds((ENTRY, EntryId(bytes(32)))),
        Entries(b"a batch", 0),
        Entries(b"", 1),
        Probe(name, (0, 23, 24)),
        Hashes(name, (ENTRY, None)),
        ProofHashes((b"p" * 32,)),
        Proofs((b"a proof",)),
    ]
    assert {type(message) for message in messages} == set(MESSAGES)
    for message in messages:
        assert decode_one_of(MESSAGES, encode(message), 10_000) == message
    ranges = SetRanges(
        (SetRange(b"\x01", None, None), SetRange(b"\x02", bytes(16), None), SetRange(b"", None, (bytes(40),)))
    )
    actual: dict[str, Json] = {
        "messages": [encode(message).hex() for message in messages],
        "set_ranges": encode(ranges).hex(),
    }
    assert golden(actual) == actual


def test_a_whole_exchange() -> None:
    one = history([2] * 40)
    two = one.copy()
    one.clock += 1 << 20
    one.write(log_id(0))
    two.clock += 1 << 20
    for number in (1, 41):
        two.write(log_id(number))
    sides = pair(one, two)
    transcript: list[Json] = []
    while any(side.out for side in sides):
        for at, side in enumerate(sides):
            if side.out:
                data = side.out.popleft()
                transcript.append(f"{'AB'[at]} {data.hex()}")
                sides[1 - at].hear(data)
    assert one.heads == two.heads
    actual: dict[str, Json] = {"exchange": transcript}
    assert golden(actual) == actual


def test_sets_and_negentropy() -> None:
    entries = [(n << 16, EntryId(hashlib.sha256(b"%d" % n).digest())) for n in range(40)]
    side = SetReconciler(entry_index(KEY, entries), initiator=True)
    first = Negentropy(record_index(entries), initiator=True).initiate()
    answer = Negentropy(record_index(entries[5:]), initiator=False).reconcile(first)
    assert answer is not None
    actual: dict[str, Json] = {
        "set_start": encode(side.start()).hex(),
        "negentropy_start": first.hex(),
        "negentropy_answer": answer.hex(),
    }
    assert golden(actual) == actual
