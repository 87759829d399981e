"""One space as its members hold it: admitted logs, their authors, and the file tree they add up to.

Pure: entries in, events out. The node stores what is admitted and feeds it back with `restore` after a start, so the
whole state is a function of the stored entries.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, final

from latticework.wire import (
    AccountId,
    Bytes,
    Const,
    DeviceId,
    EntryId,
    Label,
    LogId,
    MalformedError,
    SignatureProvider,
    Signer,
    SpaceId,
    Text,
    decode,
    encode,
    encode_plain,
    record,
)
from latticework.wire.signing import Ed25519Signer

from .entry import LANE_FILES, LANE_LOG, Entry, write_entry
from .filetree import FileOperations, FileTree, Put
from .hlc import next_hlc
from .logs import Admitted, Forked, Head, Logs, Positions, Refused, Waiting
from .params import BATCH_PAYLOAD_BYTES, MAX_DEPS, MAX_NAME_BYTES, MAX_OPS_PER_ENTRY, MAX_PAYLOAD_BYTES
from .ports import PayloadCipher
from .roster import Roster


@record("space-genesis")
@dataclass(frozen=True, slots=True)
class SpaceGenesis:
    """What founds a space; its hash is the space's id. `nonce` makes two spaces of one creator distinct."""

    version: Annotated[int, Const(1)]
    account: Annotated[AccountId, Bytes(32)]
    creator: Annotated[DeviceId, Bytes(32)]
    nonce: Annotated[bytes, Bytes(32)]

    @property
    def space(self) -> SpaceId:
        """SHA-256 over the label and the record."""
        return SpaceId(hashlib.sha256(Label.SPACE_GENESIS.value + encode(self)).digest())


@record("log-open")
@dataclass(frozen=True, slots=True)
class LogOpen:
    """The payload of a log's first entry: which device writes it, and that device's composite signature.

    It is sealed like every payload, so that only members can tell whose log this is. `name` is what the device was
    called then: conflict copies are named after it, so it must be the same on every replica at any time.
    """

    device: Annotated[DeviceId, Bytes(32)]
    name: Annotated[str, Text(MAX_NAME_BYTES)]
    signature: Annotated[bytes, Bytes(3373)]


@dataclass(frozen=True, slots=True)
class Stored:
    """Event: `entry` is admitted; store it. `changed` are the visible paths it changed."""

    entry: Entry
    changed: frozenset[bytes]


type SpaceEvent = Stored | Waiting | Refused | Forked


@final
class SpaceReplica:
    """The logs and the tree of one space."""

    def __init__(
        self,
        space: SpaceId,
        roster: Roster,
        signatures: SignatureProvider,
        cipher: PayloadCipher,
        positions: Positions,
    ) -> None:
        self.space = space
        self.roster = roster
        self._signatures = signatures
        self._cipher = cipher
        self._decoded: dict[EntryId, tuple[Put, ...]] = {}
        self._covered: dict[LogId, dict[LogId, int]] = {}
        self.logs = Logs(positions)
        self.authors: dict[LogId, DeviceId] = {}
        self._names: dict[LogId, str] = {}
        self.tree = FileTree(self.author_name)

    @property
    def frontier(self) -> dict[LogId, Head]:
        """The heads of all logs."""
        return self.logs.heads

    def author_name(self, log: LogId) -> str:
        """What the device that writes `log` was called when it opened it."""
        return self._names.get(log, "unknown")

    def restore(self, entry: Entry) -> None:
        """Take back an entry that an earlier run admitted; raises MalformedError if the store was changed."""
        if reason := self._allow(entry):
            raise MalformedError(reason)
        self.logs.restore(entry)
        self._apply(entry)

    def receive(self, entry: Entry, sender: bytes, now_us: int) -> list[SpaceEvent]:
        """Judge an entry that `sender` sent, and whatever had waited for it."""
        events: list[SpaceEvent] = []
        for verdict in self.logs.offer(entry, sender, now_us, self._allow):
            match verdict:
                case Admitted(admitted):
                    events.append(Stored(admitted, frozenset(self._apply(admitted))))
                case _:
                    events.append(verdict)
        return events

    def write(
        self, signer: Ed25519Signer, device: Signer, own: DeviceId, puts: Sequence[Put], now_us: int
    ) -> list[Stored]:
        """Write `puts` into the log of `signer` as one or more entries, opening the log first if it is new.

        The caller makes the entries durable before any byte of them leaves the process (crdt-sync report 3.3).
        """
        log = LogId(signer.public)
        written: list[Stored] = []
        if log not in self.logs.heads:
            name = self.roster.members[own].certificate.name
            signature = device.sign(self._open_statement(log, own, name), Label.LOG_OPEN)
            written += self._append(signer, LANE_LOG, encode(LogOpen(own, name, signature)), now_us)
        for batch in _batches(puts):
            written += self._append(signer, LANE_FILES, encode(FileOperations(batch)), now_us, batch)
        return written

    def _append(
        self, signer: Ed25519Signer, lane: int, plaintext: bytes, now_us: int, puts: tuple[Put, ...] = ()
    ) -> list[Stored]:
        log = LogId(signer.public)
        missing = self._uncovered(log)
        written: list[Stored] = []
        while len(missing) > MAX_DEPS and lane != LANE_LOG:  # an opening stands first; what follows it merges
            now, missing = missing[:MAX_DEPS], missing[MAX_DEPS:]
            written.append(self._append_one(signer, LANE_FILES, encode(FileOperations(())), tuple(now), now_us, ()))
        written.append(self._append_one(signer, lane, plaintext, tuple(missing[:MAX_DEPS]), now_us, puts))
        return written

    def _append_one(
        self,
        signer: Ed25519Signer,
        lane: int,
        plaintext: bytes,
        deps: tuple[EntryId, ...],
        now_us: int,
        puts: tuple[Put, ...],
    ) -> Stored:
        log = LogId(signer.public)
        head = self.logs.heads.get(log)
        seq, prev = (0, None) if head is None else (head.seq + 1, head.id)
        floor = max((other.hlc for other in self.logs.heads.values()), default=0)
        entry = write_entry(
            self.space,
            signer,
            seq=seq,
            prev=prev,
            deps=deps,
            hlc=next_hlc(floor, now_us),
            lane=lane,
            payload=self._cipher.seal(log, seq, prev, plaintext),
        )
        if lane == LANE_LOG:
            refusal = self._open_log(log, decode(LogOpen, plaintext, MAX_PAYLOAD_BYTES))
            assert refusal is None, refusal
        self._decoded[entry.id] = puts
        self.logs.restore(entry)
        return Stored(entry, frozenset(self._apply(entry)))

    def _uncovered(self, log: LogId) -> list[EntryId]:
        covered = self._covered.get(log, {})
        return [
            head.id for other, head in self.logs.heads.items() if other != log and covered.get(other, -1) < head.seq
        ]

    def _apply(self, entry: Entry) -> set[bytes]:
        body = entry.body
        covered = self._covered.setdefault(body.author, {})
        for dep in body.deps:
            position = self.logs.position(dep)
            if position is not None:
                covered[position.log] = max(position.seq, covered.get(position.log, -1))
        return self.tree.apply(entry.id, body.hlc, body.author, self._decoded.pop(entry.id, ()))

    def _allow(self, entry: Entry) -> str | None:
        body, payload = entry.body, entry.envelope.payload
        if (body.seq == 0) != (body.lane == LANE_LOG):
            return "a log is opened by its first entry and only there"
        if body.lane not in {LANE_LOG, LANE_FILES}:
            return None if body.author in self.authors else "its log was never opened"
        if payload is None:
            return "its payload is missing"
        try:
            plaintext = self._cipher.open(body.author, body.seq, body.prev, payload)
            if body.lane == LANE_LOG:
                return self._open_log(body.author, decode(LogOpen, plaintext, MAX_PAYLOAD_BYTES))
            if body.author not in self.authors:
                return "its log was never opened"
            self._decoded[entry.id] = decode(FileOperations, plaintext, MAX_PAYLOAD_BYTES).puts
        except MalformedError as error:
            return str(error)
        return None

    def _open_log(self, log: LogId, opening: LogOpen) -> str | None:
        member = self.roster.members.get(opening.device)
        if member is None:
            return "its device is not on the roster"
        statement = self._open_statement(log, opening.device, opening.name)
        key = member.certificate.signing_key
        if not self._signatures.verify(key, statement, opening.signature, Label.LOG_OPEN):
            return "the device's signature on its log does not verify"
        self.authors[log] = opening.device
        self._names[log] = opening.name
        return None

    def _open_statement(self, log: LogId, device: DeviceId, name: str) -> bytes:
        return encode_plain([self.space, log, device, name])


def _batches(puts: Iterable[Put]) -> list[tuple[Put, ...]]:
    """Split operations so that each batch stays near `BATCH_PAYLOAD_BYTES`."""
    batches: list[tuple[Put, ...]] = []
    batch: list[Put] = []
    size = 0
    for put in puts:
        batch.append(put)
        size += len(put.path) + 36 * len(put.replaces) + 400
        if size >= BATCH_PAYLOAD_BYTES or len(batch) >= MAX_OPS_PER_ENTRY:
            batches.append(tuple(batch))
            batch, size = [], 0
    if batch:
        batches.append(tuple(batch))
    return batches


def frontier_root(frontier: dict[LogId, Head]) -> bytes:
    """SHA-256 over the sorted heads: equal exactly on replicas that hold the same entries."""
    digest = hashlib.sha256(Label.FRONTIER_ROOT.value)
    for log in sorted(frontier):
        head = frontier[log]
        digest.update(log + head.seq.to_bytes(8, "big") + head.id)
    return digest.digest()
