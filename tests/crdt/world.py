"""One account with a few devices, and replicas of one space that exchange entries by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

from latticework.crdt import (
    ROLE_INTRODUCE,
    ChunkRef,
    DeviceCertificate,
    Directory,
    Dot,
    Entry,
    File,
    Inline,
    LocalOperation,
    Moved,
    Operation,
    Position,
    Roster,
    Shown,
    SignedCertificate,
    SpaceEvent,
    SpaceReplica,
    Stored,
    Symlink,
    Value,
    Written,
    account_id,
    certificate_hash,
    operations_for,
)
from latticework.simnet.providers import ModelSignatures
from latticework.wire import AccountId, ChunkId, DeviceId, EntryId, Label, LogId, Signer, SpaceId, encode
from latticework.wire.signing import Ed25519Signer

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
    """Admitted entries by id, as the store of a node knows them."""

    def __init__(self) -> None:
        self.known: dict[EntryId, Position] = {}

    def position(self, entry: EntryId) -> Position | None:
        return self.known.get(entry)

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        return next((key for key, p in self.known.items() if (p.log, p.seq) == (log, seq)), None)

    def remember(self, entry: Entry) -> None:
        self.known[entry.id] = Position(entry.body.author, entry.body.seq, entry.body.hlc)


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


@final
@dataclass
class Replica:
    """A `SpaceReplica` with the store and the habits of a node: what it admits it remembers."""

    device: Device
    roster: Roster
    now_us: int = NOW_US
    positions: MemoryPositions = field(default_factory=MemoryPositions)
    entries: list[Entry] = field(default_factory=list[Entry])
    space: SpaceReplica = field(init=False)

    def __post_init__(self) -> None:
        self.space = SpaceReplica(SPACE, self.roster, SIGNATURES, PlainCipher(), self.positions)

    @property
    def shown(self) -> dict[bytes, Shown]:
        return self.space.tree.shown

    def write(self, *operations: Operation) -> list[Entry]:
        self.now_us += 1_000_000
        stored = self.space.write(self.device.log, self.device.signer, self.device.id, operations, self.now_us)
        for event in stored:
            self._keep(event)
        return [event.entry for event in stored]

    def seen(self, path: bytes) -> tuple[Dot, ...]:
        """What a user who looks at `path` sees there."""
        shown = self.shown.get(path)
        return () if shown is None else shown.dots

    def do(self, *changes: LocalOperation) -> list[Entry]:
        return self.write(*operations_for(self.space.tree, changes))

    def change(self, *changes: tuple[bytes, Value | None]) -> list[Entry]:
        """What a scan of the folder publishes when a user who saw the tree as it is made `changes` at once."""
        return self.do(*(Written(path, value, self.seen(path)) for path, value in changes))

    def move(self, *moves: tuple[bytes, bytes]) -> list[Entry]:
        """The same for things that were moved."""
        return self.do(*(Moved(old, new, self.seen(old)) for old, new in moves))

    def receive(self, entry: Entry, sender: bytes = b"peer") -> list[SpaceEvent]:
        events = self.space.receive(entry, sender, self.now_us)
        for event in events:
            if isinstance(event, Stored):
                self._keep(event)
        return events

    def receive_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.receive(entry)

    def replayed(self, entries: Sequence[Entry]) -> "Replica":
        """A fresh replica that restores `entries`, as after a start."""
        other = Replica(self.device, self.roster, self.now_us)
        for entry in entries:
            other.space.restore(entry)
            other.positions.remember(entry)
            other.entries.append(entry)
        return other

    def _keep(self, event: Stored) -> None:
        self.positions.remember(event.entry)
        self.entries.append(event.entry)


def exchange(*replicas: Replica) -> None:
    """Everyone gets everything, in causal order."""
    for source in replicas:
        for target in replicas:
            if source is not target:
                target.now_us = max(target.now_us, source.now_us)
                target.receive_all(list(source.entries))


def text(content: bytes) -> File:
    """A file with this content, mtime apart."""
    chunk = ChunkRef(ChunkId(content.ljust(32, b"\0")), bytes(32), len(content))
    return File(len(content), 0, executable=False, content=Inline((chunk,)))


def content_of(value: Value | None) -> bytes:
    match value:
        case File(content=Inline((chunk,))):
            return chunk.id.rstrip(b"\0")
        case Directory():
            return b"<directory>"
        case Symlink(target):
            return b"->" + target
        case _:
            return b"<deleted>"


def tree(replica: Replica) -> dict[bytes, bytes]:
    """Content by visible path."""
    return {path: content_of(shown.value) for path, shown in replica.shown.items()}
