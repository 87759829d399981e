"""A device of the account that writes two histories of its log, and tells each half of the others one of them.

Its node runs as any other; the lies are told past it. What it writes is well-formed and signed by its own keys: only
who compares the two histories sees the fork, and what then stands in its log is a matter of `crdt.containment`.
"""

from collections.abc import Sequence
from typing import Final, final

from latticework.crdt import DocumentEditor, Entry, Roster, SpaceReplica, Stored, Writer, write_batch
from latticework.handshake.epochs import SpaceKeys
from latticework.node.memory_store import MemoryStore
from latticework.node.store import Incoming
from latticework.wire import Clock, LogId, Rng, SignatureProvider, SpaceId

DOCUMENT: Final = "lies"


@final
class Branch:
    """One history of the liar's log; it sees what honest nodes write, and nothing of the other histories."""

    def __init__(
        self,
        space: SpaceId,
        secret: bytes,
        roster: Roster,
        signatures: SignatureProvider,
        writer: Writer,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._store = MemoryStore(bytes(16))
        self._writer = writer
        self._clock = clock
        self._replica = SpaceReplica(space, roster, signatures, SpaceKeys(space, secret, rng), self._store)

    @property
    def log(self) -> LogId:
        """The log that forks."""
        return self._writer.log

    def see(self, entries: Sequence[Entry]) -> None:
        """Take what honest nodes hold, without any entry of the log itself."""
        fresh = [e for e in entries if e.body.author != self.log and self._store.entry(e.id) is None]
        events = self._replica.receive([(entry, b"") for entry in fresh], self._clock.now_us())
        self._keep([event.entry for event in events if isinstance(event, Stored)])

    def write(self, key: str, value: str) -> None:
        """Write into the liar's document."""
        editor = DocumentEditor(self._replica.projection.documents, DOCUMENT, self.log)
        editor.put((key,), value)
        written, _ = self._replica.write(self._writer, editor.operations(), self._clock.now_us())
        self._keep(written)

    def batch(self) -> bytes:
        """Everything of the log, as others receive it."""
        return write_batch([entry for entry in self._store.entries() if entry.body.author == self.log])

    def _keep(self, entries: Sequence[Entry]) -> None:
        self._store.commit([Incoming(entry, checked=True) for entry in entries], [], durable=True)
        self._replica.logs.committed()
