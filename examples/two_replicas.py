"""Two replicas of one space, without a network: both write while apart, exchange entries, and show the same tree."""

import secrets
import time

from latticework.crdt import (
    Entry,
    File,
    FileOperations,
    Inline,
    Make,
    Position,
    Roster,
    SpaceGenesis,
    SpaceReplica,
    Stored,
    Writer,
)
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

    def __init__(self, space: SpaceId, roster: Roster, secret: bytes) -> None:
        self.entries: dict[EntryId, Entry] = {}
        self.signer = Ed25519Signer(secrets.token_bytes(32))
        self.space = SpaceReplica(space, roster, SIGNATURES, SpaceKeys(space, secret, Rng()), self)

    def position(self, entry: EntryId) -> Position | None:
        known = self.entries.get(entry)
        return None if known is None else Position(known.body.author, known.body.seq, known.body.hlc)

    def entry(self, entry: EntryId) -> Entry | None:
        return self.entries.get(entry)

    def entries_from(self, log: LogId, seq: int, last: int = 1 << 48) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.body.author == log and seq <= entry.body.seq <= last]

    def write(self, make: Make) -> None:
        writer = Writer(self.signer, keys.device, keys.signer)
        written, _ = self.space.write(writer, FileOperations((make,)), time.time_ns() // 1000)
        self.entries |= {entry.id: entry for entry in written}

    def take(self, other: "Replica") -> None:
        offered = [(entry, b"the other") for entry in other.entries.values()]
        events = self.space.receive(offered, time.time_ns() // 1000)
        self.entries |= {event.entry.id: event.entry for event in events if isinstance(event, Stored)}


keys = load_keys(generate(Rng(), time.time_ns() // 10**9), MlKem1024(), SIGNATURES)
roster = Roster.found(SIGNATURES, found_account(keys, "laptop", time.time_ns() // 10**9))
space = SpaceGenesis(1, roster.account, keys.device, secrets.token_bytes(32)).space
secret = secrets.token_bytes(32)
one, two = Replica(space, roster, secret), Replica(space, roster, secret)

one.write(Make(None, b"from-one.txt", File(0, 0, executable=False, content=Inline(()))))
two.write(Make(None, b"from-two.txt", File(0, 0, executable=False, content=Inline(()))))
one.take(two)
two.take(one)

ours, theirs = one.space.projection.tree.shown, two.space.projection.tree.shown
assert ours == theirs
assert one.space.frontier == two.space.frontier
print("both show", ", ".join(path.decode() for path in sorted(ours)))
