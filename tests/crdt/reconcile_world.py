"""Replicas for trials of reconciliation: chains of bare entries, admitted as `Logs` would, and connections by hand."""

import hashlib
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from latticework.crdt.logs import Head
from latticework.crdt.reconcile import Reconciler
from latticework.crdt.reconcile_events import (
    Action,
    Admit,
    Admitted,
    Close,
    ForkFound,
    LocalChanged,
    MissingIds,
    Received,
    Send,
    Serve,
    ServeIds,
    StoreFailed,
    TakeProofs,
)
from latticework.crdt.reconcile_messages import MESSAGES, Compare, Entries, Message, Want
from latticework.wire import EntryId, LogId, MalformedError, decode_one_of, encode

MAX_MESSAGE_BYTES: Final = 8 << 20


class Item(NamedTuple):
    """An entry without signature and payload."""

    id: EntryId
    log: LogId
    seq: int
    prev: EntryId | None
    deps: tuple[EntryId, ...]
    hlc: int
    salt: str


def log_id(number: int) -> LogId:
    return LogId(hashlib.sha256(b"log%d" % number).digest())


def item(log: LogId, seq: int, prev: EntryId | None, hlc: int, deps: tuple[EntryId, ...] = (), salt: str = "") -> Item:
    text = f"{log.hex()} {seq} {prev} {hlc} {deps} {salt}"
    return Item(EntryId(hashlib.sha256(text.encode()).digest()), log, seq, prev, deps, hlc, salt)


def write_batch(items: Iterable[Item]) -> bytes:
    rows = [
        [i.log.hex(), i.seq, i.prev and i.prev.hex(), i.hlc, [dep.hex() for dep in i.deps], i.salt, i.id.hex()]
        for i in items
    ]
    return json.dumps(rows).encode() if rows else b""


def read_batch(batch: bytes) -> list[Item]:
    """Entries whose ids are right, as no signature would verify otherwise."""
    items: list[Item] = []
    for log, seq, prev, hlc, deps, salt, identifier in json.loads(batch):
        before = EntryId(bytes.fromhex(prev)) if prev else None
        new = item(LogId(bytes.fromhex(log)), seq, before, hlc, tuple(EntryId(bytes.fromhex(d)) for d in deps), salt)
        if new.id.hex() != identifier:
            raise MalformedError("the entry is another one than it says")
        items.append(new)
    return items


def proof_of(log: LogId, seq: int, one: EntryId, two: EntryId) -> bytes:
    return json.dumps([log.hex(), seq, *sorted((one.hex(), two.hex()))]).encode()


@final
@dataclass
class Replica:
    """What one node holds of a space; `refuses` are logs that it will not admit."""

    name: int = 0
    heads: dict[LogId, Head] = field(default_factory=dict[LogId, Head])
    items: dict[EntryId, Item] = field(default_factory=dict[EntryId, Item])
    chains: dict[tuple[LogId, int], EntryId] = field(default_factory=dict[tuple[LogId, int], EntryId])
    proofs: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    refuses: set[LogId] = field(default_factory=set[LogId])
    waiting: dict[EntryId, Item] = field(default_factory=dict[EntryId, Item])
    forks: dict[LogId, int] = field(default_factory=dict[LogId, int])
    clock: int = 1 << 40

    def entry_at(self, log: LogId, seq: int) -> EntryId | None:
        return self.chains.get((log, seq))

    def write(self, log: LogId, salt: str = "", deps: tuple[EntryId, ...] = ()) -> Item:
        self.clock += 1 << 16
        head = self.heads.get(log)
        new = item(log, 0 if head is None else head.seq + 1, head and head.id, self.clock, deps, salt)
        self.take(new)
        return new

    def take(self, new: Item) -> None:
        self.items[new.id] = new
        self.chains[new.log, new.seq] = new.id
        self.heads[new.log] = Head(new.seq, new.id, new.hlc)
        self.clock = max(self.clock, new.hlc)

    def offer(self, offered: Iterable[Item]) -> None:
        """Admit what follows from what is there; keep waiting what has a gap."""
        self.waiting |= {new.id: new for new in offered if new.id not in self.items and self.allows(new)}
        moved = True
        while moved:
            moved = False
            for new in list(self.waiting.values()):
                head = self.heads.get(new.log)
                at, prev = (0, None) if head is None else (head.seq + 1, head.id)
                if (new.seq, new.prev) == (at, prev) and all(dep in self.items for dep in new.deps):
                    del self.waiting[new.id]
                    self.take(new)
                    moved = True

    def allows(self, new: Item) -> bool:
        return new.log not in self.refuses and new.seq < self.forks.get(new.log, new.seq + 1)

    def convict(self, proof: bytes) -> None:
        """Keep a proof, and go back below the fork."""
        log, seq, *_ = json.loads(proof)
        log = LogId(bytes.fromhex(log))
        self.proofs[hashlib.sha256(proof).digest()] = proof
        self.forks[log] = min(seq, self.forks.get(log, seq))
        self.waiting = {key: new for key, new in self.waiting.items() if self.allows(new)}
        head = self.heads.get(log)
        if head is not None and head.seq >= seq:
            del self.heads[log]
            if seq:
                below = self.chains[log, seq - 1]
                self.heads[log] = Head(seq - 1, below, self.items[below].hlc)

    def missing(self) -> tuple[EntryId, ...]:
        """What waiting entries depend on, their predecessors aside."""
        wanted = {dep for new in self.waiting.values() for dep in new.deps}
        return tuple(sorted(dep for dep in wanted if dep not in self.items and dep not in self.waiting))

    def copy(self) -> "Replica":
        return Replica(
            self.name,
            dict(self.heads),
            dict(self.items),
            dict(self.chains),
            dict(self.proofs),
            set(self.refuses),
            dict(self.waiting),
            dict(self.forks),
            self.clock,
        )


@final
class Side:
    """A replica and its half of one connection; `batch` entries go into one message."""

    def __init__(self, replica: Replica, salt: int = 0, batch: int = 3) -> None:
        self.replica = replica
        self.batch = batch
        self.connections = salt
        self.forks: list[ForkFound] = []
        self.fails = 0
        self.pending = 0
        self.brings = 0
        """How much more is pending with each batch that is admitted."""
        self.convicts = True
        self.connect()

    def connect(self) -> None:
        self.connections += 1
        self.salt = hashlib.sha256(b"%d %d" % (self.replica.name, self.connections)).digest()[:16]
        self.replica.waiting.clear()
        self.sync = Reconciler(self.replica.heads, self.replica.proofs, self.replica, self.salt)
        self.out: deque[bytes] = deque()
        self.sent: list[Message] = []
        self.closed: str | None = None
        self.perform(self.sync.start(self.pending))

    def changed(self) -> None:
        self.perform(self.sync.handle(LocalChanged(self.pending)))

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(message):
                    self.send(message)
                case Serve(ranges):
                    logs = {r.log: r for r in ranges}
                    self.serve(
                        i
                        for i in self.replica.items.values()
                        if i.log in logs
                        and logs[i.log].first <= i.seq <= logs[i.log].last
                        and self.replica.chains.get((i.log, i.seq)) == i.id
                    )
                case ServeIds(ids):
                    self.serve(self.replica.items[identifier] for identifier in ids if identifier in self.replica.items)
                case Admit(batch):
                    self.admit(batch)
                case TakeProofs(proofs):
                    for proof in proofs:
                        self.replica.convict(proof)
                    self.changed()
                case ForkFound(log, seq, ours, theirs):
                    self.forks.append(action)
                    if self.convicts:
                        self.replica.convict(proof_of(log, seq, ours, theirs))
                        self.changed()
                case Close(code):
                    self.closed = code

    def admit(self, batch: bytes) -> None:
        if self.fails:
            self.fails -= 1
            self.perform(self.sync.handle(StoreFailed(self.pending)))
            return
        self.replica.offer(read_batch(batch))
        self.pending += self.brings
        self.perform(self.sync.handle(Admitted(self.pending)))
        self.changed()
        if missing := self.replica.missing():
            self.perform(self.sync.handle(MissingIds(missing)))

    def serve(self, found: Iterable[Item]) -> None:
        items = list(found)
        parts = [items[at : at + self.batch] for at in range(0, len(items), self.batch)] or [[]]
        for number, part in enumerate(parts, start=1):
            self.send(Entries(write_batch(part), int(number == len(parts))))

    def send(self, message: Message) -> None:
        self.sent.append(message)
        self.out.append(encode(message))

    def hear(self, data: bytes) -> None:
        self.perform(self.sync.handle(Received(decode_one_of(MESSAGES, data, MAX_MESSAGE_BYTES))))

    def compares(self) -> list[Compare]:
        return [message for message in self.sent if isinstance(message, Compare)]

    def wants(self) -> list[Want]:
        return [message for message in self.sent if isinstance(message, Want)]


def run(one: Side, two: Side, limit: int = 3000) -> int:
    """Deliver in order, one from each side in turn, until both are silent; how many messages that took."""
    count = 0
    while one.out or two.out:
        for source, target in ((one, two), (two, one)):
            if source.out:
                target.hear(source.out.popleft())
                count += 1
        assert count < limit, "they never stop talking"
    return count


def pair(one: Replica, two: Replica, batch: int = 3) -> tuple[Side, Side]:
    one.name, two.name = 1, 2
    return Side(one, batch=batch), Side(two, batch=batch)


def history(counts: Iterable[int]) -> Replica:
    """One log for each count, with that many entries, written in turns."""
    replica = Replica()
    left = dict(enumerate(counts))
    while left:
        for number in list(left):
            if left[number] == 0:
                del left[number]
            else:
                replica.write(log_id(number))
                left[number] -= 1
    return replica
