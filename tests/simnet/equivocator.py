"""Four honest nodes and a device that tells each of them something else, under cuts and reconnects, from one seed."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import combinations, pairwise

import trio

from latticework.crdt import DocumentEditor, Entry, Roster, SpaceReplica, Stored, Writer, write_batch
from latticework.handshake.epochs import SpaceKeys
from latticework.node.app import Node
from latticework.node.handles import Space
from latticework.node.memory_store import MemoryStore
from latticework.node.store import Incoming
from latticework.node.upkeep import check_state, say_checkpoint
from latticework.simnet import KeyedRng, ModelSignatures, SimDevice, SimNetwork, VirtualClock, play
from latticework.wire import EntryId, LocalError, LogId, PeerError, SpaceId
from latticework.wire.signing import Ed25519Signer

from ..crdt.world import write_checkpoint
from .two_nodes import pair

NAMES = ("ada", "bob", "cyd", "dan")
STEPS = 30
LIMIT_S = 180.0
"""Virtual time within which honest nodes agree once they reach each other."""


@dataclass
class Equivocator:
    """A device of the account with one log, any number of histories of it, and no shame."""

    space: SpaceId
    secret: bytes
    roster: Roster
    writer: Writer
    clock: VirtualClock
    rng: KeyedRng

    @property
    def log(self) -> LogId:
        """Its only log."""
        return self.writer.log


class Branch:
    """One history of the equivocator's log; it sees what honest nodes write, and nothing of the other branches."""

    def __init__(self, owner: Equivocator) -> None:
        self._owner = owner
        self._store = MemoryStore(bytes(16))
        keys = SpaceKeys(owner.space, owner.secret, owner.rng)
        self._replica = SpaceReplica(owner.space, owner.roster, ModelSignatures(), keys, self._store)

    @property
    def length(self) -> int:
        head = self._replica.frontier.get(self._owner.log)
        return 0 if head is None else head.seq + 1

    def see(self, entries: Sequence[Entry]) -> None:
        """Take what honest nodes hold, without any entry of the log in question."""
        self._take([entry for entry in entries if entry.body.author != self._owner.log])

    def parted(self, at: int) -> "Branch":
        """Another history that has the same first `at` entries."""
        other = Branch(self._owner)
        entries = list(self._store.entries())
        other._take([e for e in entries if e.body.author != self._owner.log or e.body.seq < at])
        return other

    def write(self, key: str) -> None:
        """Write into the shared document."""
        editor = DocumentEditor(self._replica.projection.documents, "shared", self._owner.log)
        editor.put((key,), key)
        written, _ = self._replica.write(self._owner.writer, editor.operations(), self._owner.clock.now_us())
        self._keep(written)

    def say_checkpoints(self) -> None:
        """Two under one number."""
        last, log = self._replica.attestations.last, self._owner.log
        before = last.get(log)
        for _ in range(2):
            written, _ = write_checkpoint(self._replica, self._owner.writer, self._owner.clock.now_us())
            self._keep(written)
            last.pop(log, None)
            if before is not None:
                last[log] = before

    def batch(self) -> bytes:
        """Everything, in causal order."""
        return write_batch(list(self._store.entries()))

    def _take(self, entries: Sequence[Entry]) -> None:
        known = [entry for entry in entries if self._store.entry(entry.id) is None]
        events = self._replica.receive([(entry, b"") for entry in known], self._owner.clock.now_us())
        self._keep([event.entry for event in events if isinstance(event, Stored)])

    def _keep(self, entries: Sequence[Entry]) -> None:
        self._store.commit([Incoming(entry, checked=True) for entry in entries], [], durable=True)
        self._replica.logs.committed()


@dataclass
class Outcome:
    """How a run ended."""

    agreed_after_s: float
    branches: int
    seqs: set[int]
    void: set[int]
    settled: set[EntryId | None]
    roots: set[bytes]
    documents: list[dict[str, object]]
    expected: set[str]
    convicted: set[LogId]
    log: LogId


def story(seed: bytes) -> Outcome:
    """One whole run."""
    clock = VirtualClock()
    rng = KeyedRng(seed, "equivocator")
    network = SimNetwork(clock, rng.child("network"))
    return play(lambda: _Story(clock, rng, network).run(), seed, clock)


class _Story:
    def __init__(self, clock: VirtualClock, rng: KeyedRng, network: SimNetwork) -> None:
        self._clock = clock
        self._rng = rng
        self._network = network
        self._nodes: dict[str, Node] = {}
        self._cut: set[tuple[str, str]] = set()
        self._expected: set[str] = set()

    async def run(self) -> Outcome:
        """Pair, write, tell lies, heal, agree."""
        clock, rng, network = self._clock, self._rng, self._network
        devices = {name: SimDevice(name, network, clock, rng.child(name)) for name in (*NAMES, "eve")}
        async with AsyncExitStack() as stack:
            for name in NAMES:
                self._nodes[name] = await stack.enter_async_context(devices[name].up())
            async with devices["eve"].up() as eve:
                owner = await self._meet(eve)
            branches = await self._quarrel(owner)
            return await self._agree(owner, branches)

    async def _meet(self, eve: Node) -> Equivocator:
        first, *others = self._nodes.values()
        for sponsor, joiner in pairwise((first, *others, eve)):
            await pair(sponsor, joiner)
        space = await first.holdings.create("home")
        for node in others:
            while not node.account.spaces:
                await node.changed()
            await node.holdings.join("home")
        await _until(lambda: all(node.spaces and len(node.roster.members) == 5 for node in self._nodes.values()))
        for one, other in combinations(self._nodes.values(), 2):
            one.peers.dialler.keep(other.peers.listening[0], "static")
        signer = Ed25519Signer(self._rng.child("log").random_bytes(32))
        (known,) = first.account.spaces
        writer = Writer(signer, eve.device, eve.keys.signer)
        return Equivocator(space, known.epoch_secret, first.roster, writer, self._clock, self._rng.child("seals"))

    def _below(self, limit: int) -> int:
        return int.from_bytes(self._rng.random_bytes(4), "big") % limit

    def _pick[T](self, options: Sequence[T]) -> T:
        return options[self._below(len(options))]

    async def _quarrel(self, owner: Equivocator) -> int:
        branches = [Branch(owner)]
        for number in range(STEPS):
            await trio.sleep(self._below(2000) / 1000)
            match self._below(8):
                case 7:
                    await self._say_checkpoint(owner)
                case 0 | 1:
                    await self._write_honestly(number)
                case 2:
                    self._cut_or_heal()
                case 3:
                    branches.append(self._pick(branches).parted(self._below(8)))
                case _:
                    await self._lie(owner, self._pick(branches), number)
        # Two histories at least, and each is told to somebody.
        branches.append(branches[0].parted(self._below(3)))
        for branch, name in zip((branches[0], branches[-1]), NAMES, strict=False):
            await self._lie(owner, branch, STEPS, to=name)
        return len(branches)

    async def _write_honestly(self, number: int) -> None:
        name = self._pick(NAMES)
        await Space(self._nodes[name], "home").doc("shared").put((f"{name}-{number}",), number)
        self._expected.add(f"{name}-{number}")

    async def _say_checkpoint(self, owner: Equivocator) -> None:
        node = self._nodes[self._pick(NAMES)]
        await say_checkpoint(node.spaces[owner.space], node.threads, self._clock.now_us())

    def _cut_or_heal(self) -> None:
        pair_of = self._pick(list(combinations(NAMES, 2)))
        if pair_of in self._cut:
            self._network.heal(*pair_of)
        else:
            self._network.cut(*pair_of)
        self._cut ^= {pair_of}

    async def _lie(self, owner: Equivocator, branch: Branch, number: int, to: str | None = None) -> None:
        name = to or self._pick(NAMES)
        space = self._nodes[name].spaces[owner.space]
        branch.see(list(space.store.entries()))
        try:
            if self._below(8) == 0 and branch.length:
                branch.say_checkpoints()
            for count in range(1 + self._below(3)):
                branch.write(f"lie-{number}-{count}-{name}")
        except LocalError:
            pass  # It knows that it is convicted, and tells what it has.
        try:
            await space.receive(branch.batch(), owner.writer.device)
        except PeerError as error:
            raise AssertionError(f"what it tells is well-formed: {error}") from error

    async def _agree(self, owner: Equivocator, branches: int) -> Outcome:
        for pair_of in sorted(self._cut):
            self._network.heal(*pair_of)
        started = trio.current_time()
        with trio.fail_after(LIMIT_S):
            await _until(lambda: self._alike(owner))
            # Each may hold other branches: what it writes now names them, and the others fetch them.
            for name in NAMES:
                await Space(self._nodes[name], "home").doc("shared").put((f"{name}-last",), name)
                self._expected.add(f"{name}-last")
            await _until(lambda: self._alike(owner) and len(self._roots(owner)) == 1)
        replicas = [node.spaces[owner.space].replica for node in self._nodes.values()]
        convictions = [list(replica.logs.convictions) for replica in replicas]
        for node in self._nodes.values():
            assert not await check_state(node.spaces[owner.space], node.threads)
            assert not node.spaces[owner.space].replica.colluders()
            assert len(node.spaces[owner.space].store.proofs()) == 1
        judgements = [judgement for replica in replicas if (judgement := replica.judgement(owner.log)) is not None]
        return Outcome(
            trio.current_time() - started,
            branches,
            {conviction.seq for known in convictions for conviction in known},
            {len(judgement.void) for judgement in judgements},
            {judgement.settled for judgement in judgements},
            self._roots(owner),
            [dict(Space(node, "home").doc("shared").json()) for node in self._nodes.values()],
            self._expected,
            {conviction.log for known in convictions for conviction in known},
            owner.log,
        )

    def _alike(self, owner: Equivocator) -> bool:
        spaces = [node.spaces[owner.space] for node in self._nodes.values()]
        return all(space.convictions for space in spaces) and all(
            one.heads == other.heads and one.proofs.keys() == other.proofs.keys() for one, other in pairwise(spaces)
        )

    def _roots(self, owner: Equivocator) -> set[bytes]:
        return {node.spaces[owner.space].replica.state_root() for node in self._nodes.values()}


async def _until(question: Callable[[], bool]) -> None:
    while not question():  # noqa: ASYNC110  # what several nodes have in common has no event
        await trio.sleep(0.1)
