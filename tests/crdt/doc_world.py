"""Replicas of the documents of one space, without logs and signatures: entries are made by hand and carried by hand."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple, final

from latticework.crdt.doc_edit import DocumentEditor
from latticework.crdt.doc_ops import DocOperations
from latticework.crdt.doc_view import Json
from latticework.crdt.documents import Documents
from latticework.wire import EntryId, LogId, decode, encode

NAME = "doc"


class Made(NamedTuple):
    """An entry in the lane of documents, as `Documents.apply` takes it."""

    id: EntryId
    hlc: int
    log: LogId
    seq: int
    past: dict[LogId, int]
    content: DocOperations


def entry_of(hlc: int, log: LogId, seq: int, past: dict[LogId, int], content: DocOperations) -> Made:
    """An entry with an id that depends on all of it; what it says has been on the wire."""
    payload = encode(content)
    digest = hashlib.sha256(repr((hlc, log, seq, sorted(past.items()))).encode() + payload).digest()
    return Made(EntryId(digest), hlc, log, seq, past, decode(DocOperations, payload, 1 << 20))


@final
class Device:
    """A replica with a log of its own, and everything it has seen."""

    def __init__(self, name: str) -> None:
        self.log = LogId(hashlib.sha256(name.encode()).digest())
        self.documents = Documents()
        self.entries: dict[EntryId, Made] = {}
        self.past: dict[LogId, int] = {}
        self.hlc = 0

    def edit(self, *actions: Callable[[DocumentEditor], None]) -> Made:
        """Write one entry with what the actions do."""
        editor = DocumentEditor(self.documents, NAME, self.log)
        for action in actions:
            action(editor)
        return self.write(editor.operations())

    def write(self, content: DocOperations) -> Made:
        """Write one entry that says this."""
        made = entry_of(self.hlc + 1, self.log, self.past.get(self.log, -1) + 1, self.past.copy(), content)
        self.receive(made)
        return made

    def receive(self, *entries: Made) -> None:
        """Apply entries; their causal past is here."""
        for made in entries:
            self.documents.apply(*made)
            self.entries[made.id] = made
            for log, seq in (*made.past.items(), (made.log, made.seq)):
                self.past[log] = max(seq, self.past.get(log, -1))
            self.hlc = max(self.hlc, made.hlc)

    def reload(self) -> None:
        """Go on from a snapshot."""
        self.documents = Documents.load(self.documents.snapshot())

    @property
    def json(self) -> dict[str, Json]:
        return self.documents.document(NAME).json()


def exchange(*devices: Device) -> None:
    """Everybody gets everything, in the order of clocks."""
    entries = {made.id: made for device in devices for made in device.entries.values()}
    for device in devices:
        missing = [made for key, made in entries.items() if key not in device.entries]
        device.receive(*sorted(missing, key=lambda made: (made.hlc, made.id)))


def alike(*devices: Device) -> dict[str, Json]:
    """What all devices show; they must agree in everything."""
    first = devices[0]
    for device in devices[1:]:
        assert device.documents.snapshot() == first.documents.snapshot()
        assert device.json == first.json
        shown = device.documents.document(NAME).all_conflicts()
        assert shown == first.documents.document(NAME).all_conflicts()
    return first.json
