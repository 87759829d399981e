"""What the checkpoints of a space say, and whose past they settle."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, final

from latticework.wire import DeviceId, EntryId, LogId, SpaceId, encode

from .causality import Spot
from .checkpoint import Checkpoint, SignedCheckpoint, statement_of
from .containment import Attested, Judgement, judge
from .entry import Body
from .logs import Logs
from .payloads import Payloads
from .statements import Conviction, FraudKind, Statement, prove_contradiction


@dataclass(frozen=True, slots=True)
class LastCheckpoint:
    """The newest checkpoint of a log, of a convicted one the newest below its fork."""

    entry: EntryId
    seq: int
    hlc: int
    checkpoint: Checkpoint


class _Carrier(NamedTuple):
    entry: EntryId
    log: LogId
    seq: int


@final
class Attestations:
    """The admitted checkpoints of one space, and the verdicts that follow from them.

    The payload of a checkpoint is opened again when it is asked what it says: only convicted logs need it, and memory
    stays small.
    """

    def __init__(self, space: SpaceId, logs: Logs, payloads: Payloads) -> None:
        self._space = space
        self._logs = logs
        self._payloads = payloads
        self._carriers: list[_Carrier] = []
        self._said: dict[tuple[LogId, int], tuple[Statement, bytes]] = {}
        self._contradictions: list[Conviction] = []
        self.last: dict[LogId, LastCheckpoint] = {}
        self.judgements: dict[LogId, Judgement] = {}

    def note(self, entry: EntryId, body: Body, signed: SignedCheckpoint) -> None:
        """Take the checkpoint in an admitted entry."""
        log, checkpoint = body.author, signed.checkpoint
        self._carriers.append(_Carrier(entry, log, body.seq))
        if not self._logs.convictions.contests(log, body.seq):
            self.last[log] = LastCheckpoint(entry, body.seq, body.hlc, checkpoint)
        statement = statement_of(self._space, log, body.seq, checkpoint)
        said, signature = self._said.setdefault((log, checkpoint.number), (statement, signed.log_signature))
        if said.content != statement.content:
            proof = encode(prove_contradiction(said, signature, statement, signed.log_signature))
            conviction = Conviction(log, min(said.seq, body.seq), FraudKind.CHECKPOINT, proof)
            if self._logs.convict(conviction):
                self._contradictions.append(conviction)

    def take_contradictions(self) -> list[Conviction]:
        """Convictions for checkpoints that contradict each other, since the last call."""
        found, self._contradictions = self._contradictions, []
        return found

    def judge_all(self, devices: int, *, whole: bool = False) -> dict[EntryId, bool]:
        """Judge every convicted log anew; the entries whose effect ends (True) or returns (False).

        Args:
            devices: how many the account has.
            whole: name every contested entry, whatever was known of it.
        """
        difference: dict[EntryId, bool] = {}
        openings = self._payloads.openings(self._logs.convictions)
        reach = [(device, self._reach(entry)) for entry, _, device in openings]
        participants = frozenset(device for _, _, device in openings)
        for conviction in self._logs.convictions:
            log, contested = conviction.log, self._logs.contested.get(conviction.log, {})
            self._roll_back(log)
            before = self.judgements[log].void if log in self.judgements else frozenset[EntryId]()
            judgement = judge(
                conviction.seq,
                self._payloads.device if conviction.seq == 0 else partial(_always, self._payloads.authors.get(log)),
                participants,
                contested.values(),
                self._attested(log, reach, alone=devices == 1),
            )
            self.judgements[log] = judgement
            if conviction.seq == 0:
                self._payloads.prefer(log, contested.keys() - judgement.void)
            if whole:
                difference |= {entry: entry in judgement.void for entry in contested}
            difference |= dict.fromkeys(before - judgement.void, False) | dict.fromkeys(judgement.void - before, True)
        return difference

    def _reach(self, entry: EntryId) -> Mapping[int, int]:
        spot = self._logs.spot(entry)
        return {} if spot is None else self._logs.causality.reach(spot)

    def _attested(
        self, log: LogId, openings: list[tuple[DeviceId, Mapping[int, int]]], *, alone: bool
    ) -> Iterator[Attested]:
        contested = self._logs.contested.get(log, {})
        for carrier in self._carriers if contested else ():
            stands = not self._logs.convictions.contests(carrier.log, carrier.seq)
            entry, spot = self._logs.entry(carrier.entry), self._logs.spot(carrier.entry)
            if entry is None or spot is None or not (stands or (alone and carrier.log == log)):
                continue
            signed = self._payloads.read_checkpoint(entry)
            for head in () if signed is None else signed.checkpoint.heads:
                if head.log == log and head.entry in contested and self._logs.is_below(carrier.entry, head.entry):
                    yield Attested(self._payloads.authors[carrier.log], head.entry, _later(openings, spot))

    def _roll_back(self, log: LogId) -> None:
        last = self.last.get(log)
        if last is None or not self._logs.convictions.contests(log, last.seq):
            return
        del self.last[log]
        for carrier in self._carriers:
            if carrier.log == log and not self._logs.convictions.contests(log, carrier.seq):
                entry = self._logs.entry(carrier.entry)
                signed = None if entry is None else self._payloads.read_checkpoint(entry)
                if entry is not None and signed is not None:
                    self.last[log] = LastCheckpoint(entry.id, carrier.seq, entry.body.hlc, signed.checkpoint)


def _always(device: DeviceId | None, _: EntryId) -> DeviceId | None:
    return device


def _later(openings: list[tuple[DeviceId, Mapping[int, int]]], word: Spot) -> frozenset[DeviceId]:
    """Devices all of whose logs were opened with `word` in their past."""
    earlier = {device for device, reach in openings if reach.get(word.chain, -1) < word.seq}
    return frozenset(device for device, _ in openings) - earlier
