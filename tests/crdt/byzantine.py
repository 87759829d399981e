"""Logs that fork, and the exchange that brings honest replicas together in spite of them."""

from collections.abc import Sequence
from itertools import combinations
from typing import final

from latticework.crdt import (
    LANE_CHECKPOINT,
    LANE_DOCUMENTS,
    LANE_FILES,
    LANE_LOG,
    LANE_MERGE,
    Checkpoint,
    CheckpointHead,
    Entry,
    FileOperations,
    Operation,
    Roster,
    next_hlc,
    write_entry,
)
from latticework.crdt.checkpoint import sign_checkpoint
from latticework.crdt.opening import open_log
from latticework.crdt.statements import prove_fork
from latticework.wire import EntryId, LogId, encode
from latticework.wire.signing import Ed25519Signer

from .world import NOW_US, SPACE, Device, Replica, edit


@final
class Forger:
    """Writes entries of one log as it likes; `made` are all of them, each after what it depends on."""

    def __init__(self, device: Device, roster: Roster, key: Ed25519Signer | None = None) -> None:
        self.device = device
        self.key = key or device.log
        self.roster = roster
        self.made: list[Entry] = []
        self._known: dict[EntryId, Entry] = {}
        self._count = 0

    @property
    def log(self) -> LogId:
        return LogId(self.key.public)

    def learn(self, entries: Sequence[Entry]) -> None:
        """Take up entries of its log that somebody else wrote: a stolen key."""
        for entry in entries:
            if entry.body.author == self.log and entry.id not in self._known:
                self.made.append(entry)
            self._known[entry.id] = entry

    def open(self, deps: Sequence[Entry] = ()) -> Entry:
        self._count += 1
        opening = open_log(SPACE, self.log, self.roster, self.device.id, self.device.signer)
        return self._sign(None, deps, LANE_LOG, encode(opening))

    def say(self, prev: Entry, words: bytes, deps: Sequence[Entry] = ()) -> Entry:
        return self._sign(prev, deps, LANE_DOCUMENTS, encode(edit(words)))

    def operate(self, prev: Entry, operations: Sequence[Operation], deps: Sequence[Entry] = ()) -> Entry:
        """Operations of the tree that name what they like."""
        return self._sign(prev, deps, LANE_FILES, encode(FileOperations(tuple(operations))))

    def merge(self, prev: Entry, deps: Sequence[Entry]) -> Entry:
        return self._sign(prev, deps, LANE_MERGE, b"")

    def attest(self, prev: Entry, named: Sequence[Entry], number: int, deps: Sequence[Entry] = ()) -> Entry:
        """A checkpoint that names what it likes."""
        heads = {e.body.author: CheckpointHead(e.body.author, e.body.seq, e.id) for e in (prev, *named)}
        said = Checkpoint(1, number, None, tuple(heads[log] for log in sorted(heads)), bytes(32), self._count)
        signed = sign_checkpoint(SPACE, self.key, self.device.signer, prev.body.seq + 1, said)
        return self._sign(prev, deps, LANE_CHECKPOINT, encode(signed))

    def proofs(self) -> list[bytes]:
        """Proofs of every fork it made."""
        return [
            encode(prove_fork(SPACE, one, other))
            for one, other in combinations(self.made, 2)
            if one.body.seq == other.body.seq and one.id != other.id
        ]

    def branch(self, top: Entry) -> list[Entry]:
        """`top` and what is below it in its log, oldest first."""
        chain = [top]
        while chain[0].body.prev is not None:
            chain.insert(0, self._known[chain[0].body.prev])
        return chain

    def _sign(self, prev: Entry | None, deps: Sequence[Entry], lane: int, payload: bytes) -> Entry:
        self._count += 1
        outside = [dep for dep in deps if dep.body.author != self.log]
        floor = max((e.body.hlc for e in (*outside, *([] if prev is None else [prev]))), default=0)
        entry = write_entry(
            SPACE,
            self.key,
            seq=0 if prev is None else prev.body.seq + 1,
            prev=None if prev is None else prev.id,
            deps=tuple(dep.id for dep in outside),
            hlc=next_hlc(floor, NOW_US) + self._count,
            lane=lane,
            payload=payload,
        )
        self.learn([entry])
        return entry


def pull(target: Replica, source: Replica) -> None:
    """What `target` gets from `source`: proofs, entries below forks, and what it asks for by id."""
    target.now_us = max(target.now_us, source.now_us)
    for proof in source.proofs:
        target.take_proof(proof)
    target.take([e for e in source.entries if not source.space.logs.convictions.contests(e.body.author, e.body.seq)])
    asked: set[EntryId] = set()
    while wanted := [entry for entry in target.space.logs.missing() if entry not in asked]:
        asked.update(wanted)
        for identifier in wanted:
            target.take(_chain_down_to_the_fork(source, identifier))


def settle(replicas: Sequence[Replica]) -> None:
    """Everyone pulls from everyone until nothing changes."""
    before: object = None
    while (now := [(len(r.entries), [c.key for c in r.space.logs.convictions]) for r in replicas]) != before:
        before = now
        for target in replicas:
            for source in replicas:
                if source is not target:
                    pull(target, source)


def _chain_down_to_the_fork(source: Replica, identifier: EntryId | None) -> list[Entry]:
    chain: list[Entry] = []
    while identifier is not None and (entry := source.positions.entry(identifier)) is not None:
        chain.insert(0, entry)
        contested = source.space.logs.convictions.contests(entry.body.author, entry.body.seq)
        identifier = entry.body.prev if contested else None
    return chain
