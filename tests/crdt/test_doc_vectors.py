"""Golden vectors of documents: what each operation is on the wire, a snapshot, and what it shows.

Written anew by `LATTICE_WRITE_VECTORS=1 uv run pytest tests/crdt/test_doc_vectors.py` until tag 0.1 (decision 1).
"""

import json
import os
from pathlib import Path
from typing import Final

import pytest

from latticework.crdt.doc_ops import (
    ABSENT,
    AddMember,
    Container,
    DeleteElements,
    DocOperations,
    Double,
    ElementRange,
    ElementRef,
    Increment,
    InsertText,
    InsertValues,
    Kind,
    Make,
    Operation,
    OperationRef,
    PutElement,
    PutKey,
    RemoveMembers,
    Undo,
)
from latticework.crdt.documents import Documents
from latticework.wire import EntryId, LogId, decode, encode

pytestmark = pytest.mark.unit

VECTORS: Final = Path(__file__).parent.parent / "vectors" / "crdt-documents.json"
LOGS: Final = [LogId(bytes([n]) * 32) for n in (1, 2)]
ENTRIES: Final = [EntryId(bytes([n]) * 32) for n in (0xE2, 0xE1, 0xE3)]
ROWS: Final = (
    Container(0, "text", Kind.TEXT),
    Container(0, "list", Kind.LIST),
    Container(0, "count", Kind.COUNTER),
    Container(0, "set", Kind.SET),
    Container(2, ElementRef(0, 2, 1), Kind.MAP),
)

FIRST: Final[tuple[Operation, ...]] = (
    PutKey(0, "text", Make(Kind.TEXT), (), lww=False),
    InsertText(1, None, left_side=False, right=None, text="h\u00e9llo \U0001f600"),
    InsertValues(
        2, None, left_side=False, right=None, values=(None, Make(Kind.MAP), True, -1, "s", b"b", Double.of(0.5))
    ),
    PutKey(5, "key", Double.of(-0.0), (), lww=True),
    Increment(3, -(1 << 63)),
    Increment(3, (1 << 63) - 1),
    AddMember(4, "member"),
    AddMember(4, Double.of(1.0)),
)
SECOND: Final[tuple[Operation, ...]] = (
    InsertText(1, ElementRef(1, 1, 4), left_side=False, right=ElementRef(1, 1, 5), text="!"),
    InsertText(1, ElementRef(1, 1, 0), left_side=True, right=None, text="> "),
    DeleteElements(1, (ElementRange(1, 1, 6, 1), ElementRange(0, 1, 1, 1))),
    DeleteElements(2, (ElementRange(1, 2, 2, 1 << 19),)),
    PutElement(2, ElementRef(1, 2, 0), "first", (OperationRef(1, 2),), lww=False),
    PutKey(0, "gone", ABSENT, (OperationRef(2, 8191),), lww=False),
    RemoveMembers(4, (OperationRef(1, 7),)),
)
THIRD: Final[tuple[Operation, ...]] = (Undo(OperationRef(2, 3)), Undo(OperationRef(1, 4)), Undo(OperationRef(0, 1)))

HISTORY: Final = [
    (ENTRIES[0], 1 << 16, LOGS[0], 3, {LOGS[0]: 2}, DocOperations("doc", (), ROWS, FIRST)),
    (
        ENTRIES[1],
        2 << 16,
        LOGS[1],
        0,
        {LOGS[0]: 3},
        DocOperations("doc", (ENTRIES[0], EntryId(bytes(32))), ROWS[:4], SECOND),
    ),
    (
        ENTRIES[2],
        3 << 16,
        LOGS[1],
        1,
        {LOGS[0]: 3, LOGS[1]: 0},
        DocOperations("doc", (ENTRIES[0], ENTRIES[1]), (), THIRD),
    ),
]


def test_documents() -> None:
    documents = Documents()
    for entry in HISTORY:
        documents.apply(*entry)
        content = entry[5]
        assert decode(DocOperations, encode(content), 10_000) == content
    actual = {
        "payloads": [encode(entry[5]).hex() for entry in HISTORY],
        "operations": {
            f"{type(operation).__name__} {number}": encode(operation).hex()
            for number, operation in enumerate((*FIRST, *SECOND, *THIRD))
        },
        "rows": [encode(row).hex() for row in ROWS],
        "shown": repr(documents.document("doc").json()),
        "snapshot": documents.snapshot().hex(),
    }
    documents.set_void({ENTRIES[1]: True})
    actual |= {"shown_void": repr(documents.document("doc").json()), "snapshot_void": documents.snapshot().hex()}
    if os.environ.get("LATTICE_WRITE_VECTORS"):
        VECTORS.write_text(json.dumps(actual, indent=2) + "\n")
    assert json.loads(VECTORS.read_text()) == actual
    assert Documents.load(bytes.fromhex(str(actual["snapshot_void"]))).snapshot() == documents.snapshot()
