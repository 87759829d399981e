"""`lattice up` of a device that accuses others of what they have not done. See `traitor`."""

import sys
from dataclasses import replace

from latticework.crdt import Entry
from latticework.crdt.entry import entry_id
from latticework.crdt.statements import prove_fork
from latticework.node.cli import main as cli
from latticework.node.space import Space
from latticework.wire import encode
from latticework.wire.signing import Ed25519Signer

_honest_publish = Space._publish_heads  # pyright: ignore[reportPrivateUsage]  # what no honest program does


def publish(self: Space) -> None:
    _honest_publish(self)
    for log in list(self.heads):
        entries = [entry for entry in self.store.entries_from(log, 0) if entry.body.seq < 2]
        if len(entries) == 2:
            self.proofs[bytes(log)] = encode(prove_fork(self.id, entries[0], _forged(self, entries[0])))


def _forged(space: Space, entry: Entry) -> Entry:
    """The same header with another clock, signed by a key that is not the log's."""
    body = encode(replace(entry.body, hlc=entry.body.hlc + 1))
    signature = Ed25519Signer(bytes(32)).sign_raw(b"a proof" + body)
    envelope = replace(entry.envelope, body=body, signature=signature)
    return replace(entry, id=entry_id(space.id, body), envelope=envelope)


if __name__ == "__main__":
    setattr(Space, "_publish_heads", publish)  # noqa: B010
    # What is left of the command: python -m latticework.node.cli.main ...
    sys.exit(cli.main(sys.argv[4:]))
