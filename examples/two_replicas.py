"""Two replicas of one space, without a network: both write while apart, exchange entries, and show the same tree."""

import secrets
import time

from latticework import crdt
from latticework.handshake import MlKem1024, found_account, generate, load_keys
from latticework.handshake.epochs import SpaceKeys
from latticework.wire import EntryId, LogId, SpaceId
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

SIGNATURES = CompositeSignatures()


class Rng:
    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class Replica:
    """A replica that keeps its entries in a list; both belong to one device here, each with a log of its own."""

    def __init__(self, space: SpaceId, roster: crdt.Roster, secret: bytes) -> None:
        self.entries: dict[EntryId, crdt.Entry] = {}
        self.signer = Ed25519Signer(secrets.token_bytes(32))
        self.space = crdt.SpaceReplica(space, roster, SIGNATURES, SpaceKeys(space, secret, Rng()), self)

    def position(self, entry: EntryId) -> crdt.Position | None:
        known = self.entries.get(entry)
        return None if known is None else crdt.Position(known.body.author, known.body.seq, known.body.hlc)

    def entry(self, entry: EntryId) -> crdt.Entry | None:
        return self.entries.get(entry)

    def entries_from(self, log: LogId, seq: int, last: int = 1 << 48) -> list[crdt.Entry]:
        return [entry for entry in self.entries.values() if entry.body.author == log and seq <= entry.body.seq <= last]

    def write(self, make: crdt.Make) -> None:
        writer = crdt.Writer(self.signer, keys.device, keys.signer)
        written, _ = self.space.write(writer, crdt.FileOperations((make,)), time.time_ns() // 1000)
        self.entries |= {entry.id: entry for entry in written}

    def take(self, other: "Replica") -> None:
        events = self.space.receive([(e, b"the other") for e in other.entries.values()], time.time_ns() // 1000)
        self.entries |= {event.entry.id: event.entry for event in events if isinstance(event, crdt.Stored)}


keys = load_keys(generate(Rng(), time.time_ns() // 10**9), MlKem1024(), SIGNATURES)
roster = crdt.Roster.found(SIGNATURES, found_account(keys, "laptop", time.time_ns() // 10**9))
space = crdt.SpaceGenesis(1, roster.account, keys.device, secrets.token_bytes(32)).space
one, two = (Replica(space, roster, secret) for secret in [secrets.token_bytes(32)] * 2)

one.write(crdt.Make(None, b"from-one.txt", crdt.File(0, 0, executable=False, content=crdt.Inline(()))))
two.write(crdt.Make(None, b"from-two.txt", crdt.File(0, 0, executable=False, content=crdt.Inline(()))))
one.take(two)
two.take(one)

assert one.space.frontier == two.space.frontier
assert one.space.projection.snapshot() == two.space.projection.snapshot()
print("both show", ", ".join(path.decode() for path in sorted(one.space.projection.tree.shown)))
