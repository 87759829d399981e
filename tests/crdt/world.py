"""One account with a few devices, and replicas of one space that exchange entries by hand."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

from latticework.crdt import (
    ROLE_INTRODUCE,
    Base,
    Changes,
    Conviction,
    DeviceCertificate,
    DocOperations,
    DocumentEditor,
    Documents,
    Dot,
    Entry,
    FileOperations,
    Filled,
    LocalOperation,
    Moved,
    Operation,
    Operations,
    Position,
    Roster,
    Shown,
    SignedCertificate,
    SpaceEvent,
    SpaceReplica,
    Stored,
    Value,
    Writer,
    Written,
    account_id,
    certificate_hash,
    next_batch,
    operations_for,
)
from latticework.crdt.doc_ops import PutKey
from latticework.crdt.params import MAX_SEQ
from latticework.simnet.providers import ModelSignatures
from latticework.wire import AccountId, DeviceId, EntryId, Label, LogId, Signer, SpaceId, encode
from latticework.wire.signing import Ed25519Signer

from .tree_world import content_of

SIGNATURES: Final = ModelSignatures()
SPACE: Final = SpaceId(b"S" * 32)
NOW_US: Final = 1_800_000_000_000_000


@final
class PlainCipher:
    """A `PayloadCipher` that hides nothing."""

    def seal(self, log: LogId, seq: int, prev: EntryId | None, plaintext: bytes) -> bytes:
        return plaintext

    def open(self, log: LogId, seq: int, prev: EntryId | None, payload: bytes) -> bytes:
        return payload


@final
class MemoryPositions:
    """Admitted entries in admission order, as the store of a node knows them."""

    def __init__(self) -> None:
        self.by_id: dict[EntryId, Entry] = {}
        self._by_log: dict[LogId, list[EntryId]] = {}

    @property
    def entries(self) -> list[Entry]:
        return list(self.by_id.values())

    @property
    def known(self) -> dict[EntryId, Position]:
        return {entry: Position(e.body.author, e.body.seq, e.body.hlc) for entry, e in self.by_id.items()}

    def position(self, entry: EntryId) -> Position | None:
        found = self.by_id.get(entry)
        return None if found is None else Position(found.body.author, found.body.seq, found.body.hlc)

    def entry(self, entry: EntryId) -> Entry | None:
        return self.by_id.get(entry)

    def entries_from(self, log: LogId, seq: int, last: int = MAX_SEQ) -> Sequence[Entry]:
        return [self.by_id[entry] for entry in self._by_log.get(log, ()) if seq <= self.by_id[entry].body.seq <= last]

    def remember(self, entry: Entry) -> None:
        assert entry.id not in self.by_id, "admitted twice"
        self.by_id[entry.id] = entry
        self._by_log.setdefault(entry.body.author, []).append(entry.id)

    def fill(self, entry: Entry) -> None:
        self.by_id[entry.id] = entry


@dataclass(frozen=True)
class Device:
    name: str
    signer: Signer
    exchange_key: bytes
    log: Ed25519Signer

    @property
    def id(self) -> DeviceId:
        return self.certificate(None, None, ()).device

    @property
    def log_id(self) -> LogId:
        return LogId(self.log.public)

    def certificate(
        self,
        account: AccountId | None,
        issuer: DeviceId | None,
        parents: tuple[bytes, ...],
        *,
        name: str | None = None,
        roles: int = ROLE_INTRODUCE,
    ) -> DeviceCertificate:
        return DeviceCertificate(
            1, account, issuer, self.signer.public, self.exchange_key, name or self.name, roles, 0, 1, parents
        )


def device(name: str, number: int) -> Device:
    seed = bytes([number]) * 64
    return Device(name, SIGNATURES.signer(seed), bytes([number]) * 32, Ed25519Signer(bytes([number + 100]) * 32))


def signed(certificate: DeviceCertificate, issuer: Device, subject: Device) -> bytes:
    body = encode(certificate)
    return encode(
        SignedCertificate(
            body, issuer.signer.sign(body, Label.CERTIFICATE), subject.signer.sign(body, Label.CERTIFICATE_ACCEPT)
        )
    )


@final
class Account:
    """Devices that the first of them introduced, one after the other."""

    def __init__(self, *names: str) -> None:
        self.devices = [device(name, number + 1) for number, name in enumerate(names)]
        founder = self.devices[0]
        self.records = [signed(founder.certificate(None, None, ()), founder, founder)]
        self.id = account_id(self.records[0])
        for subject in self.devices[1:]:
            self.records.append(self.introduce(founder, subject, certificate_hash(self.records[-1])))

    def introduce(
        self, issuer: Device, subject: Device, *parents: bytes, name: str | None = None, roles: int = 1
    ) -> bytes:
        return signed(subject.certificate(self.id, issuer.id, parents, name=name, roles=roles), issuer, subject)

    def roster(self) -> Roster:
        roster = Roster.found(SIGNATURES, self.records[0])
        assert roster.add_all(self.records[1:]) == []
        return roster


def write_checkpoint(space: SpaceReplica, writer: Writer, now_us: int) -> tuple[list[Entry], bytes]:
    """A checkpoint with what goes before it, and the snapshot that it speaks of."""
    before = space.begin_checkpoint(writer, now_us)
    snapshot = space.projection.snapshot()
    return [*before, space.write_checkpoint(writer, snapshot, now_us)], snapshot


@final
@dataclass
class Replica:
    """A `SpaceReplica` with the store and the habits of a node: what it admits it remembers."""

    device: Device
    roster: Roster
    now_us: int = NOW_US
    positions: MemoryPositions = field(default_factory=MemoryPositions)
    proofs: list[bytes] = field(default_factory=list[bytes])
    log: Ed25519Signer | None = None
    base: Base | None = None
    space: SpaceReplica = field(init=False)

    def __post_init__(self) -> None:
        self.space = self._fresh()

    @property
    def entries(self) -> list[Entry]:
        return self.positions.entries

    @property
    def shown(self) -> dict[bytes, Shown]:
        return self.space.projection.tree.shown

    @property
    def writer(self) -> Writer:
        return Writer(self.log or self.device.log, self.device.id, self.device.signer)

    def open_new_log(self) -> None:
        """What a node does whose log is convicted."""
        self.log = Ed25519Signer(hashlib.sha256((self.log or self.device.log).public).digest())

    def put(self, operations: Operations) -> list[Entry]:
        """Write one entry, and what it needs."""
        self.now_us += 1_000_000
        entries, _ = self.space.write(self.writer, operations, self.now_us)
        self._keep(entries)
        return entries

    def say(self, words: bytes) -> list[Entry]:
        """Write something that shows in `visible`."""
        return self.put(edit(words))

    def checkpoint(self) -> tuple[list[Entry], Base]:
        self.now_us += 1_000_000
        entries, snapshot = write_checkpoint(self.space, self.writer, self.now_us)
        self._keep(entries)
        return entries, Base(entries[-1].id, snapshot)

    def write(self, *operations: Operation) -> list[Entry]:
        """Write operations of the tree, in as many entries as they need."""
        written: list[Entry] = []
        ends: list[tuple[int, EntryId]] = []
        while (batch := next_batch(operations, ends)) is not None:
            content, end = batch
            entries = self.put(content)
            written += entries
            ends.append((end, entries[-1].id))
        return written

    def seen(self, path: bytes) -> tuple[Dot, ...]:
        """What a user who looks at `path` sees there."""
        shown = self.shown.get(path)
        return () if shown is None else shown.dots

    def do(self, *changes: LocalOperation) -> list[Entry]:
        return self.write(*operations_for(self.space.projection.tree, changes))

    def change(self, *changes: tuple[bytes, Value | None]) -> list[Entry]:
        """What a scan of the folder publishes when a user who saw the tree as it is made `changes` at once."""
        return self.do(*(Written(path, value, self.seen(path)) for path, value in changes))

    def move(self, *moves: tuple[bytes, bytes]) -> list[Entry]:
        """The same for things that were moved."""
        return self.do(*(Moved(old, new, self.seen(old)) for old, new in moves))

    def receive(self, entry: Entry, sender: bytes = b"peer") -> list[SpaceEvent]:
        return self.take([entry], sender)

    def receive_all(self, entries: Sequence[Entry], sender: bytes = b"peer") -> None:
        for entry in entries:
            self.take([entry], sender)

    def take(self, entries: Sequence[Entry], sender: bytes = b"peer") -> list[SpaceEvent]:
        """Receive entries as one batch."""
        return self._after(self.space.receive([(entry, sender) for entry in entries], self.now_us))

    def take_proof(self, proof: bytes) -> list[SpaceEvent]:
        return self._after(self.space.take_proof(proof))

    def restart(self) -> None:
        """Crash, and start from what is stored."""
        self.space = self._fresh()
        found = self.space.load(self.positions.entries, self.proofs, self.base)
        self.proofs += [conviction.proof for conviction in found]

    def replayed(self, entries: Sequence[Entry]) -> "Replica":
        """A fresh replica that loads `entries`, as after a start."""
        other = Replica(self.device, self.roster, self.now_us, proofs=list(self.proofs))
        for entry in entries:
            other.positions.remember(entry)
        other.restart()
        return other

    def _fresh(self) -> SpaceReplica:
        return SpaceReplica(SPACE, self.roster, SIGNATURES, PlainCipher(), self.positions)

    def _after(self, events: list[SpaceEvent]) -> list[SpaceEvent]:
        for event in events:
            match event:
                case Stored(entry):
                    self.positions.remember(entry)
                case Filled(entry):
                    self.positions.fill(entry)
                case Conviction():
                    self.proofs.append(event.proof)
                case _:
                    pass
        self.space.logs.committed()
        return events

    def _keep(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.positions.remember(entry)
        self.space.logs.committed()


def edit(words: bytes) -> Operations:
    """Operations that `visible` shows: a key of its own for each of `words`."""
    editor = DocumentEditor(Documents(), "d")
    editor.put((words.hex(),), words)
    return editor.operations()


def visible(replica: Replica) -> object:
    """What a person sees of the documents and the tree, and which operations that stands for."""
    documents = replica.space.projection.documents
    return {name: documents.document(name).json() for name in documents.names()}, dict(replica.shown)


def effective(replica: Replica, entry: Entry) -> bool:
    """True if the words of `say` in the entry show, or if its operations of the tree count."""
    match replica.space.payload(entry):
        case DocOperations(document, operations=(PutKey() as put,)):
            return put.key in replica.space.projection.documents.document(document).json()
        case FileOperations():
            files = replica.space.projection.tree
            return files.origin_of(entry.id) is not None and not files.is_void(entry.id)
        case _:
            return False


def changes_of(events: Sequence[SpaceEvent]) -> Changes:
    """What of `events` a person sees."""
    found = [event for event in events if isinstance(event, Changes)]
    return found[0] if found else Changes()


def exchange(*replicas: Replica) -> None:
    """Everyone gets everything, in causal order."""
    for source in replicas:
        for target in replicas:
            if source is not target:
                target.now_us = max(target.now_us, source.now_us)
                target.receive_all(source.entries)


def tree(replica: Replica) -> dict[bytes, bytes]:
    """Content by visible path."""
    return {path: content_of(shown.value) for path, shown in replica.shown.items()}
