"""A device of the account that says and writes what it likes, and an honest one to say it to."""

# pyright: reportPrivateUsage=false

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest
import trio

from latticework.crdt import (
    DocumentEditor,
    Entry,
    SpaceGenesis,
    SpaceReplica,
    Stored,
    Writer,
    write_batch,
    write_entry,
)
from latticework.crdt.checkpoint import Checkpoint, sign_checkpoint, state_root
from latticework.crdt.entry import LANE_CHECKPOINT, LANE_FILES
from latticework.crdt.hlc import next_hlc
from latticework.crdt.reconcile_messages import (
    Compare,
    Entries,
    Hashes,
    HeadRange,
    Heads,
    Message,
    Probe,
    ProofHashes,
    Proofs,
    Root,
    Want,
    WantIds,
    WantRange,
)
from latticework.crdt.statements import prove_fork
from latticework.handshake.epochs import SpaceKeys
from latticework.node.app import Node
from latticework.node.documents import Doc
from latticework.node.handles import Space as Handle
from latticework.node.memory_store import MemoryStore
from latticework.node.messages import (
    SYNC_MESSAGES,
    AboutSpace,
    BasePart,
    BaseRequest,
    RosterHashes,
    RosterRecords,
    SpaceOffer,
    SyncMessage,
)
from latticework.node.params import CHAIN_MODE_BYTES
from latticework.node.space import Space
from latticework.node.spread import topic_of
from latticework.node.store import Incoming
from latticework.simnet import KeyedRng, ModelSignatures, SimDevice, SimNetwork, VirtualClock
from latticework.simnet import play as play_trio
from latticework.wire import EntryId, LocalError, SpaceId, encode
from latticework.wire.signing import Ed25519Signer

from ..simnet.two_nodes import pair


class Villain:
    """A certified device that writes what it likes; `entries` is what it has made and seen."""

    def __init__(self, node: Node, space: Space, clock: VirtualClock, rng: KeyedRng) -> None:
        self.node = node
        self.space = space
        self.clock = clock
        self.rng = rng
        (known,) = node.account.spaces
        self._keys = SpaceKeys(space.id, known.epoch_secret, rng)
        self._store = MemoryStore(bytes(16))
        self.replica = SpaceReplica(space.id, node.roster, ModelSignatures(), self._keys, self._store)
        self.writer = Writer(Ed25519Signer(rng.random_bytes(32)), node.device, node.keys.signer)
        self.take(list(space.store.entries()))

    def take(self, entries: list[Entry]) -> None:
        known = [(entry, b"") for entry in entries if self._store.entry(entry.id) is None]
        events = self.replica.receive(known, self.clock.now_us())
        self.keep([event.entry for event in events if isinstance(event, Stored)])

    def keep(self, entries: list[Entry]) -> None:
        self._store.commit([Incoming(entry, checked=True) for entry in entries], [], durable=True)
        self.replica.logs.committed()

    def put(self, key: str, document: str = "notes") -> list[Entry]:
        if self.writer.log in self.replica.logs.convictions:
            self.writer = replace(self.writer, signer=Ed25519Signer(self.rng.random_bytes(32)))
        editor = DocumentEditor(self.replica.projection.documents, document, self.writer.log)
        editor.put((key,), key)
        written, _ = self.replica.write(self.writer, editor.operations(), self.clock.now_us())
        self.keep(written)
        return written

    def entry(self, lane: int, plaintext: bytes, *, hlc: int | None = None) -> Entry:
        """The next entry of its log, unchecked by any replica of its own."""
        head = self.replica.frontier[self.writer.log]
        return write_entry(
            self.space.id,
            self.writer.signer,
            seq=head.seq + 1,
            prev=head.id,
            deps=(),
            hlc=next_hlc(head.hlc, self.clock.now_us()) if hlc is None else hlc,
            lane=lane,
            payload=self._keys.seal(self.writer.log, head.seq + 1, head.id, plaintext),
        )

    def checkpoint(self, snapshot: bytes) -> Entry:
        """A checkpoint that speaks of any state it likes."""
        head = self.replica.frontier[self.writer.log]
        said = Checkpoint(1, 0, None, (), state_root(snapshot), 1)
        device = self.writer.device_signer
        signed = sign_checkpoint(self.space.id, self.writer.signer, device, head.seq + 1, said)
        made = self.entry(LANE_CHECKPOINT, encode(signed))
        self.take([made])
        return made

    def run_with_a_bad_signature(self, count: int) -> bytes:
        """A batch of many entries, the first of which nobody signed, and the last of which is well signed."""
        entries: list[Entry] = []
        while len(write_batch(entries)) < CHAIN_MODE_BYTES or len(entries) < count:
            entries += self.put(f"{len(entries)}" * 300)
        first = entries[1]
        entries[1] = replace(first, envelope=replace(first.envelope, signature=bytes(64)))
        return write_batch(entries)

    def say(self, *messages: SyncMessage | Message, to: Node) -> None:
        """Send over its own link whatever it likes."""
        link = self.node.peers.links[to.device]
        for message in messages:
            whole = isinstance(message, SYNC_MESSAGES)
            link._requests.append(message if whole else AboutSpace(self.space.id, message))  # type: ignore[arg-type]
        link._wake.set()


@dataclass
class Stage:
    """An honest node, a hostile one that is paired with it, and the space they share."""

    honest: Node
    villain: Villain
    clock: VirtualClock
    rng: KeyedRng

    @property
    def space(self) -> Space:
        (space,) = self.honest.spaces.values()
        return space

    @property
    def notes(self) -> Doc:
        """The document that both know."""
        return Handle(self.honest, "home").doc("notes")

    async def works(self) -> None:
        """The honest node still takes writes."""
        with trio.fail_after(60):
            await self.notes.put(("still",), "here")
        assert self.notes.get("still") == "here"

    async def tell(self, entries: list[Entry]) -> int:
        # As if it had not written here yet: only then are entries without payload taken.
        self.space.replica.takes_pruned = True
        return await self.space.receive(write_batch(entries), self.villain.node.device)


@asynccontextmanager
async def stage(clock: VirtualClock, rng: KeyedRng) -> AsyncGenerator[Stage]:
    network = SimNetwork(clock, rng.child("network"))
    ada, eve = (SimDevice(name, network, clock, rng.child(name)) for name in ("ada", "eve"))
    async with ada.up() as honest, eve.up() as hostile:
        await pair(honest, hostile)
        await Handle(honest, "home").doc("notes").put(("title",), "ours")
        while not hostile.account.spaces or honest.device not in hostile.peers.links:
            await hostile.changed()
        (space,) = honest.spaces.values()
        yield Stage(honest, Villain(hostile, space, clock, rng.child("villain")), clock, rng)


def on_stage(play: Callable[[Stage], Awaitable[None]]) -> None:
    clock, rng = VirtualClock(), KeyedRng(play.__qualname__.encode(), "hostile")

    async def main() -> None:
        async with stage(clock, rng) as scene:
            await play(scene)

    play_trio(main, b"hostile", clock)


def no_bug_is_logged(caplog: pytest.LogCaptureFixture) -> bool:
    return not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


class Liar:
    """Says and spreads anything that comes to its mind, from one seed."""

    def __init__(self, villain: Villain, targets: list[Node], rng: KeyedRng) -> None:
        self._villain = villain
        self._targets = targets
        self._rng = rng
        self._said: list[bytes] = []

    def _below(self, limit: int) -> int:
        return int.from_bytes(self._rng.random_bytes(4)) % limit

    def _bytes(self, count: int) -> bytes:
        return self._rng.random_bytes(count) if count else b""

    def _name(self, target: Node) -> bytes:
        link = self._villain.node.peers.links.get(target.device)
        state = None if link is None else link.state(self._villain.space.id)
        session = None if state is None else state._session
        known = [] if session is None else [head.name for head in session.names.all()]
        return known[self._below(len(known))] if known and self._below(4) else self._bytes(6)

    def _id(self) -> EntryId:
        known = self._villain.space.store.recent(32)
        return known[self._below(len(known))].id if self._below(3) else EntryId(self._bytes(32))

    def _message(self, target: Node) -> SyncMessage | Message:
        small, large = self._below(8), self._below(1 << 40)
        space = self._villain.space.id
        # The last ones end the link, and another must be made before anything more can be said.
        match self._below(10) if self._below(16) else 10 + self._below(5):
            case 0:
                return Root(self._bytes(32), small, self._bytes(16) if self._below(2) else None)
            case 1 | 2:
                seqs = tuple(self._below(9) for _ in range(small))
                heads = Heads(b"".join(self._name(target) for _ in seqs), seqs, self._bytes(6 * small))
                bounds = sorted({self._bytes(1 + self._below(13)) for _ in range(self._below(5))})
                ranges = tuple(HeadRange(bound, self._bytes(16) if self._below(2) else None) for bound in bounds)
                return Compare(self._below(100), small, self._bytes(16), heads, (*ranges, HeadRange(b"", b"")))
            case 3:
                return Want(tuple(WantRange(self._name(target), small, large, None) for _ in range(small)))
            case 4:
                return WantIds(tuple(self._id() for _ in range(self._below(256))))
            case 5:
                return Entries(self._batch(), self._below(2))
            case 6:
                return Probe(self._name(target), tuple(self._below(100) for _ in range(small)))
            case 7:
                return Hashes(self._name(target), tuple(self._id() for _ in range(small)))
            case 8:
                return ProofHashes(tuple(self._bytes(32) for _ in range(small)))
            case 9:
                signer = Ed25519Signer(self._bytes(32))
                prev = EntryId(bytes(32))
                forks = [
                    write_entry(space, signer, seq=large, prev=prev, deps=(), hlc=1, lane=1, payload=payload)
                    for payload in (b"a", b"b")
                ]
                return Proofs((encode(prove_fork(space, *forks)),))
            case 10:
                return BaseRequest(space, self._id() if self._below(2) else None, large % (1 << 20))
            case 11:
                return BasePart(space, self._id(), large % (1 << 20), 0, self._bytes(small))
            case 12:
                return RosterHashes(tuple(self._bytes(32) for _ in range(small)))
            case 13:
                return RosterRecords((self._bytes(100),))
            case _:
                roster = self._villain.node.roster
                genesis = SpaceGenesis(1, roster.account, self._villain.node.device, self._bytes(32))
                return SpaceOffer(encode(genesis), f"offer {large}", self._bytes(32))

    def _batch(self) -> bytes:
        villain = self._villain
        match self._below(9):
            case 0:
                return self._bytes(self._below(4096))
            case 1 | 2:
                villain.take(list(villain.space.store.entries()))
                made = write_batch(villain.put(self._bytes(4).hex()))
            case 3:
                made = write_batch(list(villain.space.store.entries()))
            case 4:
                made = write_batch([villain.entry(LANE_FILES, self._bytes(60), hlc=(1 << 64) - 1)])
            case 5:
                made = write_batch([villain.entry(200 + self._below(9), self._bytes(60))])
            case 6:
                keys = [Ed25519Signer(self._bytes(32)) for _ in range(20)]
                space = SpaceId(self._bytes(32)) if self._below(2) else villain.space.id
                parts = {"prev": None, "hlc": 1, "lane": 0, "payload": self._bytes(500)}
                deps = (self._id(),)
                made = write_batch([write_entry(space, key, seq=0, deps=deps, **parts) for key in keys])  # type: ignore[arg-type]
            case 7:
                made = villain.run_with_a_bad_signature(4)
            case _:
                made = self._said[self._below(len(self._said))] if self._said else b""
        self._said = [*self._said, made][-20:]
        if made and self._below(4) == 0:
            at = self._below(len(made))
            made = made[:at] + bytes([made[at] ^ (1 << self._below(8))]) + made[at + 1 :]
        return made

    async def lie(self) -> None:
        """For as long as it is let."""
        villain = self._villain
        topic = topic_of(villain.space.id)
        villain.put("first")
        while True:
            await trio.sleep(self._below(300) / 1000)
            if villain.writer.log in villain.replica.logs.convictions:
                villain.put("again")
            target = self._targets[self._below(len(self._targets))]
            if self._below(3) == 0:
                with suppress(LocalError):
                    await villain.node.gossip.publish(topic, self._batch()[: 1 << 19])
            elif target.device in villain.node.peers.links:
                villain.say(*(self._message(target) for _ in range(1 + self._below(5))), to=target)
