"""A device of the account that turns against the others, and accidents at the worst moment, in whole nodes.

What it may do is what the threat model says: withhold, send garbage, delete. It must not end a node or a space, fill
memory, or make honest devices differ.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio

from latticework.crdt import (
    Base,
    DocumentEditor,
    Entry,
    FraudKind,
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
from latticework.crdt.params import MAX_CHECKPOINT_HEADS, PENDING_ENTRIES_PER_SENDER
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
from latticework.crdt.statements import Statement, prove_contradiction, prove_fork, sign_statement
from latticework.handshake.epochs import SpaceKeys
from latticework.node.app import Node
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
from latticework.node.params import CHAIN_MODE_BYTES, MAX_OFFERED_SPACES
from latticework.node.space import Space
from latticework.node.spread import topic_of
from latticework.node.store import Incoming
from latticework.node.upkeep import adopt_base, check_state, say_checkpoint
from latticework.simnet import KeyedRng, ModelSignatures, SimDevice, SimNetwork, VirtualClock, run
from latticework.wire import EntryId, LocalError, LogId, PeerError, SpaceId, StoreError, encode
from latticework.wire.signing import Ed25519Signer

from ..simnet.two_nodes import pair, rescan, tree, write

pytestmark = pytest.mark.sim


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
        editor = DocumentEditor(self.replica.projection.documents, document, self.writer.log)
        editor.put((key,), key)
        written, _ = self.replica.write(self.writer, editor.operations(), self.clock.now_us())
        self.keep(written)
        return written

    def entry(self, lane: int, plaintext: bytes, *, hlc: int | None = None) -> Entry:
        """The next entry of its log, unchecked by any replica of its own."""
        head = self.replica.frontier[self.writer.log]
        made = write_entry(
            self.space.id,
            self.writer.signer,
            seq=head.seq + 1,
            prev=head.id,
            deps=(),
            hlc=next_hlc(head.hlc, self.clock.now_us()) if hlc is None else hlc,
            lane=lane,
            payload=self._keys.seal(self.writer.log, head.seq + 1, head.id, plaintext),
        )
        return made

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
    def notes(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return Handle(self.honest, "home").doc("notes")

    async def works(self) -> None:
        """The honest node still takes writes."""
        with trio.fail_after(60):
            await self.notes.put(("still",), "here")
        assert self.notes.get("still") == "here"

    async def tell(self, entries: list[Entry]) -> int:
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

    run(main, b"hostile", clock)


def no_bug_is_logged(caplog: pytest.LogCaptureFixture) -> bool:
    return not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.parametrize("seq", [(1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_proof_about_a_number_beyond_any_log_harms_nobody(seq: int, caplog: pytest.LogCaptureFixture) -> None:
    async def play(scene: Stage) -> None:
        villain, signer = scene.villain, Ed25519Signer(bytes([7]) * 32)
        one, other = (
            write_entry(
                scene.space.id, signer, seq=seq, prev=EntryId(bytes(32)), deps=(), hlc=1, lane=1, payload=payload
            )
            for payload in (b"a", b"b")
        )
        proofs = [encode(prove_fork(scene.space.id, one, other))]
        said = [
            Statement(1, FraudKind.CHECKPOINT, scene.space.id, LogId(signer.public), seq, bytes(8), content)
            for content in (bytes(32), bytes([1]) * 32)
        ]
        proofs.append(encode(prove_contradiction(said[0], sign_statement(signer, said[0]), said[1], sign_statement(signer, said[1]))))
        for proof in proofs:
            villain.say(Proofs((proof,)), to=scene.honest)
            await trio.sleep(2)
            while scene.honest.device not in villain.node.peers.links:
                await villain.node.changed()
        await scene.works()

    on_stage(play)
    assert no_bug_is_logged(caplog)


def test_answers_that_a_peer_does_not_read_do_not_pile_up(caplog: pytest.LogCaptureFixture) -> None:
    async def play(scene: Stage) -> None:
        link = scene.honest.peers.links[scene.villain.node.device]
        await link._about_space(scene.space.id, Root(bytes(32), 0, bytes(16)))
        for _ in range(20_000):
            try:
                await link._about_space(scene.space.id, Probe(bytes(6), tuple(range(32))))
            except PeerError as error:
                assert error.code == "flood"
                break
        assert len(link._requests) < 2000
        await scene.works()

    on_stage(play)
    assert no_bug_is_logged(caplog)


def test_a_state_that_is_none_is_refused_and_the_store_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def play(scene: Stage) -> None:
        villain = scene.villain
        entries = villain.put("x")
        hole = villain.entry(LANE_FILES, b"never shown")
        villain.take([hole])
        garbage = villain.checkpoint(b"no snapshot")
        await scene.tell([*entries, hole.without_payload(), garbage])
        assert not scene.space.replica.is_complete
        with pytest.raises(PeerError):
            await adopt_base(scene.space, scene.honest.threads, Base(garbage.id, b"no snapshot"))
        assert not scene.space.damaged.is_set()
        assert scene.space.store.base() is None

    on_stage(play)
    assert no_bug_is_logged(caplog)


def test_no_checkpoint_of_ours_builds_on_a_signature_that_was_not_checked() -> None:
    async def play(scene: Stage) -> None:
        ours = scene.space.own_log
        batch = scene.villain.run_with_a_bad_signature(8)
        await scene.space.receive(batch, scene.villain.node.device)
        await say_checkpoint(scene.space, scene.honest.threads, scene.clock.now_us())
        said = scene.space.heads[ours]
        await trio.sleep(5)
        assert scene.space.heads[ours] == said, "it is not dropped with what it built on"
        await scene.works()
        assert scene.space.own_log == ours

    on_stage(play)


def test_runs_that_are_never_admitted_leave_nothing_behind() -> None:
    async def play(scene: Stage) -> None:
        villain = scene.villain
        for number in range(20):
            # A log that nobody opened: refused, whatever its signatures.
            signer = Ed25519Signer(bytes([number]) * 32)
            entries: list[Entry] = []
            for seq in range(300):
                prev = entries[-1].id if entries else None
                entries.append(
                    write_entry(
                        scene.space.id, signer, seq=seq, prev=prev, deps=(), hlc=seq + 1, lane=1, payload=bytes(1000)
                    )
                )
            await scene.tell(entries)
            scene.space.forget_sender(villain.node.device)
        assert len(scene.space._signatures_due._waiting) <= 300

    on_stage(play)


def test_more_logs_than_a_checkpoint_holds_never_make_us_write_what_others_refuse() -> None:
    async def play(scene: Stage) -> None:
        replica = scene.space.replica
        # Opening so many takes minutes; the frontier is what the checkpoint is made of.
        head = replica.frontier[scene.space.own_log]
        for number in range(MAX_CHECKPOINT_HEADS):
            replica.frontier[LogId(number.to_bytes(32))] = head
        before = scene.space.store.entries()
        with pytest.raises(LocalError):
            await say_checkpoint(scene.space, scene.honest.threads, scene.clock.now_us())
        assert list(scene.space.store.entries()) == list(before)
        await scene.space.work(scene.space.reload)
        await scene.works()

    on_stage(play)


def test_a_checkpoint_whose_state_could_not_be_kept_is_told_all_the_same() -> None:
    async def play(scene: Stage) -> None:
        told: list[Entry] = []
        runner = scene.honest.runners[scene.space.id]
        admitted = runner.admitted
        runner.admitted = lambda entries, *, own: (told.extend(entries), admitted(entries, own=own))[1]  # type: ignore[method-assign]

        def full(base: Base) -> None:
            raise StoreError("the disk is full")

        scene.space.store.keep_base = full  # type: ignore[method-assign]
        with pytest.raises(StoreError):
            await say_checkpoint(scene.space, scene.honest.threads, scene.clock.now_us())
        assert [entry.body.lane for entry in told] == [LANE_CHECKPOINT]

    on_stage(play)


def test_when_a_payload_cannot_be_stored_the_replica_goes_back_to_what_is_stored() -> None:
    async def play(scene: Stage) -> None:
        villain = scene.villain
        first = villain.put("x")
        second = villain.put("y")
        await scene.tell([*first[:-1], first[-1].without_payload()])

        def full(entry: Entry) -> None:
            raise StoreError("the disk is full")

        fill, scene.space.store.fill = scene.space.store.fill, full  # type: ignore[method-assign]
        with pytest.raises(StoreError):
            await scene.tell([*first, *second])
        assert not scene.space.replica.is_complete
        scene.space.store.fill = fill  # type: ignore[method-assign]
        await scene.tell([*first, *second])
        assert scene.space.replica.is_complete
        assert await check_state(scene.space, scene.honest.threads) == []
        await scene.works()

    on_stage(play)


def test_a_full_disk_that_takes_no_offer_keeps_the_link(caplog: pytest.LogCaptureFixture) -> None:
    async def play(scene: Stage) -> None:
        villain, account = scene.villain, scene.honest.account

        def full(state: object) -> None:
            raise StoreError("the disk is full")

        account._store.save = full  # type: ignore[method-assign]
        link = scene.honest.peers.links[villain.node.device]
        genesis = SpaceGenesis(1, account.roster.account, villain.node.device, bytes(32))
        villain.say(SpaceOffer(encode(genesis), "more", bytes(32)), to=scene.honest)
        await trio.sleep(5)
        assert scene.honest.peers.links[villain.node.device] is link
        assert link.problem == "the disk is full"

    on_stage(play)
    assert no_bug_is_logged(caplog)


def test_offers_without_end_and_names_that_are_not_to_be_shown_are_refused() -> None:
    async def play(scene: Stage) -> None:
        villain, account = scene.villain, scene.honest.account

        def offer(number: int, name: str) -> SpaceOffer:
            genesis = SpaceGenesis(1, account.roster.account, villain.node.device, number.to_bytes(32))
            return SpaceOffer(encode(genesis), name, bytes(32))

        with pytest.raises(PeerError):
            await account.take_offer(offer(0, "\x1b[2J"))
        with pytest.raises(PeerError):
            await account.take_offer(offer(0, ""))
        (known,) = account.spaces
        many = tuple(replace(known, genesis=number.to_bytes(32)) for number in range(MAX_OFFERED_SPACES))
        account._state = replace(account._state, spaces=many)
        assert not await account.take_offer(offer(1, "one more"))
        account._state = replace(account._state, spaces=many * 5)
        with pytest.raises(StoreError):
            await account.put_space(known)

    on_stage(play)


def test_a_long_answer_whose_payloads_are_pruned_fits_into_batches_that_are_taken() -> None:
    from latticework.crdt import read_batch
    from latticework.crdt.reconcile_events import Range

    store, signer = MemoryStore(bytes(16)), Ed25519Signer(bytes([1]) * 32)
    space = SpaceId(bytes(32))
    entries: list[Entry] = []
    for seq in range(5000):
        prev = entries[-1].id if entries else None
        made = write_entry(space, signer, seq=seq, prev=prev, deps=(), hlc=seq + 1, lane=1, payload=b"")
        entries.append(made.without_payload())
    store.commit([Incoming(entry, checked=True) for entry in entries], [], durable=True)
    got: list[EntryId] = []
    cursor: int | None = 0
    while cursor is not None:
        part, cursor = store.serve([Range(LogId(signer.public), 0, 1 << 40)], cursor, 4 << 20)
        got += [entry.id for entry in read_batch(space, write_batch(part)).entries]
    assert got == [entry.id for entry in entries]


def test_a_bug_in_one_space_ends_neither_the_node_nor_the_space() -> None:
    async def play(scene: Stage) -> None:
        def bug() -> Awaitable[None]:
            raise KeyError("a bug")

        with pytest.raises(StoreError):
            await scene.space.work(bug)
        await trio.sleep(30)
        await scene.works()
        assert scene.notes.get("title") == "ours"

    on_stage(play)


def test_tasks_that_write_first_at_once_share_one_space() -> None:
    clock, rng = VirtualClock(), KeyedRng(b"at once", "hostile")

    async def main() -> None:
        device = SimDevice("ada", SimNetwork(clock, rng.child("network")), clock, rng.child("ada"))
        async with device.up() as node:
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(Handle(node, "home").doc("notes").put, (f"{number}",), number)
            assert len(node.account.spaces) == 1
            assert len(Handle(node, "home").doc("notes").json()) == 5

    run(main, b"at once", clock)


def test_entries_of_a_device_whose_certificate_was_not_saved_do_not_cost_us_our_store() -> None:
    clock, rng = VirtualClock(), KeyedRng(b"unsaved", "hostile")

    async def main() -> None:
        network = SimNetwork(clock, rng.child("network"))
        ada, eve = (SimDevice(name, network, clock, rng.child(name)) for name in ("ada", "eve"))
        async with ada.up() as honest, eve.up() as hostile:
            await Handle(honest, "home").doc("notes").put(("title",), "ours")
            before = honest.account._state
            await pair(honest, hostile)
            while not hostile.account.spaces:
                await hostile.changed()
            await hostile.holdings.join("home")
            await Handle(hostile, "home").doc("notes").put(("more",), "theirs")
            while len(Handle(honest, "home").doc("notes").json()) < 2:
                await trio.sleep(1)
            await Handle(honest, "home").doc("notes").put(("after",), "ours too")
            state = honest.account._store
        # The disk was full when the certificate should have been saved; the entries came through.
        kept = state.load()
        assert kept is not None
        state.save(replace(kept, roster=before.roster))
        async with ada.up() as honest:
            await Handle(honest, "home").hold()
            runner = Handle(honest, "home").runner
            assert runner is not None
            assert runner.set_aside is None
            assert runner.problem is None
            expected = {"title": "ours", "more": "theirs", "after": "ours too"}
            assert Handle(honest, "home").doc("notes").json() == expected
            await Handle(honest, "home").doc("notes").put(("again",), 1)
            async with eve.up(honest.peers.listening) as hostile:
                await Handle(hostile, "home").doc("notes").until(lambda notes: "again" in notes.json())

    run(main, b"unsaved", clock)


def test_comparing_without_end_is_slowed_down() -> None:
    async def play(scene: Stage) -> None:
        link = scene.honest.peers.links[scene.villain.node.device]
        await trio.sleep(5)
        started = trio.current_time()
        with trio.move_on_after(10):
            for number in range(1, 2000):
                await link._about_space(scene.space.id, Root(number.to_bytes(32), 0, number.to_bytes(16)))
                await link._about_space(
                    scene.space.id, Compare(number, 0, None, Heads(b"", (), b""), ())
                )
                link._requests.clear()
        assert trio.current_time() - started >= 5

    on_stage(play)


def test_asking_for_what_is_missing_keeps_only_the_newest_word() -> None:
    async def play(scene: Stage) -> None:
        link = scene.honest.peers.links[scene.villain.node.device]
        for number in range(5000):
            link.missing(scene.space.id, [EntryId(number.to_bytes(32))] * 100)
        assert len(link._events) <= 1

    on_stage(play)


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
        while True:
            await trio.sleep(self._below(300) / 1000)
            target = self._targets[self._below(len(self._targets))]
            if self._below(3) == 0:
                with suppress(LocalError):
                    await villain.node.gossip.publish(topic, self._batch()[: 1 << 19])
            elif target.device in villain.node.peers.links:
                villain.say(*(self._message(target) for _ in range(1 + self._below(5))), to=target)


@pytest.mark.parametrize("seed", [b"one", *(pytest.param(b"%d" % n, marks=pytest.mark.long) for n in range(20))])
def test_an_honest_pair_stays_in_step_beside_a_device_that_says_anything(
    seed: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, rng = VirtualClock(), KeyedRng(seed, "anything")
    folders = [tmp_path / "one", tmp_path / "two"]
    write(folders[0] / "file.txt", "first")

    async def main() -> None:
        network = SimNetwork(clock, rng.child("network"))
        ada, bob, eve = (SimDevice(name, network, clock, rng.child(name)) for name in ("ada", "bob", "eve"))
        async with ada.up() as a, bob.up() as b, eve.up() as hostile:
            await pair(a, b)
            await pair(b, hostile)
            await a.holdings.create("home", folders[0])
            for node in (b, hostile):
                while not node.account.spaces:
                    await node.changed()
            await b.holdings.join("home", folders[1])
            await hostile.holdings.join("home")
            for node in (a, b):
                hostile.peers.keep(node.peers.listening[0], "static")
            while not (hostile.spaces and set(hostile.peers.links) >= {a.device, b.device}):
                await trio.sleep(0.1)
            (space,) = hostile.spaces.values()
            villain = Villain(hostile, space, clock, rng.child("villain"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Liar(villain, [a, b], rng.child("liar")).lie)
                for number in range(40):
                    await trio.sleep(3)
                    node, folder = ((a, folders[0]), (b, folders[1]))[number % 2]
                    await Handle(node, "home").doc("shared").put((f"{number}",), number)
                    write(folder / f"file-{number}.txt", f"{number}")
                    rescan(a, b)
                nursery.cancel_scope.cancel()
            with trio.fail_after(600):
                while not _alike(a, b, space.id):
                    await trio.sleep(1)
                while tree(folders[0]) != tree(folders[1]):
                    await trio.sleep(1)
            document = Handle(a, "home").doc("shared").json()
            assert {f"{number}" for number in range(40)} <= document.keys()
            assert document == Handle(b, "home").doc("shared").json()
            assert {f"file-{number}.txt" for number in range(40)} <= tree(folders[0]).keys()
            for node in (a, b):
                assert node.spaces[space.id].replica.logs.waiting_count() <= 3 * PENDING_ENTRIES_PER_SENDER
                assert await check_state(node.spaces[space.id], node.threads) == []

    run(main, seed, clock)
    assert no_bug_is_logged(caplog), [record.getMessage() for record in caplog.records if record.levelno >= 40]


def _alike(one: Node, other: Node, space: SpaceId) -> bool:
    left, right = one.spaces[space], other.spaces[space]
    return (
        left.heads == right.heads
        and left.proofs.keys() == right.proofs.keys()
        and left.replica.state_root() == right.replica.state_root()
    )


def test_payloads_that_come_later_bring_the_state_up_to_date_without_computing_all_of_it_anew() -> None:
    async def play(scene: Stage) -> None:
        villain = scene.villain
        loads: list[None] = []
        load = scene.space._load
        scene.space._load = lambda: (loads.append(None), load())[1]  # type: ignore[method-assign]
        for number in range(5):
            entries = villain.put(f"{number}")
            await scene.tell([*entries[:-1], entries[-1].without_payload()])
            await scene.tell(villain.put(f"after {number}"))
            assert not scene.space.replica.is_complete
            await scene.tell(entries)
            assert scene.space.replica.is_complete
            assert {f"{number}", f"after {number}"} <= scene.notes.json().keys()
        assert await check_state(scene.space, scene.honest.threads) == []
        assert not loads

    on_stage(play)
