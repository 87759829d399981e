"""A device of the account that turns against the others, and accidents at the worst moment, in whole nodes.

What it may do is what the threat model says: withhold, send garbage, delete. It must not end a node or a space, fill
memory, or make honest devices differ.
"""

# pyright: reportPrivateUsage=false

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from latticework.crdt import (
    Base,
    Entry,
    FraudKind,
    SpaceGenesis,
    read_batch,
    read_proof,
    write_batch,
    write_entry,
)
from latticework.crdt.entry import LANE_CHECKPOINT, LANE_FILES
from latticework.crdt.params import MAX_CHECKPOINT_HEADS, MAX_CONVICTIONS_AHEAD, PENDING_ENTRIES_PER_SENDER
from latticework.crdt.reconcile_events import Range
from latticework.crdt.reconcile_messages import (
    Compare,
    Heads,
    Probe,
    Proofs,
    Root,
)
from latticework.crdt.statements import Statement, prove_contradiction, prove_fork, sign_statement
from latticework.node import entry_table
from latticework.node.app import Node
from latticework.node.bases import BaseExchange
from latticework.node.handles import Space as Handle
from latticework.node.memory_store import MemoryStore
from latticework.node.messages import (
    SpaceOffer,
)
from latticework.node.params import BASE_PATIENCE_S, MAX_OFFERED_SPACES
from latticework.node.spread import Spread, topic_of
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import Incoming
from latticework.node.upkeep import adopt_base, check_state, say_checkpoint
from latticework.simnet import KeyedRng, SimDevice, SimNetwork, VirtualClock, play
from latticework.transport import PeerId, Validate, Verdict
from latticework.wire import DeviceId, EntryId, LocalError, LogId, PeerError, SpaceId, StoreError, encode
from latticework.wire.signing import Ed25519Signer

from ..crdt.fraud import entry
from ..simnet.two_nodes import pair, rescan, tree, write
from .villain import Liar, Stage, Villain, no_bug_is_logged, on_stage

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("seq", [(1 << 48) + 1, 1 << 63, (1 << 64) - 1])
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
        proofs.append(
            encode(
                prove_contradiction(said[0], sign_statement(signer, said[0]), said[1], sign_statement(signer, said[1]))
            )
        )
        for proof in proofs:
            with pytest.raises(PeerError):
                read_proof(scene.space.id, proof)
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

        async def flood() -> None:
            for _ in range(2000):
                await link._about_space(scene.space.id, Probe(bytes(6), tuple(range(32))))

        with pytest.raises(PeerError, match="does not read"):
            await flood()
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
        runner.admitted = lambda entries, origin: (told.extend(entries), admitted(entries, origin))[1]  # type: ignore[method-assign]

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


@pytest.mark.parametrize("looked_at", [1 << 16, 700])
@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_a_long_answer_whose_payloads_are_pruned_fits_into_batches_that_are_taken(
    kind: str, looked_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_table, "SERVE_SCAN_ENTRIES", looked_at)
    space, signer = SpaceId(bytes(32)), Ed25519Signer(bytes([1]) * 32)
    store = MemoryStore(bytes(16)) if kind == "memory" else SqliteStore(tmp_path / "s.db", space, bytes(16))
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

    play(main, b"at once", clock)


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
            await Handle(honest, "home").doc("notes").until(lambda notes: "more" in notes.json())
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

    play(main, b"unsaved", clock)


def test_comparing_without_end_is_slowed_down() -> None:
    async def play(scene: Stage) -> None:
        link = scene.honest.peers.links[scene.villain.node.device]
        await trio.sleep(5)
        started = trio.current_time()
        with trio.move_on_after(10):
            for number in range(1, 2000):
                await link._about_space(scene.space.id, Root(number.to_bytes(32), 0, number.to_bytes(16)))
                await link._about_space(scene.space.id, Compare(number, 0, None, Heads(b"", (), b""), ()))
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


def test_proofs_about_logs_that_nobody_opened_are_no_part_of_what_is_compared() -> None:
    async def play(scene: Stage) -> None:
        (honest,) = scene.honest.spaces.values()
        before = dict(honest.proofs)
        proofs: list[bytes] = []
        for number in range(MAX_CONVICTIONS_AHEAD + 50):
            key = Ed25519Signer((b"nobody %d" % number).ljust(32))
            sides = [entry(side, key=key, space=honest.id) for side in (b"one", b"other")]
            proofs.append(encode(prove_fork(honest.id, *sides)))
        await honest.take_proofs(proofs)
        assert len(honest.convictions) == MAX_CONVICTIONS_AHEAD
        assert honest.proofs == before

    on_stage(play)


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
                hostile.peers.dialler.keep(node.peers.listening[0], "static")
            await until(lambda: bool(hostile.spaces) and hostile.peers.links.keys() >= {a.device, b.device})
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
            await until(lambda: _alike(a, b, space.id) and tree(folders[0]) == tree(folders[1]))
            document = Handle(a, "home").doc("shared").json()
            assert {f"{number}" for number in range(40)} <= document.keys()
            assert document == Handle(b, "home").doc("shared").json()
            assert {f"file-{number}.txt" for number in range(40)} <= tree(folders[0]).keys()
            for node in (a, b):
                assert node.spaces[space.id].replica.logs.waiting_count() <= 3 * PENDING_ENTRIES_PER_SENDER
                assert await check_state(node.spaces[space.id], node.threads) == []

    play(main, seed, clock)
    assert no_bug_is_logged(caplog), [record.getMessage() for record in caplog.records if record.levelno >= 40]


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(600):
        while not holds():  # noqa: ASYNC110  # of several nodes
            await trio.sleep(1)


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


def test_a_device_that_never_gives_a_state_does_not_keep_us_from_asking_others() -> None:
    async def play(scene: Stage) -> None:
        villain = scene.villain
        entries = villain.put("x")
        await scene.tell([*entries[:-1], entries[-1].without_payload()])
        silent, other = (BaseExchange(DeviceId(name * 32), scene.honest.threads) for name in (b"s", b"o"))
        assert silent.want(scene.space) is not None
        assert other.want(scene.space) is None
        await trio.sleep(BASE_PATIENCE_S + 1)
        assert other.want(scene.space) is not None

    on_stage(play)


def test_a_payload_that_comes_with_another_signature_does_not_replace_the_one_that_was_checked() -> None:
    async def play(scene: Stage) -> None:
        entries = scene.villain.put("x")
        await scene.tell([*entries[:-1], entries[-1].without_payload()])
        run = scene.villain.run_with_a_bad_signature(8)
        entry = entries[-1]
        forged = replace(entry, envelope=replace(entry.envelope, signature=bytes(64)))
        following = read_batch(scene.space.id, run, chain=True).entries
        await scene.space.receive(write_batch([forged, *following]), scene.villain.node.device)
        stored = scene.space.store.entry(entry.id)
        assert stored == entry

    on_stage(play)


def test_many_forks_of_one_log_each_below_the_last_cost_no_more_than_one() -> None:
    async def play(scene: Stage) -> None:
        villain = scene.villain
        await scene.tell([entry for number in range(200) for entry in villain.put(f"{number}")])
        entries = [e for e in villain.space.store.entries() if e.body.author == villain.writer.log]
        others = [
            write_entry(
                scene.space.id,
                villain.writer.signer,
                seq=entry.body.seq,
                prev=entry.body.prev,
                deps=(),
                hlc=entry.body.hlc,
                lane=LANE_FILES,
                payload=b"another",
            )
            for entry in entries[:0:-1]
        ]
        read: list[int] = []
        entries_from = scene.space.store.entries_from

        def counted(log: LogId, seq: int, last: int = 1 << 48) -> Sequence[Entry]:
            found = entries_from(log, seq, last)
            read.append(len(found))
            return found

        scene.space.store.entries_from = counted  # type: ignore[method-assign]
        await scene.tell(others)
        (conviction,) = scene.space.convictions
        assert conviction.seq == 1
        assert sum(read) < 10 * len(entries)

    on_stage(play)


def test_a_bug_never_lets_an_honest_edit_lose_its_number() -> None:
    async def play(scene: Stage) -> None:
        head = scene.space.heads[scene.space.own_log]

        def full(*_: object, **__: object) -> None:
            raise OSError("something nobody thought of")

        commit, scene.space.store.commit = scene.space.store.commit, full  # type: ignore[method-assign]
        store = scene.space.store
        with pytest.raises(StoreError):
            await scene.notes.put(("lost",), 1)
        store.commit = commit  # type: ignore[method-assign]
        await trio.sleep(30)
        await scene.works()
        assert scene.space.heads[scene.space.own_log].seq > head.seq
        assert scene.space.store.entry_at(scene.space.own_log, head.seq + 1) is not None
        assert await check_state(scene.space, scene.honest.threads) == []

    on_stage(play)


def test_what_came_by_gossip_while_its_sender_left_does_not_wait_for_ever() -> None:
    async def play(scene: Stage) -> None:
        device = scene.villain.node.device
        entries = [entry for number in range(5) for entry in scene.villain.put(f"{number}")]
        known = iter([device, None])
        spread = Spread(scene.honest.gossip, lambda _: next(known))
        sender = PeerId.of_key(bytes(32))
        question = Validate(b"id", topic_of(scene.space.id), write_batch(entries[3:]), sender, None)
        assert await spread._judge(scene.space, question) is Verdict.IGNORE
        assert scene.space.replica.logs.waiting_count() == 0

    on_stage(play)


def test_a_device_that_has_written_takes_no_entry_without_its_payload_and_goes_on_writing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(scene: Stage) -> None:
        await scene.works()
        entries = scene.villain.put("x")
        bare = write_batch([*entries[:-1], entries[-1].without_payload()])
        await scene.space.receive(bare, b"villain")
        assert scene.space.replica.is_complete
        assert scene.space.refused == {"its payload is missing": 1}
        await scene.works()
        await scene.tell(entries)
        assert scene.space.replica.is_complete

    on_stage(play)
    assert no_bug_is_logged(caplog)
