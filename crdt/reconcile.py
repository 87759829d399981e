"""Frontier reconciliation with one peer about one space, as a pure machine (crdt-sync report 3.4).

A heartbeat says the root of what a side holds; equal roots end the talk. Otherwise the side with the smaller salt leads
a round (`reconcile_round`), after which both know which logs the other has more of. Proofs of equivocation go first.
Then each asks for what it lacks, one request at a time, and says its root again when nothing more comes. Chains that
contradict each other are searched for their fork, and the entry there is fetched by its id.

Everything is kept per connection and nothing on disk: after a cut, a new machine starts from what is admitted. What
brought nothing forward is not asked for again until either root changes. A peer that lies costs bounded work per
message, and can make us miss only what it withholds itself.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import assert_never, final

from latticework.wire import Label, LogId

from .logs import Head
from .params import SYNC_MAX_PROOFS, SYNC_MAX_STEPS, SYNC_PROOFS_PER_MESSAGE
from .ranges import MODULUS_MASK, Span, salted_digest, salted_fingerprint
from .reconcile_events import (
    Action,
    Admit,
    Admitted,
    Close,
    Event,
    LocalChanged,
    MissingIds,
    Range,
    Received,
    Reconsider,
    Send,
    Serve,
    ServeIds,
    StoreFailed,
    TakeProofs,
)
from .reconcile_fork import Chains
from .reconcile_messages import (
    Compare,
    Entries,
    Hashes,
    Message,
    Probe,
    ProofHashes,
    Proofs,
    Root,
    Want,
    WantIds,
)
from .reconcile_requests import Requests
from .reconcile_round import HeadNames, Round


def sync_root(heads: Mapping[LogId, Head], proofs: Iterable[bytes]) -> bytes:
    """SHA-256 over the sorted heads and the sorted hashes of proofs: equal exactly on replicas that hold the same."""
    parts = [Label.SYNC_ROOT.value, len(heads).to_bytes(8)]
    parts += [log + head.seq.to_bytes(8) + head.id for log, head in sorted(heads.items())]
    return hashlib.sha256(b"".join(parts + sorted(proofs))).digest()


def session_key(one: bytes, two: bytes) -> bytes:
    """The key of a connection's names and fingerprints, from both sides' salts in either order.

    Whoever tells its salt last can choose among keys, but cannot choose a key, nor know it before the other has spoken:
    what was crafted beforehand meets a fresh one, and what is crafted afterwards only deceives its crafter's peer.
    """
    return hashlib.sha256(Label.SYNC_KEY.value + min(one, two) + max(one, two)).digest()


@final
class _Session:
    """What begins when both salts are known; `number` and `step` are of the newest round."""

    def __init__(self, heads: Mapping[LogId, Head], chains: Chains, salt: bytes, peer_salt: bytes) -> None:
        self.key = session_key(salt, peer_salt)
        self.leads = salt < peer_salt
        self.names = HeadNames(self.key)
        self.requests = Requests(heads, chains, self.names)
        self.round: Round | None = None
        self.number = 0
        self.step = 0
        self.resolved = True
        self.complete = False
        self.compared: tuple[bytes, bytes] | None = None
        self.peer_asks = False
        self.owes_root = False
        self.outside = b""
        self.hashes_told = 0
        self.proofs_sent: set[bytes] = set()


@final
class Reconciler:
    """The exchange with one peer.

    `heads` (clipped below the fork for convicted logs) and `proofs` (hash to bytes) are live and never written here.
    `salt` is 16 fresh random bytes. Actions are carried out in order; those that come back as an event stand last.
    """

    def __init__(self, heads: Mapping[LogId, Head], proofs: Mapping[bytes, bytes], chains: Chains, salt: bytes) -> None:
        self._heads = heads
        self._proofs = proofs
        self._chains = chains
        self._salt = salt
        self._peer_salt: bytes | None = None
        self._session: _Session | None = None
        self._own = b""
        self._pending = 0
        self._told: tuple[bytes, int] | None = None
        self._remote_root: bytes | None = None
        self.remote_pending: int | None = None

    def start(self, pending: int) -> list[Action]:
        """Say what we hold."""
        self._pending = pending
        self._look()
        return self._tell_root(salted=True)

    def handle(self, event: Event) -> list[Action]:
        """What one event leads to."""
        session = self._session
        match event:
            case Received(message):
                return self._on_message(message)
            case LocalChanged(pending, carried):
                self._pending = pending
                self._look()
                if carried and session is not None and session.leads and session.resolved and not session.requests.busy:
                    return self._ask_root()
                return self._tell_news() + self._go_on()
            case MissingIds(ids):
                if session is not None:
                    session.requests.look_for(ids)
            case Admitted(pending) | StoreFailed(pending):
                # A new root with the old count would pass for "here, and on our disk".
                self._pending = pending
                self._look()
                if session is not None:
                    session.requests.on_admitted(failed=isinstance(event, StoreFailed))
                    found = session.requests.finish()
                    return [*self._go_on(), *found]
            case Reconsider():
                if session is not None:
                    session.requests.forget_refusals()
            case _:
                assert_never(event)
        return self._go_on()

    @property
    def in_step(self) -> bool:
        """True when the peer has told us that it holds exactly our entries and has brought them to its disk."""
        return self.remote_pending == 0 and self.same_frontier

    @property
    def same_frontier(self) -> bool:
        """True when the root that the peer told last is ours."""
        return self._remote_root == self._own and self._own == sync_root(self._heads, self._proofs)

    def _on_message(self, message: Message) -> list[Action]:
        if isinstance(message, Root):
            return self._on_root(message)
        session = self._session
        if session is None:
            return []  # from before the peer knew that we begin only now; it will hear our salt and start again
        match message:
            case Compare():
                return self._on_compare(session, message)
            case Want():
                return self._serve(session, message)
            case WantIds(wanted):
                session.peer_asks = True
                return [ServeIds(wanted)]
            case Entries(batch, last):
                if session.requests.on_entries(empty=not batch, last=bool(last)):
                    return [Admit(batch)]
                found = session.requests.finish()
                return [*self._go_on(), *found]
            case Probe(name, seqs):
                log = session.names.log(name)
                ids = tuple([None if log is None else self._chains.entry_at(log, seq) for seq in seqs])
                return [Send(Hashes(name, ids))]
            case Hashes():
                probes, found = session.requests.on_hashes(message)
                return [*(Send(probe) for probe in probes), *self._go_on(), *found]
            case ProofHashes(hashes):
                return self._answer_proofs(session, frozenset(hashes))
            case Proofs(proofs):
                return [TakeProofs(proofs)] if proofs else []
            case _:
                assert_never(message)

    def _look(self) -> None:
        """Take note of what we hold now."""
        own = sync_root(self._heads, self._proofs)
        if own != self._own and self._session is not None:
            self._session.requests.forget_refusals()
        self._own = own

    def _tell_root(self, *, salted: bool = False) -> list[Action]:
        self._told = (self._own, self._pending)
        return [Send(Root(self._own, self._pending, self._salt if salted else None))]

    def _ask_root(self) -> list[Action]:
        """Tell our root with the salt that the peer knows: it answers with its own if that differs."""
        return [] if (self._own, self._pending) == self._told else self._tell_root(salted=True)

    def _tell_news(self) -> list[Action]:
        """While entries come in, every batch changes our root: then only what changed besides is worth a word."""
        session = self._session
        if (self._own, self._pending) == self._told:
            return []
        if session is not None and session.requests.busy:
            outside = self._outside(session)
            if outside == session.outside:
                return []
            session.outside = outside
        return self._tell_root()

    def _outside(self, session: _Session) -> bytes:
        asked, name = session.requests.asked, session.names.name
        return sync_root({log: head for log, head in self._heads.items() if name(log) not in asked}, self._proofs)

    def _on_root(self, message: Root) -> list[Action]:
        actions: list[Action] = []
        if message.salt is not None and message.salt != self._peer_salt:
            # The peer begins, or begins anew: it may have missed what we said before.
            self._peer_salt = message.salt
            self._session = _Session(self._heads, self._chains, self._salt, message.salt)
            actions = self._tell_root(salted=True)
        elif message.salt is not None and message.root != self._own:
            actions = self._tell_root()
        session = self._session
        if session is not None:
            session.peer_asks = False
            if message.root != self._remote_root:
                session.requests.forget_refusals()
        self._remote_root, self.remote_pending = message.root, message.pending
        return actions + self._go_on()

    def _go_on(self) -> list[Action]:
        """Ask for what is due; when there is nothing more, say our root; begin a round if it is ours to begin."""
        session = self._session
        if session is None:
            return []
        actions: list[Action] = []
        if session.resolved:
            was_busy = session.requests.busy
            actions += [Send(message) for message in session.requests.next()]
            if session.requests.busy and not was_busy:
                session.owes_root, session.outside = True, self._outside(session)
            elif session.owes_root and not session.requests.busy:
                session.owes_root = False
                actions += self._tell_root()
        remote = self._remote_root
        free = session.resolved and not session.requests.busy and not session.peer_asks
        if session.leads and free and remote is not None and remote != self._own:
            actions += self._begin(session, (self._own, remote))
        return actions

    def _begin(self, session: _Session, pair: tuple[bytes, bytes]) -> list[Action]:
        if pair == session.compared:
            return []
        session.compared = pair
        actions = [] if self._told == (self._own, self._pending) else self._tell_root()
        heads, ranges = self._snapshot(session, session.number + 1).open()
        proofs = self._proofs_fingerprint(session)
        return [*actions, Send(Compare(session.number, 0, proofs, heads, ranges))]

    def _snapshot(self, session: _Session, number: int) -> Round:
        session.names.refresh(self._heads)
        news = session.names.take_news()
        session.round = Round(session.names.all(), news if session.complete else None)
        session.number, session.step, session.resolved, session.complete = number, 0, False, False
        return session.round

    def _on_compare(self, session: _Session, message: Compare) -> list[Action]:
        actions: list[Action] = []
        if message.step == 0 and not session.leads and message.round > session.number:
            self._snapshot(session, message.round)
            if message.proofs != self._proofs_fingerprint(session):
                actions += self._tell_proof_hashes(session)
        elif message.step == 0 or message.round != session.number or message.step != session.step + 1:
            return []
        if session.round is None:
            return []
        answer = session.round.answer(message.step, message.heads, message.ranges)
        if answer is None:
            return [Close("malformed")]
        heads, ranges = answer
        session.step = message.step
        if heads.seqs or any(told_range.told is not None for told_range in message.ranges):
            session.step += 1
            if session.step >= SYNC_MAX_STEPS:
                session.resolved = True
                return [*actions, *self._go_on()]
            proofs = self._proofs_fingerprint(session) if session.step == 1 else None
            actions.append(Send(Compare(session.number, session.step, proofs, heads, ranges)))
        if not ranges:
            session.resolved = session.complete = True
            session.requests.replace_targets(session.round.lacking)
            for log in session.round.forks:
                session.requests.suspect(log, self._heads[log].seq if log in self._heads else -1)
        return actions + self._go_on()

    def _serve(self, session: _Session, want: Want) -> list[Action]:
        session.peer_asks = True
        ranges: dict[LogId, Range] = {}
        for wanted in want.ranges:
            log = session.names.log(wanted.log)
            if log is None or log in ranges or log not in self._heads:
                continue
            last = min(wanted.last, self._heads[log].seq)
            if wanted.first > last:
                continue
            if wanted.first and wanted.after != self._check_at(session, log, wanted.first - 1):
                session.requests.suspect(log, wanted.first - 1)
                continue
            ranges[log] = Range(log, wanted.first, last)
        return [*self._go_on(), Serve(tuple(ranges.values()))]

    def _check_at(self, session: _Session, log: LogId, seq: int) -> bytes | None:
        entry = self._chains.entry_at(log, seq)
        return None if entry is None else session.names.check(log, seq, entry)

    def _proofs_fingerprint(self, session: _Session) -> bytes:
        total = sum(salted_digest(session.key, proof) for proof in self._proofs)
        return salted_fingerprint(Span(total & MODULUS_MASK, len(self._proofs)))

    def _tell_proof_hashes(self, session: _Session) -> list[Action]:
        """Once a round; of very many a part that differs from connection to connection."""
        session.hashes_told = session.number
        hashes = sorted(self._proofs)
        at = bisect_left(hashes, self._salt)
        return [Send(ProofHashes(tuple((hashes[at:] + hashes[:at])[:SYNC_MAX_PROOFS])))]

    def _answer_proofs(self, session: _Session, theirs: frozenset[bytes]) -> list[Action]:
        """Send what the peer lacks, no proof twice on one connection."""
        actions: list[Action] = []
        lacking = [proof for proof in self._proofs if proof not in theirs and proof not in session.proofs_sent]
        if lacking := lacking[:SYNC_PROOFS_PER_MESSAGE]:
            session.proofs_sent.update(lacking)
            actions.append(Send(Proofs(tuple(self._proofs[proof] for proof in lacking))))
        if session.hashes_told != session.number and not theirs <= self._proofs.keys():
            actions += self._tell_proof_hashes(session)
        return actions
