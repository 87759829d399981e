"""One space as its members hold it: admitted logs, their authors, and the state they add up to.

Pure: entries in, events out. The node stores what is admitted and feeds it back with `load` after a start, so the whole
state is a function of the stored entries and proofs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from latticework.wire import (
    DeviceId,
    EntryId,
    LocalError,
    LogId,
    MalformedError,
    SignatureProvider,
    Signer,
    SpaceId,
    encode,
)
from latticework.wire.signing import Ed25519Signer

from .attestations import Attestations
from .checkpoint import (
    Checkpoint,
    CheckpointHead,
    SignedCheckpoint,
    check_root,
    sign_checkpoint,
    state_root,
)
from .containment import Judgement
from .entry import (
    LANE_CHECKPOINT,
    LANE_DOCUMENTS,
    LANE_FILES,
    LANE_LOG,
    LANE_MERGE,
    STATE_LANES,
    Entry,
    write_entry,
)
from .hlc import next_hlc
from .logs import Admitted, Filled, Head, Logs, Positions, Refused, Waiting
from .opening import LogOpen, open_log
from .params import LOAD_BATCH_ENTRIES, MAX_CHECKPOINT_HEADS, MAX_CONVICTIONS_AHEAD, MAX_DEPS
from .payloads import Payload, Payloads
from .ports import PayloadCipher
from .projection import Applied, Changes, Operations, Projection
from .roster import Roster
from .statements import Conviction, read_proof
from .tree_ops import FileOperations


@dataclass(frozen=True, slots=True)
class Stored:
    """Event: `entry` is admitted; store it."""

    entry: Entry


type SpaceEvent = Stored | Waiting | Refused | Filled | Conviction | Changes


@dataclass(frozen=True, slots=True)
class Base:
    """A state that the entries in the past of the checkpoint in entry `checkpoint` add up to."""

    checkpoint: EntryId
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes on this device: the log's key, and the device that answers for it."""

    signer: Ed25519Signer
    device: DeviceId
    device_signer: Signer

    @property
    def log(self) -> LogId:
        """The log's id."""
        return LogId(self.signer.public)


@final
class SpaceReplica:
    """The logs of one space and their state."""

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
        self._cipher = cipher
        self._judged = True
        self.takes_pruned = True
        """False once our device has written here: then no payload may be missing any more."""
        self._based = False
        self._behind: list[EntryId] = []
        self.payloads = Payloads(space, roster, signatures, cipher)
        self.logs = Logs(space, positions)
        self.attestations = Attestations(space, self.logs, self.payloads)
        self.unknown_lanes: Counter[int] = Counter()
        self.entry_count = 0
        self.projection = Projection(self.author_name)

    @property
    def frontier(self) -> dict[LogId, Head]:
        """The heads of all logs, of convicted ones below their fork."""
        return self.logs.heads

    @property
    def authors(self) -> Mapping[LogId, DeviceId]:
        """The device that writes each log."""
        return self.payloads.authors

    def author_name(self, log: LogId) -> str:
        """What the device that writes `log` was called when it opened it."""
        return self.payloads.name(log)

    def is_void(self, entry: EntryId) -> bool:
        """True for an entry of an equivocator that lost its effect."""
        judgements = self.attestations.judgements
        position = self.logs.position(entry) if judgements else None
        judgement = None if position is None else judgements.get(position.log)
        return judgement is not None and entry in judgement.void

    @property
    def is_complete(self) -> bool:
        """False while the payload of an admitted entry is neither here nor below a base."""
        return not self.logs.holes

    def colluders(self) -> frozenset[DeviceId]:
        """Devices that built on two branches of one log: a sign to show people, never a reason to block (Blocklace).

        To name both in a merge is what honest devices do once they know.
        """
        logs = (
            log
            for conviction in self.logs.convictions
            for log in self.logs.causality.built_on_both(conviction.log, conviction.seq)
        )
        return frozenset(self.authors[log] for log in logs if log in self.authors)

    def judgement(self, log: LogId) -> Judgement | None:
        """What was decided about a convicted log."""
        return self.attestations.judgements.get(log)

    def load(self, entries: Iterable[Entry], proofs: Iterable[bytes], base: Base | None = None) -> list[Conviction]:
        """Take back what earlier runs admitted, in admission order; convictions that only show now.

        Raises:
            MalformedError: the store was changed.
        """
        for proof in proofs:
            self.logs.convict(read_proof(self.space, proof))
        found: list[Conviction] = []
        batch: list[tuple[Entry, Payload]] = []
        for entry in entries:
            if reason := self.payloads.refusal(entry, restored=True):
                raise MalformedError(reason)
            found += self.logs.restore(entry)
            payload = self._note(entry)
            if base is not None:
                self._behind += [entry.id] if entry.body.lane in STATE_LANES else []
            elif len(batch) < LOAD_BATCH_ENTRIES:
                batch.append((entry, payload))
            else:
                self._project([*batch, (entry, payload)], judge=False)
                batch.clear()
        if base is not None:
            self._start_from(base)
        found += self.attestations.take_contradictions()
        self._judged = False
        self._project(batch)
        return found

    def _start_from(self, base: Base) -> None:
        self.check_base(base)
        self.projection = Projection.load(base.snapshot, self.author_name)
        self._based = True
        below = self.logs.below(base.checkpoint)
        self._behind = [entry for entry in self._behind if not below(entry)]
        self.logs.holes = {hole for hole in self.logs.holes if not below(hole)}

    def receive(self, offered: Sequence[tuple[Entry, bytes]], now_us: int) -> list[SpaceEvent]:
        """Judge entries, each with its sender, and whatever had waited for them; the last event says what changed."""
        events: list[SpaceEvent] = []
        batch: list[tuple[Entry, Payload]] = []
        for verdict in self.logs.offer(offered, now_us, self._refusal, self.payloads.opens_a_log):
            match verdict:
                case Admitted(entry):
                    events.append(Stored(entry))
                    batch.append((entry, self._note(entry)))
                case _:
                    events.append(verdict)
        events += self.attestations.take_contradictions()
        self._judged &= not any(isinstance(event, Conviction) for event in events)
        changes = self._project(batch)
        return [*events, changes] if changes else events

    def _refusal(self, entry: Entry) -> str | None:
        if entry.envelope.payload is None and entry.body.lane in STATE_LANES and not self.takes_pruned:
            # Nothing is pruned that a device which writes here has not vouched for: somebody holds this one back.
            return "its payload is missing"
        return self.payloads.refusal(entry)

    def take_proof(self, proof: bytes) -> list[SpaceEvent]:
        """Take a FraudProof that anybody sent; nothing if it says nothing new.

        Raises:
            MalformedError: it proves nothing.
        """
        conviction = read_proof(self.space, proof)
        convictions = self.logs.convictions
        ahead = sum(known.log not in self.authors for known in convictions)
        if conviction.log not in self.authors and ahead >= MAX_CONVICTIONS_AHEAD:
            return []
        if not self.logs.convict(conviction):
            return []
        self._judged = False
        changes = self._judge_all()
        return [conviction, changes] if changes else [conviction]

    def state_root(self) -> bytes:
        """The root of the state as it is: equal after a rebuild."""
        return state_root(self.projection.snapshot())

    def heads_below(self, checkpoint: EntryId) -> dict[LogId, int]:
        """Per log how far the checkpoint in this entry reaches; never into a fork, where branches share numbers."""
        entry = self.logs.entry(checkpoint)
        signed = None if entry is None else self.payloads.read_checkpoint(entry)
        heads = () if signed is None else signed.checkpoint.heads
        forks = {head.log: self.logs.convictions.fork(head.log) for head in heads}
        reach = {h.log: h.seq if (fork := forks[h.log]) is None else min(h.seq, fork - 1) for h in heads}
        return {log: seq for log, seq in reach.items() if seq >= 0}

    def check_base(self, base: Base) -> None:
        """Raise MalformedError unless `base` is the state that one of our checkpoints speaks of."""
        entry = self.logs.entry(base.checkpoint)
        signed = None if entry is None else self.payloads.read_checkpoint(entry)
        if signed is None:
            raise MalformedError("the state belongs to no checkpoint that is known here")
        check_root(signed.checkpoint, base.snapshot)

    def roster_changed(self) -> Changes:
        """Devices came or went: who settles an equivocator's past may have changed."""
        self._judged = False
        return self._judge_all()

    def write(self, writer: Writer, operations: Operations, now_us: int) -> tuple[list[Entry], Changes]:
        """Write `operations` as one entry, after what it needs: the log's opening, and merges of many heads.

        The caller makes the entries durable before any byte of them leaves the process (crdt-sync report 3.3).

        Raises:
            LocalError: the state is not complete, or the log is convicted: a new one is needed.
        """
        lane = LANE_FILES if isinstance(operations, FileOperations) else LANE_DOCUMENTS
        plaintext = encode(operations)
        written = self._prepare(writer, now_us)
        written.append(self._append(writer, lane, operations, plaintext, now_us))
        return written, self._project([(entry, self._note(entry)) for entry in written])

    def begin_checkpoint(self, writer: Writer, now_us: int) -> list[Entry]:
        """Write what a checkpoint of everything here needs before it: the log's opening, and merges of many heads.

        Raises:
            LocalError: as `write`, or the logs are more than a checkpoint can name; then nothing was written.
        """
        if len(self.frontier) >= MAX_CHECKPOINT_HEADS:
            raise LocalError(f"there are more than {MAX_CHECKPOINT_HEADS - 1} logs, which no checkpoint can name")
        written = self._prepare(writer, now_us)
        self._project([(entry, self._note(entry)) for entry in written])
        return written

    def write_checkpoint(self, writer: Writer, snapshot: bytes, now_us: int) -> Entry:
        """Write a checkpoint after `begin_checkpoint`; `snapshot` is that of the projection as it has been since."""
        last = self.attestations.last.get(writer.log)
        number, prev = (0, None) if last is None else (last.checkpoint.number + 1, last.checkpoint.content)
        heads = tuple(CheckpointHead(log, head.seq, head.id) for log, head in sorted(self.frontier.items()))
        checkpoint = Checkpoint(1, number, prev, heads, state_root(snapshot), self.entry_count)
        seq = self.frontier[writer.log].seq + 1
        signed = sign_checkpoint(self.space, writer.signer, writer.device_signer, seq, checkpoint)
        entry = self._append(writer, LANE_CHECKPOINT, signed, encode(signed), now_us)
        self._project([(entry, self._note(entry))])
        return entry

    def applied(self, entries: Iterable[Entry]) -> Iterator[Applied]:
        """What admitted entries do, for looking at the state of another time; pruned ones are left out."""
        for entry in entries:
            if entry.envelope.payload is not None and not self.is_void(entry.id):
                yield from self._applied(entry, self.payloads.read(entry))

    def payload(self, entry: Entry) -> Payload:
        """What an admitted entry says; None for an unknown lane, and where the payload is pruned or unreadable."""
        return self.payloads.read(entry)

    def _prepare(self, writer: Writer, now_us: int) -> list[Entry]:
        if not self.is_complete:
            raise LocalError("this space is still being fetched; nothing can be written yet")
        if writer.log in self.logs.convictions:
            raise LocalError("this log is convicted of equivocation; a new one is needed")
        written: list[Entry] = []
        if writer.log not in self.frontier:
            opening = open_log(self.space, writer.log, self.roster, writer.device, writer.device_signer)
            written.append(self._append(writer, LANE_LOG, opening, encode(opening), now_us))
        while len(uncovered := self._uncovered(writer.log)) > MAX_DEPS or not self._heads().issuperset(uncovered):
            # Branches of convicted logs are named in merges alone: nobody is to think that we build on them.
            written.append(self._append(writer, LANE_MERGE, None, b"", now_us))
        return written

    def _append(self, writer: Writer, lane: int, payload: Payload, plaintext: bytes, now_us: int) -> Entry:
        log = writer.log
        head = self.frontier.get(log)
        seq, prev = (0, None) if head is None else (head.seq + 1, head.id)
        deps = tuple(self._uncovered(log)[:MAX_DEPS])
        below = [
            0 if head is None else head.hlc,
            *(p.hlc for dep in deps if (p := self.logs.position(dep)) is not None),
        ]
        entry = write_entry(
            self.space,
            writer.signer,
            seq=seq,
            prev=prev,
            deps=deps,
            hlc=next_hlc(max(below), now_us),
            lane=lane,
            payload=self._cipher.seal(log, seq, prev, plaintext),
        )
        self.payloads.take_own(entry, payload)
        self.logs.take_own(entry)
        return entry

    def _uncovered(self, log: LogId) -> list[EntryId]:
        own = self.frontier.get(log)
        return self.logs.causality.uncovered(None if own is None else self.logs.spot(own.id), but=log)

    def _heads(self) -> set[EntryId]:
        return {head.id for head in self.frontier.values()}

    def _note(self, entry: Entry) -> Payload:
        payload, body = self.payloads.take(entry), entry.body
        self.entry_count += 1
        if body.lane > LANE_MERGE:
            self.unknown_lanes[body.lane] += 1
        self._judged &= body.lane not in {LANE_LOG, LANE_CHECKPOINT} and body.author not in self.logs.convictions
        if isinstance(payload, SignedCheckpoint):
            self.attestations.note(entry.id, body, payload)
        return payload

    def _project(self, batch: Sequence[tuple[Entry, Payload]], *, judge: bool = True) -> Changes:
        """Bring the state up to date, unless there are holes: what they did is unknown, and what follows waits."""
        if not self.is_complete:
            self._behind += [entry.id for entry, _ in batch if entry.body.lane in STATE_LANES]
            return Changes()
        entries = [entry for identifier in self._behind if (entry := self.logs.entry(identifier)) is not None]
        self._behind.clear()
        todo = [*((entry, self.payloads.read(entry)) for entry in entries), *batch]
        changes = self.projection.apply(
            [applied for entry, payload in todo for applied in self._applied(entry, payload)]
        )
        if judge:
            changes.add(self._judge_all())
        return changes

    def _applied(self, entry: Entry, payload: Payload) -> list[Applied]:
        if payload is None or isinstance(payload, (LogOpen, SignedCheckpoint)):
            return []
        body, logs = entry.body, self.logs
        spot = logs.causality.spot(entry.id, body.author, body.seq)
        return [Applied(entry.id, body.author, body.seq, body.hlc, lambda: logs.causality.past(spot), payload)]

    def _judge_all(self) -> Changes:
        if self._judged or not self.is_complete:
            return Changes()
        self._judged = True
        renames = self.payloads.renames
        difference = self.attestations.judge_all(len(self.roster.members), whole=self._based)
        self._based = False
        changes = self.projection.set_void(difference)
        if self.payloads.renames != renames:
            changes.add(self.projection.renamed())
        return changes
